"""How good the quantiles are where the actual values are known: pinball loss and coverage."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from batchcast.steps.answers.item_arrays import summed
from batchcast.steps.contract.outputs import Outputs
from batchcast.steps.outcome.comparison import Array

_DIGITS = 6


def pinball(forecast: Array, actual: Array, level: float) -> Array:
    """The pinball loss of a quantile in each cell, in the unit of the target.

    level x (actual - forecast) where the actual value is above, (1 - level) x (forecast - actual) where it is below.
    At 0.5 it is half the absolute error.
    """
    error = actual - forecast
    return np.asarray(np.maximum(level * error, (level - 1) * error))


def score_quantiles(values: Array, actual: Array, outputs: Outputs, targets: Sequence[str]) -> dict[str, Any] | None:
    """By target: the mean loss of each level, and how many actual values lie between the lowest and the highest.

    `values` is items x steps x columns of `outputs`, `actual` items x steps x targets. None without quantiles, or
    without an actual value that is known.
    """
    found = {}
    for number, target in enumerate(targets):
        levels = outputs.quantiles(target)
        cells, inside, *losses = summed(partial(_sums, levels), values, actual[:, :, number]) if levels else (0, 0)
        if not cells:
            continue
        means = [float(loss / cells) for loss in losses]
        (low, _), (high, _) = levels[0], levels[-1]
        bounds = {"low": low, "high": high, "expected": round(high - low, _DIGITS)}
        found[target] = {
            "pinball": {f"{level:g}": round(mean, _DIGITS) for (level, _), mean in zip(levels, means, strict=True)},
            "mean_pinball": round(sum(means) / len(means), _DIGITS),
            "coverage": {**bounds, "found": round(float(inside / cells), _DIGITS)} if len(levels) > 1 else None,
        }
    return found or None


def _sums(levels: Sequence[tuple[float, int]], values: Array, actual: Array) -> list[Any]:
    """Of some items the cells that are known, those between the lowest and the highest level, and each level's loss."""
    known = np.isfinite(actual) & np.isfinite(values).all(axis=2)
    forecasts, true = values[known], actual[known]
    inside = (true >= forecasts[:, levels[0][1]]) & (true <= forecasts[:, levels[-1][1]])
    return [len(true), inside.sum(), *(pinball(forecasts[:, at], true, level).sum() for level, at in levels)]
