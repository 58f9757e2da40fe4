"""Requests held against SageMaker's service model: types, members, enumerations, patterns, lengths and ranges.

One walk for the engine and the linter. The engine has its operations' part of the model as a file, which
`make definition` writes from botocore's; the linter walks the model of the botocore that is installed.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from batchcast.engine.limits import MAX_INSTANCE_COUNT, MAX_PAYLOAD_IN_MB

MODEL_FILE = Path(__file__).with_name("service_model.json")
# Type of a shape -> what Python has for it, and how a person calls it.
TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "structure": ((Mapping,), "an object"),
    "map": ((Mapping,), "an object"),
    "list": ((list, tuple), "a list"),
    "string": ((str,), "text"),
    "boolean": ((bool,), "true or false"),
    "integer": ((int,), "a whole number"),
    "long": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "double": ((int, float), "a number"),
    "timestamp": ((datetime, str, int, float), "a time"),
    "blob": ((bytes, bytearray), "bytes"),
}
_UNITS = {"string": "characters", "list": "members", "map": "entries", "blob": "bytes"}
# What only the documentation says.
_PROSE: Mapping[str, Mapping[str, int]] = {
    "MaxPayloadInMB": {"max": MAX_PAYLOAD_IN_MB},
    "TransformInstanceCount": {"max": MAX_INSTANCE_COUNT},
}
# The model's patterns are Java's. Python's `re` has no classes by Unicode property: these come near enough.
_CLASSES = {"L": r"\w", "N": r"\w", "Alnum": "a-zA-Z0-9", "Z": r"\s", "M": "\u0300-\u036f"}
_CLASSES |= {"S": r"$+<=>^`|~", "P": r"!-/:-@\[-`{-~"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One thing that a request breaks: `code` is unknown_member, missing_member, wrong_type, not_in_enumeration,
    pattern, above_maximum or below_minimum.

    `path` has a step for each member, `[0]` for a place in a list, `:key` or `:value` after the key of a map.
    `expected` is what the model says: names, a type, a pattern or a number; `measure` is what was held against it, in
    `unit`, which is empty for numbers. For an unknown or a missing member, `path` is its parent and `value` its name.
    """

    code: str
    path: tuple[str, ...]
    value: Any
    expected: Any
    measure: float = 0
    unit: str = ""

    @property
    def place(self) -> str:
        """The path as botocore writes it, e.g. `ProcessingInputs[0].InputName`."""
        return "".join(step if step.startswith("[") else f".{step.removeprefix(':')}" for step in self.path).lstrip(".")


@cache
def committed_model() -> Mapping[str, Any]:
    """The engine's part of the service model, in the format of botocore's `service-2.json`."""
    return with_documented_limits(json.loads(MODEL_FILE.read_text(encoding="utf-8")))


def with_documented_limits(model: Mapping[str, Any]) -> Mapping[str, Any]:
    """A service model of botocore's format with the limits that only its documentation states."""
    shapes = model["shapes"]
    prose = {name: {**shapes[name], **limits} for name, limits in _PROSE.items() if name in shapes}
    return {**model, "shapes": {**shapes, **prose}}


def violations(
    model: Mapping[str, Any],
    operation: str,
    request: Mapping[str, Any],
    *,
    is_open: Callable[[Any], bool] = lambda _: False,
) -> Iterator[Violation]:
    """Everything that a request breaks; values that are `is_open` are passed over, with all that is below them."""
    root = model["operations"][operation]["input"]["shape"]
    return _Walk(model["shapes"], is_open).check(root, request, ())


@dataclass(frozen=True, slots=True)
class _Walk:
    shapes: Mapping[str, Any]
    is_open: Callable[[Any], bool]

    def check(self, name: str, value: Any, path: tuple[str, ...]) -> Iterator[Violation]:
        if self.is_open(value):
            return
        shape = self.shapes[name]
        kind = shape["type"]
        types, _ = TYPES[kind]
        if not isinstance(value, types) or (isinstance(value, bool) and kind != "boolean"):
            yield Violation(code="wrong_type", path=path, value=value, expected=kind)
            return
        yield from _limits(shape, kind, value, path)
        for child, item, steps in self._children(shape, kind, value):
            yield from self.check(child, item, (*path, *steps))

    def _children(self, shape: Mapping[str, Any], kind: str, value: Any) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
        if kind == "structure":
            members = shape["members"]
            yield from ((members[name]["shape"], item, (name,)) for name, item in value.items() if name in members)
        elif kind == "list":
            yield from ((shape["member"]["shape"], item, (f"[{index}]",)) for index, item in enumerate(value))
        elif kind == "map":
            for key, item in value.items():
                yield shape["key"]["shape"], key, (str(key), ":key")
                yield shape["value"]["shape"], item, (str(key), ":value")


def _limits(shape: Mapping[str, Any], kind: str, value: Any, path: tuple[str, ...]) -> Iterator[Violation]:
    if kind == "structure":
        yield from _members(shape, value, path)
    elif "enum" in shape:
        if value not in shape["enum"]:
            yield Violation(code="not_in_enumeration", path=path, value=value, expected=tuple(shape["enum"]))
    elif kind not in ("boolean", "timestamp"):
        yield from _measured(shape, kind, value, path)
        pattern = _compiled(shape.get("pattern"))
        if pattern and not pattern.fullmatch(value):
            yield Violation(code="pattern", path=path, value=value, expected=shape["pattern"])


def _members(shape: Mapping[str, Any], value: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[Violation]:
    members = shape["members"]
    for name in shape.get("required", ()):
        if name not in value:
            yield Violation(code="missing_member", path=path, value=name, expected=tuple(members))
    for name in value:
        if name not in members:
            yield Violation(code="unknown_member", path=path, value=name, expected=tuple(members))


def _measured(shape: Mapping[str, Any], kind: str, value: Any, path: tuple[str, ...]) -> Iterator[Violation]:
    unit = _UNITS.get(kind, "")
    measure = len(value) if unit else value
    least, most = shape.get("min"), shape.get("max")
    if least is not None and measure < least:
        yield Violation(code="below_minimum", path=path, value=value, expected=least, measure=measure, unit=unit)
    if most is not None and measure > most:
        yield Violation(code="above_maximum", path=path, value=value, expected=most, measure=measure, unit=unit)


@cache
def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    if pattern is None:
        return None
    try:
        return re.compile(re.sub(r"\\p\{(\w+)\}", lambda found: _CLASSES[found[1]], pattern))
    except re.error:  # ranges of UTF-16 surrogates, in names of Athena's; Python has no such characters
        return None
