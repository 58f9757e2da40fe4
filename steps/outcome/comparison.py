"""What the forecasts are compared with: the seasonal naive, the actuals where they exist, the level of the history."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from batchcast.steps.answers.item_arrays import Array as Array
from batchcast.steps.answers.item_arrays import each_block, of_items, summed


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """`naive` and `actual` are items x days x targets, `scale` items x targets; NaN where there is no value.

    `before` is items x days x targets up to the run date, whole seasons.
    """

    naive: Array
    actual: Array
    scale: Array
    before: Array
    season: int


def seasonal_changes(compared: Comparison) -> Array:
    """items x targets: by how much a value differs from the one a season before, the mean over `before`; what MASE is
    measured in. NaN where that is nothing or unknown."""
    return of_items(partial(_seasonal_changes, compared.season), compared.before)


def _seasonal_changes(season: int, before: Array) -> Array:
    changes = np.abs(before[:, season:] - before[:, :-season])
    total, count = np.nansum(changes, axis=1), np.isfinite(changes).sum(axis=1)
    found: Array = np.divide(total, count, out=np.full(total.shape, np.nan), where=total > 0)
    return found


def score(values: Array, compared: Comparison, targets: Sequence[str]) -> dict[str, Any] | None:
    """WAPE and MASE of the model and of the seasonal naive over the days whose actual value is known; None without any.

    WAPE = sum of absolute errors / sum of absolute actual values; MASE = the mean of absolute errors, each divided by
    its item's `seasonal_changes`, None where no item has any. Both over the same cells for both; with several targets
    the headline is the mean of theirs.
    """
    if not any(each_block(_has_values, compared.actual)):
        return None
    arrays = compared.naive, compared.actual, seasonal_changes(compared)
    items, days, sizes, units, *errors = summed(_errors, values, *arrays)
    names = ("wape_model", "mase_model", "wape_naive", "mase_naive")
    by_target: dict[str, dict[str, float | None]] = {}
    for number, target in enumerate(targets):
        whole = {"wape": float(sizes[number]), "mase": float(units[number])}
        if whole["wape"] > 0:
            found = {name: (float(each[number]), whole[name[:4]]) for name, each in zip(names, errors, strict=True)}
            by_target[target] = {name: round(error / of, 6) if of else None for name, (error, of) in found.items()}
    if not by_target:
        return None
    found_by_name = {
        name: [value for each in by_target.values() if (value := each[name]) is not None]
        for name in ("wape_model", "wape_naive", "mase_model", "mase_naive")
    }
    return {
        "items": int(items),
        "days": int(np.count_nonzero(days)),
        **{name: round(sum(of) / len(of), 6) if of else None for name, of in found_by_name.items()},
        "by_target": by_target,
    }


def _errors(values: Array, naive: Array, actual: Array, changes: Array) -> list[Any]:
    """How many items have a cell that all know, and of each step how many; by target the sum of the actual values and
    how many cells have a unit, then of the forecasts and of the naive the errors, and the same in units."""
    known = np.isfinite(values) & np.isfinite(actual) & np.isfinite(naive)
    unit = np.broadcast_to(changes[:, None], known.shape)
    usable = known & np.isfinite(unit)
    found = [known.any(axis=(1, 2)).sum(), known.any(axis=2).sum(axis=0)]
    found += [np.where(known, np.abs(actual), 0.0).sum(axis=(0, 1)), usable.sum(axis=(0, 1))]
    for each in (values, naive):
        error = np.where(known, np.abs(each - actual), 0.0)
        found += [error.sum(axis=(0, 1)), (error / np.where(usable, unit, np.inf)).sum(axis=(0, 1))]
    return found


def _has_values(values: Array) -> bool:
    return bool(np.isfinite(values).any())
