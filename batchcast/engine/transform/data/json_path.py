"""The JSONPath operators of a transform job's InputFilter and OutputFilter.

The subset and its meaning: SageMaker developer guide, "Associate Prediction Results with Input Records" (2023-03): `$`,
`.name`, `*`, `['a','b']`, `[1,3]`, negative indexes and `[start:end]`; `[0,5:]` is an example of the API reference.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["JsonPath", "PathError", "parse_json_path"]

_NAME = r"'[^']*'|\"[^\"]*\""
_INDEX = r"-?\d+"
_SLICE = rf"(?:{_INDEX})?\s*:\s*(?:{_INDEX})?"
_CHILD = re.compile(r"\.(?P<name>[^.\[\]*\s'\"]+)")
_WILDCARD = re.compile(r"\.\*|\.?\[\s*\*\s*\]")
_NAMES = re.compile(rf"\.?\[\s*(?P<names>(?:{_NAME})(?:\s*,\s*(?:{_NAME}))*)\s*\]")
_PLACE = rf"(?:{_SLICE}|{_INDEX})"
_PLACES = re.compile(rf"\.?\[\s*(?P<places>{_PLACE}(?:\s*,\s*{_PLACE})*)\s*\]")


class PathError(ValueError):
    """The path is not in the subset, or names something the record does not have."""


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A parsed path; `apply` selects, `text` is the path as given."""

    text: str
    steps: tuple[Callable[[Any], Any], ...]
    by_index_only: bool

    @property
    def selects_all(self) -> bool:
        """Whether it is just `$`."""
        return not self.steps

    def apply(self, document: Any) -> Any:
        """The selected part. Raises PathError for a name or an index the document does not have."""
        for step in self.steps:
            document = step(document)
        return document


def parse_json_path(text: str, *, end_inclusive: bool = False) -> JsonPath:
    """Parse once, apply to many records. Raises PathError.

    `end_inclusive`: for CSV the guide's prose includes the end of a slice (`$[1:4]` is the second to the fifth column),
    its table calls it an ordinary slice. The engine takes the prose for CSV and the table for JSON.
    """
    if not text.startswith("$"):
        raise PathError(f"the JSONPath {text!r} must begin with $")
    steps: list[Callable[[Any], Any]] = []
    by_index_only = True
    position = 1
    while position < len(text):
        step, position, by_name = _step(text, position, end_inclusive)
        steps.append(step)
        by_index_only = by_index_only and not by_name
    return JsonPath(text, tuple(steps), by_index_only)


def _step(text: str, position: int, end_inclusive: bool) -> tuple[Callable[[Any], Any], int, bool]:
    if match := _WILDCARD.match(text, position):
        return _every, match.end(), False
    if match := _CHILD.match(text, position):
        return _child(match["name"]), match.end(), True
    if match := _NAMES.match(text, position):
        names = [name[1:-1] for name in re.findall(_NAME, match["names"])]
        return (_child(names[0]) if len(names) == 1 else _children(names)), match.end(), True
    if match := _PLACES.match(text, position):
        places = [place.strip() for place in match["places"].split(",")]
        return _elements(places, end_inclusive), match.end(), False
    raise PathError(f"the JSONPath {text!r} has an operator SageMaker does not support, from {text[position:]!r}")


def _every(document: Any) -> Any:
    if isinstance(document, dict):
        return list(document.values())
    if isinstance(document, list):
        return document
    raise PathError("* needs an object or an array")


def _child(name: str) -> Callable[[Any], Any]:
    def step(document: Any) -> Any:
        if not isinstance(document, dict) or name not in document:
            raise PathError(f"there is no attribute {name!r}")
        return document[name]

    return step


def _children(names: list[str]) -> Callable[[Any], Any]:
    def step(document: Any) -> Any:
        return {name: _child(name)(document) for name in names}

    return step


def _elements(places: list[str], end_inclusive: bool) -> Callable[[Any], Any]:
    def step(document: Any) -> Any:
        if not isinstance(document, list):
            raise PathError(f"[{','.join(places)}] needs an array")
        if len(places) == 1 and ":" not in places[0]:
            return _element(document, int(places[0]))
        selected: list[Any] = []
        for place in places:
            selected += document[_slice(place, end_inclusive)] if ":" in place else [_element(document, int(place))]
        return selected

    return step


def _element(document: list[Any], index: int) -> Any:
    try:
        return document[index]
    except IndexError:
        raise PathError(f"index {index} is outside of the {len(document)} elements") from None


def _slice(place: str, end_inclusive: bool) -> slice:
    first, last = (int(bound) if bound.strip() else None for bound in place.split(":"))
    if last is not None and end_inclusive:
        last = None if last == -1 else last + 1
    return slice(first, last)
