"""The published table: one row an item and day, sorted by item and step."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batchcast.steps.outcome.comparison import Array

__all__ = ["CARRIED_FORWARD", "MODEL", "forecast_schema", "forecast_table"]

MODEL, CARRIED_FORWARD = "model", "carried_forward"
"""The values of the column `source`."""

_SOURCES = pa.array([MODEL, CARRIED_FORWARD])


def forecast_schema(targets: Sequence[str]) -> pa.Schema:
    """The columns of the published files; run date and run id are the partition columns of their path."""
    return pa.schema(
        [
            pa.field("item_id", pa.string(), nullable=False),
            pa.field("forecast_date", pa.date32(), nullable=False),
            pa.field("step", pa.int32(), nullable=False),
            *(pa.field(target, pa.float64(), nullable=False) for target in targets),
            pa.field("source", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        ]
    )


def forecast_table(
    item_ids: pa.ChunkedArray,
    values: Array,
    usable: npt.NDArray[np.bool_],
    run_date: date,
    targets: Sequence[str],
    carried_forward: pa.Table | None,
) -> pa.Table:
    """The forecasts of the usable items, and the rows of `last_run.forecasts_of` for others.

    `values` is items x days x targets; `item_ids` is sorted.
    """
    days = values.shape[1]
    index = np.repeat(np.flatnonzero(usable), days)
    step = np.tile(np.arange(1, days + 1, dtype=np.int32), int(usable.sum()))
    columns = {target: values[usable, :, number].reshape(-1) for number, target in enumerate(targets)}
    table = _table(item_ids.take(pa.array(index)), step, columns, run_date, MODEL)
    if carried_forward is None:
        return table.combine_chunks()
    day = carried_forward["forecast_date"].cast(pa.int32()).to_numpy()
    older = {target: carried_forward[target].to_numpy() for target in targets}
    first = (run_date - date(1970, 1, 1)).days
    filled = _table(carried_forward["item_id"], (day - first).astype(np.int32), older, run_date, CARRIED_FORWARD)
    both = pa.concat_tables([table, filled]).unify_dictionaries()
    return both.sort_by([("item_id", "ascending"), ("step", "ascending")]).combine_chunks()


def _table(
    item_ids: pa.ChunkedArray, step: npt.NDArray[np.int32], columns: dict[str, Array], run_date: date, source: str
) -> pa.Table:
    first = (run_date + timedelta(days=1) - date(1970, 1, 1)).days
    dates = pa.array(step - 1 + first, pa.int32()).cast(pa.date32())
    code = pa.array(np.full(len(step), 0 if source == MODEL else 1, dtype=np.int32))
    sources = pa.DictionaryArray.from_arrays(code, _SOURCES)
    return pa.table(
        [item_ids, dates, pa.array(step), *columns.values(), sources], schema=forecast_schema(list(columns))
    )
