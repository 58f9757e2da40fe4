"""The items of the history: what they are called, how many rows they have, from when to when.

One pass over the id and date columns. The number that every row's item got is left in a scratch file, so that the
later pass over the values need not read the ids again.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from batchcast.steps.contract.model_contract import ModelContract
from batchcast.steps.errors import DataError, Problem
from batchcast.steps.history.date_axis import DateAxis, date_keys
from batchcast.steps.history.files import ParquetHistory, Unit, read_unit
from batchcast.steps.history.workers import Advance
from batchcast.steps.shards.manifest import NULL_ITEM

__all__ = ["ItemCounts", "Items", "codes_file", "count_items", "find_row", "merge_items"]

_BATCH_ROWS = 1 << 20
_NEVER = np.iinfo(np.int64)
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemCounts:
    """What one pass found, an entry an item in order of appearance.

    `names` are the values of the id columns as text; `rows` the rows of the history, `later` those of the forecast
    days, `dateless` those without a date; `first` and `last` the date keys of the history. `nameless` rows have no id.
    """

    names: list[tuple[str, ...]]
    rows: Numbers
    later: Numbers
    dateless: Numbers
    first: Numbers
    last: Numbers
    nameless: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """All items sorted by id; `lanes` maps the numbers that each pass gave to places in that order."""

    ids: list[str]
    names: list[tuple[str, ...]]
    rows: Numbers
    later: Numbers
    dateless: Numbers
    first: Numbers
    last: Numbers
    nameless: int
    lanes: list[Numbers]


def codes_file(scratch: Path, unit: Unit) -> Path:
    """Where the item numbers of a unit's rows are left."""
    return scratch / f"codes-{unit.number}.npy"


def count_items(
    advance: Advance,
    units: Sequence[Unit],
    contract: ModelContract,
    history: ParquetHistory,
    axis: DateAxis,
    scratch: Path,
) -> ItemCounts:
    """Count the items of some units; every row's item number (-1: none) goes to `codes_file`."""
    ids, day = contract.series.item_id, contract.series.timestamp
    numbering = _Numbering()
    counts = _Counts()
    nameless = 0
    for unit in units:
        codes = []
        for table in read_unit(unit, [*ids, day], history.types, rows=_BATCH_ROWS, ids=ids):
            numbers = numbering.number([table.column(name) for name in ids])
            counts.add(numbers, *date_keys(table.column(day)), axis, items=len(numbering.names))
            nameless += int(np.count_nonzero(numbers < 0))
            codes.append(numbers)
            advance(table.num_rows)
        np.save(codes_file(scratch, unit), np.concatenate(codes) if codes else np.empty(0, np.int32))
    return ItemCounts(names=list(numbering.names), nameless=nameless, **counts.arrays(len(numbering.names)))


def merge_items(counts: Sequence[ItemCounts]) -> Items:
    """One sorted table of all items. Raises DataError when two items have one id ("a/b" + "c", "a" + "b/c")."""
    places: dict[tuple[str, ...], int] = {}
    for lane in counts:
        for names in lane.names:
            places.setdefault(names, len(places))
    ids = {names: "/".join(names) for names in places}
    ordered = sorted(places, key=lambda names: (ids[names], names))
    for names, after in itertools.pairwise(ordered):
        if ids[names] == ids[after]:
            what = f"the id columns {names} and {after} both give the item id {ids[names]!r}."
            raise DataError(Problem("item_id", what, remedy="Replace the / in one of the columns."))
    places = {names: place for place, names in enumerate(ordered)}
    lanes = [np.array([places[names] for names in lane.names], np.int64) for lane in counts]

    def summed(column: str) -> Numbers:
        total = np.zeros(len(ordered), np.int64)
        for lane, there in zip(counts, lanes, strict=True):
            total[there] += getattr(lane, column)
        return total

    first = np.full(len(ordered), _NEVER.max)
    last = np.full(len(ordered), _NEVER.min)
    for lane, there in zip(counts, lanes, strict=True):
        first[there] = np.minimum(first[there], lane.first)
        last[there] = np.maximum(last[there], lane.last)
    return Items(
        ids=[ids[names] for names in ordered],
        names=ordered,
        rows=summed("rows"),
        later=summed("later"),
        dateless=summed("dateless"),
        first=first,
        last=last,
        nameless=sum(lane.nameless for lane in counts),
        lanes=lanes,
    )


def find_row(
    units: Sequence[Unit],
    history: ParquetHistory,
    column: str,
    wanted: npt.NDArray[np.bool_],
    key: int,
    scratch: Path,
) -> str:
    """`<file> row <number from 0>` of the first row at `key` of an item whose number is `wanted`; "" without one."""
    for unit in sorted(units, key=lambda unit: unit.number):
        codes = np.load(codes_file(scratch, unit))
        done = 0
        for table in read_unit(unit, [column], history.types, rows=_BATCH_ROWS):
            keys, dated = date_keys(table.column(0))
            numbers = codes[done : done + table.num_rows]
            hits = np.flatnonzero(np.append(wanted, False)[numbers] & dated & (keys == key))
            if len(hits):
                before = sum(unit.file.rows[: unit.groups.start])
                return f"{unit.file.name} row {before + done + int(hits[0])}"
            done += table.num_rows
    return ""


class _Numbering:
    """Gives every item, named by its id columns, the next number when it first appears."""

    def __init__(self) -> None:
        self.names: dict[tuple[str, ...], int] = {}

    def number(self, columns: Sequence[pa.ChunkedArray]) -> npt.NDArray[np.int32]:
        """The item number of every row; -1 where an id column is null or empty."""
        values, codes = zip(*(_encoded(column) for column in columns), strict=True)
        combined, distinct = _combined(values, codes)
        known = np.array([self._number_of(names) for names in distinct] + [-1], np.int32)
        return known[combined]

    def _number_of(self, names: tuple[str, ...]) -> int:
        if not all(names) or "/".join(names) == NULL_ITEM:
            return -1
        return self.names.setdefault(names, len(self.names))


def _encoded(column: pa.ChunkedArray) -> tuple[list[str], Numbers]:
    """The distinct values as text, and every row's place among them, -1 for null."""
    column = column.unify_dictionaries() if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    if column.num_chunks == 0:
        return [], np.empty(0, np.int64)
    values = column.chunk(0).dictionary
    places = [np.asarray(chunk.indices.fill_null(-1)) for chunk in column.chunks]
    texts = ["" if text is None else text for text in values.cast(pa.string()).to_pylist()]
    return texts, np.concatenate(places).astype(np.int64)


def _combined(values: Sequence[list[str]], codes: Sequence[Numbers]) -> tuple[Numbers, list[tuple[str, ...]]]:
    """Every row's place among the distinct combinations (-1: some part is null), and those combinations."""
    names: list[tuple[str, ...]] = [(text,) for text in values[0]]
    combined = codes[0]
    for texts, code in zip(values[1:], codes[1:], strict=True):
        missing = (combined < 0) | (code < 0)
        pairs = pc.dictionary_encode(pa.array(combined * len(texts) + code, mask=missing))
        names = [(*names[pair // len(texts)], texts[pair % len(texts)]) for pair in pairs.dictionary.to_pylist()]
        combined = np.asarray(pairs.indices.fill_null(-1)).astype(np.int64)
    return combined, names


class _Counts:
    """Grows with the items that are met."""

    def __init__(self) -> None:
        self._sums = np.zeros((3, 0), np.int64)
        self._ends = np.zeros((2, 0), np.int64)

    def add(
        self, numbers: npt.NDArray[np.int32], keys: Numbers, dated: npt.NDArray[np.bool_], axis: DateAxis, *, items: int
    ) -> None:
        """Count rows by item number, date key and whether they have a date."""
        self._grow(items)
        named = numbers >= 0
        past = named & dated & (keys < axis.history_end)
        later = named & dated & ~past & (keys < axis.future_end)
        for row, rows in enumerate((past, later, named & ~dated)):
            self._sums[row] += np.bincount(numbers[rows], minlength=items)
        np.minimum.at(self._ends[0], numbers[past], keys[past])
        np.maximum.at(self._ends[1], numbers[past], keys[past])

    def arrays(self, items: int) -> dict[str, Any]:
        """The columns of ItemCounts."""
        self._grow(items)
        sums = dict(zip(("rows", "later", "dateless"), self._sums, strict=True))
        return sums | {"first": self._ends[0], "last": self._ends[1]}

    def _grow(self, items: int) -> None:
        more = items - self._sums.shape[1]
        if more:
            self._sums = np.pad(self._sums, ((0, 0), (0, more)))
            never = np.repeat([[_NEVER.max], [_NEVER.min]], more, axis=1)
            self._ends = np.concatenate([self._ends, never], axis=1)
