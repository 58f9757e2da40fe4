"""Some whole records' rows, sorted: what is checked, scored and rendered in one go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from batchcast.steps.history.partition import DATE, POSITION

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Record n is at `places[n]` of the output and has the rows from starts[n] to starts[n + 1], oldest first.

    An entry a row: `records` (n again), date `keys`, and the other `columns`.
    """

    places: Numbers
    starts: Numbers
    records: Numbers
    keys: Numbers
    columns: Mapping[str, pa.Array]

    def measured(self, targets: Sequence[str]) -> npt.NDArray[np.bool_]:
        """The rows that have a value of every target."""
        known = [np.asarray(is_known(self.columns[name])) for name in targets]
        found: npt.NDArray[np.bool_] = np.logical_and.reduce(known)
        return found

    def where(self, rows: npt.NDArray[np.bool_]) -> Chunk:
        """The same records with only some of their rows."""
        if rows.all():
            return self
        mask = pa.array(rows)
        return Chunk(
            places=self.places,
            starts=np.concatenate([[0], np.cumsum(rows)])[self.starts],
            records=self.records[rows],
            keys=self.keys[rows],
            columns={name: column.filter(mask) for name, column in self.columns.items()},
        )

    def only(self, records: npt.NDArray[np.bool_]) -> Chunk:
        """Only some of the records, with all their rows."""
        if records.all():
            return self
        kept = self.where(records[self.records])
        sizes = np.diff(self.starts)[records]
        return replace(
            kept,
            places=self.places[records],
            starts=np.concatenate([[0], np.cumsum(sizes)]),
            records=np.repeat(np.arange(len(sizes)), sizes),
        )


def is_known(values: pa.Array) -> pa.Array:
    """Which values are there, and finite."""
    return pc.is_finite(values).fill_null(False) if pa.types.is_floating(values.type) else values.is_valid()


def sorted_chunks(bucket: pa.Table, *, rows: int) -> Iterator[Chunk]:
    """A bucket in chunks of whole records and about `rows` rows, in output order. Rows of one date are in no order."""
    position = np.asarray(bucket.column(POSITION)).astype(np.int64)
    keys = np.asarray(bucket.column(DATE))
    # A table's own take costs several times what its columns' do.
    values = {name: _one_array(bucket.column(name)) for name in bucket.column_names if name not in (POSITION, DATE)}
    order = _by_record_and_date(position, keys)
    position = position[order]
    cuts = np.concatenate([[0], np.flatnonzero(np.diff(position)) + 1, [len(position)]])
    first = 0
    while first < len(cuts) - 1:
        last = max(int(np.searchsorted(cuts, cuts[first] + rows, side="right")) - 1, first + 1)
        some = order[cuts[first] : cuts[last]]
        indices = pa.array(some)
        yield Chunk(
            places=position[cuts[first:last]],
            starts=cuts[first : last + 1] - cuts[first],
            records=np.repeat(np.arange(last - first), np.diff(cuts[first : last + 1])),
            keys=keys[some],
            columns={name: column.take(indices) for name, column in values.items()},
        )
        first = last


def _by_record_and_date(position: Numbers, keys: Numbers) -> Numbers:
    """The order of the rows; as one whole number a row where it fits 63 bits, which sorts several times faster."""
    low, high = int(keys.min()), int(keys.max())
    if high - low < 1 << 63:  # else the difference itself does not fit, as with the smallest number, a mark for "none"
        unit = int(np.gcd.reduce(keys - low)) or 1
        days = (high - low) // unit + 1
        if days * (int(position.max() - position.min()) + 1) < 1 << 63:
            return np.argsort((position - position.min()) * days + (keys - low) // unit)
    return np.lexsort((keys, position))


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)
