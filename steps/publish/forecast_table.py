"""The published table: one row an item and step, sorted by item and step."""

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batchcast.steps.outcome.comparison import Array

ROWS_PER_FILE = 1_000_000
_ROWS_PER_GROUP = 131_072
MODEL, CARRIED_FORWARD = "model", "carried_forward"
"""The values of the column `source`."""

SOURCE_RUN = "source_run_id"
"""The column that names the run whose publication a row is taken from; null for what this run publishes of its own."""
_TEXT = pa.dictionary(pa.int32(), pa.string())


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
            pa.field("source", _TEXT, nullable=False),
            pa.field(SOURCE_RUN, _TEXT),
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
    index = pa.array(np.repeat(np.flatnonzero(usable), len(dates)))
    step = np.tile(np.arange(1, len(dates) + 1, dtype=np.int32), int(usable.sum()))
    columns = {target: values[usable, :, number].reshape(-1) for number, target in enumerate(targets)}
    table = _table(item_ids.take(index), step, columns, moments, MODEL, pa.nulls(len(step), _TEXT))
    if carried_forward is None:
        return table.combine_chunks()
    at = pc.index_in(carried_forward["forecast_date"].cast(moments.type), value_set=moments).to_numpy()
    older = {target: carried_forward[target].to_numpy() for target in targets}
    moved = at.astype(np.int32) + 1, older, moments, CARRIED_FORWARD
    filled = _table(carried_forward["item_id"], *moved, carried_forward[SOURCE_RUN])
    return _in_order(table, filled)


def replace_items(published: pa.Table, forecasts: pa.Table) -> pa.Table:
    """The published rows with those of `forecasts` in the place of its items'; both are forecast tables."""
    others = pc.invert(pc.is_in(published["item_id"], value_set=forecasts["item_id"].combine_chunks()))
    return _in_order(published.filter(others).select(forecasts.column_names).cast(forecasts.schema), forecasts)


def merged_words(merged: Mapping[str, Any]) -> str:
    """What a merge did."""
    return (
        f"{merged['replaced']:,} of {merged['items']:,} items are replaced in the forecasts of run {merged['run_id']}"
    )


def parquet_files(forecasts: pa.Table) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Each file that the table is published as, and what the manifest says of it."""
    for number, start in enumerate(range(0, max(1, forecasts.num_rows), ROWS_PER_FILE)):
        part = forecasts.slice(start, ROWS_PER_FILE)
        sink = io.BytesIO()
        pq.write_table(part, sink, compression="zstd", row_group_size=_ROWS_PER_GROUP)
        data = sink.getvalue()
        told = {"rows": part.num_rows, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        yield {"name": f"part-{number:05d}.parquet", **told}, data


def _in_order(*tables: pa.Table) -> pa.Table:
    both = pa.concat_tables(tables).unify_dictionaries()
    return both.sort_by([("item_id", "ascending"), ("step", "ascending")]).combine_chunks()


def _table(
    item_ids: pa.ChunkedArray,
    step: npt.NDArray[np.int32],
    columns: dict[str, Array],
    moments: pa.Array,
    source: str,
    run_ids: pa.Array | pa.ChunkedArray,
) -> pa.Table:
    sources = pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(step), dtype=np.int32)), pa.array([source]))
    return pa.table(
        [item_ids, moments.take(pa.array(step - 1)), pa.array(step), *columns.values(), sources, run_ids],
        schema=forecast_schema(list(columns), moments.type),
    )
