"""Items as numbers: given when they first appear, from their id columns, without an object of Python an item."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from batchcast.steps.errors import DataError, Problem
from batchcast.steps.history.column_types import item_keys, join_ids
from batchcast.steps.history.files import Unit
from batchcast.steps.shards.manifest import NULL_ITEM

_WAITING_ITEMS = 1 << 21
_PARTS = 16
_MANY_TEXTS = 1 << 18
_SAMPLE = 1 << 16
_NEVER = np.iinfo(np.int64).min
_JOINT = 12
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
    """Gives every item the next number when it first appears.

    The items of some tables wait: all are looked at again only when as many more are there. `scratch` gets the code
    files.
    """

    def __init__(self, columns: int, scratch: Path) -> None:
        self.names: list[pa.Array] = [pa.nulls(0, pa.string())] * columns
        self.dateless, self.last = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self._scratch = scratch
        self._tables: list[LocalItems] = []
        self._units: list[Unit] = []
        self._waiting = 0

    def add(self, units: Sequence[Unit], tables: Sequence[LocalItems]) -> None:
        """Take the rows of some units, whatever tables they lie in."""
        codes = [np.empty(0, np.int32)]
        for table in tables:
            codes.append(np.where(table.numbers < 0, -1, table.numbers + self._waiting).astype(np.int32))
            self._tables.append(replace(table, numbers=codes[0]))
            self._waiting += len(table.last)
        ends = np.cumsum([unit.rows for unit in units])
        for unit, of_unit in zip(units, np.split(np.concatenate(codes), ends[:-1]), strict=True):
            np.save(codes_file(self._scratch, unit), of_unit)
        self._units += units
        if self._waiting >= max(len(self.last), _WAITING_ITEMS):
            self.number()

    def number(self) -> None:
        """Number the items that wait, and write these numbers into the code files of their units."""
        self.names, (_, *numbers) = number_items([self.names, *(table.names for table in self._tables)])
        more = len(self.names[0]) - len(self.last)
        self.dateless = np.pad(self.dateless, (0, more))
        self.last = np.pad(self.last, (0, more), constant_values=_NEVER)
        for number, table in zip(numbers, self._tables, strict=True):
            np.add.at(self.dateless, number, table.dateless)
            np.maximum.at(self.last, number, table.last)
        number_of = np.concatenate([*numbers, [-1]]).astype(np.int32)
        for unit in self._units:
            path = codes_file(self._scratch, unit)
            np.save(path, number_of[np.load(path)])
        self._tables, self._units, self._waiting = [], [], 0


def number_items(parts: Sequence[Sequence[pa.Array]]) -> tuple[list[pa.Array], list[Numbers]]:
    """The different items of all parts, each given by its id columns, in order of first appearance; and which of them
    every entry of each part is. Raises DataError for more text than one array of ids holds."""
    _check_text([column for part in parts for column in part], sum(len(part[0]) for part in parts))
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
    columns: Sequence[pa.ChunkedArray], keys: Numbers, dated: npt.NDArray[np.bool_], measured: npt.NDArray[np.bool_]
) -> LocalItems:
    """The items of a table; a row without one has a null or nothing in an id column."""
    names, numbers = _encoded(columns[0])
    parts = [names]
    for column in columns[1:]:
        values, codes = _encoded(column)
        missing = (numbers < 0) | (codes < 0)
        pairs = pc.dictionary_encode(pa.array(numbers * max(len(values), 1) + codes, mask=missing))
        before, after = np.divmod(np.asarray(pairs.dictionary), max(len(values), 1))
        parts = [*(part.take(pa.array(before)) for part in parts), values.take(pa.array(after))]
        numbers = np.asarray(pairs.indices.fill_null(-1)).astype(np.int64)
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


def _encoded(column: pa.ChunkedArray) -> tuple[pa.Array, Numbers]:
    """The distinct values as text, and every row's place among them, -1 for null."""
    values, codes = encode_texts(column) if pa.types.is_string(column.type) else _codes(column)
    return values.cast(pa.string()).fill_null(""), codes.astype(np.int64)


def encode_texts(texts: pa.ChunkedArray) -> tuple[pa.Array, npt.NDArray[np.int32]]:
    """The different texts, in any order, and which of them every entry is, -1 for null.

    Of many different texts, those that a few of their bytes tell apart are looked up apart: one table of all would
    leave the processor's caches, and cost more a text the more there are.
    """
    if len(texts) < _MANY_TEXTS or 8 * len(texts.slice(0, _SAMPLE).unique()) < _SAMPLE:
        return _codes(texts)
    rows: list[list[Numbers]] = [[] for _ in range(_PARTS)]
    pieces: list[list[pa.Array]] = [[] for _ in range(_PARTS)]
    done = 0
    for chunk in texts.chunks:
        parts = _parts(chunk)
        order = np.argsort(parts, kind="stable")
        by_part = chunk.take(pa.array(order))
        ends = np.cumsum(np.bincount(parts, minlength=_PARTS)).tolist()
        for part, (begin, end) in enumerate(itertools.pairwise([0, *ends])):
            rows[part].append(order[begin:end] + done)
            pieces[part].append(by_part.slice(begin, end - begin))
        done += len(chunk)
    found: list[pa.Array] = []
    codes, known = np.empty(len(texts), np.int32), 0
    for of_part, some in zip(rows, pieces, strict=True):
        values, places = _codes(pa.chunked_array(some))
        codes[np.concatenate(of_part)] = np.where(places < 0, -1, places + known)
        known += len(values)
        found.append(values)
    return pa.concat_arrays(found), codes


def _codes(column: pa.ChunkedArray) -> tuple[pa.Array, npt.NDArray[np.int32]]:
    """The different values, and which of them every entry is, -1 for null."""
    if len(column) == 0:
        return pa.nulls(0, pa.string()), np.empty(0, np.int32)
    encoded = column.unify_dictionaries() if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    places = [np.asarray(chunk.indices.fill_null(-1)) for chunk in encoded.chunks]
    return encoded.chunk(0).dictionary, np.concatenate(places)


def _parts(texts: pa.Array) -> npt.NDArray[np.uint8]:
    """A number below _PARTS of every text, the same for the same text: of its last bytes, and of one in the middle."""
    _, offsets, data = texts.buffers()
    edges = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    begin, end = edges[:-1], edges[1:]
    some = np.frombuffer(data or b"\0", np.uint8)
    mixed = np.zeros(len(texts), np.uint16)
    for place in (*(np.maximum(end - back, begin) for back in (1, 2, 3, 4)), begin + (end - begin) // 2):
        mixed = mixed * np.uint16(31) + some[np.minimum(place, len(some) - 1)]
    mixed[begin == end] = 0  # the byte there is another text's
    return ((mixed ^ (mixed >> np.uint16(8))) % np.uint16(_PARTS)).astype(np.uint8)
