"""JSON as the transform service reads and writes it.

Strict in, compact with sorted keys out, numbers verbatim: sorted compact keys are what AWS's notebooks show of joined
outputs. Whether the service alters numbers (above 2**53) or escapes HTML characters is not published: our pick keeps
the text of each number and escapes nothing.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Collection
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any, cast

from batchcast.engine.transform.data.json_rows import copied_rows


class _Verbatim(str):
    """A number as it was read; of a document that is only copied also an array, as it is to be written."""

    __slots__ = ()


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_float=_Verbatim, parse_int=_Verbatim, parse_constant=_refuse_constant)
_TOO_DEEP = "the document is nested too deeply"
_SPACE = re.compile(r"[ \t\n\r]*")
# An object or array with a value in it: only arrays of numbers, constants and empty arrays, or objects and the like.
_BEGINNING = re.compile(r'(?P<numbers>\[[\[ \t\n\r]*[^\[ \t\n\r"{])|\{[ \t\n\r]*"|\[[ \t\n\r]*\{')
_NO_SPACE = dict.fromkeys(map(ord, " \t\n\r"))
# What is only passed over needs no value: the least is made of its numbers, and none of its objects is kept.
_READ_OVER = json.JSONDecoder(parse_float=len, parse_int=len, parse_constant=_refuse_constant, object_hook=bool)


def load_json(text: bytes) -> Any:
    """The document, numbers as a `str` subclass that `dump_json` writes back verbatim. Raises ValueError.

    NaN and Infinity are refused, as is any text that is not UTF-8.
    """
    try:
        return _DECODER.decode(text.decode("utf-8"))
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None


def load_members(text: bytes, names: Collection[str] | None, *, copied: bool = False) -> Any:
    """As `load_json`, but an object has only the members of these names: the others are read over in C, unbuilt.

    `copied` says that all is reached by names alone and then written, so that an array may be its own text. What is no
    JSON is refused all the same, wherever it stands.
    """
    with contextlib.suppress(ValueError, RecursionError):  # `load_json` says what is wrong
        decoded = text.decode("utf-8")
        reader, first = _Reader(decoded, copied=copied), _after_space(decoded, 0)
        document, end = reader.value(first) if names is None else reader.members(first, names)
        if _after_space(decoded, end) == len(decoded) and (names is None or isinstance(document, dict)):
            return document if names is None else {name: document[name] for name in names if name in document}
    return load_json(text)


_SMALL = 256
"""What has fewer characters a value on average is built faster by the decoder than value by value."""


class _Reader:
    """Reads objects and arrays value by value, for as long as that is less work than to build them."""

    def __init__(self, text: str, *, copied: bool) -> None:
        self._text = text
        self._copied = copied
        self._values_read = 0

    def members(self, first: int, names: Collection[str] | None = None) -> tuple[Any, int]:
        """The object with these names or all, or the array, that begins there, and its end. Raises ValueError."""
        text, found = self._text, list[tuple[str, Any]]()
        closing = {"{": "}", "[": "]"}.get(text[first : first + 1])
        mark, name, position = ",", "", _after_space(text, first + 1)
        while mark == ",":
            if closing == "}":
                name, position = self._name(position)
            self._values_read += 1
            if self._values_read * _SMALL > 64 * _SMALL + position:
                raise ValueError("many small values")
            wanted = names is None or name in names
            value, position = self.value(position) if wanted else _READ_OVER.raw_decode(text, position)
            found.append((name, value))
            position = _after_space(text, position)
            mark, position = text[position : position + 1], _after_space(text, position + 1)
        if mark != closing:
            raise ValueError(f"no {closing} where the values end")
        return (dict(found) if closing == "}" else [value for _, value in found]), position

    def _name(self, first: int) -> tuple[str, int]:
        name, position = _READ_OVER.raw_decode(self._text, first)
        position = _after_space(self._text, position)
        if not isinstance(name, str) or self._text[position : position + 1] != ":":
            raise ValueError("no name of a member")
        return name, _after_space(self._text, position + 1)

    def value(self, first: int) -> tuple[Any, int]:
        """The value that begins there, whole, and its end."""
        text = self._text
        begun = _BEGINNING.match(text, first) if self._copied else None
        if begun is None:
            return _DECODER.raw_decode(text, first)
        if begun["numbers"]:
            _, end = _READ_OVER.raw_decode(text, first)
            array = text[first:end]
            if '"' not in array:
                return _Verbatim(array.translate(_NO_SPACE)), end
            return _DECODER.raw_decode(text, first)
        if rows := copied_rows(text, first):
            return _Verbatim(rows[0]), rows[1]
        return self.members(first)


def _after_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def dump_json(value: Any) -> bytes:
    """Compact UTF-8 JSON, the keys of each object in byte order. Raises ValueError where it is nested too deeply."""
    try:
        # A lone surrogate, which UTF-8 cannot hold, stays the \uXXXX escape it was.
        return _text(value).encode("utf-8", "backslashreplace")
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None


_CONSTANTS = {None: "null", True: "true", False: "false"}


def _text(value: Any) -> str:
    kind = type(value)
    if kind is _Verbatim:
        return cast(str, value)
    if kind is dict:
        return f"{{{','.join([name + _text(value[key]) for key, name in _in_order(tuple(value))])}}}"
    if kind is str:
        return encode_basestring(value)
    if kind is list:
        return f"[{','.join(map(_text, value))}]"
    return _CONSTANTS[value]


@lru_cache(256)
def _in_order(keys: tuple[str, ...]) -> list[tuple[str, str]]:
    """The keys as an object is written, each with its text; many objects have the same."""
    return [(key, f"{encode_basestring(key)}:") for key in sorted(keys)]
