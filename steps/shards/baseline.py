"""The seasonal naive forecast (the value one season before), and what else a forecast is measured by: the steps before
the run date, those after it where the history has them, and the size of the item's values.

A step's value is the sum of its rows' values; rows without a value do not count.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from batchcast.steps.history.date_axis import DateAxis
from batchcast.steps.shards.chunk import Chunk
from batchcast.steps.shards.manifest import BASELINE_SCHEMA, ROWS_A_GROUP

_LEAST_SCALE_STEPS = 28
_TEXT = pa.dictionary(pa.int32(), pa.string())
STORED_SCHEMA = pa.schema(
    [field.with_type(_TEXT) if pa.types.is_string(field.type) else field for field in BASELINE_SCHEMA]
)
"""BASELINE_SCHEMA with each text once a table."""
Values = npt.NDArray[np.float64]


def past_steps(forecast_horizon: int, season: int) -> int:
    """As many as it takes to tell how good the forecasts of the runs before and their seasonal naive were."""
    return max(_scale_steps(season), _whole_seasons(forecast_horizon + season, season))


def baseline_file(path: Path, records: int, targets: int, axis: DateAxis) -> Path:
    """A new file for what `seasonal_naive` finds, at the place of each record of the output."""
    shape = (records, past_steps(axis.forecast_horizon, axis.season) + axis.forecast_horizon + 1, targets)
    np.lib.format.open_memmap(path, mode="w+", dtype=np.float64, shape=shape)
    return path


def seasonal_naive(chunk: Chunk, targets: Sequence[str], axis: DateAxis) -> Values:
    """By record, step and target the values up to the run date, then those of the forecast steps, and in the end the
    size of the item's values. NaN where there is none."""
    measured, past = _scale_steps(axis.season), past_steps(axis.forecast_horizon, axis.season)
    width = past + axis.forecast_horizon
    near = np.flatnonzero((chunk.keys >= axis.begin(1 - past)) & (chunk.keys < axis.future_end))
    cell = chunk.records[near] * width + axis.steps(chunk.keys[near]) + past - 1
    shape = (len(chunk.places), width)
    each = np.stack([_sums(chunk.columns[name].take(pa.array(near)), cell, shape) for name in targets], axis=2)
    history = np.abs(each[:, past - measured : past])
    known = np.isfinite(history)
    steps = known.sum(axis=1)
    mean = (np.where(known, history, 0.0) / np.maximum(steps, 1)[:, None, :]).sum(axis=1)
    return np.concatenate([each, np.where(steps > 0, mean, np.nan)[:, None, :]], axis=1)


def baseline_tables(
    file: Path, places: npt.NDArray[np.int64], ids: pa.Array, targets: Sequence[str], axis: DateAxis
) -> Iterator[pa.Table]:
    """Rows of STORED_SCHEMA by item id, step and target, of the records at `places`, whose `ids` are sorted."""
    values = np.load(file, mmap_mode="r")
    by_target = sorted(range(len(targets)), key=lambda n: targets[n])
    names = pa.array([targets[n] for n in by_target], pa.string())
    past, season = past_steps(axis.forecast_horizon, axis.season), axis.season
    steps = np.arange(1 - past, axis.forecast_horizon + 1)
    same = past - season + (steps - 1) % season
    records = max(1, ROWS_A_GROUP // (len(steps) * len(targets)))  # A row group has all rows of its items.
    for begin in range(0, len(places), records):
        some = places[begin : begin + records]
        shape = (len(some), len(steps), len(targets))
        of_id, of_step, of_target = (
            np.broadcast_to(of, shape).ravel() for of in np.indices(shape, np.int32, sparse=True)
        )
        found = values[some][:, :, by_target]
        known = found[:, :-1]
        yield pa.table(
            [
                pa.DictionaryArray.from_arrays(pa.array(of_id), ids[begin : begin + len(some)]),
                pa.array(steps[of_step], pa.int32()),
                pa.DictionaryArray.from_arrays(pa.array(of_target), names),
                _column(np.where(steps[:, None] > 0, known[:, same], np.nan)),
                _column(known),
                _column(np.broadcast_to(found[:, -1:], shape)),
            ],
            schema=STORED_SCHEMA,
        )


def merged_baselines(first: Iterator[pa.Table], second: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The rows of two baselines that share no item, each in order, as one that is."""
    keys = [(name, "ascending") for name in ("item_id", "step", "target")]
    sides, left = (first, second), [BASELINE_SCHEMA.empty_table()] * 2
    while True:
        for number, parts in enumerate(sides):
            while not len(left[number]) and (part := next(parts, None)) is not None:
                left[number] = part
        bounds = [part["item_id"][-1].as_py() for part in left if len(part)]
        if not bounds:
            return
        here = [pc.less_equal(part["item_id"], min(bounds)) for part in left]
        yield pa.concat_tables([part.filter(mask) for part, mask in zip(left, here, strict=True)]).sort_by(keys)
        left = [part.filter(pc.invert(mask)) for part, mask in zip(left, here, strict=True)]


def _scale_steps(season: int) -> int:
    return _whole_seasons(_LEAST_SCALE_STEPS, season)


def _whole_seasons(steps: int, season: int) -> int:
    """At least so many steps, and no part of a season that would weigh more: four weeks of days, a year of weeks."""
    return -(-steps // season) * season


def _sums(values: pa.Array, cell: npt.NDArray[np.int64], shape: tuple[int, int]) -> Values:
    """The sum of the finite values of every cell; NaN for a cell without any."""
    numbers = np.asarray(values.cast(pa.float64(), safe=False).fill_null(np.nan))
    known = np.isfinite(numbers)
    size = shape[0] * shape[1]
    count = np.bincount(cell[known], minlength=size)
    total = np.bincount(cell[known], weights=numbers[known], minlength=size)
    return np.where(count > 0, total, np.nan).reshape(shape)


def _column(values: Values) -> pa.Array:
    return pa.array(values.ravel(), pa.float64(), from_pandas=True)
