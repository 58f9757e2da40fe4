"""Items as numbers: given when they are first looked up, from their id columns, without an object of Python an item."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from batchcast.steps.errors import DataError, Problem
from batchcast.steps.history.column_types import item_keys, join_ids
from batchcast.steps.history.files import Unit
from batchcast.steps.shards.manifest import NULL_ITEM

_WAITING_ITEMS = 1 << 25
_TIMES_KNOWN = 4
"""So many items, or as many times those that are known, are looked up together."""
_ROWS_A_PART = 1 << 17
_MOST_PARTS = 256
_NEVER = np.iinfo(np.int64).min
_JOINT = 12
_WORD = 8
"""Bytes of an id that are mixed at a time."""
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
MOST_TEXT = 2_000_000_000
"""Bytes of all item ids: positions in an array of texts have 32 bits."""
Numbers = npt.NDArray[np.int64]


def codes_file(scratch: Path, unit: Unit) -> Path:
    """Where the item numbers of a unit's rows are left."""
    return scratch / f"codes-{unit.number}.npy"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalItems:
    """The items of one table: every row's `numbers` (-1: none), and by number what ItemSurvey says of an item."""

    numbers: npt.NDArray[np.int32]
    names: list[pa.Array]
    dateless: Numbers
    last: Numbers


class Numbering:
    """Gives every item the next number when it is first looked up.

    The items of tables wait in a file until several times as many are there as are known. They lie in parts, by their
    ids: so many that a part's items fit the processor's caches, and a look-up costs the same however many items there
    are. About so many `rows` will come; `scratch` gets the code files and that file.
    """

    def __init__(self, columns: int, scratch: Path, rows: int = 0) -> None:
        self.names: list[pa.Array] = [pa.nulls(0, pa.string())] * columns
        self.dateless, self.last = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self._scratch = scratch
        self._numbers = [np.zeros(0, np.int32)] * min(rows // _ROWS_A_PART + 1, _MOST_PARTS)
        self._writer: pa.ipc.RecordBatchFileWriter | None = None
        self._units: list[Unit] = []
        self._waiting = 0

    def add(self, units: Sequence[Unit], tables: Sequence[LocalItems]) -> None:
        """Take the rows of some units, whatever tables they lie in."""
        self._units += units
        codes = [np.empty(0, np.int32)]
        for table in tables:
            codes.append(np.where(table.numbers < 0, -1, table.numbers + self._waiting).astype(np.int32))
            self._leave(table)
            self._waiting += len(table.last)
        ends = np.cumsum([unit.rows for unit in units])
        for unit, of_unit in zip(units, np.split(np.concatenate(codes), ends[:-1]), strict=True):
            np.save(codes_file(self._scratch, unit), of_unit)
        if self._waiting >= max(_WAITING_ITEMS, _TIMES_KNOWN * len(self.last)):
            self.number()

    def _leave(self, table: LocalItems) -> None:
        """Write the items of a table to the file, a batch a part."""
        parts = _parts(item_keys(table.names), len(self._numbers))
        order = np.argsort(parts, kind="stable")
        places = np.arange(self._waiting, self._waiting + len(order), dtype=np.int32)
        columns = [pa.array(places), pa.array(table.dateless), pa.array(table.last), *table.names]
        items = pa.record_batch(columns, [str(n) for n in range(len(columns))]).take(pa.array(order))
        if self._writer is None:
            self._writer = pa.ipc.new_file(self._file, items.schema)
        ends = np.cumsum(np.bincount(parts, minlength=len(self._numbers))).tolist()
        for begin, end in itertools.pairwise([0, *ends]):
            self._writer.write_batch(items.slice(begin, end - begin))

    @property
    def _file(self) -> Path:
        return codes_file(self._scratch, self._units[0]).with_suffix(".arrow")

    def number(self) -> None:
        """Number the items that wait, and write these numbers into the code files of their units."""
        if self._writer is None:
            return
        self._writer.close()
        number_of = np.full(self._waiting + 1, -1, np.int32)
        with pa.memory_map(str(self._file)) as source:
            waiting = pa.ipc.open_file(source)
            batches = [waiting.get_batch(n).columns for n in range(waiting.num_record_batches)]
            numbers = self._number_parts([names for _, _, _, *names in batches])
            more = len(self.names[0]) - len(self.last)
            self.dateless = np.pad(self.dateless, (0, more))
            self.last = np.pad(self.last, (0, more), constant_values=_NEVER)
            for number, (places, dateless, last, *_) in zip(numbers, batches, strict=True):
                number_of[np.asarray(places)] = number
                np.add.at(self.dateless, number, np.asarray(dateless))
                np.maximum.at(self.last, number, np.asarray(last))
        self._file.unlink()
        for unit in self._units:
            path = codes_file(self._scratch, unit)
            np.save(path, number_of[np.load(path)])
        self._writer, self._units, self._waiting = None, [], 0

    def _number_parts(self, batches: Sequence[list[pa.Array]]) -> list[npt.NDArray[np.int32]]:
        """The number of every item of the batches; new ones get the next, and their names are kept."""
        numbers = [np.zeros(0, np.int32)] * len(batches)
        names, items = [self.names], len(self.last)
        for part, known in enumerate(self._numbers):
            of_part = range(part, len(batches), len(self._numbers))
            before = [column.take(pa.array(known)) for column in self.names]
            found, (_, *places) = number_items([before, *(batches[n] for n in of_part)])
            more = len(found[0]) - len(known)
            self._numbers[part] = np.append(known, np.arange(items, items + more, dtype=np.int32))
            names.append([column[len(known) :] for column in found])
            items += more
            for n, place in zip(of_part, places, strict=True):
                numbers[n] = self._numbers[part][place]
        _check_text([column for part in names for column in part], items)
        self.names = [pa.concat_arrays(of_parts) for of_parts in zip(*names, strict=True)]
        return numbers


def number_items(parts: Sequence[Sequence[pa.Array]]) -> tuple[list[pa.Array], list[Numbers]]:
    """The different items of all parts, each given by its id columns, in order of first appearance; and which of them
    every entry of each part is. Those of a single part are known to differ. Raises DataError for more text than one
    array of ids holds."""
    _check_text([column for part in parts for column in part], sum(len(part[0]) for part in parts))
    if len(parts) == 1:
        return list(parts[0]), [np.arange(len(parts[0][0]))]
    columns = [pa.concat_arrays(of_parts) for of_parts in zip(*parts, strict=True)]
    keys, codes = encode_texts(pa.chunked_array([item_keys(columns)]))
    first = np.empty(len(keys), np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]  # what is written last stays
    first.sort()
    number_of = np.empty(len(keys), np.int64)
    number_of[codes[first]] = np.arange(len(keys))
    ends = np.cumsum([len(part[0]) for part in parts])
    return [column.take(pa.array(first)) for column in columns], np.split(number_of[codes], ends[:-1])


def _check_text(columns: Sequence[pa.Array], items: int) -> None:
    # Joined, an id has a separator and a length for each column.
    size = sum(pc.sum(pc.binary_length(column)).as_py() or 0 for column in columns) + _JOINT * sum(map(len, columns))
    if size > MOST_TEXT:
        what = f"the ids of {items:,} items have {size / 1e9:,.1f} GB of text; {MOST_TEXT / 1e9:,.1f} GB are possible."
        remedy = "Shorten them, or divide the items among several histories, each with its own pipeline."
        raise DataError(Problem("id_text", what, remedy=remedy))


def local_items(
    columns: Sequence[pa.ChunkedArray],
    keys: Numbers,
    dated: npt.NDArray[np.bool_],
    measured: npt.NDArray[np.bool_],
    *,
    repeated: bool = True,
) -> LocalItems:
    """The items of a table, each once where they are `repeated`, else one a row; a row without one has a null or
    nothing in an id column."""
    if repeated:
        parts, numbers = _different(columns)
    else:
        parts = [pa.concat_arrays(column.cast(pa.string()).chunks).fill_null("") for column in columns]
        numbers = np.arange(len(keys))
    named = np.logical_and.reduce([np.asarray(pc.binary_length(part)) > 0 for part in parts])
    named &= np.asarray(pc.not_equal(join_ids(parts), NULL_ITEM))
    if not named.all():
        numbers = np.append(np.where(named, np.cumsum(named) - 1, -1), -1)[numbers]
    items = int(named.sum())
    has, last = numbers >= 0, np.full(items, _NEVER)
    np.maximum.at(last, numbers[has & measured], keys[has & measured])
    return LocalItems(
        numbers=numbers.astype(np.int32),
        names=[part.filter(pa.array(named)) for part in parts],
        dateless=np.bincount(numbers[has & ~dated], minlength=items),
        last=last,
    )


def _different(columns: Sequence[pa.ChunkedArray]) -> tuple[list[pa.Array], Numbers]:
    """The different rows of the columns, and every row's place among them, -1 where there is a null."""
    names, numbers = _encoded(columns[0])
    parts = [names]
    for column in columns[1:]:
        values, codes = _encoded(column)
        missing = (numbers < 0) | (codes < 0)
        pairs = pc.dictionary_encode(pa.array(numbers * max(len(values), 1) + codes, mask=missing))
        before, after = np.divmod(np.asarray(pairs.dictionary), max(len(values), 1))
        parts = [*(part.take(pa.array(before)) for part in parts), values.take(pa.array(after))]
        numbers = np.asarray(pairs.indices.fill_null(-1)).astype(np.int64)
    return parts, numbers


def _encoded(column: pa.ChunkedArray) -> tuple[pa.Array, Numbers]:
    """The distinct values as text, and every row's place among them, -1 for null."""
    values, codes = encode_texts(column)
    return values.cast(pa.string()).fill_null(""), codes.astype(np.int64)


def encode_texts(column: pa.ChunkedArray) -> tuple[pa.Array, npt.NDArray[np.int32]]:
    """The different values, and which of them every entry is, -1 for null."""
    if len(column) == 0:
        return pa.nulls(0, pa.string()), np.empty(0, np.int32)
    encoded = column.unify_dictionaries() if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    places = [np.asarray(chunk.indices.fill_null(-1)) for chunk in encoded.chunks]
    return encoded.chunk(0).dictionary, np.concatenate(places)


def _parts(texts: pa.Array, count: int) -> npt.NDArray[np.uint8]:
    """A number below `count` of every text, the same for the same text: of its last sixteen bytes, and of eight in the
    middle."""
    _, offsets, data = texts.buffers()
    edges = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    begin, end = edges[:-1], edges[1:]
    padded = np.concatenate([np.zeros(_WORD, np.uint8), np.frombuffer(data or b"", np.uint8)])
    # The eight bytes before each place.
    words: npt.NDArray[np.uint64] = np.ndarray(len(padded) - _WORD + 1, "<u8", padded, strides=(1,))
    mixed = np.zeros(len(texts), np.uint64)
    for place in (end, np.maximum(end - _WORD, begin), np.minimum(begin + (end - begin) // 2 + _WORD // 2, end)):
        others = np.maximum(begin + _WORD - place, 0)  # The bytes of the text before.
        mixed ^= words[place] >> (8 * others).astype(np.uint64)
        mixed *= _FACTOR
        mixed ^= mixed >> np.uint64(32)
    return ((mixed >> np.uint64(48)) * np.uint64(count) >> np.uint64(16)).astype(np.uint8)
