"""The items of the history: what they are called, how many rows they have, from when to when.

One pass over ids, moments and targets surveys them; it finds what frequency and run date follow from. The number
that every row's item got is left in a scratch file, so that the later passes need not read the ids again: one over
the moments counts the rows of the run.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from batchcast.steps.contract.model_contract import ModelContract
from batchcast.steps.errors import DataError, Problem
from batchcast.steps.history.column_types import item_keys, join_ids
from batchcast.steps.history.date_axis import DateAxis, date_keys
from batchcast.steps.history.files import ParquetHistory, Unit, read_unit
from batchcast.steps.history.workers import Advance
from batchcast.steps.shards.manifest import NULL_ITEM

_BATCH_ROWS = 1 << 20
_WAITING_ITEMS = 1 << 21
_NEVER = np.iinfo(np.int64)
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemSurvey:
    """What one lane's first pass found, an entry an item in order of appearance.

    `names` are the id columns as text, `dateless` the rows without a moment, `last` the key of the last
    row with a target (the smallest number: none). `nameless` rows have no id. `moments` are the different keys, sorted,
    `rows` the rows of each and `measured` those with a target.
    """

    names: list[pa.Array]
    dateless: Numbers
    last: Numbers
    nameless: int
    moments: Numbers
    rows: Numbers
    measured: Numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCounts:
    """By item number: the `rows` of the history, `later` those of the forecast steps, `first` and `last` key."""

    rows: Numbers
    later: Numbers
    first: Numbers
    last: Numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """All items sorted by id; `lanes` maps the numbers that each lane gave to places in that order.

    `names` are the id columns as text, `measured` is the key of each item's last row with a target.
    """

    ids: pa.Array
    names: list[pa.Array]
    rows: Numbers
    later: Numbers
    dateless: Numbers
    first: Numbers
    last: Numbers
    measured: Numbers
    nameless: int
    lanes: list[Numbers]


def codes_file(scratch: Path, unit: Unit) -> Path:
    """Where the item numbers of a unit's rows are left."""
    return scratch / f"codes-{unit.number}.npy"


def survey_items(
    advance: Advance, units: Sequence[Unit], contract: ModelContract, history: ParquetHistory, scratch: Path
) -> ItemSurvey:
    """Survey the items of some units; every row's item number (-1: none) goes to `codes_file`."""
    ids, when, targets = contract.series.item_id, contract.series.timestamp, contract.series.targets
    numbering, moments = _Numbering(len(ids), scratch), _Moments()
    nameless = 0
    for unit in units:
        found = []
        for table in read_unit(unit, [*ids, when, *targets], history.types, rows=_BATCH_ROWS, ids=ids):
            keys, dated = date_keys(table.column(when))
            measured = dated & _is_measured(table, targets) & (not unit.file.future)
            found.append(_local_items([table.column(name) for name in ids], keys, dated, measured))
            nameless += int(np.count_nonzero(found[-1].numbers < 0))
            if not unit.file.future:
                moments.add(keys, dated, measured)
            advance(table.num_rows)
        numbering.add(unit, found)
    numbering.number()
    return ItemSurvey(
        names=numbering.names,
        dateless=numbering.dateless,
        last=numbering.last,
        nameless=nameless,
        **moments.arrays(),
    )


def count_rows(
    advance: Advance,
    units: Sequence[Unit],
    items: int,
    column: str,
    history: ParquetHistory,
    axis: DateAxis,
    scratch: Path,
) -> RowCounts:
    """Count the rows of a lane's items in the run, by the numbers in its code files."""
    sums = np.zeros((2, items), np.int64)
    first, last = np.full(items, _NEVER.max), np.full(items, _NEVER.min)
    for unit in units:
        codes = np.load(codes_file(scratch, unit))
        done = 0
        for table in read_unit(unit, [column], history.types, rows=_BATCH_ROWS):
            numbers = codes[done : done + table.num_rows]
            done += table.num_rows
            keys, dated = date_keys(table.column(0))
            dated &= numbers >= 0
            later = dated & (keys >= axis.history_end) & (keys < axis.future_end)
            past = dated & (keys < axis.history_end) & (not unit.file.future)
            for row, rows in enumerate((past, later)):
                sums[row] += np.bincount(numbers[rows], minlength=items)
            np.minimum.at(first, numbers[past], keys[past])
            np.maximum.at(last, numbers[past], keys[past])
            advance(table.num_rows)
    return RowCounts(rows=sums[0], later=sums[1], first=first, last=last)


def merge_items(surveys: Sequence[ItemSurvey], counts: Sequence[RowCounts]) -> Items:
    """One sorted table of all items. Raises DataError when two items have one id ("a/b" + "c", "a" + "b/c")."""
    names, numbers = number_items([lane.names for lane in surveys])
    by_id = {"": join_ids(names)} | {str(number): column for number, column in enumerate(names)}
    keys = [(key, "ascending") for key in (by_id if len(names) > 1 else [""])]
    order = pc.sort_indices(pa.table(by_id), sort_keys=keys)
    names, ids = [column.take(order) for column in names], by_id[""].take(order)
    same = np.asarray(pc.equal(ids[1:], ids[:-1])) if len(ids) else np.zeros(0, bool)
    if same.any():
        place = int(np.flatnonzero(same)[0])
        one, other = (tuple(column[row].as_py() for column in names) for row in (place, place + 1))
        what = f"the id columns {one} and {other} both give the item id {ids[place].as_py()!r}."
        raise DataError(Problem("item_id", what, remedy="Replace the / in one of the columns."))
    place_of = np.empty(len(order), np.int64)
    place_of[np.asarray(order)] = np.arange(len(order))
    lanes = [place_of[lane] for lane in numbers]

    def merged(ufunc: np.ufunc, empty: int, values: Iterable[Numbers]) -> Numbers:
        total = np.full(len(order), empty, np.int64)
        for there, found in zip(lanes, values, strict=True):
            total[there] = ufunc(total[there], found)
        return total

    return Items(
        ids=ids,
        names=names,
        rows=merged(np.add, 0, (lane.rows for lane in counts)),
        later=merged(np.add, 0, (lane.later for lane in counts)),
        dateless=merged(np.add, 0, (lane.dateless for lane in surveys)),
        first=merged(np.minimum, _NEVER.max, (lane.first for lane in counts)),
        last=merged(np.maximum, _NEVER.min, (lane.last for lane in counts)),
        measured=merged(np.maximum, _NEVER.min, (lane.last for lane in surveys)),
        nameless=sum(lane.nameless for lane in surveys),
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _LocalItems:
    """The items of one table: every row's `numbers` (-1: none), and by number what ItemSurvey says of an item."""

    numbers: npt.NDArray[np.int32]
    names: list[pa.Array]
    dateless: Numbers
    last: Numbers


class _Numbering:
    """Gives every item the next number when it first appears.

    The items of some tables wait: all are looked at again only when as many more are there. `scratch` gets the code
    files.
    """

    def __init__(self, columns: int, scratch: Path) -> None:
        self.names: list[pa.Array] = [pa.nulls(0, pa.string())] * columns
        self.dateless, self.last = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self._scratch = scratch
        self._tables: list[_LocalItems] = []
        self._units: list[Unit] = []
        self._waiting = 0

    def add(self, unit: Unit, tables: Sequence[_LocalItems]) -> None:
        """Take the tables of a unit."""
        codes = [np.empty(0, np.int32)]
        for table in tables:
            codes.append(np.where(table.numbers < 0, -1, table.numbers + self._waiting).astype(np.int32))
            self._tables.append(replace(table, numbers=codes[0]))
            self._waiting += len(table.last)
        np.save(codes_file(self._scratch, unit), np.concatenate(codes))
        self._units.append(unit)
        if self._waiting >= max(len(self.last), _WAITING_ITEMS):
            self.number()

    def number(self) -> None:
        """Number the items that wait, and write these numbers into the code files of their units."""
        self.names, (_, *numbers) = number_items([self.names, *(table.names for table in self._tables)])
        more = len(self.names[0]) - len(self.last)
        self.dateless = np.pad(self.dateless, (0, more))
        self.last = np.pad(self.last, (0, more), constant_values=_NEVER.min)
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
    every entry of each part is."""
    columns = [pa.concat_arrays(of_parts) for of_parts in zip(*parts, strict=True)]
    codes = np.asarray(item_keys(columns).dictionary_encode().indices)
    new = pa.array(np.diff(np.maximum.accumulate(codes), prepend=-1) > 0)
    ends = np.cumsum([len(part[0]) for part in parts])
    return [column.filter(new) for column in columns], np.split(codes, ends[:-1])


def _local_items(
    columns: Sequence[pa.ChunkedArray], keys: Numbers, dated: npt.NDArray[np.bool_], measured: npt.NDArray[np.bool_]
) -> _LocalItems:
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
    numbers = np.append(np.where(named, np.cumsum(named) - 1, -1), -1)[numbers]
    items = int(named.sum())
    has, last = numbers >= 0, np.full(items, _NEVER.min)
    np.maximum.at(last, numbers[has & measured], keys[has & measured])
    return _LocalItems(
        numbers=numbers.astype(np.int32),
        names=[part.filter(pa.array(named)) for part in parts],
        dateless=np.bincount(numbers[has & ~dated], minlength=items),
        last=last,
    )


def _encoded(column: pa.ChunkedArray) -> tuple[pa.Array, Numbers]:
    """The distinct values as text, and every row's place among them, -1 for null."""
    column = column.unify_dictionaries() if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    if column.num_chunks == 0:
        return pa.nulls(0, pa.string()), np.empty(0, np.int64)
    values = column.chunk(0).dictionary.cast(pa.string()).fill_null("")
    return values, np.concatenate([np.asarray(chunk.indices.fill_null(-1)) for chunk in column.chunks]).astype(np.int64)


class _Moments:
    """Counts the rows at each moment, and those with a target."""

    def __init__(self) -> None:
        self._counted: dict[int, tuple[int, int]] = {}

    def add(self, keys: Numbers, dated: npt.NDArray[np.bool_], measured: npt.NDArray[np.bool_]) -> None:
        """Count the rows of a table."""
        encoded = pc.dictionary_encode(pa.array(keys[dated]))
        places = np.asarray(encoded.indices)
        moments = encoded.dictionary.to_pylist()
        rows = np.bincount(places, minlength=len(moments)).tolist()
        known = np.bincount(places[measured[dated]], minlength=len(moments)).tolist()
        for moment, more, more_known in zip(moments, rows, known, strict=True):
            before, before_known = self._counted.get(moment, (0, 0))
            self._counted[moment] = before + more, before_known + more_known

    def arrays(self) -> dict[str, Numbers]:
        """`moments`, `rows` and `measured` of ItemSurvey."""
        moments = sorted(self._counted)
        counts = np.array([self._counted[moment] for moment in moments], np.int64).reshape(-1, 2)
        return {"moments": np.array(moments, np.int64), "rows": counts[:, 0], "measured": counts[:, 1]}


def _is_measured(table: pa.Table, targets: Sequence[str]) -> npt.NDArray[np.bool_]:
    """The rows with a finite value of any target."""
    measured = np.zeros(table.num_rows, bool)
    for name in targets:
        column = table.column(name)
        if pa.types.is_floating(column.type):
            measured |= np.isfinite(np.asarray(column.fill_null(np.nan)))
        else:
            measured |= np.asarray(column.is_valid())
    return measured
