"""How much forecasts change from season to season, beside how much their history does."""

import numpy as np
import numpy.typing as npt

from batchcast.steps.answers.item_arrays import finite_median, of_items, summed
from batchcast.steps.checks.run_change import LEAST_DATES, Measures, mean_of_known
from batchcast.steps.outcome.comparison import Array

_USUALLY = 0.8
_STILL = 0.05


def restlessness(values: Array, before: Array, season: int) -> Measures:
    """`restless`: how much a forecast changes from season to season, against how much its history does; both relative
    to the level, the median item of those that usually sell, without what moves all items alike, as a holiday does. A
    forecast is an expectation: it leaves out the chance that the history has, which noise in the values or the actual
    values themselves bring back."""
    if before.shape[1] < max(LEAST_DATES, season + 1):
        return {}
    common = [_common(np.array(summed(_totals_of_sellers, each, before))) for each in (values, before)]

    def ratio(values: Array, before: Array) -> Array:
        sells = _sells(before)
        new, old = (_seasonal_change(x[sells] / by, season) for x, by in zip((values, before), common, strict=True))
        found: Array = np.divide(new, old, out=np.full(len(new), np.nan), where=old > _STILL)
        return found

    found = finite_median(of_items(ratio, values, before))
    return {} if found is None else {"restless": found}


def _sells(before: Array) -> npt.NDArray[np.bool_]:
    return np.asarray((before > 0).mean(axis=1) >= _USUALLY)


def _totals_of_sellers(values: Array, before: Array) -> Array:
    return np.asarray(np.nansum(values[_sells(before)], axis=0))


def _common(totals: Array) -> Array:
    """By what all items together differ from their mean, step by step."""
    mean = float(totals.mean())
    common: Array = np.where(totals > 0, totals / mean, 1.0) if mean > 0 else np.ones(len(totals))
    return common


def _seasonal_change(values: Array, season: int) -> Array:
    if values.shape[1] < max(LEAST_DATES, season + 1) or not len(values):
        return np.full(len(values), np.nan)
    level = mean_of_known(np.abs(values), np.isfinite(values))
    change = _medians(np.abs(values[:, season:] - values[:, :-season]))
    relative: Array = np.divide(change, level, out=np.full(len(values), np.nan), where=level > 0)
    return relative


def _medians(rows: Array) -> Array:
    """Of each row; NaN where it has one. numpy's own takes five times as long for short rows (2.4, 2026-11-29)."""
    ordered, last = np.sort(rows, axis=1), rows.shape[1] - 1
    medians: Array = (ordered[:, last // 2] + ordered[:, -(-last // 2)]) / 2
    return np.where(np.isnan(ordered[:, last]), np.nan, medians)
