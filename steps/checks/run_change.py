"""How far a run's forecasts are from the last run's, from the history and from what they must not be, in numbers.

Damage to a whole run, such as a wrong unit, a shifted date or answers in disorder, moves these numbers much further
than a week of new data does. Items that one of both sides lacks do not count.
"""

import math
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from batchcast.steps.answers.item_arrays import each_block, finite_median, of_items, summed
from batchcast.steps.outcome.comparison import Array

Measures = Mapping[str, float]
"""Name of a measure to its value; 0 is no difference."""

LEAST_DATES = 5
_MOST_MOVED = 3
_FAR = 2.0
_MOVES = 0.01
"""The spread of an item that moves, by its sum."""
_MOST_NEGATIVE = 0.01
_MOST_ITEMS = 20_000
"""Of the history: so many, evenly chosen, tell as much as all do."""
_LEAST_SWING, _LEAST_SEASON = 0.01, 0.05
"""Standard deviation by mean of the last run's totals, and of the season's: those that move less have no order."""


def shared_cells(values: Array, other: Array) -> npt.NDArray[np.bool_]:
    """Where both have a value."""
    return np.isfinite(values) & np.isfinite(other)


def change_from_last_run(values: Array, last: Array) -> Measures | None:
    """Of one target, both items x steps by the same dates; None where the two share nothing.

    `change`: sum of absolute differences / sum of the last run's absolute values. `level`: ratio of the sums - 1.
    `shape`: 1 - correlation of the totals by date. `items`: median over the items of an item's own `change`. See
    `_item_by_item` for the rest.
    """
    sums, by_date = summed(_differences, values, last)
    size, changed, total, last_total = sums
    if size <= 0:
        return None
    median = finite_median(of_items(item_changes, values, last)) or 0.0
    found = {"change": float(changed / size), "level": float((total - last_total) / size), "items": median}
    totals, last_totals, dates = by_date
    totals, last_totals = totals[dates > 0], last_totals[dates > 0]
    if (
        len(totals) >= LEAST_DATES
        and _swing(last_totals) >= _LEAST_SWING
        and (shape := _shape(totals, last_totals)) is not None
    ):
        found["shape"] = shape
    step = max(1, -(-len(values) // _MOST_ITEMS))
    return {**found, **_item_by_item(values[::step], last[::step])}


def _item_by_item(values: Array, last: Array) -> Measures:
    """Of the items that moved in the last run. `profile`: 1 - the median item's correlation with it, step by step.
    `capped`: in how many more of the steps the median item has its largest value, as a share. `jumps`: the volume that
    items gain or lose that are more than double of what they were, or less than half, next to the median item, by the
    volume of all; one such item alone is no sign of damage.
    """
    known = shared_cells(values, last)
    cells = np.maximum(known.sum(axis=1), 1)
    sums = [np.where(known, each, 0.0).sum(axis=1) for each in (values, last)]
    apart = [
        np.where(known, each - (total / cells)[:, None], 0.0) for each, total in zip((values, last), sums, strict=True)
    ]
    spread = [np.sqrt((each**2).sum(axis=1)) for each in apart]
    moves = (cells >= LEAST_DATES) & (sums[1] > 0) & (spread[1] > _MOVES * sums[1])
    if moves.sum() < LEAST_DATES:
        return {}
    both = (spread[0] * spread[1])[moves]
    alike = np.divide((apart[0] * apart[1]).sum(axis=1)[moves], both, out=np.zeros(len(both)), where=both > 0)
    capped = [(known & np.isclose(each, each.max(axis=1, keepdims=True), rtol=1e-9)).sum(axis=1) for each in apart]
    new, old = (each[moves] for each in sums)
    old = old * float(np.median(new / old))
    far = (new > old * _FAR) | (new < old / _FAR)
    volume = np.abs(new - old)[far].sum() / max(old.sum(), 1e-300)
    return {
        "profile": 1.0 - float(np.median(alike)),
        "capped": max(0.0, float(np.median(((capped[0] - capped[1]) / cells)[moves]))),
        "jumps": float(volume) if far.sum() > 1 else 0.0,
    }


def _differences(values: Array, last: Array) -> tuple[Array, Array]:
    """Sums over the cells that both have; by date the totals, and the items that have both."""
    shared = shared_cells(values, last)
    new, old = np.where(shared, values, 0.0), np.where(shared, last, 0.0)
    sums = np.array([np.abs(old).sum(), np.abs(new - old).sum(), new.sum(), old.sum()])
    by_date = np.stack([new.sum(axis=0), old.sum(axis=0), shared.sum(axis=0)])
    return sums, by_date


def item_changes(values: Array, last: Array) -> Array:
    """Of each item the sum of absolute differences / sum of the last run's absolute values; NaN where it has
    none of them."""
    shared = shared_cells(values, last)
    difference = np.where(shared, np.abs(values - last), 0.0).sum(axis=1)
    size = np.where(shared, np.abs(last), 0.0).sum(axis=1)
    # An item that was forecast as nothing and is no longer: as far as the new value goes.
    size = np.where(size > 0, size, np.where(shared, np.abs(values), 0.0).sum(axis=1))
    changes: Array = np.divide(difference, size, out=np.zeros(len(size)), where=size > 0)
    changes[~shared.any(axis=1)] = np.nan
    return changes


def change_from_history(values: Array, naive: Array, before: Array, scale: Array, season: int) -> Measures | None:
    """Of one target: `values` and the seasonal `naive` items x steps, `before` the history in whole seasons, `scale`
    its recent mean, item by item. The usual season has the medians of all seasons, where the naive is the last one.

    `level`: how far the sum is beyond the naive's, the usual season's and the recent mean's, relative to the nearest: a
    holiday week moves one of them, and medians of slow sellers are nothing. `shape`: 1 - correlation of the totals with
    the usual season's, step by step; `place`: by how much that correlation is higher some steps earlier or later.
    `order`: 1 - correlation of the items' mean, as logarithms, with their recent mean; `far`: the share of the items
    with less than half of it and of the usual season's mean, or more than double of both. A history with negative
    values has neither: what is around zero has no level.
    """
    sums, by_date = summed(partial(_beside_history, season), values, naive, before, scale)
    total, naive_total, usual_total, recent_total, below, cells, known, far = sums.tolist()
    if not known:
        return None
    found = {"level": _beyond(total, [naive_total, usual_total, recent_total])}
    if below / cells <= _MOST_NEGATIVE:
        found["far"] = far / known
        order = _order(of_items(_level_pairs, values, naive, scale))
        found |= {} if order is None else {"order": order}
    new, old, dates = by_date
    new, old = new[dates > 0], old[dates > 0]
    if len(new) >= LEAST_DATES and _swing(old) >= _LEAST_SEASON and (shape := _shape(new, old)) is not None:
        moved = [_moved(new, old, steps) for steps in range(1, min(_MOST_MOVED, len(new) - LEAST_DATES) + 1)]
        found |= {"shape": shape, "place": max([0.0, *(shape - each for pair in moved for each in pair)])}
    return found


def _beside_history(season: int, values: Array, naive: Array, before: Array, scale: Array) -> tuple[Array, Array]:
    """Sums over the cells that `values` and `naive` both have, how many items are known, and how many of them far from
    what is known of them; totals by date."""
    shared, usual = shared_cells(values, naive), naive
    if before.shape[1]:
        # An index in brackets would lay column behind column: what follows takes three times as long.
        usual = np.take(_usual_season(before, season), np.arange(values.shape[1]) % season, axis=1)
    totals = [np.where(shared & np.isfinite(each), each, 0.0).sum() for each in (values, naive, usual)]
    mean, usual_mean = (mean_of_known(np.abs(each), shared & np.isfinite(each)) for each in (values, usual))
    steps = shared.sum(axis=1)
    known = (steps > 0) & (scale > 0) & np.isfinite(scale)
    low, high = np.minimum(usual_mean, scale), np.maximum(usual_mean, scale)
    far = known & ((mean < low / _FAR) | (mean > high * _FAR))
    recent = np.where(known, scale * steps, 0.0).sum()
    both = shared_cells(values, usual)
    by_date = [*(np.where(both, each, 0.0).sum(axis=0) for each in (values, usual)), both.sum(axis=0)]
    below = np.count_nonzero(shared & (naive < 0))
    return np.array([*totals, recent, below, shared.sum(), known.sum(), far.sum()]), np.stack(by_date)


def _usual_season(before: Array, season: int) -> Array:
    """The median of the values at each place in the season, items x season."""
    ordered = np.sort(before.reshape(len(before), -1, season), axis=1)  # NaN comes last
    count = np.isfinite(ordered).sum(axis=1, keepdims=True)
    low, high = (np.take_along_axis(ordered, at, axis=1) for at in (np.maximum(count - 1, 0) // 2, count // 2))
    median: Array = ((low + high) / 2)[:, 0]
    return median


def _level_pairs(values: Array, naive: Array, scale: Array) -> Array:
    """Of the items whose mean and scale are above nothing, the logarithms of both."""
    shared = shared_cells(values, naive)
    mean = mean_of_known(np.abs(values), shared)
    usable = (mean > 0) & (scale > 0) & np.isfinite(scale)
    return np.log(np.stack([mean[usable], scale[usable]], axis=1))


def _order(pairs: Array) -> float | None:
    """`_shape` of many pairs, block by block."""
    if len(pairs) < LEAST_DATES:
        return None
    sums, sizes, lows, highs = zip(*each_block(_extent, pairs), strict=True)
    mean, low, high = np.sum(sums, axis=0) / len(pairs), np.min(lows, axis=0), np.max(highs, axis=0)
    still = high - low <= 1e-9 * np.max(sizes, axis=0)
    if still[1] or still[0]:
        return None if still[1] else 1.0
    (new, both), (_, old) = summed(lambda some: (some - mean).T @ (some - mean), pairs)
    return 1.0 - float(both / math.sqrt(new) / math.sqrt(old))


def _extent(pairs: Array) -> tuple[Array, Array, Array, Array]:
    return pairs.sum(axis=0), np.abs(pairs).max(axis=0), pairs.min(axis=0), pairs.max(axis=0)


def history_changes(before: Array, season: int) -> Mapping[str, Measures]:
    """What the history itself, items x steps up to the run date, would measure as a forecast: its later half held
    against its earlier one, and each season against the one before. Without two seasons nothing.

    `shape` of the history is 1 - the correlation of a season's totals with those of the other ones, of the middle
    season: a holiday does not count. It is left out where the totals have no season that recurs.
    """
    seasons = before.shape[1] // season
    if seasons < 2:
        return {}
    before = before[:: max(1, -(-len(before) // _MOST_ITEMS))]
    half = seasons // 2 * season
    first, second = before[:, :half], before[:, half:]
    steps = np.arange(second.shape[1])
    scale = mean_of_known(np.abs(first), np.isfinite(first))
    history = change_from_history(second, first[:, half - season + steps % season], first, scale, season) or {}
    changes = change_from_last_run(before[:, season:], before[:, :-season]) or {}
    if season == 1:  # a step then says little about the next one
        changes = {name: value for name, value in changes.items() if name != "shape"}
    shape = _recurring(np.nansum(before, axis=0).reshape(seasons, season))
    history = {name: value for name, value in history.items() if name not in ("shape", "place")}
    return {"history": history if shape is None else {**history, "shape": shape}, "last_run": changes}


def _recurring(totals: Array) -> float | None:
    """`totals` is seasons x steps."""
    if totals.shape[1] < LEAST_DATES or _swing(totals.mean(axis=0)) < _LEAST_SEASON:
        return None
    others = (totals.sum(axis=0) - totals) / (len(totals) - 1)
    shapes = [_shape(mine, other) for mine, other in zip(totals, others, strict=True)]
    return float(np.median([1.0 if shape is None else shape for shape in shapes]))


def mean_of_known(values: Array, known: npt.NDArray[np.bool_]) -> Array:
    """By row; nothing where none is."""
    mean: Array = np.where(known, values, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return mean


def _beyond(total: float, references: Sequence[float]) -> float:
    """How far the total is outside of the references, relative to the nearest; 0 between them."""
    nearest = min(max(total, min(references)), max(references))
    if total == nearest:
        return 0.0
    return (total - nearest) / abs(nearest) if nearest else math.copysign(1.0, total)


def _moved(new: Array, old: Array, steps: int) -> list[float]:
    """`_shape` with the new totals so many steps earlier, and later."""
    shapes = (_shape(new[steps:], old[:-steps]), _shape(new[:-steps], old[steps:]))
    return [shape for shape in shapes if shape is not None]


def _swing(totals: Array) -> float:
    return float(np.std(totals)) / max(abs(float(np.mean(totals))), 1e-300)


def _shape(new: Array, old: Array) -> float | None:
    """1 - correlation, 1 where the new totals do not move at all; None where the old ones do not."""
    if np.ptp(old) <= 1e-9 * np.abs(old).max():
        return None
    if np.ptp(new) <= 1e-9 * np.abs(new).max():
        return 1.0
    return 1.0 - float(np.corrcoef(new, old)[0, 1])
