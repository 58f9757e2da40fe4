"""JSON as the transform service reads and writes it.

Strict in, compact with sorted keys out, numbers verbatim: sorted compact keys are what AWS's notebooks show of joined
outputs. Whether the service alters numbers (above 2**53) or escapes HTML characters is not published: our pick keeps
the text of each number and escapes nothing.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Collection
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any, cast

from batchcast.engine.transform.data.json_rows import copied_rows


class _Verbatim(str):
    """A JSON number as it was written; of a document that is only copied also an array, as it is written."""

    __slots__ = ()


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_float=_Verbatim, parse_int=_Verbatim, parse_constant=_refuse_constant)
_TOO_DEEP = "the document is nested too deeply"
_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBERS = re.compile(r'\[[\[ \t\n\r]*[^\[ \t\n\r"{]')
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

    `copied` says that no path looks into the members, so that an array without a string is its own text. What is no
    JSON is refused all the same, wherever it stands.
    """
    with contextlib.suppress(ValueError, RecursionError):  # `load_json` says what is wrong
        decoded = text.decode("utf-8")

        def member(name: str, first: int) -> tuple[Any, int]:
            if names is not None and name not in names:
                return _READ_OVER.raw_decode(decoded, first)
            return _copied(decoded, first) if copied else _DECODER.raw_decode(decoded, first)

        document, end = _object(decoded, _after_space(decoded, 0), member)
        if _after_space(decoded, end) == len(decoded):
            return document if names is None else {name: document[name] for name in names if name in document}
    return load_json(text)


def _object(text: str, first: int, member: Callable[[str, int], tuple[Any, int]]) -> tuple[dict[str, Any], int]:
    """The object that begins there and its end, each value as `member` reads it. Raises ValueError."""
    found: dict[str, Any] = {}
    mark, position = text[first : first + 1], first
    while mark == ("," if found else "{"):
        name, position = _READ_OVER.raw_decode(text, _after_space(text, position + 1))
        position = _after_space(text, position)
        if not isinstance(name, str) or text[position : position + 1] != ":":
            break
        found[name], position = member(name, _after_space(text, position + 1))
        position = _after_space(text, position)
        mark = text[position : position + 1]
        if mark == "}":
            return found, position + 1
    raise ValueError("no object with members")


def _copied(text: str, first: int) -> tuple[Any, int]:
    """The value that begins there, to be written and not looked into."""
    if text[first : first + 1] == "{":
        return _object(text, first, lambda _, start: _copied(text, start))
    if _NUMBERS.match(text, first):
        _, end = _READ_OVER.raw_decode(text, first)
        array = text[first:end]
        if '"' not in array:
            return _Verbatim(array.translate(_NO_SPACE)), end
    if rows := copied_rows(text, first):
        return _Verbatim(rows[0]), rows[1]
    return _DECODER.raw_decode(text, first)


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
