"""Stored JSON documents, read as what a stranger may have left: empty, cut, foreign, deep, huge, of other types."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import UnionType
from typing import Any

from batchcast.steps.errors import DataError, Problem

__all__ = ["find_mismatch", "parse_document"]

_MOST_BYTES = 256 << 20
"""A manifest of a million shards is smaller; what is larger is none of ours, and would take the memory of the step."""

Types = Mapping[str, type | UnionType]


def parse_document(data: bytes, types: Types, *, code: str, where: str, remedy: str) -> dict[str, Any]:
    """The JSON object in `data`, which has a value of its type under each of the keys of `types`.

    A truth value is no number. Raises DataError with `code` that says what is wrong with it.
    """
    wrong = ""
    document: Any = None
    if len(data) > _MOST_BYTES:
        wrong = f"it has {len(data):,} bytes; at most {_MOST_BYTES:,} are read"
    elif not data.strip():
        wrong = "it is empty"
    else:
        try:
            document = json.loads(data)
        except (ValueError, RecursionError) as error:
            wrong = f"it is not JSON ({type(error).__name__}: {str(error)[:200]})"
    wrong = wrong or find_mismatch(document, types)
    if wrong:
        raise DataError(Problem(code, f"is damaged: {wrong}.", where, remedy))
    assert isinstance(document, dict)
    return document


def find_mismatch(document: Any, types: Types) -> str:
    """What of the document is not of these types, empty when all is."""
    if not isinstance(document, dict):
        return f"it is a {type(document).__name__} and no object"
    for key, kind in types.items():
        if key not in document:
            return f"it has no {key!r}"
        value = document[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            return f"{key!r} is {type(value).__name__}"
    return ""
