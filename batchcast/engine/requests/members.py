"""Members of requests, found by their path; in a definition, a value may be an expression that has no value yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def is_expression(value: Any) -> bool:
    """Whether the value is computed by the service: `Get`, `Std:Join`, `Std:JsonGet`."""
    return isinstance(value, Mapping) and len(value) == 1 and next(iter(value)) in ("Get", "Std:Join", "Std:JsonGet")


def known_member(value: Any, *path: str, default: Any = None) -> Any:
    """The member at the path, or the default where a member is absent or still an expression on the way."""
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return default
        value = value[name]
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
