"""Frequency and run date of a run: declared or named by a parameter, else found in the survey of the history.

A single date is not believed. The run date `auto` is the last step that most items reach; what lies beyond the clock,
or beyond a gap of `largest_gap` steps with few rows after it, is implausible: a flipped bit, an open end.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batchcast.steps.contract.frequency import Frequency, infer_frequency, to_moment, to_second
from batchcast.steps.contract.series import Series
from batchcast.steps.errors import ConfigError, DataError, Problem
from batchcast.steps.history.date_axis import DateAxis, key_limits, key_seconds, keys_per_second
from batchcast.steps.history.items import ItemSurvey, merge_moments
from batchcast.steps.history.numbering import number_items
from batchcast.steps.history.whole_steps import begins_within, last_whole_step, step_origin

Numbers = npt.NDArray[np.int64]
_AHEAD = timedelta(hours=14)
"""The earliest zone is so far ahead of UTC: what is later there is nowhere past."""


def find_axis(
    surveys: Sequence[ItemSurvey],
    series: Series,
    kind: pa.DataType,
    *,
    run_date: date | None,
    horizon: int,
    now: datetime,
) -> DateAxis:
    """The axis of a run whose timestamp column is of type `kind`. Raises DataError where no frequency or run date is
    found, ConfigError for a run date that is given and lies in the future."""
    frequency = _find_frequency(surveys, series, kind)
    together = _put_together(surveys, series, kind, frequency, now)
    axis = DateAxis(
        type=kind,
        run_date=run_date or _find_run_date(surveys, series, kind, frequency, now, together),
        forecast_horizon=horizon,
        frequency=frequency,
        season=series.season or frequency.season,
    )
    if run_date is not None and to_second(run_date) > _clock(series, now):
        what = f"{run_date.isoformat()} lies in the future: it is {now.astimezone(UTC):%Y-%m-%dT%H:%M} UTC."
        raise ConfigError(Problem("run_date", what, "RunDate", "Pass an earlier RunDate, or auto."))
    axis.check()
    if len(together):
        whole = last_whole_step(together, frequency, axis.origin)
        axis = replace(axis, partial=axis.begin(whole + 1))
        if whole == -1:
            near = axis.text(int(axis.keys(np.array([whole]))[0])).replace(" ", "T")
            what = f"the rows end within the step of {axis.run_date.isoformat()}, of which they would tell a part."
            raise DataError(Problem("run_date", what, "RunDate", f"Pass RunDate {near}, or auto."))
    return replace(axis, notes=tuple(_notes(surveys, series, axis)))


def plausible_end(surveys: Sequence[ItemSurvey], series: Series, axis: DateAxis, now: datetime) -> int:
    """The first key at which no value is believed."""
    steps, _ = _plausible(surveys, series, axis.type, axis.frequency, now)
    last = max([int(steps[-1]), axis.origin]) if len(steps) else axis.origin
    return max(axis.future_end, DateAxis.begin(_at(axis.type, axis.frequency, last), 1))


def _at(kind: pa.DataType, frequency: Frequency, ordinal: int) -> DateAxis:
    moment = to_moment(int(frequency.seconds(np.array([ordinal]))[0]), frequency)
    return DateAxis(type=kind, run_date=moment, forecast_horizon=1, frequency=frequency)


def _put_together(
    surveys: Sequence[ItemSurvey], series: Series, kind: pa.DataType, frequency: Frequency, now: datetime
) -> Numbers:
    """The seconds of the rows with values that can be believed, sorted; none where rows are not put together."""
    if series.aggregate is None:
        return np.empty(0, np.int64)
    steps, _ = _plausible(surveys, series, kind, frequency, now)
    keys, _, measured = merge_moments([lane.moments for lane in surveys])
    seconds = key_seconds(keys[measured > 0], kind)
    return seconds[np.isin(frequency.ordinals(seconds), steps)]


def _notes(surveys: Sequence[ItemSurvey], series: Series, axis: DateAxis) -> Iterator[str]:
    """What is assumed of the history, and what its first step may lack: that of an export that begins within it."""
    keys, _, measured = merge_moments([lane.moments for lane in surveys])
    low, high = key_limits(axis.type)
    dated = (keys >= low) & (keys < high)
    if series.frequency is None and dated.sum() == 1:
        yield "One date in the history: steps of a day are assumed. Declare frequency in [series] of model.toml."
    known = keys[dated & (measured > 0)]
    seconds = key_seconds(known, axis.type)
    # The last value of a step is the same, whatever came before it.
    if series.aggregate in ("sum", "mean") and len(known) and begins_within(seconds, axis.frequency, axis.origin):
        step = axis.steps(known[:1])
        name, begin = axis.text(int(axis.keys(step)[0])), axis.text(axis.begin(int(step[0])))
        what = f"The history begins on {axis.text(int(known[0]))}, and the step of {name} on {begin}"
        yield f"{what}: its {series.aggregate} may be of a part. Export from there on, or leave these rows out."


def _find_frequency(surveys: Sequence[ItemSurvey], series: Series, kind: pa.DataType) -> Frequency:
    """The declared frequency, or that of the moments of all rows."""
    if series.frequency is not None:
        if series.frequency.below_day and pa.types.is_date(kind):
            what = f"column {series.timestamp!r} holds dates, and the frequency is {series.frequency.alias}."
            raise DataError(Problem("frequency", what, remedy="Write timestamps, or correct frequency in model.toml."))
        return series.frequency
    keys, rows, _ = merge_moments([lane.moments for lane in surveys])
    low, high = key_limits(kind)
    dated = (keys >= low) & (keys < high)
    if not pa.types.is_date(kind):
        # A part of a second is never on a grid; without these rows the others may be.
        dated &= keys % keys_per_second(kind) == 0
    if not dated.any():
        what = f"no row has a moment in column {series.timestamp!r} and a value of {', '.join(series.targets)}."
        raise DataError(Problem("no_history", what, remedy="Check HistoryUri and the columns in model.toml."))
    try:
        return infer_frequency(key_seconds(keys[dated], kind), rows[dated])
    except ValueError as error:
        what = f"no frequency fits column {series.timestamp!r}: {error}."
        remedy = "Declare frequency in [series], with aggregate where rows lie within its steps, or write local times: "
        remedy += "instants with a zone are read in its timezone."
        raise DataError(Problem("frequency", what, remedy=remedy)) from error


def _find_run_date(
    surveys: Sequence[ItemSurvey],
    series: Series,
    kind: pa.DataType,
    frequency: Frequency,
    now: datetime,
    together: Numbers,
) -> date:
    """The last step that `run_date_share` of the items reach, of those that reach the last year; a whole one."""
    steps, gap = _plausible(surveys, series, kind, frequency, now)
    origin = step_origin(together, frequency) if len(together) else None
    if origin is not None:
        ended = frequency.begin(origin, last_whole_step(together, frequency, origin) + 1)
        steps = steps[steps < frequency.ordinals(np.array([ended]))]
    if not len(steps):
        what = f"no row up to now has a date and one of the targets {', '.join(series.targets)}."
        remedy = "Check the dates and the target columns: every row is later, of a step that goes on, or empty."
        raise DataError(Problem("no_history", what, remedy=remedy))
    low, _ = key_limits(kind)
    names, numbers = number_items([lane.names for lane in surveys])
    latest = np.full(len(names[0]), np.iinfo(np.int64).min)
    for lane, items in zip(surveys, numbers, strict=True):
        latest[items] = np.maximum(latest[items], lane.last)
    reached = np.minimum(frequency.ordinals(key_seconds(latest[latest >= low], kind)), steps[-1])
    ends = np.sort(reached[reached >= steps[-1] - gap])[::-1].tolist()
    if not ends:  # Only rows without an id have values.
        ends = [int(steps[-1])]
    ordinal = ends[math.ceil(series.run_date_share * len(ends)) - 1]
    if origin is not None:
        moment = frequency.seconds(np.array([ordinal]))
        ordinal = origin + int(frequency.steps(moment, origin)[0]) * frequency.multiple
    return to_moment(int(frequency.seconds(np.array([ordinal]))[0]), frequency)


def _plausible(
    surveys: Sequence[ItemSurvey], series: Series, kind: pa.DataType, frequency: Frequency, now: datetime
) -> tuple[Numbers, int]:
    """The base periods with values that can be believed, sorted, and the largest gap in base periods."""
    keys, _, measured = merge_moments([lane.moments for lane in surveys])
    low, high = key_limits(kind)
    known = (measured > 0) & (keys >= low) & (keys < high)
    ordinals, place = np.unique(frequency.ordinals(key_seconds(keys[known], kind)), return_inverse=True)
    rows = np.bincount(place, weights=measured[known], minlength=len(ordinals))
    begun = np.array([frequency.begin(int(one), 0) <= _clock(series, now) for one in ordinals[-1:].tolist()])
    if len(begun) and not begun[-1]:
        latest = int(frequency.ordinals(np.array([_clock(series, now)]))[0])
        ordinals, rows = ordinals[ordinals <= latest], rows[: int((ordinals <= latest).sum())]
    gap = (series.largest_gap or frequency.steps_a_year) * frequency.multiple
    far = np.flatnonzero(np.diff(ordinals) > gap) + 1
    for cut in far.tolist():
        if 2 * rows[cut:].sum() < rows.sum():
            return ordinals[:cut], gap
    return ordinals, gap


def _clock(series: Series, now: datetime) -> int:
    """The latest second that can have passed anywhere, or in the declared zone."""
    local = now.astimezone(UTC) + _AHEAD if series.timezone is None else now.astimezone(ZoneInfo(series.timezone))
    return to_second(local.replace(tzinfo=None))
