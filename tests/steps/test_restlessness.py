"""How much forecasts change from season to season, held against numpy's medians."""

from __future__ import annotations

import numpy as np
import pytest

from batchcast.steps.checks.restlessness import restlessness

SEASON = 7


@pytest.mark.parametrize("horizon", [13, 14, 31])
def test_the_median_item_changes_as_numpy_says(horizon: int) -> None:
    dice = np.random.default_rng(horizon)
    level = dice.lognormal(3, 1, (500, 1))
    before, values = (level * dice.lognormal(0, 0.3, (500, steps)) for steps in (42, horizon))
    values[::9, 3] = np.nan  # Such an item has no change that is known.
    before[::50] = 0  # And this one does not usually sell.

    def change(each: np.ndarray) -> np.ndarray:
        totals = np.nansum(each[selling], axis=0)
        own = each[selling] / (totals / totals.mean())
        return np.median(np.abs(own[:, SEASON:] - own[:, :-SEASON]), axis=1) / np.nanmean(own, axis=1)

    selling = (before > 0).mean(axis=1) >= 0.8
    expected = np.nanmedian(change(values) / change(before))
    assert restlessness(values, before, SEASON)["restless"] == pytest.approx(expected)
