"""Dates of the history as whole numbers: days for a date column, the column's own unit for timestamps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batchcast.steps.errors import DataError, Problem

__all__ = ["EPOCH", "DateAxis", "date_keys", "day_key", "key_limits", "keys_per_day"]

EPOCH = date(1970, 1, 1)
_INT64 = np.iinfo(np.int64)
_PER_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}


@dataclass(frozen=True, slots=True, kw_only=True)
class DateAxis:
    """The run's place on the date column: history up to `run_date`, then `forecast_horizon` days of future."""

    type: pa.DataType
    run_date: date
    forecast_horizon: int

    def check(self) -> None:
        """Raises DataError for a run date whose forecast days have no name: often 9999-12-31 says "open end"."""
        if (date.max - self.run_date).days < self.forecast_horizon:
            what = f"the {self.forecast_horizon} days after {self.run_date} end beyond the year 9999."
            raise DataError(Problem("run_date", what, remedy="Correct that date in the history, or pass RunDate."))

    @property
    def per_day(self) -> int:
        """Keys from one day to the next."""
        return keys_per_day(self.type)

    @property
    def run_day(self) -> int:
        """The run date in days since 1970-01-01."""
        return (self.run_date - EPOCH).days

    @property
    def history_end(self) -> int:
        """The first key after the history."""
        return day_key(self.run_day + 1, self.type)

    @property
    def future_end(self) -> int:
        """The first key after the future."""
        return day_key(self.run_day + 1 + self.forecast_horizon, self.type)

    def days(self, keys: Any) -> npt.NDArray[np.int64]:
        """Days since 1970-01-01."""
        return np.floor_divide(np.asarray(keys, np.int64), self.per_day)

    def array(self, keys: npt.NDArray[np.int64]) -> pa.Array:
        """The keys as an array of the column's type."""
        if pa.types.is_date(self.type):
            return pa.array(keys.astype(np.int32)).cast(pa.date32())
        return pa.array(keys).cast(self.type)

    def text(self, key: int) -> str:
        """A key for people: `2026-01-31`, or with the time of day where it is not midnight."""
        day, rest = divmod(int(key), self.per_day)
        if not 0 <= day - (date.min - EPOCH).days <= (date.max - date.min).days:
            return f"day {day} from 1970-01-01"
        text = (EPOCH + timedelta(days=day)).isoformat()
        return text if rest == 0 else f"{text} {timedelta(seconds=rest * 86_400 / self.per_day)}"


def keys_per_day(date_type: pa.DataType) -> int:
    """Keys from one day to the next in a column of that type."""
    return 1 if pa.types.is_date(date_type) else _PER_DAY[date_type.unit]


def key_limits(date_type: pa.DataType) -> tuple[int, int]:
    """The keys of 0001-01-01 and of the moment after 9999-12-31: ISO 8601 writes the years between in four digits."""
    first, last = (date.min - EPOCH).days, (date.max - EPOCH).days
    return day_key(first, date_type), day_key(last + 1, date_type)


def day_key(day: int, date_type: pa.DataType) -> int:
    """The first key of a day counted from 1970-01-01, or the nearest key the type has (nanoseconds: 1677 to 2262)."""
    return min(max(day * keys_per_day(date_type), _INT64.min), _INT64.max)


def date_keys(column: pa.ChunkedArray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """The keys of a date column, and which of them are not null."""
    whole = column.cast(pa.int32() if pa.types.is_date(column.type) else pa.int64())
    valid = np.asarray(whole.is_valid())
    return np.asarray(whole.fill_null(0)).astype(np.int64), valid
