"""The published table: one row an item and step, sorted by item and step."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batchcast.steps.answers.item_arrays import Array, at_once
from batchcast.steps.answers.item_names import one_array

ROWS_PER_FILE = 1_000_000
_ROWS_PER_GROUP = 131_072
_SAMPLED_ROWS = 1 << 14
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


class Rows(Protocol):
    """A forecast table, or what makes parts of one when they are asked for."""

    @property
    def num_rows(self) -> int: ...

    def slice(self, offset: int = 0, length: int | None = None) -> pa.Table: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastRows:
    """The forecasts of the items at `places` of `item_ids`, as Rows; both are sorted.

    `values` is items x steps x targets, `dates` the ISO text of each step.
    """

    item_ids: pa.ChunkedArray
    values: Array
    places: npt.NDArray[np.intp]
    dates: Sequence[str]
    targets: Sequence[str]

    @property
    def num_rows(self) -> int:
        return len(self.places) * len(self.dates)

    def slice(self, offset: int = 0, length: int | None = None) -> pa.Table:
        stop = self.num_rows if length is None else min(offset + length, self.num_rows)
        item, step = np.divmod(np.arange(offset, stop), len(self.dates))
        item = self.places[item]
        columns = {target: self.values[item, step, number] for number, target in enumerate(self.targets)}
        names, moments = one_array(self.item_ids).take(pa.array(item)), moment_array(self.dates)
        none = pa.nulls(len(step), _TEXT)
        return forecast_table(names, step.astype(np.int32) + 1, columns, moments, MODEL, none).combine_chunks()


def merged_words(merged: Mapping[str, Any]) -> str:
    """What a merge did."""
    return (
        f"{merged['replaced']:,} of {merged['items']:,} items are replaced in the forecasts of run {merged['run_id']}"
    )


def write_forecasts(forecasts: Rows, folder: Path, keep: Callable[[Path], None]) -> list[dict[str, Any]]:
    """Write the files that the forecasts are published as into the folder, and `keep` each; what the manifest says of
    them."""

    def write(place: tuple[int, int]) -> dict[str, Any]:
        file = _write_file(forecasts, folder, *place)
        keep(folder / file["name"])
        return file

    return list(at_once(write, enumerate(range(0, max(1, forecasts.num_rows), ROWS_PER_FILE))))


def _write_file(forecasts: Rows, folder: Path, number: int, start: int) -> dict[str, Any]:
    stop = min(start + ROWS_PER_FILE, forecasts.num_rows)
    path = folder / f"part-{number:05d}.parquet"
    sample = forecasts.slice(start, min(_SAMPLED_ROWS, stop - start))
    repeated = [name for name in sample.column_names if _repeats(sample[name])]
    with pq.ParquetWriter(path, sample.schema, compression="zstd", use_dictionary=repeated) as writer:
        for begin in range(start, stop, _ROWS_PER_GROUP):
            writer.write_table(forecasts.slice(begin, min(_ROWS_PER_GROUP, stop - begin)))
    with path.open("rb") as written:
        digest = hashlib.file_digest(written, "sha256").hexdigest()
    return {"name": path.name, "rows": stop - start, "bytes": path.stat().st_size, "sha256": digest}


def _repeats(column: pa.ChunkedArray) -> bool:
    """Whether a dictionary is worth while: of numbers that hardly repeat it is larger than they are, and takes twice
    the time and 25 MB of memory (pyarrow 25, 2026-11-29)."""
    few = len(column) < _SAMPLED_ROWS or not pa.types.is_floating(column.type)
    return few or 2 * pc.count_distinct(column).as_py() < len(column)


def forecast_table(
    item_ids: pa.ChunkedArray,
    step: npt.NDArray[np.int32],
    columns: dict[str, Array],
    moments: pa.Array,
    source: str,
    run_ids: pa.Array | pa.ChunkedArray,
) -> pa.Table:
    """These columns with all others of the schema; `moments` are those of the first step, the second and so on."""
    sources = pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(step), dtype=np.int32)), pa.array([source]))
    return pa.table(
        [item_ids, moments.take(pa.array(step - 1)), pa.array(step), *columns.values(), sources, run_ids],
        schema=forecast_schema(list(columns), moments.type),
    )
