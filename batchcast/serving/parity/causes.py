"""One cause that explains all differences of an answer: a constant factor, rows that are moved, rounding."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date

from batchcast.serving.parity.answer_differences import AnswerDifference, NumberTolerance, numbers

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
    rows = [
        (one, other)
        for one, other in zip(_rows(mine), _rows(theirs), strict=False)
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


def _rows(values: Mapping[str, float]) -> Iterator[list[float]]:
    """The numbers at places that differ by nothing but their position in a list."""
    rows: dict[str, list[float]] = {}
    for place, value in values.items():
        rows.setdefault(_PLACE.sub("[]", place), []).append(value)
    return iter(rows.values())


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
