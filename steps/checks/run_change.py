"""How far a run's forecasts are from the last run's, from the history and from what they must not be, in numbers.

Damage to a whole run, such as a wrong unit, a shifted date or answers in disorder, moves these numbers much further
than a week of new data does. Items that one of both sides lacks do not count.
"""

from collections.abc import Mapping

import numpy as np

from batchcast.steps.outcome.comparison import Array

Measures = Mapping[str, float]
"""Name of a measure to its value; 0 is no difference."""

_DISTINCT_VALUES = 3
_LEAST_DATES = 5
_MOST_MOVED = 3
_FAR = 2.0


def change_from_last_run(values: Array, last: Array) -> Measures | None:
    """Of one target, both items x steps by the same dates; None where the two share nothing.

    `change`: sum of absolute differences / sum of the last run's absolute values. `level`: ratio of the sums - 1.
    `shape`: 1 - correlation of the totals by date. `items`: median over the items of an item's own `change`.
    """
    shared = np.isfinite(values) & np.isfinite(last)
    new, old = np.where(shared, values, 0.0), np.where(shared, last, 0.0)
    size = float(np.abs(old).sum())
    if size <= 0:
        return None
    found = {
        "change": float(np.abs(new - old).sum()) / size,
        "level": float(new.sum() - old.sum()) / size,
        "items": float(np.median(own)) if len(own := item_changes(values, last)[shared.any(axis=1)]) else 0.0,
    }
    dates = shared.any(axis=0)
    if dates.sum() >= _LEAST_DATES and (shape := _shape(new.sum(axis=0)[dates], old.sum(axis=0)[dates])) is not None:
        found["shape"] = shape
    return found


def item_changes(values: Array, last: Array) -> Array:
    """Of each item the sum of absolute differences / sum of the last run's absolute values; 0 where it shares none."""
    shared = np.isfinite(values) & np.isfinite(last)
    difference = np.where(shared, np.abs(values - last), 0.0).sum(axis=1)
    size = np.where(shared, np.abs(last), 0.0).sum(axis=1)
    # An item that was forecast as nothing and is no longer: as far as the new value goes.
    size = np.where(size > 0, size, np.where(shared, np.abs(values), 0.0).sum(axis=1))
    changes: Array = np.divide(difference, size, out=np.zeros(len(size)), where=size > 0)
    return changes


def change_from_history(values: Array, naive: Array, usual: Array, scale: Array) -> Measures | None:
    """Of one target: `values`, the seasonal `naive` and the `usual` season items x steps, `scale` the recent mean of
    each item's history.

    `level`: ratio of the sums - 1 to the naive's or to the recent mean's, whichever is nearer: a holiday week moves
    one of the two. `shape`: 1 - correlation of the totals with the usual season's, step by step; `place`: by how much
    that correlation is higher some steps earlier or later. `order`: 1 - correlation of the items' mean, as logarithms,
    with their recent mean; `far`: the share of the items with less than half of it or more than double.
    """
    shared = np.isfinite(values) & np.isfinite(naive)
    known = shared.any(axis=1) & np.isfinite(scale) & (scale > 0)
    if not known.any():
        return None
    new, old = np.where(shared, values, 0.0), np.where(shared, naive, 0.0)
    steps = np.maximum(shared.sum(axis=1), 1)
    references = (float(np.abs(old).sum()), float((scale * steps)[known].sum()))
    levels = [float(new.sum()) / size - 1 for size in references if size > 0]
    ratio = (np.abs(new).sum(axis=1) / steps / np.where(known, scale, 1.0))[known]
    far = float(((ratio < 1 / _FAR) | (ratio > _FAR)).mean())
    found = {"level": min(levels, key=abs), "far": far}
    sizes = np.log(scale[known][ratio > 0])
    if len(sizes) >= _LEAST_DATES and (order := _shape(np.log(ratio[ratio > 0]) + sizes, sizes)) is not None:
        found["order"] = order
    both = np.isfinite(values) & np.isfinite(usual)
    dates = both.any(axis=0)
    totals, season = (np.where(both, each, 0.0).sum(axis=0)[dates] for each in (values, usual))
    if len(totals) >= _LEAST_DATES and (shape := _shape(totals, season)) is not None:
        moved = [_moved(totals, season, steps) for steps in range(1, min(_MOST_MOVED, len(totals) - _LEAST_DATES) + 1)]
        found |= {"shape": shape, "place": max([0.0, *(shape - each for pair in moved for each in pair)])}
    return found


def _moved(new: Array, old: Array, steps: int) -> list[float]:
    """`_shape` with the new totals so many steps earlier, and later."""
    shapes = (_shape(new[steps:], old[:-steps]), _shape(new[:-steps], old[steps:]))
    return [shape for shape in shapes if shape is not None]


def copied_share(values: Array, other: Array) -> float:
    """The share of the items whose values are the other's at every place that both have, 0 to 1.

    Items with fewer than three different values do not count: slow sellers share a flat forecast for good reasons.
    """
    shared = np.isfinite(values) & np.isfinite(other)
    same = np.isclose(values, other, rtol=1e-9, atol=0.0) | ~shared
    ordered = np.sort(np.where(shared, values, np.nan), axis=1)  # NaN comes last, and is above nothing
    telling = (np.diff(ordered, axis=1) > 0).sum(axis=1) >= _DISTINCT_VALUES - 1
    return float((same.all(axis=1) & telling).sum() / telling.sum()) if telling.any() else 0.0


def _shape(new: Array, old: Array) -> float | None:
    """1 - correlation, 1 where the new totals do not move at all; None where the old ones do not."""
    if np.ptp(old) <= 1e-9 * np.abs(old).max():
        return None
    if np.ptp(new) <= 1e-9 * np.abs(new).max():
        return 1.0
    return 1.0 - float(np.corrcoef(new, old)[0, 1])
