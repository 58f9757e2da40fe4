"""Forecasts that are well formed and still look wrong, item by item. What becomes of a flag stands in `[checks]`."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from batchcast.steps.answers.item_arrays import of_items
from batchcast.steps.outcome.comparison import Array, Comparison

SCALE_FACTOR = 10.0
"""An item's mean forecast may be this many times its reference, or as small a part of it."""
SLOW_SCALE_FACTOR = 30.0
"""The same for an item that does not sell almost every day: its few sales say little about its level."""
_SELLING_SHARE = 0.8
_DISTINCT_VALUES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """One suspicion; `item_id` is empty when it is about the whole run.

    `size` is how much is at stake, in the target's units over all steps; of the whole run it is the measure itself.
    """

    kind: str
    item_id: str
    detail: str
    size: float = 0.0


def find_flags(
    item_ids: Sequence[str], values: Array, compared: Comparison, last_level: Array, targets: Sequence[str]
) -> list[Flag]:
    """All flags, by kind and item.

    `values` is items x days x targets with NaN for items without a forecast, which are not looked at;
    `last_level` is the mean forecast of the last published run, items x targets, NaN where there is none.
    """
    flags = list(_repeated(item_ids, values, compared.naive))
    level, usual = of_items(item_levels, values), of_items(item_levels, compared.naive)
    reference = np.fmax(usual, compared.scale)
    selling = of_items(_selling, compared.naive)
    factor = np.where(selling, SCALE_FACTOR, SLOW_SCALE_FACTOR)
    for number, target in enumerate(targets):
        flags.extend(_zeros(item_ids, values[:, :, number], selling[:, number], reference[:, number], target))
        for kind, other in (("scale", reference), ("last_run_scale", last_level)):
            scaled = _scale(kind, item_ids, level[:, number], other[:, number], factor[:, number], target)
            flags.extend(replace(flag, size=flag.size * values.shape[1]) for flag in scaled)
    return sorted(flags, key=lambda flag: (flag.kind, flag.item_id, flag.detail))


def _repeated(item_ids: Sequence[str], values: Array, naive: Array) -> Iterator[Flag]:
    for group in _alike(values):
        # Slow sellers share a flat forecast for good reasons; a pattern of several values is nobody else's.
        if len(np.unique(values[group[0]])) < _DISTINCT_VALUES:
            continue
        if len({naive[index].tobytes() for index in group}) > 1:
            for index, other in zip(group, [*group[1:], group[0]], strict=True):
                yield Flag(kind="repeated_answer", item_id=item_ids[index], detail=f"the same as {item_ids[other]}")


def _alike(values: Array) -> Iterator[list[int]]:
    """The items with the same values, where there are several, in order of the first of them."""
    sums, whole = of_items(_sums, values), of_items(_whole, values)
    order = np.argsort(sums, kind="stable")
    same = sums[order][1:] == sums[order][:-1]
    groups: defaultdict[bytes, list[int]] = defaultdict(list)
    for index in np.sort(order[np.append(same, False) | np.append(False, same)]).tolist():
        if whole[index]:
            groups[values[index].tobytes()].append(index)
    return (group for group in groups.values() if len(group) > 1)


def _whole(values: Array) -> npt.NDArray[np.bool_]:
    return np.asarray(np.isfinite(values).all(axis=(1, 2)))


def _sums(values: Array) -> npt.NDArray[np.uint64]:
    """A number an item that is the same where the values are, byte by byte, and seldom elsewhere."""
    words = np.ascontiguousarray(values).view(np.uint64).reshape(len(values), -1)
    odd = np.random.default_rng(0).integers(0, 1 << 63, words.shape[1], np.uint64) * np.uint64(2) + np.uint64(1)
    return np.asarray((words ^ (words >> np.uint64(32))) @ odd)


def _zeros(
    item_ids: Sequence[str], values: Array, selling: npt.NDArray[np.bool_], reference: Array, target: str
) -> Iterator[Flag]:
    for index in np.flatnonzero(of_items(_nothing, values) & selling).tolist():
        detail = f"{target}: 0 on every day; the last week had sales on almost every day"
        size = float(np.nan_to_num(reference[index])) * values.shape[1]
        yield Flag(kind="constant_zero", item_id=item_ids[index], detail=detail, size=size)


def _scale(
    kind: str, item_ids: Sequence[str], level: Array, reference: Array, factor: Array, target: str
) -> Iterator[Flag]:
    known = np.isfinite(level) & np.isfinite(reference) & (reference > 0) & (level > 0)
    ratio = np.divide(level, reference, out=np.ones_like(level), where=known)
    for index in np.flatnonzero((ratio > factor) | (ratio < 1 / factor)).tolist():
        detail = f"{target}: {level[index]:.4g} a day on average, against {reference[index]:.4g}"
        size = abs(float(level[index] - reference[index]))
        yield Flag(kind=kind, item_id=item_ids[index], detail=detail, size=size)


def _nothing(values: Array) -> npt.NDArray[np.bool_]:
    return np.asarray((values == 0).all(axis=1))


def _selling(naive: Array) -> npt.NDArray[np.bool_]:
    return np.asarray((np.nan_to_num(naive) > 0).mean(axis=1) > _SELLING_SHARE)


def item_levels(values: Array) -> Array:
    """The mean absolute value over the steps, items x targets, NaN for an item without any."""
    known = np.isfinite(values)
    total = np.where(known, np.abs(values), 0.0).sum(axis=1)
    levels: Array = np.divide(total, known.sum(axis=1), out=np.full(total.shape, np.nan), where=known.any(axis=1))
    return levels
