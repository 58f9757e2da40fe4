"""How two answers differ: JSON against JSON, number by number, each difference with a name and a place."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, TypeGuard

_COMMA = re.compile(r"-?\d{1,3}(\.?\d{3})*,\d+|-?\d+,\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberTolerance:
    """Numbers are equal when they differ by less than either."""

    relative: float = 1e-6
    absolute: float = 1e-9

    def close(self, one: float, other: float) -> bool:
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


_DECIMALS = range(9)
_MOST_STEPS = 7
_LEAST = 3
_PLACE = re.compile(r"\[\d+\]")


def named_by_cause(
    differences: Sequence[AnswerDifference], expected: object, found: object, tolerance: NumberTolerance
) -> list[AnswerDifference]:
    """The differences, each with the cause as its kind where one cause explains them all."""
    if {each.kind for each in differences} == {"text"} and (days := _days_apart(differences)):
        return [replace(each, kind="day_shift", found=f"{each.found}, {days:+d} days in all") for each in differences]
    if {each.kind for each in differences} != {"value"}:
        return list(differences)
    mine, theirs = dict(numbers(expected, "")), dict(numbers(found, ""))
    for exact, rounded, side in ((mine, theirs, "found"), (theirs, mine, "expected")):
        decimals = _rounded_to(exact, rounded, tolerance)
        if decimals is not None:
            how = f"rounded to {decimals} decimal{'' if decimals == 1 else 's'}"
            changes = [{side: f"{getattr(each, side)}, {how}"} for each in differences]
            return [replace(each, kind="rounding", **own) for each, own in zip(differences, changes, strict=True)]
    for kind, cause in (("factor", _factor(mine, theirs, tolerance)), ("shift", _steps(mine, theirs, tolerance))):
        if cause:
            return [replace(each, kind=kind, found=f"{each.found}, {cause}") for each in differences]
    return list(differences)


def _factor(mine: Mapping[str, float], theirs: Mapping[str, float], tolerance: NumberTolerance) -> str | None:
    """Of the values that differ: what stays the same, a quantile's level, has no part in it."""
    pairs = [(one, theirs[place]) for place, one in mine.items() if place in theirs]
    pairs = [(one, other) for one, other in pairs if not tolerance.close(one, other)]
    if len(pairs) < _LEAST or not all(one for one, _ in pairs):
        return None
    factor = sorted(other / one for one, other in pairs)[len(pairs) // 2]
    return f"{factor:.6g} times all" if all(tolerance.close(factor * one, other) for one, other in pairs) else None


def _steps(mine: Mapping[str, float], theirs: Mapping[str, float], tolerance: NumberTolerance) -> str | None:
    """By how many steps all rows of numbers are moved; what enters at an end is not looked at."""
    others = _rows(theirs)
    rows = [
        (one, other)
        for one, other in ((one, others.get(place, [])) for place, one in _rows(mine).items())
        if len(one) == len(other) and any(not tolerance.close(a, b) for a, b in zip(one, other, strict=True))
    ]
    for steps in (sign * size for size in range(1, _MOST_STEPS + 1) for sign in (1, -1)):
        cut = abs(steps)
        pairs = [(one[:-cut], other[cut:]) if steps > 0 else (one[cut:], other[:-cut]) for one, other in rows]
        if pairs and all(
            len(one) >= _LEAST and all(tolerance.close(a, b) for a, b in zip(one, other, strict=True))
            for one, other in pairs
        ):
            return f"all {cut} step{'' if cut == 1 else 's'} {'late' if steps > 0 else 'early'}"
    return None


def _rows(values: Mapping[str, float]) -> Mapping[str, list[float]]:
    """The numbers at places that differ by nothing but their position in a list."""
    rows: dict[str, list[float]] = {}
    for place, value in values.items():
        rows.setdefault(_PLACE.sub("[]", place), []).append(value)
    return rows


def _days_apart(differences: Sequence[AnswerDifference]) -> int | None:
    """How many days later all texts are that differ; None where they are no dates, or not equally far apart."""
    try:
        apart = {
            (date.fromisoformat(each.found.strip('"')[:10]) - date.fromisoformat(each.expected.strip('"')[:10])).days
            for each in differences
        }
    except ValueError:
        return None
    return apart.pop() if len(apart) == 1 else None


def _rounded_to(exact: Mapping[str, float], rounded: Mapping[str, float], tolerance: NumberTolerance) -> int | None:
    """To how many decimals the one numbers are the other ones rounded; None when they are not."""
    pairs = [(one, rounded[place]) for place, one in exact.items() if place in rounded]
    for decimals in _DECIMALS:
        if all(tolerance.close(round(one, decimals), other) for one, other in pairs):
            return decimals
    return None
