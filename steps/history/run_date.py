"""The run date: the last moment of history used, named by a parameter or found in the history."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa

from batchcast.steps.contract.frequency import Frequency, to_moment
from batchcast.steps.contract.model_contract import ModelContract
from batchcast.steps.errors import DataError, Problem
from batchcast.steps.history.date_axis import date_keys, key_limits, key_seconds
from batchcast.steps.history.files import ParquetHistory, read_unit

__all__ = ["latest_date"]

_BATCH_ROWS = 1 << 20


def latest_date(history: ParquetHistory, contract: ModelContract, frequency: Frequency) -> date:
    """The latest step with a target that is not null. Statistics spare most of the reading. Raises DataError."""
    columns = [contract.series.timestamp, *contract.series.targets]
    best: int | None = None
    for unit in history.units():
        for table in read_unit(unit, columns, history.types, rows=_BATCH_ROWS):
            found = _latest_measured(table, history.types[contract.series.timestamp])
            best = found if best is None else best if found is None else max(best, found)
    if best is None:
        what = f"no row has a date and one of the targets {', '.join(contract.series.targets)}."
        remedy = "Check the target columns in model.toml, or pass RunDate."
        raise DataError(Problem("no_history", what, remedy=remedy))
    step = frequency.seconds(frequency.ordinals(np.array([best])))
    return to_moment(int(step[0]), frequency)


def _latest_measured(table: pa.Table, date_type: pa.DataType) -> int | None:
    """The last second since 1970-01-01 at which a target is known."""
    keys, known = date_keys(table.column(0))
    measured = np.zeros(len(keys), bool)
    for column in table.columns[1:]:
        measured |= np.isfinite(np.asarray(column.cast(pa.float64(), safe=False).fill_null(np.nan)))
    low, high = key_limits(date_type)
    found = keys[known & measured & (keys >= low) & (keys < high)]
    return int(key_seconds(found, date_type).max()) if len(found) else None
