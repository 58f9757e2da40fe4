"""How good the quantiles are where the actual values are known: pinball loss and coverage."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from batchcast.steps.contract.outputs import Outputs
from batchcast.steps.outcome.comparison import Array

_DIGITS = 6


def pinball_loss(forecast: Array, actual: Array, level: float) -> float:
    """The mean pinball loss of a quantile, in the unit of the target, over the cells where both are known.

    level x (actual - forecast) where the actual value is above, (1 - level) x (forecast - actual) where it is below;
    NaN without any such cell. At 0.5 it is half the mean absolute error.
    """
    known = np.isfinite(forecast) & np.isfinite(actual)
    if not known.any():
        return float("nan")
    error = actual[known] - forecast[known]
    return float(np.maximum(level * error, (level - 1) * error).mean())


def score_quantiles(values: Array, actual: Array, outputs: Outputs, targets: Sequence[str]) -> dict[str, Any] | None:
    """By target: the loss of each level, and how many actual values lie between the lowest and the highest.

    `values` is items x steps x columns of `outputs`, `actual` items x steps x targets. None without quantiles, or
    without an actual value that is known.
    """
    found = {}
    for number, target in enumerate(targets):
        levels, known = outputs.quantiles(target), actual[:, :, number]
        both = np.isfinite(known) & np.isfinite(values).all(axis=2)
        if not levels or not both.any():
            continue
        losses = {level: pinball_loss(values[:, :, place], known, level) for level, place in levels}
        found[target] = {
            "pinball": {f"{level:g}": round(loss, _DIGITS) for level, loss in losses.items()},
            "mean_pinball": round(sum(losses.values()) / len(losses), _DIGITS),
            "coverage": _coverage(values, known, levels),
        }
    return found or None


def _coverage(values: Array, actual: Array, levels: Sequence[tuple[float, int]]) -> dict[str, float] | None:
    if len(levels) < 2:
        return None
    (low, lower), (high, upper) = levels[0], levels[-1]
    known = np.isfinite(actual) & np.isfinite(values[:, :, lower]) & np.isfinite(values[:, :, upper])
    inside = (actual >= values[:, :, lower]) & (actual <= values[:, :, upper]) & known
    share = float(inside.sum() / known.sum())
    return {"low": low, "high": high, "expected": round(high - low, _DIGITS), "found": round(share, _DIGITS)}
