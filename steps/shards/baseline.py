"""The seasonal naive forecast (the value one season before), and what else a forecast is measured by: the steps before
the run date, those after it where the history has them, and the size of the item's values.

A step's value is the sum of its rows' values; rows without a value do not count.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batchcast.steps.history.date_axis import DateAxis
from batchcast.steps.shards.chunk import Chunk
from batchcast.steps.shards.manifest import BASELINE_SCHEMA

_LEAST_SCALE_STEPS = 28
_RECORDS_A_TABLE = 2048
Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeasonalNaive:
    """For the record at each of `places` and each target: `before` (places, steps, targets) the values up to the run
    date, `later` those of the forecast steps, `scale` (places, targets). NaN where there is none."""

    places: npt.NDArray[np.int64]
    season: int
    before: Values
    later: Values
    scale: Values


def seasonal_naive(chunk: Chunk, targets: Sequence[str], axis: DateAxis) -> SeasonalNaive:
    """Every record of the chunk, measured."""
    # As long as it takes to tell how good the forecasts of the runs before and their seasonal naive were.
    measured = _whole_seasons(_LEAST_SCALE_STEPS, axis.season)
    past = max(measured, _whole_seasons(axis.forecast_horizon + axis.season, axis.season))
    width = past + axis.forecast_horizon
    near = np.flatnonzero((chunk.keys >= axis.begin(1 - past)) & (chunk.keys < axis.future_end))
    cell = chunk.records[near] * width + axis.steps(chunk.keys[near]) + past - 1
    shape = (len(chunk.places), width)
    each = np.stack([_sums(chunk.columns[name].take(pa.array(near)), cell, shape) for name in targets], axis=2)
    history = np.abs(each[:, past - measured : past])
    known = np.isfinite(history)
    steps = known.sum(axis=1)
    mean = (np.where(known, history, 0.0) / np.maximum(steps, 1)[:, None, :]).sum(axis=1)
    return SeasonalNaive(
        places=chunk.places,
        season=axis.season,
        before=each[:, :past],
        later=each[:, past:],
        scale=np.where(steps > 0, mean, np.nan),
    )


def baseline_tables(parts: Sequence[SeasonalNaive], ids: Sequence[str], targets: Sequence[str]) -> Iterator[pa.Table]:
    """Rows of BASELINE_SCHEMA by item id, step and target. `ids` are the item ids at all places of the output."""
    if not parts:
        return
    places = np.concatenate([part.places for part in parts])
    known = np.concatenate([np.concatenate([part.before, part.later], axis=1) for part in parts])
    scale = np.concatenate([part.scale for part in parts])
    by_target = sorted(range(len(targets)), key=lambda n: targets[n])
    by_id = np.array(sorted(range(len(places)), key=lambda n: ids[int(places[n])]), np.int64)
    past, season = parts[0].before.shape[1], parts[0].season
    steps = np.arange(1 - past, known.shape[1] - past + 1)
    same = past - season + (steps - 1) % season
    for begin in range(0, len(by_id), _RECORDS_A_TABLE):
        some = by_id[begin : begin + _RECORDS_A_TABLE]
        shape = (len(some), len(steps), len(targets))
        of_cell = np.indices(shape, np.int32)
        naive = np.where(steps[:, None] > 0, known[some][:, same], np.nan)
        names = pa.array([ids[place] for place in places[some].tolist()], pa.string())
        yield pa.table(
            [
                names.take(pa.array(of_cell[0].ravel())),
                pa.array(steps[of_cell[1].ravel()], pa.int32()),
                pa.array([targets[n] for n in by_target], pa.string()).take(pa.array(of_cell[2].ravel())),
                _column(naive[:, :, by_target]),
                _column(known[some][:, :, by_target]),
                _column(np.broadcast_to(scale[some][:, None, by_target], shape)),
            ],
            schema=BASELINE_SCHEMA,
        )


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
