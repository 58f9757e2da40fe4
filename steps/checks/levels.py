"""Levels and signs of items' forecasts, beside their own history's and the last run's."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from batchcast.steps.outcome.comparison import Array

SCALE_FACTOR = 10.0
"""An item's mean forecast may be this many times its reference, or as small a part of it."""
SLOW_SCALE_FACTOR = 30.0
"""The same for an item that does not sell almost every day: its few sales say little about its level."""
_SELLING_SHARE = 0.8
_ONE_SIGN = 0.8
"""What has a sign has a mean of so much of its level."""
_Mask = npt.NDArray[np.bool_]
_Pair = tuple[Array, Array]


class LevelSide(NamedTuple):
    """What the forecasts are compared with, by its `name`; each array is items x targets."""

    name: str
    level: Array
    other: Array
    mean: Array
    other_mean: Array
    known: _Mask
    far: _Mask
    opposite: _Mask


class LevelTally(NamedTuple):
    """By target, how many items were compared, and of those that are far from the other how many times it they are."""

    name: str
    compared: npt.NDArray[np.int64]
    far: list[Array]


def compare_levels(
    values: Array, naive: Array, scale: Array, before: Array, last: Array, selling: _Mask, season: int
) -> tuple[LevelSide, LevelSide]:
    """The forecasts beside their history, and beside the last run's at the same steps; `scale` and which are `selling`
    are items x targets, all else items x steps x targets."""
    factor = np.where(selling, SCALE_FACTOR, SLOW_SCALE_FACTOR)
    own, history, again = _level(values), _level(before if before.shape[1] else naive), _level(last)
    levels = item_levels(naive)
    high = np.fmax(levels, scale)
    # Fewer steps than a season may be its low ones, as the naive then says.
    low = high if values.shape[1] >= season else np.fmin(levels, scale)
    return (
        _beside("their history", own, history, (low, high), factor),
        _beside("the last run", own, again, (again[0], again[0]), factor),
    )


def _beside(name: str, own: _Pair, past: _Pair, bounds: _Pair, factor: Array) -> LevelSide:
    (level, mean), (past_level, past_mean), (low, high) = own, past, bounds
    known = np.isfinite(level) & np.isfinite(high) & (high > 0) & (level > 0)
    with np.errstate(invalid="ignore"):
        far = known & ((level > high * factor) | (level < low / factor))
        both = (np.abs(mean) >= _ONE_SIGN * level) & (np.abs(past_mean) >= _ONE_SIGN * past_level)
        opposite = known & both & (mean * past_mean < 0) & (level * SCALE_FACTOR > high)
    return LevelSide(name, level, high, mean, past_mean, known, far, opposite)


def _level(values: Array) -> _Pair:
    """The mean of the absolute values, and of the values."""
    return item_levels(values), _means(values)


def level_tally(side: LevelSide, zero: _Mask) -> LevelTally:
    """`zero` are the items with nothing but zeros that sell almost every day."""
    zero = zero & (side.other > 0)
    ratio = np.divide(side.level, side.other, out=np.zeros_like(side.level), where=side.known)
    ratio = np.where(side.opposite, -ratio, ratio)
    wrong = side.far | side.opposite | zero
    far = [ratio[wrong[:, number], number] for number in range(ratio.shape[1])]
    return LevelTally(side.name, (side.known | zero).sum(axis=0), far)


def usually_sells(naive: Array) -> _Mask:
    """Which items, by target, had something on almost every step of the season."""
    return np.asarray((np.nan_to_num(naive) > 0).mean(axis=1) > _SELLING_SHARE)


def item_levels(values: Array) -> Array:
    """The mean absolute value over the steps, items x targets, NaN for an item without any."""
    return _means(np.abs(values))


def _means(values: Array) -> Array:
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=1)
    means: Array = np.divide(total, known.sum(axis=1), out=np.full(total.shape, np.nan), where=known.any(axis=1))
    return means
