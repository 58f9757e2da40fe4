"""The published table: one row an item and step, sorted by item and step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from batchcast.steps.outcome.comparison import Array

__all__ = ["CARRIED_FORWARD", "MODEL", "forecast_schema", "forecast_table", "moment_array"]

MODEL, CARRIED_FORWARD = "model", "carried_forward"
"""The values of the column `source`."""

_SOURCES = pa.array([MODEL, CARRIED_FORWARD])


def forecast_schema(targets: Sequence[str], moment: pa.DataType | None = None) -> pa.Schema:
    """The columns of the published files; run date and run id are the partition columns of their path.

    `moment` is the type of forecast_date: a date unless given.
    """
    return pa.schema(
        [
            pa.field("item_id", pa.string(), nullable=False),
            pa.field("forecast_date", moment or pa.date32(), nullable=False),
            pa.field("step", pa.int32(), nullable=False),
            *(pa.field(target, pa.float64(), nullable=False) for target in targets),
            pa.field("source", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        ]
    )


def moment_array(dates: Sequence[str]) -> pa.Array:
    """ISO dates as dates, ISO times as timestamps."""
    return pa.array(list(dates)).cast(pa.timestamp("us") if "T" in dates[0] else pa.date32())


def forecast_table(
    item_ids: pa.ChunkedArray,
    values: Array,
    usable: npt.NDArray[np.bool_],
    dates: Sequence[str],
    targets: Sequence[str],
    carried_forward: pa.Table | None,
) -> pa.Table:
    """The forecasts of the usable items, and the rows of `last_run.forecasts_of` for others.

    `values` is items x steps x targets, `dates` the ISO text of each step; `item_ids` is sorted.
    """
    moments = moment_array(dates)
    index = np.repeat(np.flatnonzero(usable), len(dates))
    step = np.tile(np.arange(1, len(dates) + 1, dtype=np.int32), int(usable.sum()))
    columns = {target: values[usable, :, number].reshape(-1) for number, target in enumerate(targets)}
    table = _table(item_ids.take(pa.array(index)), step, columns, moments, MODEL)
    if carried_forward is None:
        return table.combine_chunks()
    at = pc.index_in(carried_forward["forecast_date"].cast(moments.type), value_set=moments).to_numpy()
    older = {target: carried_forward[target].to_numpy() for target in targets}
    filled = _table(carried_forward["item_id"], at.astype(np.int32) + 1, older, moments, CARRIED_FORWARD)
    both = pa.concat_tables([table, filled]).unify_dictionaries()
    return both.sort_by([("item_id", "ascending"), ("step", "ascending")]).combine_chunks()


def _table(
    item_ids: pa.ChunkedArray, step: npt.NDArray[np.int32], columns: dict[str, Array], moments: pa.Array, source: str
) -> pa.Table:
    code = pa.array(np.full(len(step), 0 if source == MODEL else 1, dtype=np.int32))
    sources = pa.DictionaryArray.from_arrays(code, _SOURCES)
    return pa.table(
        [item_ids, moments.take(pa.array(step - 1)), pa.array(step), *columns.values(), sources],
        schema=forecast_schema(list(columns), moments.type),
    )
