"""baseline.parquet as arrays in the order of the run's items."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from batchcast.steps.answers.item_arrays import Array, at_once, kept_array
from batchcast.steps.answers.item_names import ItemPlaces
from batchcast.steps.outcome.comparison import Comparison
from batchcast.steps.shards.manifest import baseline_parts, first_step

_Rows = npt.NDArray[np.bool_]
_At = tuple[npt.NDArray[Any], ...]


def arrange(directory: Path, item_ids: pa.ChunkedArray, targets: Sequence[str], days: int, season: int) -> Comparison:
    """The rows of the file in the directory, in the order of `item_ids` and `targets`. Raises DataError for a damaged
    file."""
    past, shape = 1 - first_step(directory), (len(item_ids), days, len(targets))
    items, names, steps = ItemPlaces(item_ids), pa.array(list(targets)), np.arange(1 - past, days + 1)
    kept = at_once(kept_array, (shape, (len(item_ids), past, len(targets)), (len(item_ids), len(targets))))
    naive, before, scale = kept

    def put(read: Callable[[], pa.Table]) -> tuple[Any, Any] | None:
        """Where actual values after the run date stand, and these; None without any."""
        part = read()
        whole = _whole_items(part, items, names, steps)
        if whole is None:
            return put_rows(part)
        known, forecast, size = (
            part[name].to_numpy().reshape(-1, len(steps), len(names)) for name in ("actual", "naive", "scale")
        )
        some, order = whole
        before[some, :, order], naive[some, :, order] = known[:, :past], forecast[:, past:]
        scale[some, order] = size[:, past]
        return ((some, slice(None), order), known[:, past:]) if np.isfinite(known[:, past:]).any() else None

    def put_rows(part: pa.Table) -> tuple[Any, Any] | None:
        item, step = items.of(part["item_id"]), part["step"].to_numpy()
        words = part["target"].combine_chunks()
        target = pc.fill_null(pc.index_in(words.dictionary, value_set=names), -1).to_numpy()[words.indices.to_numpy()]
        mine = (item >= 0) & (target >= 0) & (step > -past) & (step <= days)
        later = mine & (step > 0)
        _put(before, mine & (step <= 0), (item, step - 1 + past, target), part["actual"])
        _put(naive, later, (item, step - 1, target), part["naive"])
        _put(scale, mine & (step == 1), (item, target), part["scale"])
        known = later & pc.is_valid(part["actual"]).to_numpy()
        at = item[known], step[known] - 1, target[known]
        return (at, part["actual"].to_numpy()[known]) if known.any() else None

    # A weekly run has no actual values yet: their array is made where a value is, in one thread.
    actual: Array = np.broadcast_to(np.nan, shape)
    for found in at_once(put, baseline_parts(directory)):
        if found:
            actual = actual if actual.flags.writeable else kept_array(shape)
            actual[found[0]] = found[1]
    return Comparison(naive=naive, actual=actual, scale=scale, before=before, season=season)


def _whole_items(
    part: pa.Table, items: ItemPlaces, names: pa.Array, steps: npt.NDArray[np.int64]
) -> tuple[slice, slice | list[int]] | None:
    """Which items the part is of and the order of its targets, where it has a row of each step and target of items that
    stand together, as BuildShards writes them."""
    if not len(part) or len(part) % (len(steps) * len(names)):
        return None
    ids, words = (part[name].combine_chunks() for name in ("item_id", "target"))
    rows = (each.to_numpy().reshape(-1, len(steps), len(names)) for each in (ids.indices, part["step"], words.indices))
    item, step, word = rows
    first, count, each_target = int(item[0, 0, 0]), len(item), word[0, 0]
    start = items.start_of(ids.dictionary[first : first + count])
    order = pc.index_in(words.dictionary.take(pa.array(each_target)), value_set=names).to_pylist()
    same = (item == first + np.arange(count)[:, None, None]).all() and (word == each_target).all()
    if start is None or {*order} != {*range(len(names))} or not (same and (step == steps[:, None]).all()):
        return None
    return slice(start, start + count), order if order != sorted(order) else slice(None)


def _put(array: Array, rows: _Rows, at: _At, column: pa.ChunkedArray) -> None:
    """The values of these rows of the column, `at` these places of the array."""
    array[tuple(each[rows] for each in at)] = column.to_numpy()[rows]
