"""One record's answer: is it the forecast that was asked for, and which numbers does it hold?

What the answer looks like is declared in the contract file; here it is only compared with that.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from batchcast.steps.contract.answer_path import compile_path, describe_value, explain_path, shorten
from batchcast.steps.contract.frequency import DAILY, Frequency
from batchcast.steps.contract.outputs import Outputs
from batchcast.steps.contract.request import PLAIN_REQUEST, Request

Values = npt.NDArray[np.float64]
"""Forecast values of one item: steps x published columns."""

_DETAIL_CHARACTERS = 200
# A moment as a number counts seconds or milliseconds since 1970: milliseconds from the year 1973 on are larger.
_LEAST_MILLISECONDS = 10**11
_EPOCH = datetime(1970, 1, 1)


class AnswerError(Exception):
    """The answer cannot be published: `reason` is one of `ledger.REASONS`, `detail` says what was found."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What every answer of a run must be: a value of each output for each of `dates`, ISO text.

    `points` are the places of the columns that stand for each of `targets` where a run is compared and scored.
    `request` is how it was asked.
    """

    outputs: Outputs
    dates: tuple[str, ...]
    targets: tuple[str, ...]
    points: tuple[int, ...]
    request: Request = PLAIN_REQUEST

    @classmethod
    def of(
        cls,
        outputs: Outputs,
        run_date: date,
        horizon: int,
        frequency: Frequency = DAILY,
        request: Request = PLAIN_REQUEST,
    ) -> Expected:
        """The forecast is of `horizon` steps of the frequency, the first one step after the run date."""
        dates = tuple(moment.isoformat() for moment in frequency.after(run_date, horizon))
        targets = tuple(dict.fromkeys(column.target for column in outputs.columns))
        points = tuple(outputs.point(target) for target in targets)
        return cls(outputs=outputs, dates=dates, targets=targets, points=points, request=request)

    @property
    def columns(self) -> tuple[str, ...]:
        return self.outputs.names


def split_answers(document: object, outputs: Outputs, records: int) -> list[object]:
    """The answers of `records` records in one body, in the order of the body.

    Raises AnswerError where the body is an error, or holds another number of answers.
    """
    if outputs.records is None and outputs.group_by is None and records != 1:
        raise AnswerError("wrong_shape", f"{records} records were sent, and [answer] declares no records")
    found = _answers(document, outputs)
    if not isinstance(found, list):
        _raise_error_answer(document, outputs)
        raise AnswerError("wrong_shape", f"records = {explain_path(outputs.records or '@', document)}")
    if len(found) != records:
        what = f"{outputs.group_by or outputs.records} holds {len(found)} answers; {records} records were sent"
        raise AnswerError("wrong_shape", what)
    if records > 1 and outputs.item_id and not any(_says_whose(answer, outputs) for answer in found):
        # Without a single name nobody can tell whether they are in order.
        raise AnswerError("wrong_shape", f"item_id = {explain_path(outputs.item_id, found[0])}")
    return found


def _says_whose(answer: object, outputs: Outputs) -> bool:
    """Whether it names an item, or is an error, which need not."""
    return answered_item(answer, outputs) is not None or compile_path(outputs.error)(answer) is not None


def _answers(document: object, outputs: Outputs) -> object:
    """The list of the answers in a body, or what is there in its place."""
    if outputs.group_by is None:
        return [document] if outputs.records is None else compile_path(outputs.records)(document)
    rows = compile_path(outputs.records or "@")(document)
    if not isinstance(rows, list):
        return rows
    groups: dict[object, list[object]] = {}
    for number, row in enumerate(rows, 1):
        name = row.get(outputs.group_by) if isinstance(row, dict) else None
        if name is None:
            what = f"group_by = {outputs.group_by}: row {number} is {describe_value(row)}"
            raise AnswerError("wrong_shape", what)
        groups.setdefault(str(name), []).append(row)
    return [*groups.values()]


def pick_answer(document: object, outputs: Outputs, position: int, item_id: str) -> object:
    """The answer, among those of a body, of the item that stood at that position of the request.

    Raises AnswerError when there is none.
    """
    found = _answers(document, outputs)
    answers = found if isinstance(found, list) else []
    named = [answer for answer in answers if answered_item(answer, outputs) == item_id]
    if not named and position >= len(answers):
        raise AnswerError("wrong_shape", f"{len(answers)} answers, and the item's was number {position + 1}")
    return named[0] if named else answers[position]


def answered_item(answer: object, outputs: Outputs) -> str | None:
    """The item id that the answer names, None where it names none or none is declared."""
    found = compile_path(outputs.item_id)(answer) if outputs.item_id else None
    return None if found is None else str(found)


def read_answer(answer: object, expected: Expected) -> Values:
    """The values of one record's answer, a row a step, a column an output.

    Raises AnswerError with the first thing that is wrong.
    """
    outputs, dates = expected.outputs, expected.dates
    _raise_error_answer(answer, outputs)
    columns = find_columns(answer, expected)
    if outputs.timestamps is not None:
        _check_timestamps(outputs.timestamps, answer, dates)
    values = _checked(columns, expected)
    for target in expected.targets:
        _check_quantiles(target, values, expected)
    return values


def _raise_error_answer(answer: object, outputs: Outputs) -> None:
    error = compile_path(outputs.error)(answer)
    if error is not None:
        raise AnswerError("error_answer", shorten(error, _DETAIL_CHARACTERS))


def find_columns(answer: object, expected: Expected) -> list[Sequence[object]]:
    """What lies where each output should be, one value a step. Raises AnswerError where something else lies there."""
    return [_column(output.name, output.path, answer, len(expected.dates)) for output in expected.outputs.columns]


def _column(name: str, path: str, answer: object, steps: int) -> Sequence[object]:
    found = compile_path(path)(answer)
    # Rows without the key give nulls: when all do, it is the path that is wrong and not a value.
    if found is None or ("[*]" in path and found and all(value is None for value in found)):
        raise AnswerError("wrong_shape", f"{name}: {explain_path(path, answer)}")
    if steps == 1 and not isinstance(found, list | dict):
        return [found]
    if not isinstance(found, list):
        raise AnswerError("wrong_shape", f"{name}: {path} is {describe_value(found)}, not a list of numbers")
    if len(found) != steps:
        inside = f"{path}[0]" if len(found) == 1 and isinstance(found[0], list) else ""
        remedy = f"; {inside} is one of {len(found[0])}" if inside else ""
        what = f"{name}: {path} holds {len(found)} values; {steps} steps were asked for{remedy}"
        raise AnswerError("wrong_days", what)
    return found


def _check_timestamps(path: str, answer: object, dates: Sequence[str]) -> None:
    found = compile_path(path)(answer)
    if found is None:
        raise AnswerError("wrong_dates", f"timestamps = {explain_path(path, answer)}")
    given = found if isinstance(found, list) else [found]
    if len(given) != len(dates) and isinstance(found, list):
        raise AnswerError("wrong_dates", f"{path} holds {len(given)} timestamps; {len(dates)} steps were asked for")
    for number, (value, wanted) in enumerate(zip(given, dates, strict=False), start=1):
        if value != wanted and _moment_text(value) != (wanted if "T" in wanted else f"{wanted}T00:00:00"):
            what = f"step {number} is dated {shorten(value, _DETAIL_CHARACTERS)}; {wanted} was expected"
            raise AnswerError("wrong_dates", what)


def _moment_text(value: object) -> str | None:
    """ISO's text of what ISO 8601 writes otherwise, or of seconds or milliseconds since 1970; the zone is left out."""
    try:
        if isinstance(value, datetime):  # as Parquet has it
            return (value.astimezone(UTC) if value.tzinfo else value).replace(tzinfo=None).isoformat()
        if isinstance(value, str | date):
            return datetime.fromisoformat(str(value)).replace(tzinfo=None).isoformat()
        if isinstance(value, int | float) and not isinstance(value, bool):
            seconds = value / 1000 if abs(value) >= _LEAST_MILLISECONDS else value
            return (_EPOCH + timedelta(seconds=seconds)).isoformat()
    except (ValueError, OverflowError):
        pass
    return None


def _checked(columns: Sequence[Sequence[object]], expected: Expected) -> Values:
    """The numbers, all of them finite and within the bounds."""
    flat = list(itertools.chain.from_iterable(columns))
    # `type` and not isinstance: True is an int to Python and no number to a forecast.
    if {*map(type, flat)} <= {float, int, Decimal}:
        try:
            values = np.array(columns, dtype=np.float64).T
        except OverflowError:  # a whole number beyond what a double holds
            values = None
        outputs = expected.outputs
        low = -math.inf if outputs.minimum is None else outputs.minimum
        high = math.inf if outputs.maximum is None else outputs.maximum
        if values is not None and np.isfinite(values).all() and values.min() >= low and values.max() <= high:
            return values
    for output, column in zip(expected.outputs.columns, columns, strict=True):
        _raise_bad_number(output.name, column, expected)
    raise AssertionError("one of the columns holds a value that is no good")


def _raise_bad_number(name: str, column: Sequence[object], expected: Expected) -> None:
    outputs = expected.outputs
    for value, day in zip(column, expected.dates, strict=True):
        if isinstance(value, bool) or not isinstance(value, float | int | Decimal):
            raise AnswerError("not_a_number", f"{name} on {day} is {describe_value(value).split(' of ')[0]}")
        if not -sys.float_info.max <= value <= sys.float_info.max:  # a whole number may be larger than any float
            raise AnswerError("not_finite", f"{name} on {day} is {shorten(value, _DETAIL_CHARACTERS)}")
        if outputs.minimum is not None and value < outputs.minimum:
            raise AnswerError("out_of_bounds", f"{name} on {day} is {value}; the minimum is {outputs.minimum}")
        if outputs.maximum is not None and value > outputs.maximum:
            raise AnswerError("out_of_bounds", f"{name} on {day} is {value}; the maximum is {outputs.maximum}")


def _check_quantiles(target: str, values: Values, expected: Expected) -> None:
    levels = expected.outputs.quantiles(target)
    names = expected.columns
    for (_, lower), (_, upper) in itertools.pairwise(levels):
        crossed = np.flatnonzero(values[:, lower] > values[:, upper])
        if len(crossed):
            step = int(crossed[0])
            low, high = values[step, lower], values[step, upper]
            what = f"on {expected.dates[step]} {names[upper]} = {high:.15g} is below {names[lower]} = {low:.15g}"
            raise AnswerError("quantile_order", what)
