"""One row a step: finer rows put together, missing steps filled, old steps left out, as `[series]` declares.

What the contract does not declare is a fault of the record: rows off the grid, several rows a step, missing steps.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from batchcast.steps.contract.series import Series
from batchcast.steps.history.date_axis import DateAxis
from batchcast.steps.shards.chunk import Chunk
from batchcast.steps.shards.manifest import QuarantineReason
from batchcast.steps.shards.quarantine import Quarantine

_GROUP = "\0group"
Numbers = npt.NDArray[np.int64]


def join_future(chunk: Chunk, series: Series, axis: DateAxis) -> Chunk:
    """The chunk with the rows that the history and the table of known future values have of a later moment as one.

    Rows that say different things of it stay as they are: several rows a moment spoil their record.
    """
    same = (np.diff(chunk.keys) == 0) & (np.diff(chunk.records) == 0) & (chunk.keys[1:] >= axis.history_end)
    if not series.future or not same.any():
        return chunk
    first = np.append(True, ~same)
    columns = _told(chunk, first)
    group = pa.array(np.cumsum(first) - 1)
    for name, column in chunk.columns.items():
        other = np.asarray(pc.not_equal(column, columns[name].take(group)).fill_null(False))
        first |= np.isin(np.asarray(group), np.asarray(group)[other])
    return _regrouped(chunk, first, chunk.keys[first], _told(chunk, first))


def _told(chunk: Chunk, first: npt.NDArray[np.bool_]) -> dict[str, pa.Array]:
    """Every column's last value that is not null in the rows from each of the first ones to the next."""
    rows, starts = np.arange(len(first)), np.flatnonzero(first)
    found = {
        name: np.maximum.reduceat(np.where(np.asarray(column.is_valid()), rows, -1), starts)
        for name, column in chunk.columns.items()
    }
    return {name: chunk.columns[name].take(pa.array(at, mask=at < 0)) for name, at in found.items()}


def _regrouped(chunk: Chunk, first: npt.NDArray[np.bool_], keys: Numbers, columns: dict[str, pa.Array]) -> Chunk:
    """The chunk with a row from each of the first ones to the next."""
    starts = np.concatenate([[0], np.cumsum(first)])[chunk.starts]
    return Chunk(places=chunk.places, starts=starts, records=chunk.records[first], keys=keys, columns=columns)


def merge_rows(chunk: Chunk, series: Series, axis: DateAxis) -> Chunk:
    """The chunk with the rows of each step put together: targets by `aggregate`, other columns by their last value.

    Nulls count for nothing; a step without any value stays null, as the targets of one that has not ended do.
    """
    if series.aggregate is None or not len(chunk.keys):
        return chunk
    if axis.partial is not None and chunk.keys.max() >= axis.partial:
        ended = pa.array(chunk.keys < axis.partial)
        told = {name: pc.if_else(ended, chunk.columns[name], None) for name in series.targets}
        chunk = replace(chunk, columns={**chunk.columns, **told})
    steps = axis.steps(chunk.keys)
    first = np.concatenate([[True], (np.diff(steps) != 0) | (np.diff(chunk.records) != 0)])
    keys = axis.keys(steps[first])
    if first.all():
        return replace(chunk, keys=keys)
    group = np.cumsum(first) - 1
    last = np.append(np.flatnonzero(first)[1:] - 1, len(first) - 1)
    columns = {
        name: _merged(column, group, series.aggregate)
        if name in series.targets and series.aggregate != "last"
        else column.take(pa.array(last))
        for name, column in chunk.columns.items()
    }
    return _regrouped(chunk, first, keys, columns)


def newest_steps(chunk: Chunk, series: Series, axis: DateAxis) -> Chunk:
    """The chunk without history older than the `max_history` newest steps."""
    if series.max_history is None:
        return chunk
    return chunk.where(chunk.keys >= axis.begin(1 - series.max_history))


def find_gaps(chunk: Chunk, series: Series, axis: DateAxis) -> dict[int, Quarantine]:
    """The records, counted from 0, with missing steps up to the run date that `fill` does not allow.

    Even a declared `fill` ends at `largest_gap` steps: a single row in 1926 does not make a century of zeros.
    """
    if series.fill == "none" or not len(chunk.keys):
        return {}
    most = 1 if series.fill is None else 1 + (series.largest_gap or axis.frequency.steps_a_year)
    steps, records = axis.steps(chunk.keys), chunk.records
    past = steps <= 0
    steps, records, keys = steps[past], records[past], chunk.keys[past]
    # The step after each row: the record's next row, or the one after the run date.
    following = np.append(steps[1:], 1)
    last = np.append(np.diff(records) != 0, True)
    following[last] = 1
    distance = following - steps
    found: dict[int, Quarantine] = {}
    for row in np.flatnonzero(distance > most):
        record = int(records[row])
        if record not in found:
            missing = int((distance[records == record] - 1).sum())
            what = f"{missing} steps of {axis.frequency.alias} are missing up to the run date"
            limit = f"; more than largest_gap = {most - 1} in a row" if series.fill is not None else ""
            found[record] = Quarantine(
                QuarantineReason.GAP, f"{what}, the first after {axis.text(keys[row])}{limit}", int(keys[row])
            )
    return found


def fill_steps(chunk: Chunk, series: Series, axis: DateAxis) -> Chunk:
    """The chunk with a row for every step from a record's first to the run date; what is new holds `fill`.

    `zero` is for the targets, other columns are null; `last` repeats the row before in every column.
    """
    if series.fill in (None, "none") or not len(chunk.keys):
        return chunk
    steps = axis.steps(chunk.keys)
    past = steps <= 0
    with_past = np.bincount(chunk.records[past], minlength=len(chunk.places)) > 0
    first = np.where(with_past, steps[np.minimum(chunk.starts[:-1], len(steps) - 1)], 1)
    length = np.where(with_past, 1 - first, 0)
    later = np.bincount(chunk.records[~past], minlength=len(chunk.places))
    starts = np.concatenate([[0], np.cumsum(length + later)])
    if starts[-1] == len(steps):
        return chunk
    after = np.cumsum(~past) - np.concatenate([[0], np.cumsum(later)])[chunk.records] - 1
    at = starts[chunk.records] + np.where(past, steps - first[chunk.records], length[chunk.records] + after)
    source = np.full(int(starts[-1]), -1, np.int64)
    source[at] = np.arange(len(steps))
    new = source < 0
    records = np.repeat(np.arange(len(chunk.places)), np.diff(starts))
    filled_steps = first[records] + np.arange(len(source)) - starts[records]
    keys = np.where(new, axis.keys(filled_steps), chunk.keys[np.maximum(source, 0)])
    if series.fill == "last":
        source = np.maximum.accumulate(source)
    take = pa.array(source, mask=source < 0)
    columns = {name: column.take(take) for name, column in chunk.columns.items()}
    if series.fill == "zero":
        mask = pa.array(new)
        for name in series.targets:
            zero = pa.scalar(0).cast(columns[name].type)
            columns[name] = pc.if_else(mask, zero, columns[name])
    return Chunk(places=chunk.places, starts=starts, records=records, keys=keys, columns=columns)


def _merged(column: pa.Array, group: Numbers, how: str) -> pa.Array:
    table = pa.table({_GROUP: group, "value": column})
    merged = table.group_by(_GROUP, use_threads=False).aggregate([("value", how)]).sort_by(_GROUP)
    found: pa.Array = merged.column(f"value_{how}").combine_chunks()
    return found
