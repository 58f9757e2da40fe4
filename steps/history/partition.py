"""Rows sorted into buckets on disk, so that a run of any size is rendered with little memory.

A bucket holds all rows of some consecutive records of the output. One pass over the history scatters every table to
the buckets; a lane (one process) writes one spill file and remembers where in it each bucket's pieces lie, so the
number of buckets is not bound by the number of open files.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batchcast.steps.history.date_axis import DateAxis, date_keys
from batchcast.steps.history.files import ParquetHistory, Unit, read_unit
from batchcast.steps.history.numbering import codes_file
from batchcast.steps.history.workers import Advance

POSITION = "\0position"
DATE = "\0date"
"""Columns of a bucket beside those of the history, whose names do not begin with NUL."""

_BUCKET_BYTES = 32 << 20
_TABLE_BYTES = 32 << 20
_SAMPLE_ROWS = 4096
_CODEC = pa.Codec("lz4_raw")
_SIZES = struct.Struct("<qq")
Numbers = npt.NDArray[np.int64]
Buckets = npt.NDArray[np.unsignedinteger]
"""Buckets counted from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """Which columns go to disk, of how many `rows`, and the first record of each bucket (`starts` ends with the number
    of records)."""

    history: ParquetHistory
    axis: DateAxis
    date: str
    columns: tuple[str, ...]
    row_bytes: int
    rows: int
    starts: Numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Spill:
    """One lane's spill file: piece n belongs to bucket buckets[n] and begins at offsets[n]."""

    path: Path
    buckets: Numbers
    offsets: Numbers

    def only(self, buckets: range) -> Spill:
        """The pieces of some buckets."""
        some = (self.buckets >= buckets.start) & (self.buckets < buckets.stop)
        return replace(self, buckets=self.buckets[some], offsets=self.offsets[some])


def row_bytes(history: ParquetHistory, columns: Sequence[str]) -> int:
    """About the bytes of a bucket's row in memory. The width of texts is that of some rows of three of the files."""
    size = 12  # The position and the date.
    for column in columns:
        kind = history.types[column]
        size += _text_bytes(history, column) if pa.types.is_string(kind) else -(-kind.bit_width // 8)
    return size


def bucket_starts(rows: Numbers, shard_starts: Numbers, row_bytes: int) -> Numbers:
    """The first record of each bucket, and the number of records.

    `rows` are those of every record in output order, of `row_bytes` each. A bucket holds whole shards as long as
    they fit its 32 MB together; a shard that does not is cut between records. A record is never cut.
    """
    most = _BUCKET_BYTES // row_bytes
    starts: list[int] = []
    filled = most + 1
    before = np.concatenate([[0], np.cumsum(rows)])
    for first, end in itertools.pairwise(shard_starts.tolist()):
        shard_rows = int(before[end] - before[first])
        if filled + shard_rows <= most:
            filled += shard_rows
            continue
        cut = first
        while cut < end:
            starts.append(cut)
            fitting = int(np.searchsorted(before, before[cut] + most, side="right")) - 1
            after = min(max(fitting, cut + 1), end)
            filled = int(before[after] - before[cut])
            cut = after
    return np.array([*starts, len(rows)], np.int64)


def bucket_tasks(starts: Numbers, shard_starts: Numbers) -> list[range]:
    """The buckets in groups that hold whole shards, so that no two tasks write one shard."""
    cuts = np.flatnonzero(np.isin(starts, shard_starts)).tolist()
    return [range(first, end) for first, end in itertools.pairwise(cuts)]


def spill_units(advance: Advance, units: Sequence[Unit], positions: Numbers, partition: Partition, path: Path) -> Spill:
    """Scatter the rows of some units to the buckets in a new file at `path`; the lane's code files lie beside it."""
    return write_spill(path, scatter_units(advance, units, positions, partition, path.parent))


def scatter_units(
    advance: Advance, units: Sequence[Unit], positions: Numbers, partition: Partition, scratch: Path
) -> Iterator[tuple[int, bytes]]:
    """The rows of some units, history and forecast days, in pieces, each with its bucket.

    `positions` maps the lane's item numbers to places in the output, -1 for items that are not in it; its last entry
    is -1 and stands for rows without an item. The lane's code files lie in `scratch`.
    """
    # Looked up for every row: the smaller they are, the more the caches hold; and numpy sorts 16 bits by radix.
    buckets = np.searchsorted(partition.starts, positions, side="right").astype(
        np.min_scalar_type(len(partition.starts))
    )
    places = positions.astype(np.int32)
    for unit in units:
        for of_row, table in _placed(advance, unit, places, buckets, partition, scratch):
            for bucket, piece in _pieces(of_row, table):
                yield bucket, _packed(piece)


def write_spill(path: Path, pieces: Iterable[tuple[int, bytes]]) -> Spill:
    """The pieces in a new file at `path`."""
    buckets: list[int] = []
    offsets: list[int] = []
    with path.open("wb") as sink:
        for bucket, piece in pieces:
            buckets.append(bucket)
            offsets.append(sink.tell())
            sink.write(piece)
    return Spill(path=path, buckets=np.array(buckets, np.int64), offsets=np.array(offsets, np.int64))


def read_bucket(bucket: int, spills: Sequence[Spill]) -> pa.Table:
    """All rows of a bucket, in no particular order."""
    pieces = []
    for spill in spills:
        with pa.memory_map(str(spill.path)) as source:
            for offset in spill.offsets[spill.buckets == bucket]:
                source.seek(int(offset))
                pieces.append(_unpacked(source))
    return pa.concat_tables(pieces).combine_chunks()


def _packed(piece: pa.Table) -> bytes:
    """The rows, compressed as a whole: column by column, a small piece takes as long as one ten times as large."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, piece.schema) as writer:
        writer.write_table(piece)
    plain = sink.getvalue()
    packed: bytes = _CODEC.compress(plain, asbytes=True)
    return _SIZES.pack(plain.size, len(packed)) + packed


def _unpacked(source: pa.NativeFile) -> pa.Table:
    plain, packed = _SIZES.unpack(source.read(_SIZES.size))
    return pa.ipc.open_stream(_CODEC.decompress(source.read_buffer(packed), plain)).read_all()


def _placed(
    advance: Advance,
    unit: Unit,
    places: npt.NDArray[np.int32],
    buckets: Buckets,
    partition: Partition,
    scratch: Path,
) -> Iterator[tuple[Buckets, pa.Table]]:
    """The unit's tables sorted by bucket: every row's bucket, and the rows with place and date key.

    `places` and `buckets` are those of each item number. Rows outside the run are left out.
    """
    types, rows = partition.history.types, -(-_TABLE_BYTES // partition.row_bytes)
    codes = np.load(codes_file(scratch, unit))
    done = 0
    for table in read_unit(unit, [partition.date, *partition.columns], types, rows=rows):
        numbers = codes[done : done + table.num_rows]
        done += table.num_rows
        keys, dated = date_keys(table.column(0))
        inside = dated & (keys < partition.axis.future_end)
        if unit.file.future:
            inside &= keys >= partition.axis.history_end
        of_row = places[numbers]
        kept = np.flatnonzero((of_row >= 0) & inside)
        bucket = buckets[numbers[kept]]
        order = np.argsort(bucket, kind="stable")
        kept = kept[order]
        # Column by column: a table's own take costs several times as much.
        taken = pa.array(kept)
        columns = {name: table.column(name).take(taken) for name in partition.columns}
        columns[POSITION] = pa.array(of_row[kept])
        columns[DATE] = pa.array(keys[kept])
        yield bucket[order], pa.table(columns)
        advance(table.num_rows)


def _pieces(buckets: Buckets, table: pa.Table) -> Iterator[tuple[int, pa.Table]]:
    """The rows of each bucket, of a table sorted by bucket."""
    cuts = (np.flatnonzero(np.diff(buckets)) + 1).tolist()
    for begin, end in itertools.pairwise([0, *cuts, table.num_rows]):
        if begin < end:
            yield int(buckets[begin]) - 1, table.slice(begin, end - begin)


def _text_bytes(history: ParquetHistory, column: str) -> int:
    units = history.units()
    widest = 0
    for unit in {unit.number: unit for unit in (units[0], units[len(units) // 2], units[-1])}.values():
        table = next(read_unit(unit, [column], history.types, rows=_SAMPLE_ROWS), None)
        if table is not None and table.num_rows:
            widest = max(widest, table.nbytes // table.num_rows)
    return 4 + widest
