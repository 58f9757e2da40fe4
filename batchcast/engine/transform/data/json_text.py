"""JSON as the transform service reads and writes it: strict in, compact with sorted keys out, numbers verbatim.

Sorted compact keys are what AWS's notebooks show of joined outputs. Whether the service alters numbers (above 2**53)
or escapes HTML characters is not published; our pick keeps the text of each number and escapes nothing.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring
from typing import Any

__all__ = ["dump_json", "load_json"]


class _Number(str):
    """A JSON number as it was written."""

    __slots__ = ()


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_float=_Number, parse_int=_Number, parse_constant=_refuse_constant)


def load_json(text: bytes) -> Any:
    """The document, numbers as a `str` subclass that `dump_json` writes back verbatim. Raises ValueError.

    NaN and Infinity are refused, as is any text that is not UTF-8.
    """
    try:
        return _DECODER.decode(text.decode("utf-8"))
    except RecursionError:
        raise ValueError("the document is nested too deeply") from None


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
