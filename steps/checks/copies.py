"""How many items' forecasts are somebody else's values, one by one."""

import numpy as np
import numpy.typing as npt

from batchcast.steps.answers.item_arrays import summed
from batchcast.steps.checks.run_change import shared_cells
from batchcast.steps.outcome.comparison import Array

_DISTINCT_VALUES = 3


def copied_share(values: Array, other: Array) -> float:
    """The share of the items whose values are the other's at every place that both have, 0 to 1.

    Items with fewer than three different values do not count: slow sellers share a flat forecast for good reasons.
    """
    same, telling = summed(_copied, values, other)
    return float(same / telling) if telling else 0.0


def _copied(values: Array, other: Array) -> npt.NDArray[np.int64]:
    shared = shared_cells(values, other)
    same = np.isclose(values, other, rtol=1e-9, atol=0.0) | ~shared
    ordered = np.sort(np.where(shared, values, np.nan), axis=1)  # NaN comes last, and is above nothing
    telling = (np.diff(ordered, axis=1) > 0).sum(axis=1) >= _DISTINCT_VALUES - 1
    return np.array([(same.all(axis=1) & telling).sum(), telling.sum()])
