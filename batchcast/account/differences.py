"""What differs between two JSON documents, by the path of each difference."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# Members of a list are the same thing when they have the same name, wherever they stand.
_NAMES = ("Name", "InputName", "OutputName", "PropertyFileName", "Key")
_SHOWN_CHARACTERS = 120

_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """One place that differs; a side that does not have it is told as absent."""

    path: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.path}: {_shown(self.before)} -> {_shown(self.after)}"


def differences(before: Any, after: Any, path: str = "") -> Iterator[Difference]:
    """Every place where the documents differ, in the order of `before`, then what only `after` has."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        yield from _by_key(before, after, path)
    elif isinstance(before, list) and isinstance(after, list):
        old, new = _keyed(before, after)
        yield from _by_key(old, new, path)
        if old.keys() == new.keys() and list(old) != list(new):
            yield Difference(path, list(old), list(new))
    elif type(before) is not type(after) or before != after:
        yield Difference(path, before, after)


def _by_key(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[Difference]:
    for key in [*old, *(key for key in new if key not in old)]:
        here = f"{path}.{key}" if path else key
        if key in old and key in new:
            yield from differences(old[key], new[key], here)
        else:
            yield Difference(here, old.get(key, _ABSENT), new.get(key, _ABSENT))


def _keyed(before: list[Any], after: list[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The members by their names where all have one of their own, else by their positions."""
    names = [[_name(item) for item in side] for side in (before, after)]
    if any("" in side or len(set(side)) < len(side) for side in names):
        names = [[str(index) for index in range(len(side))] for side in (before, after)]
    return dict(zip(names[0], before, strict=True)), dict(zip(names[1], after, strict=True))


def _name(item: Any) -> str:
    if not isinstance(item, Mapping):
        return ""
    return next((item[key] for key in _NAMES if isinstance(item.get(key), str)), "")


def _shown(value: Any) -> str:
    if value is _ABSENT:
        return "(absent)"
    text = json.dumps(value, sort_keys=True)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"
