"""The items of the history: what they are called, how many rows they have, from when to when.

One pass over ids, moments and targets surveys them; it finds what frequency and run date follow from. The number
that every row's item got is left in a scratch file, so that the later passes need not read the ids again: one over
the moments counts the rows of the run.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

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

_BATCH_ROWS = 1 << 20
_NEVER = np.iinfo(np.int64)
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemSurvey:
    """What one lane's first pass found, an entry an item in order of appearance.

    `names` are the values of the id columns as text, `dateless` the rows without a moment, `last` the key of the last
    row with a target (the smallest number: none). `nameless` rows have no id. `moments` are the different keys, sorted,
    `rows` the rows of each and `measured` those with a target.
    """

    names: list[tuple[str, ...]]
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

    `measured` is the key of each item's last row with a target.
    """

    ids: list[str]
    names: list[tuple[str, ...]]
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
    numbering, moments = _Numbering(), _Moments()
    dateless, last = np.zeros(0, np.int64), np.zeros(0, np.int64)
    nameless = 0
    for unit in units:
        codes = []
        for table in read_unit(unit, [*ids, when, *targets], history.types, rows=_BATCH_ROWS, ids=ids):
            numbers = numbering.number([table.column(name) for name in ids])
            keys, dated = date_keys(table.column(when))
            measured = dated & _is_measured(table, targets)
            dateless, last = _grown(dateless, len(numbering.names), 0), _grown(last, len(numbering.names), _NEVER.min)
            named = numbers >= 0
            dateless += np.bincount(numbers[named & ~dated], minlength=len(dateless))
            if not unit.file.future:
                np.maximum.at(last, numbers[named & measured], keys[named & measured])
                moments.add(keys, dated, measured)
            nameless += int(np.count_nonzero(~named))
            codes.append(numbers)
            advance(table.num_rows)
        np.save(codes_file(scratch, unit), np.concatenate(codes) if codes else np.empty(0, np.int32))
    return ItemSurvey(names=list(numbering.names), dateless=dateless, last=last, nameless=nameless, **moments.arrays())


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
    places: dict[tuple[str, ...], int] = {}
    for lane in surveys:
        for names in lane.names:
            places.setdefault(names, len(places))
    ids = {names: "/".join(names) for names in places}
    ordered = sorted(places, key=lambda names: (ids[names], names))
    for names, after in itertools.pairwise(ordered):
        if ids[names] == ids[after]:
            what = f"the id columns {names} and {after} both give the item id {ids[names]!r}."
            raise DataError(Problem("item_id", what, remedy="Replace the / in one of the columns."))
    places = {names: place for place, names in enumerate(ordered)}
    lanes = [np.array([places[names] for names in lane.names], np.int64) for lane in surveys]

    def merged(ufunc: np.ufunc, empty: int, values: Iterable[Numbers]) -> Numbers:
        total = np.full(len(ordered), empty, np.int64)
        for there, found in zip(lanes, values, strict=True):
            total[there] = ufunc(total[there], found)
        return total

    return Items(
        ids=[ids[names] for names in ordered],
        names=ordered,
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


def _grown(values: Numbers, size: int, empty: int) -> Numbers:
    return np.pad(values, (0, size - len(values)), constant_values=empty)
