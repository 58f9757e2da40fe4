"""What the page shows of the items, worked out from all values on all processors before anything is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from batchcast.steps.answers.item_arrays import Positions, each_block, of_items, ranked
from batchcast.steps.answers.item_names import ItemNames
from batchcast.steps.checks.run_change import shared_cells
from batchcast.steps.checks.scorecard import volume_classes
from batchcast.steps.contract.answer import Expected
from batchcast.steps.outcome.comparison import Array, Comparison

MOST_ITEMS = 100_000
"""So many of them the page has at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageItems:
    """`values` and `last`, the last run's, are items x steps x columns; of the first target all else.

    `sums`: of each item the total of its forecast, and those of forecast and last run where both are known, items x 3.
    `classes`: which items are in a class of volume, by its letter. `largest`: the places of the items with the largest
    totals. `distance`: each item's error where an actual value is known (`scored`), else its distance from the naive;
    relative to those. NaN for what is not known.
    """

    item_ids: ItemNames
    values: Array
    compared: Comparison
    last: Array
    sums: Array
    classes: Mapping[str, npt.NDArray[np.bool_]]
    largest: Positions
    distance: Array
    scored: bool

    @classmethod
    def of(cls, expected: Expected, item_ids: ItemNames, values: Array, compared: Comparison, last: Array) -> PageItems:
        forecast, naive = values[:, :, expected.points[0]], compared.naive[:, :, 0]
        actual = compared.actual[:, :, 0]
        scored = any(each_block(lambda *both: bool(shared_cells(*both).any()), actual, forecast))
        sums = of_items(_sums, forecast, last[:, :, 0])
        sizes = of_items(lambda some: -np.nan_to_num(np.abs(some[:, 0])), sums)
        return cls(
            item_ids=item_ids,
            values=values,
            compared=compared,
            last=last,
            sums=sums,
            classes=volume_classes(compared.scale[:, 0]),
            largest=ranked(sizes, 0, min(len(sizes), MOST_ITEMS)),
            distance=of_items(_distance, forecast, actual if scored else naive),
            scored=scored,
        )


def _sums(forecast: Array, last: Array) -> Array:
    shared = shared_cells(forecast, last)
    parts = [(forecast, np.isfinite(forecast)), (forecast, shared), (last, shared)]
    totals = [np.where(cells.any(axis=1), np.where(cells, each, 0.0).sum(axis=1), np.nan) for each, cells in parts]
    return np.stack(totals, axis=1)


def _distance(forecast: Array, reference: Array) -> Array:
    """The sum of absolute differences over the sum of the reference (against actuals: WAPE) of each item."""
    known = shared_cells(forecast, reference)
    error = np.abs(np.where(known, forecast - reference, 0.0)).sum(axis=1)
    total = np.abs(np.where(known, reference, 0.0)).sum(axis=1)
    distance: Array = np.divide(error, total, out=np.full(len(error), np.nan), where=total > 0)
    return distance
