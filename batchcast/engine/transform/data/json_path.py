"""The JSONPath operators of InputFilter and OutputFilter.

The subset of JSONPath and its meaning: SageMaker developer guide, "Associate Prediction Results with Input Records"
(2023-03): `$`, `.name`, `*`, `['a','b']`, `[1,3]`, negative indexes and `[start:end]`; `[0,5:]` is an example of the
API reference.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

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
    steps: tuple[_Step, ...]
    by_index_only: bool
    members: tuple[str, ...] | None = None
    """The members of the document that the path looks at; None where it may look at all."""

    @property
    def selects_all(self) -> bool:
        return not self.steps

    @property
    def copies(self) -> bool:
        """Whether what it selects is reached by names alone."""
        return all(step.names is not None for step in self.steps)

    def apply(self, document: Any) -> Any:
        """The selected part. Raises PathError for a name or an index the document does not have.

        What follows a `*`, a range or several names or indices is applied to each of what they select, and the list
        or object that they give keeps its form; whether the service does it so is not published, our pick.
        """
        return _applied(self.steps, document)


@dataclass(frozen=True, slots=True)
class _Step:
    """What is selected of an object or an array: these names, or places; all of it where there are none."""

    picked: tuple[Any, ...] = ()
    text: str = "*"

    @property
    def names(self) -> tuple[str, ...] | None:
        """None where it selects by place."""
        return self.picked if self.picked and isinstance(self.picked[0], str) else None

    @property
    def several(self) -> bool:
        """Whether it gives a list or an object of what it selects."""
        return len(self.picked) != 1 or isinstance(self.picked[0], slice)

    def select(self, document: Any) -> Any:
        names = self.names
        if names:
            return {name: _child(document, name) for name in names} if self.several else _child(document, names[0])
        if not self.picked and isinstance(document, dict):
            return list(document.values())
        if not isinstance(document, list):
            raise PathError(f"{self.text} needs an {'array' if self.picked else 'object or an array'}")
        if not self.several:
            return _element(document, self.picked[0])
        return [
            value
            for place in self.picked or (slice(None),)
            for value in (document[place] if isinstance(place, slice) else [_element(document, place)])
        ]


def _applied(steps: tuple[_Step, ...], document: Any) -> Any:
    for position, step in enumerate(steps):
        document = step.select(document)
        rest = steps[position + 1 :]
        if step.several and rest:
            if isinstance(document, dict):
                return {name: _applied(rest, value) for name, value in document.items()}
            return [_applied(rest, value) for value in document]
    return document


def parse_json_path(text: str, *, end_inclusive: bool = False) -> JsonPath:
    """Parse once, apply to many records. Raises PathError.

    `end_inclusive`: for CSV the guide's prose includes the end of a slice (`$[1:4]` is the second to the fifth column),
    its table calls it an ordinary slice. The engine takes the prose for CSV and the table for JSON. A negative end is
    an ordinary one in both: `$[:-1]` leaves the last column, which is the label, behind.
    """
    if not text.startswith("$"):
        raise PathError(f"the JSONPath {text!r} must begin with $")
    steps: list[_Step] = []
    position = 1
    while position < len(text):
        if match := _WILDCARD.match(text, position):
            steps.append(_Step())
        elif match := _CHILD.match(text, position):
            steps.append(_Step((match["name"],)))
        elif match := _NAMES.match(text, position):
            steps.append(_Step(tuple(name[1:-1] for name in re.findall(_NAME, match["names"]))))
        elif match := _PLACES.match(text, position):
            steps.append(_places(match["places"].split(","), end_inclusive))
        else:
            what = f"the JSONPath {text!r} has an operator SageMaker does not support, from {text[position:]!r}"
            raise PathError(what)
        position = match.end()
    by_index_only = all(step.names is None for step in steps)
    return JsonPath(text, tuple(steps), by_index_only, steps[0].names if steps else None)


def _places(texts: list[str], end_inclusive: bool) -> _Step:
    # The service's words (sagemaker-python-sdk issue 1112).
    if sum(":" in text for text in texts) > 1:
        raise PathError(f"[{','.join(texts)}] has several ranges: only single range filters are supported")
    places = (_slice(text, end_inclusive) if ":" in text else int(text) for text in texts)
    return _Step(tuple(places), f"[{','.join(texts)}]")


def _child(document: Any, name: str) -> Any:
    if not isinstance(document, dict) or name not in document:
        raise PathError(f"there is no attribute {name!r}")
    return document[name]


def _element(document: list[Any], index: Any) -> Any:
    try:
        return document[index]
    except IndexError:
        raise PathError(f"index {index} is outside of the {len(document)} elements") from None


def _slice(place: str, end_inclusive: bool) -> slice:
    first, last = (int(bound) if bound.strip() else None for bound in place.split(":"))
    if last is not None and last >= 0 and end_inclusive:
        last += 1
    return slice(first, last)
