"""The items of the history: what they are called, how many rows they have, from when to when.

One pass over ids, moments and targets surveys them; it finds what frequency and run date follow from. The number
that every row's item got is left in a scratch file, so that the later passes need not read the ids again: one over
the moments counts the rows of the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from batchcast.steps.contract.model_contract import ModelContract
from batchcast.steps.errors import DataError, Problem
from batchcast.steps.history.column_types import join_ids
from batchcast.steps.history.date_axis import DateAxis, date_keys
from batchcast.steps.history.files import ParquetHistory, Unit, read_unit
from batchcast.steps.history.numbering import Numbering, codes_file, local_items, number_items
from batchcast.steps.history.workers import Advance

_BATCH_ROWS = 1 << 20
_GROUP_ROWS = _BATCH_ROWS
_GROUP_BYTES = 96 << 20
"""Items of so many rows, or bytes of ids, are looked up together: every look-up of its own meets most of them again."""
_NEVER = np.iinfo(np.int64)
Numbers = npt.NDArray[np.int64]
Moments = tuple[Numbers, Numbers, Numbers]
"""The different keys of some rows, sorted, the rows at each and those with a target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemSurvey:
    """What one lane's first pass found, an entry an item, by its number.

    `names` are the id columns as text, `dateless` the rows without a moment, `last` the key of the last
    row with a target (the smallest number: none). `nameless` rows have no id.
    """

    names: list[pa.Array]
    dateless: Numbers
    last: Numbers
    nameless: int
    moments: Moments


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


class _Rows(NamedTuple):
    """Some rows that are surveyed together."""

    ids: list[pa.ChunkedArray]
    keys: Numbers
    dated: npt.NDArray[np.bool_]
    measured: npt.NDArray[np.bool_]
    moments: list[Moments]

    def follows(self, parts: Sequence[Self]) -> bool:
        """Whether they can be put together with the parts before."""
        alike = [column.type for column in self.ids] == [column.type for column in parts[0].ids]
        return alike and sum(column.nbytes for part in [*parts, self] for column in part.ids) <= _GROUP_BYTES


def deal_units(units: list[Unit], processes: int) -> list[list[Unit]]:
    """The units dealt to the processes, the largest first to the one with the fewest rows."""
    lanes: list[list[Unit]] = [[] for _ in range(processes)]
    rows = [0] * processes
    for unit in sorted(units, key=lambda unit: (-unit.rows, unit.number)):
        lane = rows.index(min(rows))
        lanes[lane].append(unit)
        rows[lane] += unit.rows
    return lanes


def survey_items(
    advance: Advance, units: Sequence[Unit], contract: ModelContract, history: ParquetHistory, scratch: Path
) -> ItemSurvey:
    """Survey the items of some units; every row's item number (-1: none) goes to `codes_file`."""
    numbering = Numbering(len(contract.series.item_id), scratch, sum(unit.rows for unit in units))
    moments: list[Moments] = []
    nameless, repeated = 0, True
    for group in _groups(units):
        found = []
        for rows in _gathered(advance, group, contract, history, repeated=repeated):
            found.append(local_items(rows.ids, rows.keys, rows.dated, rows.measured, repeated=repeated))
            nameless += int(np.count_nonzero(found[-1].numbers < 0))
            moments += rows.moments
            # Where few rows share an id, Parquet has it as plain text, and a dictionary would be made for nothing.
            repeated = repeated and 4 * len(found[-1].last) < len(rows.keys)
        numbering.add(group, found)
    numbering.number()
    return ItemSurvey(
        names=numbering.names,
        dateless=numbering.dateless,
        last=numbering.last,
        nameless=nameless,
        moments=merge_moments(moments),
    )


def _groups(units: Sequence[Unit]) -> Iterator[list[Unit]]:
    """The units in their order, as many at a time as have few rows."""
    group = list(units[:1])
    for unit in units[1:]:
        if sum(each.rows for each in group) + unit.rows > _GROUP_ROWS:
            yield group
            group = []
        group.append(unit)
    if group:
        yield group


def _gathered(
    advance: Advance, units: Sequence[Unit], contract: ModelContract, history: ParquetHistory, *, repeated: bool
) -> Iterator[_Rows]:
    """The rows of the units, as many at a time as their ids' bytes allow; ids as a dictionary where `repeated`."""
    ids, when, targets = contract.series.item_id, contract.series.timestamp, contract.series.targets
    parts: list[_Rows] = []
    for unit in units:
        named = ids if repeated else ()
        for table in read_unit(unit, [*ids, when, *targets], history.types, rows=_BATCH_ROWS, ids=named):
            keys, dated = date_keys(table.column(when))
            measured = dated & _is_measured(table, targets) & (not unit.file.future)
            moments = [] if unit.file.future else [_count_moments(keys[dated], measured[dated])]
            part = _Rows([table.column(name) for name in ids], keys, dated, measured, moments)
            if parts and not part.follows(parts):
                yield _joined(parts)
                parts = []
            parts.append(part)
            advance(table.num_rows)
    if parts:
        yield _joined(parts)


def _joined(parts: Sequence[_Rows]) -> _Rows:
    columns = zip(*(part.ids for part in parts), strict=True)
    return _Rows(
        ids=[pa.chunked_array([chunk for column in of_parts for chunk in column.chunks]) for of_parts in columns],
        keys=np.concatenate([part.keys for part in parts]),
        dated=np.concatenate([part.dated for part in parts]),
        measured=np.concatenate([part.measured for part in parts]),
        moments=[moments for part in parts for moments in part.moments],
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


def merge_moments(parts: Sequence[Moments]) -> Moments:
    """The different keys of all parts, sorted, the rows at each and those with a target."""
    none = np.zeros(0, np.int64)
    every, rows, measured = map(np.concatenate, zip((none, none, none), *parts, strict=True))
    keys, place = np.unique(every, return_inverse=True)
    rows, measured = (np.bincount(place, weights, len(keys)).astype(np.int64) for weights in (rows, measured))
    return keys, rows, measured


def _count_moments(keys: Numbers, measured: npt.NDArray[np.bool_]) -> Moments:
    encoded = pa.array(keys).dictionary_encode()
    places, size = np.asarray(encoded.indices), len(encoded.dictionary)
    rows, known = (np.bincount(some, minlength=size) for some in (places, places[measured]))
    return np.asarray(encoded.dictionary), rows, known


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
