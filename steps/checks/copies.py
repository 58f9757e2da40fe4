"""How many items' forecasts are somebody else's values, one by one."""

import numpy as np
import numpy.typing as npt

from batchcast.steps.answers.item_arrays import summed
from batchcast.steps.checks.run_change import shared_cells
from batchcast.steps.outcome.comparison import Array

_DISTINCT_VALUES = 3


def copied_share(values: Array, other: Array) -> float:
    """The share of the items with a pattern whose values are the other's at every place that both have, 0 to 1."""
    same, telling = summed(_copied, values, other)
    return float(same / telling) if telling else 0.0


def _copied(values: Array, other: Array) -> npt.NDArray[np.int64]:
    shared = shared_cells(values, other)
    same = np.isclose(values, other, rtol=1e-9, atol=0.0) | ~shared
    telling = has_pattern(np.where(shared, values, np.nan))
    return np.array([(same.all(axis=1) & telling).sum(), telling.sum()])


def has_pattern(values: Array) -> npt.NDArray[np.bool_]:
    """Which rows have three different values or more: slow sellers share a flat forecast for good reasons."""
    ordered = np.sort(values, axis=1)  # NaN comes last, and is above nothing
    found: npt.NDArray[np.bool_] = (np.diff(ordered, axis=1) > 0).sum(axis=1) >= _DISTINCT_VALUES - 1
    return found
