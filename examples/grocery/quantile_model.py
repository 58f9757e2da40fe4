"""Quantile forecasts of weekly sales: what the model is told of a series, and what it answers.

One LightGBM model a quantile level learns the ratio of a future week's sales to the level of the series. A series is
forecast directly: the number of weeks ahead is a feature.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import lightgbm
import numpy as np
import numpy.typing as npt

__all__ = ["FEATURES", "LEVELS", "LONGEST", "SHORTEST", "QuantileModel", "level_of", "week_features"]

Numbers = npt.NDArray[np.float64]
LEVELS = (0.1, 0.5, 0.9)
SHORTEST = 12  # weeks of history
LONGEST = 26  # weeks ahead
LAGS = (1, 2, 3, 4)
FEATURES = (
    "weeks_ahead",
    *(f"lag_{lag}" for lag in LAGS),
    "mean_4",
    "mean_12",
    "spread_12",
    "price_ratio",
    "display",
    "display_change",
    "mailer",
    "mailer_change",
)


def level_of(sales: Numbers) -> float:
    """Pieces a week over the last 12 weeks, at least half a piece."""
    return max(float(sales[-12:].mean()), 0.5)


def week_features(
    sales: Numbers, price: Numbers, past: Sequence[Numbers], future: Sequence[Numbers], weeks: Sequence[int]
) -> Numbers:
    """A row for each of `weeks` ahead (1 is the first), a column for each of `FEATURES`.

    `past` and `future` hold display and mailer shares, `future` from the first week ahead.
    """
    level = level_of(sales)
    recent = sales[-12:]
    same = [*(sales[-lag] / level for lag in LAGS), sales[-4:].mean() / level, recent.mean() / level]
    same += [recent.std() / level, price[-1] / max(float(price[-12:].mean()), 0.01)]
    rows = []
    for week in weeks:
        known = [float(share) for one, two in zip(past, future, strict=True) for share in _share(one, two, week)]
        rows.append([week, *same, *known])
    return np.array(rows, dtype=np.float64)


def _share(past: Numbers, future: Numbers, week: int) -> tuple[float, float]:
    return future[week - 1], future[week - 1] - past[-12:].mean()


class QuantileModel:
    """The three models of a folder, `q10.txt`, `q50.txt` and `q90.txt`."""

    def __init__(self, folder: Path) -> None:
        self._boosters = {level: lightgbm.Booster(model_file=folder / f"q{level * 100:.0f}.txt") for level in LEVELS}

    def forecast(
        self, sales: Numbers, price: Numbers, past: Sequence[Numbers], future: Sequence[Numbers], weeks: int
    ) -> dict[float, Numbers]:
        """Level to the pieces of each week ahead; quantiles of a week do not cross."""
        features = week_features(sales, price, past, future, range(1, weeks + 1))
        ratios = [self._boosters[level].predict(features, num_threads=1) for level in LEVELS]
        ordered = np.sort(np.maximum(np.array(ratios), 0.0), axis=0) * level_of(sales)
        return dict(zip(LEVELS, ordered, strict=True))
