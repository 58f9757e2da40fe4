"""How two answers differ: JSON against JSON, number by number, each difference with a name and a place."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeGuard

_COMMA = re.compile(r"-?\d{1,3}(\.?\d{3})*,\d+|-?\d+,\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberTolerance:
    """Numbers are equal when they differ by less than either."""

    relative: float = 1e-6
    absolute: float = 1e-9

    def close(self, one: float, other: float) -> bool:
        """Whether two numbers are as good as equal."""
        return math.isclose(one, other, rel_tol=self.relative, abs_tol=self.absolute)


@dataclass(frozen=True, slots=True)
class AnswerDifference:
    """`where` is the path in the answer; `expected` is what the endpoint says and `found` what batch says."""

    item_id: str
    kind: str
    where: str
    expected: str
    found: str

    def __str__(self) -> str:
        place = f" {self.where}" if self.where else ""
        return f"{self.item_id}{place}: {self.kind}: endpoint {self.expected}, batch {self.found}"


def find_differences(
    item: str, one: object, other: object, where: str, tolerance: NumberTolerance
) -> Iterator[AnswerDifference]:
    """Every difference of two values of one item; `where` is their place in the answer."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in [*one, *(key for key in other if key not in one)]:
            place = f"{where}.{key}" if where else str(key)
            if key not in one or key not in other:
                words = ("there", "absent") if key in one else ("absent", "there")
                yield AnswerDifference(item, "schema", place, *words)
            else:
                yield from find_differences(item, one[key], other[key], place, tolerance)
    elif isinstance(one, list) and isinstance(other, list):
        yield from _list_differences(item, one, other, where, tolerance)
    else:
        kind = _kind(one, other, tolerance)
        if kind:
            yield AnswerDifference(item, kind, where, short_text(one), short_text(other))


def _list_differences(
    item: str, one: list[Any], other: list[Any], where: str, tolerance: NumberTolerance
) -> Iterator[AnswerDifference]:
    if len(one) != len(other):
        yield AnswerDifference(item, "length", where, f"{len(one)} entries", f"{len(other)} entries")
        return
    order = _order(one, other)
    if order is not None:
        first = next(number for number, place in enumerate(order) if place != number)
        yield AnswerDifference(item, "order", f"{where}[{first}]", short_text(one[first]), short_text(other[first]))
    for number, place in enumerate(order or range(len(one))):
        yield from find_differences(item, one[number], other[place], f"{where}[{number}]", tolerance)


def _order(one: list[Any], other: list[Any]) -> list[int] | None:
    """Where in the second list each entry of the first is, by all that is no number, else exactly; None: in its place.

    So a list that is in another order and whose numbers differ besides is both.
    """
    for text_of in (_without_numbers, _canonical):
        mine, theirs = [text_of(each) for each in one], [text_of(each) for each in other]
        told_apart = text_of is _canonical or len(set(mine)) == len(mine)
        if mine != theirs and Counter(mine) == Counter(theirs) and told_apart:
            places: dict[str, list[int]] = {}
            for place, text in enumerate(theirs):
                places.setdefault(text, []).append(place)
            return [places[text].pop(0) for text in mine]
    return None


def _without_numbers(value: object) -> str:
    def bare(each: object) -> object:
        if isinstance(each, dict):
            return {key: bare(inner) for key, inner in each.items()}
        if isinstance(each, list):
            return [bare(inner) for inner in each]
        return 0 if _is_number(each) else each

    return _canonical(bare(value))


def _kind(one: object, other: object, tolerance: NumberTolerance) -> str:
    """What is different about two values; empty for nothing."""
    if _is_number(one) and _is_number(other):
        return "" if tolerance.close(one, other) else "value"
    if one == other and type(one) is type(other):
        return ""
    texts = [value for value in (one, other) if isinstance(value, str)]
    if len(texts) == 1 and (_is_number(one) or _is_number(other)):
        return "locale" if _COMMA.fullmatch(texts[0].strip()) else "text_number"
    return "text" if len(texts) == 2 else "schema"


def largest_distance(one: object, other: object) -> float | None:
    """The largest relative difference of numbers at the same places."""
    others = dict(numbers(other, ""))
    pairs = [(mine, others[place]) for place, mine in numbers(one, "") if place in others]
    return max((abs(a - b) / max(abs(a), abs(b), 1e-12) for a, b in pairs), default=None)


def numbers(value: object, where: str) -> Iterator[tuple[str, float]]:
    """Every number of a value with its place, in the value's order."""
    if isinstance(value, dict):
        for key in value:
            yield from numbers(value[key], f"{where}.{key}")
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from numbers(each, f"{where}[{number}]")
    elif _is_number(value):
        yield where, float(value)


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class Unparsable:
    """An answer that is no JSON; `text` is how it begins."""

    text: str


def read_json(body: bytes) -> object:
    """The document, or Unparsable."""
    try:
        return json.loads(body)
    except ValueError:
        return Unparsable(body[:80].decode("utf-8", "replace"))


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def short_text(value: object) -> str:
    """At most 60 characters of a value as JSON."""
    text = value.text if isinstance(value, Unparsable) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:59] + "…"
