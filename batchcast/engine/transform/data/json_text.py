"""JSON as the transform service reads and writes it: strict in, compact with sorted keys out, numbers verbatim.

Sorted compact keys are what AWS's notebooks show of joined outputs. Whether the service alters numbers (above 2**53)
or escapes HTML characters is not published; our pick keeps the text of each number and escapes nothing.
"""

import json
import re
from collections.abc import Collection
from json.encoder import encode_basestring
from typing import Any


class _Number(str):
    """A JSON number as it was written."""

    __slots__ = ()


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_float=_Number, parse_int=_Number, parse_constant=_refuse_constant)
_SPACE = re.compile(r"[ \t\n\r]*")
# Numbers that are only passed over need no value: their length is the least that can be made of them.
_READ_OVER = json.JSONDecoder(parse_float=len, parse_int=len, parse_constant=_refuse_constant)


def load_json(text: bytes) -> Any:
    """The document, numbers as a `str` subclass that `dump_json` writes back verbatim. Raises ValueError.

    NaN and Infinity are refused, as is any text that is not UTF-8.
    """
    try:
        return _DECODER.decode(text.decode("utf-8"))
    except RecursionError:
        raise ValueError("the document is nested too deeply") from None


def load_members(text: bytes, names: Collection[str]) -> Any:
    """As `load_json`, but an object has only the members of these names: the others are read over in C, unbuilt.

    What is no JSON is refused all the same, wherever it stands.
    """
    try:
        decoded = text.decode("utf-8")
        spans = _member_spans(decoded)
    except (ValueError, RecursionError):
        spans = None  # `load_json` says what is wrong
    if spans is None:
        return load_json(text)
    return {name: _DECODER.decode(decoded[slice(*spans[name])]) for name in names if name in spans}


def _member_spans(text: str) -> dict[str, tuple[int, int]] | None:
    """Where the value of each member of an object stands; None for what is not an object that ends the text."""
    position = _skip_space(text, 0)
    if text[position : position + 1] != "{":
        return None
    spans: dict[str, tuple[int, int]] = {}
    position = _skip_space(text, position + 1)
    while text[position : position + 1] == '"':
        name, position = _READ_OVER.raw_decode(text, position)
        position = _skip_space(text, position)
        if text[position : position + 1] != ":":
            return None
        first = _skip_space(text, position + 1)
        _, position = _READ_OVER.raw_decode(text, first)
        spans[name] = (first, position)  # of a name that comes twice, the last
        position = _skip_space(text, position)
        mark = text[position : position + 1]
        if mark == "}":
            return spans if _skip_space(text, position + 1) == len(text) else None
        if mark != ",":
            return None
        position = _skip_space(text, position + 1)
    return None  # also for an empty object, of which there is nothing to pass over


def _skip_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def dump_json(value: Any) -> bytes:
    """Compact UTF-8 JSON, the keys of each object in byte order."""
    parts: list[str] = []
    _write(value, parts)
    # A lone surrogate, which UTF-8 cannot hold, stays the \uXXXX escape it was.
    return "".join(parts).encode("utf-8", "backslashreplace")


def _write(value: Any, parts: list[str]) -> None:
    if isinstance(value, _Number):
        parts.append(value)
    elif isinstance(value, str):
        parts.append(encode_basestring(value))
    elif isinstance(value, dict):
        separator = "{"
        for key in sorted(value):
            parts.append(f"{separator}{encode_basestring(key)}:")
            _write(value[key], parts)
            separator = ","
        parts.append("}" if value else "{}")
    elif isinstance(value, list):
        separator = "["
        for element in value:
            parts.append(separator)
            _write(element, parts)
            separator = ","
        parts.append("]" if value else "[]")
    else:
        parts.append(json.dumps(value))
