"""The frequency of a history: declared, or inferred from its moments."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batchcast.steps.contract.frequency import Frequency, infer_frequency
from batchcast.steps.contract.series import Series
from batchcast.steps.errors import DataError, Problem
from batchcast.steps.history.date_axis import date_keys, key_limits, key_seconds, keys_per_second
from batchcast.steps.history.files import ParquetHistory, read_unit

__all__ = ["find_frequency"]

_BATCH_ROWS = 1 << 20


def find_frequency(history: ParquetHistory, series: Series) -> Frequency:
    """The declared frequency, or that of the moments of all rows. Raises DataError where they have none."""
    kind = history.types[series.timestamp]
    if series.frequency is not None:
        if series.frequency.below_day and pa.types.is_date(kind):
            what = f"column {series.timestamp!r} holds dates, and the frequency is {series.frequency.alias}."
            raise DataError(Problem("frequency", what, remedy="Write timestamps, or correct frequency in model.toml."))
        return series.frequency
    keys, rows = _moments(history, series.timestamp)
    low, high = key_limits(kind)
    dated = (keys >= low) & (keys < high)
    if not pa.types.is_date(kind):
        # A part of a second is never on a grid; without these rows the others may be.
        dated &= keys % keys_per_second(kind) == 0
    if not dated.any():
        what = f"column {series.timestamp!r} has no moment to infer a frequency from."
        raise DataError(Problem("frequency", what, remedy="Declare frequency in [series] of model.toml."))
    try:
        return infer_frequency(key_seconds(keys[dated], kind), rows[dated])
    except ValueError as error:
        what = f"no frequency fits column {series.timestamp!r}: {error}."
        remedy = "Declare frequency in [series], or write local times: instants with a zone are read in its timezone."
        raise DataError(Problem("frequency", what, remedy=remedy)) from error


def _moments(history: ParquetHistory, column: str) -> tuple[np.ndarray, np.ndarray]:
    """The different keys of the column, sorted, and the rows of each."""
    counted: dict[int, int] = {}
    for unit in history.units():
        for table in read_unit(unit, [column], history.types, rows=_BATCH_ROWS):
            keys, valid = date_keys(table.column(0))
            found = pc.value_counts(pa.array(keys[valid]))
            for key, rows in zip(*(found.field(name).to_pylist() for name in ("values", "counts")), strict=True):
                counted[key] = counted.get(key, 0) + rows
    ordered = sorted(counted)
    return np.array(ordered, np.int64), np.array([counted[key] for key in ordered], np.int64)
