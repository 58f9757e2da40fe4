"""A request against botocore's model of the service, more strictly than botocore's own client checks it.

botocore sends enumerations, patterns, lengths and maxima on unchecked, and moto takes nearly anything: a test against
moto alone would pass with a request that AWS refuses. This stands in front of it.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Recorder", "violations"]

# The models' patterns are Java's; near enough for what our requests hold.
_CLASSES = {"L": r"\w", "N": r"\w", "Z": r"\s", "M": "\u0300-\u036f", "S": "$+<=>^`|~", "P": r"!-/:-@\[-`{-~"}
# Classes by other names, ends, and a character beyond 16 bits written as two surrogates: Python has none of these.
_SPELLINGS = (
    (r"[\p{Print}]", "[ -~]"),
    (r"\p{Print}", "[ -~]"),
    (r"\p{ASCII}", r"[\x00-\x7f]"),
    (r"\A", ""),
    (r"\z", ""),
    (r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF"),
)


@dataclass
class Recorder:
    """Listens to every botocore session: refuses what the model refuses, and keeps every call."""

    calls: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def handlers(self) -> list[tuple[str, Any]]:
        """For `botocore.handlers.BUILTIN_HANDLERS`, which every session made from then on has."""
        return [("before-parameter-build", self._see), ("after-call.sagemaker", _as_the_service_says)]

    def _see(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        service = model.service_model.service_name
        found = list(violations(model.input_shape, params, model.name)) if model.input_shape else []
        assert not found, "\n".join(found)
        self.calls.append((service, model.name, dict(params)))

    def operations(self) -> list[str]:
        """`service:Operation` of each call, in order."""
        return [f"{service}:{operation}" for service, operation, _ in self.calls]


def _as_the_service_says(parsed: dict[str, Any], **_: Any) -> None:
    """Where moto's answers are not the service's: an unknown pipeline, and a definition that lies on S3."""
    if "Could not find pipeline" in parsed.get("Error", {}).get("Message", ""):
        parsed["Error"]["Code"] = "ResourceNotFound"
    if parsed.get("PipelineDefinition", "").startswith("{'"):
        parsed["PipelineDefinition"] = json.dumps(ast.literal_eval(parsed["PipelineDefinition"]))


def violations(shape: Any, value: Any, where: str) -> Iterator[str]:
    """Everything about `value` that the shape does not allow."""
    if shape.type_name == "structure":
        for name in shape.required_members:
            # botocore gives a token to every call that has none.
            if name not in value and not shape.members[name].metadata.get("idempotencyToken"):
                yield f"{where}: {name} is missing"
        for name, item in value.items():
            if name not in shape.members:
                yield f"{where}: there is no {name}"
            else:
                yield from violations(shape.members[name], item, f"{where}.{name}")
    elif shape.type_name == "list":
        yield from _measure(shape, len(value), where)
        for index, item in enumerate(value):
            yield from violations(shape.member, item, f"{where}[{index}]")
    elif shape.type_name == "map":
        yield from _measure(shape, len(value), where)
        for key, item in value.items():
            yield from violations(shape.value, item, f"{where}.{key}")
    elif shape.type_name == "string":
        yield from _text(shape, value, where)
    elif shape.type_name in ("integer", "long", "float", "double"):
        yield from _measure(shape, value, where)


def _text(shape: Any, value: Any, where: str) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"{where}: {value!r} is no text"
        return
    if shape.enum and value not in shape.enum:
        yield f"{where}: {value!r} is none of {shape.enum}"
    yield from _measure(shape, len(value), where)
    pattern = shape.metadata.get("pattern")
    if pattern:
        for theirs, ours in _SPELLINGS:
            pattern = pattern.replace(theirs, ours)
        pattern = re.sub(r"\\p\{(\w+)\}", lambda found: _CLASSES[found[1]], pattern)
        if not re.fullmatch(pattern, value, re.DOTALL):
            yield f"{where}: {value[:80]!r} does not match {pattern}"


def _measure(shape: Any, measure: float, where: str) -> Iterator[str]:
    if "min" in shape.metadata and measure < float(shape.metadata["min"]):
        yield f"{where}: {measure} is below {shape.metadata['min']}"
    if "max" in shape.metadata and measure > float(shape.metadata["max"]):
        yield f"{where}: {measure} is above {shape.metadata['max']}"
