"""One model answer: is it the forecast that was asked for, and which numbers does it hold?

What the answer looks like is declared in the contract file; here it is only compared with that.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import numpy.typing as npt

from batchcast.steps.contract.frequency import DAILY, Frequency
from batchcast.steps.contract.outputs import Answer

__all__ = ["AnswerError", "Expected", "Values", "read_answer"]

Values = npt.NDArray[np.float64]
"""Forecast values of one item: days x targets."""

_DETAIL_CHARACTERS = 200


class AnswerError(Exception):
    """The answer cannot be published: `reason` is one of `ledger.REASONS`, `detail` says what was found."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What every answer of a run must be: `keys` of the answer in the order of `targets`, one value each of `dates`."""

    shape: Answer
    dates: tuple[str, ...]
    targets: tuple[str, ...]
    keys: tuple[str, ...]

    @classmethod
    def of(cls, shape: Answer, run_date: date, horizon: int, frequency: Frequency = DAILY) -> Expected:
        """The forecast is of `horizon` steps of the frequency, the first one step after the run date."""
        found = shape.targets or shape.arrays
        dates = tuple(moment.isoformat() for moment in frequency.after(run_date, horizon))
        return cls(shape=shape, dates=dates, targets=tuple(found), keys=tuple(found.values()))


def read_answer(answer: object, expected: Expected) -> Values:
    """The target values of one answer, a row a day in date order, a column a target.

    Raises AnswerError with the first thing that is wrong.
    """
    shape, dates = expected.shape, expected.dates
    if not isinstance(answer, dict):
        raise AnswerError("wrong_shape", f"the answer is {_kind(answer)}, not an object")
    if answer.get(shape.error) is not None:
        raise AnswerError("error_answer", _short(answer[shape.error]))
    keys = list(dict.fromkeys([*expected.keys, *(key for group in shape.quantiles for key in group)]))
    if shape.rows is not None:
        columns = _columns_of_rows(_rows(answer, shape.rows, len(dates)), shape.date, dates, keys)
    else:
        columns = _columns_of_arrays(answer, dates, keys)
    for key, column in columns.items():
        _check_numbers(key, column, shape, dates)
    for group in shape.quantiles:
        _check_quantiles(group, columns, dates)
    return np.array([columns[key] for key in expected.keys], dtype=np.float64).T


def _rows(answer: Mapping[str, object], key: str, days: int) -> list[Mapping[str, object]]:
    rows = answer.get(key)
    if not isinstance(rows, list):
        raise AnswerError("wrong_shape", f"{key!r} is {_kind(rows)}, not a list of rows")
    if len(rows) != days:
        raise AnswerError("wrong_days", f"{len(rows)} rows; {days} forecast days were asked for")
    if not all(isinstance(row, dict) for row in rows):
        raise AnswerError("wrong_shape", f"{key!r} holds something that is not an object")
    return rows


def _columns_of_rows(
    rows: Sequence[Mapping[str, object]], date_key: str | None, dates: Sequence[str], keys: Sequence[str]
) -> dict[str, list[object]]:
    if date_key is not None:
        _check_dates([row.get(date_key) for row in rows], dates)
    return {key: [row.get(key) for row in rows] for key in keys}


def _columns_of_arrays(
    answer: Mapping[str, object], dates: Sequence[str], keys: Sequence[str]
) -> dict[str, list[object]]:
    columns: dict[str, list[object]] = {}
    for key in keys:
        column = answer.get(key)
        if not isinstance(column, list):
            raise AnswerError("wrong_shape", f"{key!r} is {_kind(column)}, not a list of numbers")
        if len(column) != len(dates):
            raise AnswerError("wrong_days", f"{key!r} has {len(column)} values; {len(dates)} days were asked for")
        columns[key] = column
    return columns


def _check_dates(found: Sequence[object], dates: Sequence[str]) -> None:
    for number, (value, expected) in enumerate(zip(found, dates, strict=True), start=1):
        if value != expected and _moment(value, expected) != expected:
            what = f"row {number} is dated {_short(value)}; {expected} was expected"
            raise AnswerError("wrong_dates", what)


def _moment(value: object, expected: str) -> str | None:
    """The text in the form of `expected`: a date, which a time at midnight is too, or a time; None for another."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if moment is None or "T" in expected:
        return moment.isoformat() if moment is not None else None
    at_midnight = (moment.hour, moment.minute, moment.second, moment.microsecond) == (0, 0, 0, 0)
    return moment.date().isoformat() if at_midnight else None


def _check_numbers(key: str, column: Sequence[object], shape: Answer, dates: Sequence[str]) -> None:
    for value, day in zip(column, dates, strict=True):
        # `type` and not isinstance: True is an int to Python and no number to a forecast.
        if type(value) is not float and type(value) is not int:
            raise AnswerError("not_a_number", f"{key!r} on {day} is {_kind(value)}")
        if not _is_finite(value):
            raise AnswerError("not_finite", f"{key!r} on {day} is {_short(value)}")
        if shape.minimum is not None and value < shape.minimum:
            raise AnswerError("out_of_bounds", f"{key!r} on {day} is {value}; the minimum is {shape.minimum}")
        if shape.maximum is not None and value > shape.maximum:
            raise AnswerError("out_of_bounds", f"{key!r} on {day} is {value}; the maximum is {shape.maximum}")


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond what a double holds
        return False


def _check_quantiles(group: Sequence[str], columns: Mapping[str, Sequence[object]], dates: Sequence[str]) -> None:
    for lower, upper in itertools.pairwise(group):
        for low, high, day in zip(columns[lower], columns[upper], dates, strict=True):
            if low > high:  # type: ignore[operator]  # both were checked to be numbers
                raise AnswerError("quantile_order", f"on {day} {upper!r} = {high} is below {lower!r} = {low}")


def _kind(value: object) -> str:
    names = {type(None): "missing or null", bool: "a truth value", str: "text", list: "a list", dict: "an object"}
    return names.get(type(value), "a number")


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    # JSON can name half a character, as in a text that was cut; no report could be written with one.
    text = text.encode(errors="backslashreplace").decode()
    return text if len(text) <= _DETAIL_CHARACTERS else text[: _DETAIL_CHARACTERS - 1] + "…"
