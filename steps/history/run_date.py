"""The run date: the last day of history used, named by a parameter or found in the history."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa

from batchcast.steps.contract.model_contract import ModelContract
from batchcast.steps.errors import DataError, Problem
from batchcast.steps.history.date_axis import EPOCH, date_keys, keys_per_day
from batchcast.steps.history.files import ParquetHistory, Unit, read_unit

__all__ = ["latest_date"]

_BATCH_ROWS = 1 << 20


def latest_date(history: ParquetHistory, contract: ModelContract) -> date:
    """The latest date with a target that is not null. Statistics spare most of the reading. Raises DataError."""
    columns = [contract.series.timestamp, *contract.series.targets]
    groups = [
        (file.latest[group] or date.max, file, group) for file in history.files for group in range(len(file.rows))
    ]
    best = None
    for latest, file, group in sorted(groups, key=lambda found: found[0], reverse=True):
        if best is not None and latest <= best:
            break
        unit = Unit(number=0, file=file, groups=range(group, group + 1))
        for table in read_unit(unit, columns, history.types, rows=_BATCH_ROWS):
            found = _latest_measured(table, history.types[contract.series.timestamp])
            best = max(filter(None, (best, found)), default=None)
    if best is None:
        what = f"no row has a date and one of the targets {', '.join(contract.series.targets)}."
        remedy = "Check the target columns in model.toml, or pass RunDate."
        raise DataError(Problem("no_history", what, remedy=remedy))
    return best


def _latest_measured(table: pa.Table, date_type: pa.DataType) -> date | None:
    keys, known = date_keys(table.column(0))
    measured = np.zeros(len(keys), bool)
    for column in table.columns[1:]:
        measured |= np.isfinite(np.asarray(column.cast(pa.float64(), safe=False).fill_null(np.nan)))
    days = np.floor_divide(keys[known & measured], keys_per_day(date_type)) + EPOCH.toordinal()
    days = days[(days >= 1) & (days <= date.max.toordinal())]
    return date.fromordinal(int(days.max())) if len(days) else None
