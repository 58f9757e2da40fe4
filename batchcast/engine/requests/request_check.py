"""Requests held against SageMaker's service model: types, members, enumerations, patterns, lengths and ranges.

One walk for the engine and the linter. The engine has its operations' part of the model as a file, which
`make definition` writes from botocore's; the linter walks the model of the botocore that is installed. Then the
engine's answer to a request that breaks the model or that it cannot serve.

Two rounds, as with the real client: what botocore refuses before sending (unknown, missing or wrongly typed members)
is a `ParamValidationError`; what the service refuses (lengths, ranges, patterns, enumerations) is a
`ValidationException`. Each round reports everything it found. What SageMaker takes and the engine does not is found by
its path and refused by name. In a definition, a value may be an expression that has no value yet.
"""

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from batchcast.engine.errors import NOT_EMULATED, NotEmulatedError, ServiceException
from batchcast.engine.limits import MAX_INSTANCE_COUNT, MAX_PAYLOAD_IN_MB
from batchcast.steps.errors import ConfigError, Problem
from batchcast.steps.store.objects import DirectoryStore, ObjectStore, join_uri

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

    def check(name: str, value: Any, path: tuple[str, ...]) -> Iterator[Violation]:
        if is_open(value):
            return
        shape = model["shapes"][name]
        kind = shape["type"]
        types, _ = TYPES[kind]
        if not isinstance(value, types) or (isinstance(value, bool) and kind != "boolean"):
            yield Violation(code="wrong_type", path=path, value=value, expected=kind)
            return
        yield from _limits(shape, kind, value, path)
        for child, item, steps in _children(shape, kind, value):
            yield from check(child, item, (*path, *steps))

    return check(model["operations"][operation]["input"]["shape"], request, ())


def _children(shape: Mapping[str, Any], kind: str, value: Any) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
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


def is_expression(value: Any) -> bool:
    """Whether the value is computed by the service: `Get`, `Std:Join`, `Std:JsonGet`."""
    return isinstance(value, Mapping) and len(value) == 1 and next(iter(value)) in ("Get", "Std:Join", "Std:JsonGet")


def get_path(value: Any, *path: str, default: Any = None) -> Any:
    """The member at the path, or the default where a member is absent or still an expression on the way."""
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return default
        value = value[name]
    return value


def rebuilt(value: Any, change: Callable[[Any], Any]) -> Any:
    """The value with what `change` makes of it, or of the parts of what it leaves as it is."""
    changed = change(value)
    if changed is not value:
        return changed
    if isinstance(value, Mapping):
        return {key: rebuilt(item, change) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [rebuilt(item, change) for item in value]
    return value


def values_at(value: Any, path: str) -> Iterator[Any]:
    """Every value at a path; `[]` after a name stands for each member of a list. Other forms are passed over."""
    name, _, rest = path.partition(".")
    key = name.removesuffix("[]")
    if not isinstance(value, Mapping) or key not in value:
        return
    children = value[key] if name.endswith("[]") else [value[key]]
    for child in children if isinstance(children, list) else ():
        if rest:
            yield from values_at(child, rest)
        else:
            yield child


_BY_THE_CLIENT = ("unknown_member", "missing_member", "wrong_type")


def check_request(operation: str, request: Mapping[str, Any]) -> None:
    """Raises ServiceException `ParamValidationError` or `ValidationException`, with every violation of its kind.

    Before that NotEmulatedError, with every member that the engine refuses whole.
    """
    NotEmulatedError.raise_any(
        Problem(NOT_EMULATED, "is not emulated locally.", where=path, remedy=remedy)
        for path, remedy in refusals()["members"].get(operation, {}).items()
        if any(True for _ in values_at(request, path))
    )
    found = list(violations(committed_model(), operation, request))
    refused = [_botocore_text(each) for each in found if each.code in _BY_THE_CLIENT]
    if refused:
        raise ServiceException("ParamValidationError", "\n".join(["Parameter validation failed:", *refused]))
    if found:
        noun = "error" if len(found) == 1 else "errors"
        texts = "; ".join(map(_service_text, found))
        raise ServiceException("ValidationException", f"{len(found)} validation {noun} detected: {texts}")


def answer_members(operation: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Of the values those that the service answers the operation with; a List operation in each of its summaries."""
    members = committed_model()["operations"][operation]["output"]
    return {name: value for name, value in values.items() if name in members}


def refuse_as_service(problems: Iterable[Problem]) -> None:
    """Raises ServiceException `ValidationException` with all of the problems, if there are any."""
    texts = [f"{each.where}: {each.what} {each.remedy}".strip() for each in problems]
    if texts:
        raise ServiceException("ValidationException", " ".join(texts))


def idempotency_tokens(operation: str) -> Iterator[str]:
    """The members of an operation that clients fill in by themselves."""
    model = committed_model()
    shape = model["shapes"][model["operations"][operation]["input"]["shape"]]
    return (name for name, member in shape["members"].items() if member.get("idempotencyToken"))


def _botocore_text(violation: Violation) -> str:
    place, value = violation.place, violation.value
    if violation.code == "missing_member":
        return f'Missing required parameter in {place or "input"}: "{value}"'
    if violation.code == "unknown_member":
        known = ", ".join(violation.expected)
        return f'Unknown parameter in {place or "input"}: "{value}", must be one of: {known}'
    names = ", ".join(kind.__name__ for kind in TYPES[violation.expected][0])
    return f"Invalid type for parameter {place}, value: {value!r}, type: {type(value)}, valid types: {names}"


def _service_text(violation: Violation) -> str:
    shown = f"{len(violation.value)} bytes" if violation.unit == "bytes" else violation.value
    place = ".".join(step[:1].lower() + step[1:] for step in violation.place.split("."))
    constraint = _CONSTRAINTS[violation.code].format(
        what="length" if violation.unit else "value",
        expected=", ".join(violation.expected) if isinstance(violation.expected, tuple) else violation.expected,
    )
    return f"Value '{shown}' at '{place}' failed to satisfy constraint: Member must {constraint}"


_CONSTRAINTS = {
    "pattern": "satisfy regular expression pattern: {expected}",
    "not_in_enumeration": "satisfy enum value set: [{expected}]",
    "below_minimum": "have {what} greater than or equal to {expected}",
    "above_maximum": "have {what} less than or equal to {expected}",
}


def refuse_keys(store: ObjectStore, uris: Mapping[str, str]) -> None:
    """Raises NotEmulatedError for each prefix, by the member that has it, below which a directory holds no object."""
    if not isinstance(store, DirectoryStore):
        return
    problems = []
    for where, uri in uris.items():
        try:
            store.path(join_uri(uri, "name"))
        except ConfigError:
            what = f"{uri}: a directory cannot hold keys with empty names, `.` or `..`."
            problems.append(Problem(NOT_EMULATED, what, where, "Write s3://bucket/name/name/."))
    NotEmulatedError.raise_any(problems)


@cache
def refusals() -> Mapping[str, Mapping[str, Any]]:
    """What the engine refuses and what to do instead: `steps` by type, `members` and `values` by operation and path."""
    return tomllib.loads(Path(__file__).with_name("refused.toml").read_text(encoding="utf-8"))
