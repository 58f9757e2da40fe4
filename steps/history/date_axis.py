"""Moments of the history as whole numbers, and the steps of its frequency that they fall in.

A key is a number of the timestamp column's own unit: days for dates, seconds to nanoseconds for timestamps. Step 0
is the run date, steps below it the history, steps 1 to the horizon the future.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batchcast.steps.contract.frequency import DAILY, Frequency
from batchcast.steps.errors import DataError, Problem

EPOCH = date(1970, 1, 1)
_DAY = 86_400
_INT64 = np.iinfo(np.int64)
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
Keys = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class DateAxis:
    """The run's place on the timestamp column: history up to `run_date`, then `forecast_horizon` steps of future.

    `run_date` is a date, or a date-time where the frequency is below a day. `season` is in steps. From the key
    `partial` on the rows that are put together are of a step that has not ended; None where none are, or all have.
    `notes` say, a sentence each, what a person should know of how it was found.
    """

    type: pa.DataType
    run_date: date
    forecast_horizon: int
    frequency: Frequency = DAILY
    season: int = DAILY.season
    partial: int | None = None
    notes: tuple[str, ...] = ()

    def check(self) -> None:
        """Raises DataError for a run date off the grid, or beyond the last year: 9999-12-31 often says "open end"."""
        if not self.frequency.holds(self.run_date):
            what = f"the run date {self.run_date.isoformat()} is no period of the frequency {self.frequency.alias}."
            near = self.frequency.seconds(np.array([self.origin]))[0]
            remedy = f"Pass RunDate {self.text(second_key(int(near), self.type)).replace(' ', 'T')}, or auto."
            raise DataError(Problem("run_date", what, remedy=remedy))
        try:
            self.frequency.after(self.run_date, self.forecast_horizon)
        except (OverflowError, ValueError) as error:
            what = f"the {self.forecast_horizon} steps after {self.run_date.isoformat()} end beyond the year 9999."
            remedy = "Correct that date in the history, or pass RunDate."
            raise DataError(Problem("run_date", what, remedy=remedy)) from error

    @property
    def origin(self) -> int:
        """The number of the run date's base period."""
        return self.frequency.ordinal(self.run_date)

    @property
    def history_end(self) -> int:
        """The first key after the history."""
        return self.begin(1)

    @property
    def future_end(self) -> int:
        """The first key after the future."""
        return self.begin(self.forecast_horizon + 1)

    def begin(self, step: int) -> int:
        """The first key of a step, or the nearest that the type has."""
        return second_key(self.frequency.begin(self.origin, step), self.type)

    def steps(self, keys: Any) -> Keys:
        """The step that each key falls in."""
        return self.frequency.steps(key_seconds(np.asarray(keys, np.int64), self.type), self.origin)

    def on_grid(self, keys: Keys) -> npt.NDArray[np.bool_]:
        """Which keys name a step of the frequency."""
        whole = self.frequency.on_grid(key_seconds(keys, self.type), self.origin)
        return whole if pa.types.is_date(self.type) else whole & (keys % keys_per_second(self.type) == 0)

    def keys(self, steps: Keys) -> Keys:
        """The keys that name the steps."""
        seconds = self.frequency.seconds(self.origin + steps * self.frequency.multiple)
        return seconds // _DAY if pa.types.is_date(self.type) else seconds * keys_per_second(self.type)

    def days(self, keys: Any) -> Keys:
        """Days since 1970-01-01."""
        days: Keys = key_seconds(np.asarray(keys, np.int64), self.type) // _DAY
        return days

    def array(self, keys: Keys) -> pa.Array:
        """The keys as an array of the column's type."""
        if pa.types.is_date(self.type):
            return pa.array(keys.astype(np.int32)).cast(pa.date32())
        return pa.array(keys).cast(self.type)

    def text(self, key: int) -> str:
        """A key for people: `2026-01-31`, or with the time of day where it is not midnight."""
        return key_text(int(key), self.type)


def key_text(key: int, date_type: pa.DataType) -> str:
    """A key for people: `2026-01-31`, or with the time of day where it is not midnight."""
    per_day = 1 if pa.types.is_date(date_type) else keys_per_second(date_type) * _DAY
    day, rest = divmod(key, per_day)
    if not 0 <= day - (date.min - EPOCH).days <= (date.max - EPOCH).days - (date.min - EPOCH).days:
        return f"day {day} from 1970-01-01"
    text = (EPOCH + timedelta(days=day)).isoformat()
    return text if rest == 0 else f"{text} {(datetime.min + timedelta(seconds=rest * _DAY / per_day)).time()}"


def keys_per_second(date_type: pa.DataType) -> int:
    """Keys from one second to the next in a timestamp column of that type."""
    return _PER_SECOND[date_type.unit]


def key_seconds(keys: Keys, date_type: pa.DataType) -> Keys:
    """Seconds since 1970-01-01T00:00:00, rounded down; keys outside the years 1 to 9999 as those years' ends."""
    low, high = key_limits(date_type)
    bounded = np.clip(keys, low, high)
    return bounded * _DAY if pa.types.is_date(date_type) else bounded // keys_per_second(date_type)


def key_limits(date_type: pa.DataType) -> tuple[int, int]:
    """The keys of 0001-01-01 and of the moment after 9999-12-31: ISO 8601 writes the years between in four digits."""
    first, last = (date.min - EPOCH).days, (date.max - EPOCH).days
    return second_key(first * _DAY, date_type), second_key((last + 1) * _DAY, date_type)


def second_key(second: int, date_type: pa.DataType) -> int:
    """The key of a second from 1970-01-01, or the nearest that the type has (nanoseconds: 1677 to 2262)."""
    key = second // _DAY if pa.types.is_date(date_type) else second * keys_per_second(date_type)
    return int(min(max(key, _INT64.min), _INT64.max))


def date_keys(column: pa.ChunkedArray) -> tuple[Keys, npt.NDArray[np.bool_]]:
    """The keys of a timestamp column, and which of them are not null."""
    whole = column.cast(pa.int32() if pa.types.is_date(column.type) else pa.int64())
    valid = np.asarray(whole.is_valid())
    return np.asarray(whole.fill_null(0)).astype(np.int64), valid
