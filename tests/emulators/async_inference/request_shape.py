"""Shapes of requests, and the check of a request against one: the limits the service model states.

Two rounds, as with the real client: what botocore refuses before sending (unknown, missing or wrongly typed members)
is a `ParamValidationError`; what the service refuses (lengths, ranges, patterns, enumerations) is a
`ValidationException`. Each round reports everything it found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from batchcast.engine.errors import ServiceException

__all__ = [
    "Bytes",
    "Choice",
    "Flag",
    "ListOf",
    "MapOf",
    "Moment",
    "Number",
    "Shape",
    "Structure",
    "Text",
    "Whole",
    "check_shape",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A string of `minimum` to `maximum` characters that matches `pattern` whole."""

    minimum: int = 0
    maximum: int | None = None
    pattern: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """An integer from `minimum` to `maximum`."""

    minimum: int | None = None
    maximum: int | None = None


@dataclass(frozen=True, slots=True)
class Number:
    """A number, whole or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bytes:
    """At most `maximum` bytes."""

    maximum: int


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the values of an enumeration."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Flag:
    """A boolean."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time, as a datetime."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOf:
    """From `minimum` to `maximum` members of one shape."""

    member: Shape
    minimum: int = 0
    maximum: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MapOf:
    """At most `maximum` entries; keys and values each of one shape."""

    key: Text
    value: Text
    maximum: int


@dataclass(frozen=True, slots=True)
class Structure:
    """Named members; a name in `required` must be given, a name not in `members` must not."""

    members: Mapping[str, Shape]
    required: tuple[str, ...] = field(default=(), kw_only=True)


Shape = Text | Whole | Number | Bytes | Choice | Flag | Moment | ListOf | MapOf | Structure

_PYTHON_TYPES: Mapping[type, tuple[type, ...]] = {
    Text: (str,),
    Choice: (str,),
    Whole: (int,),
    Number: (int, float),
    Bytes: (bytes, bytearray),
    Flag: (bool,),
    Moment: (datetime,),
    ListOf: (list, tuple),
    MapOf: (Mapping,),
    Structure: (Mapping,),
}


def check_shape(shape: Structure, request: Mapping[str, Any]) -> None:
    """Raises ServiceException `ParamValidationError` or `ValidationException`, with every violation of its kind."""
    unfit = list(_unfit(shape, request, ""))
    if unfit:
        raise ServiceException("ParamValidationError", "\n".join(["Parameter validation failed:", *unfit]))
    broken = list(_broken(shape, request, ""))
    if broken:
        noun = "error" if len(broken) == 1 else "errors"
        raise ServiceException("ValidationException", f"{len(broken)} validation {noun} detected: {'; '.join(broken)}")


def _unfit(shape: Shape, value: Any, path: str) -> Iterator[str]:
    expected = _PYTHON_TYPES[type(shape)]
    if not _is_of(value, expected) or (isinstance(shape, Whole | Number) and isinstance(value, bool)):
        names = ", ".join(kind.__name__ for kind in expected)
        yield f"Invalid type for parameter {path}, value: {value!r}, type: {type(value)}, valid types: {names}"
        return
    if isinstance(shape, Structure):
        place = path or "input"
        for name in shape.required:
            if name not in value:
                yield f'Missing required parameter in {place}: "{name}"'
        for name in value:
            if name not in shape.members:
                known = ", ".join(shape.members)
                yield f'Unknown parameter in {place}: "{name}", must be one of: {known}'
    for child, item, name in _children(shape, value):
        yield from _unfit(child, item, f"{path}{name}" if name.startswith("[") or not path else f"{path}.{name}")


def _is_of(value: object, expected: tuple[type, ...]) -> bool:
    return isinstance(value, expected)


def _children(shape: Shape, value: Any) -> Iterator[tuple[Shape, Any, str]]:
    if isinstance(shape, Structure):
        yield from ((shape.members[name], item, name) for name, item in value.items() if name in shape.members)
    elif isinstance(shape, ListOf):
        yield from ((shape.member, item, f"[{index}]") for index, item in enumerate(value))
    elif isinstance(shape, MapOf):
        for key, item in value.items():
            yield shape.key, key, f"{key}.key"
            yield shape.value, item, f"{key}.value"


def _broken(shape: Shape, value: Any, path: str) -> Iterator[str]:
    for constraint in _constraints(shape, value):
        shown = f"{len(value)} bytes" if isinstance(shape, Bytes) else value
        yield f"Value '{shown}' at '{path}' failed to satisfy constraint: Member must {constraint}"
    for child, item, name in _children(shape, value):
        step = name[:1].lower() + name[1:]
        yield from _broken(child, item, f"{path}.{step}" if path else step)


def _constraints(shape: Shape, value: Any) -> Iterator[str]:
    if isinstance(shape, Text):
        yield from _bounds("length", len(value), shape.minimum, shape.maximum)
        if shape.pattern is not None and not re.fullmatch(shape.pattern, value):
            yield f"satisfy regular expression pattern: {shape.pattern}"
    elif isinstance(shape, Whole):
        yield from _bounds("value", value, shape.minimum, shape.maximum)
    elif isinstance(shape, Bytes):
        yield from _bounds("length", len(value), None, shape.maximum)
    elif isinstance(shape, Choice) and value not in shape.values:
        yield f"satisfy enum value set: [{', '.join(shape.values)}]"
    elif isinstance(shape, ListOf):
        yield from _bounds("length", len(value), shape.minimum, shape.maximum)
    elif isinstance(shape, MapOf):
        yield from _bounds("length", len(value), 0, shape.maximum)


def _bounds(what: str, measured: int, minimum: int | None, maximum: int | None) -> Iterator[str]:
    if minimum is not None and measured < minimum:
        yield f"have {what} greater than or equal to {minimum}"
    if maximum is not None and measured > maximum:
        yield f"have {what} less than or equal to {maximum}"
