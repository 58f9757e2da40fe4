"""Forecasts that are well formed and still look wrong, item by item. What becomes of a flag stands in `[checks]`."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain

import numpy as np
import numpy.typing as npt

from batchcast.steps.answers.item_arrays import each_block, in_order, of_items
from batchcast.steps.checks.copies import has_pattern
from batchcast.steps.outcome.comparison import Array, Comparison

SCALE_FACTOR = 10.0
"""An item's mean forecast may be this many times its reference, or as small a part of it."""
SLOW_SCALE_FACTOR = 30.0
"""The same for an item that does not sell almost every day: its few sales say little about its level."""
_SELLING_SHARE = 0.8
_Sums = npt.NDArray[np.uint64]


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
    rows = range(len(values)), values, compared.naive, compared.scale, last_level
    found = each_block(partial(_find_flags, item_ids, targets), *rows)
    flags = [*_repeated(item_ids, values, compared.naive), *chain.from_iterable(found)]
    return sorted(flags, key=lambda flag: (flag.kind, flag.item_id, flag.detail))


def _find_flags(
    item_ids: Sequence[str],
    targets: Sequence[str],
    places: range,
    values: Array,
    naive: Array,
    scale: Array,
    last_level: Array,
) -> list[Flag]:
    """Of some items, at these places of `item_ids`."""
    flags: list[Flag] = []
    level, reference = item_levels(values), np.fmax(item_levels(naive), scale)
    selling = (np.nan_to_num(naive) > 0).mean(axis=1) > _SELLING_SHARE

    def add(kind: str, at: tuple[int, int], detail: str, a_step: float) -> None:
        said = f"{targets[at[1]]}: {detail}"
        flags.append(Flag(kind=kind, item_id=item_ids[places[at[0]]], detail=said, size=a_step * values.shape[1]))

    for at in _where((values == 0).all(axis=1) & selling):
        detail = "0 on every day; the last week had sales on almost every day"
        add("constant_zero", at, detail, float(np.nan_to_num(reference[at])))
    factor = np.where(selling, SCALE_FACTOR, SLOW_SCALE_FACTOR)
    for kind, other in (("scale", reference), ("last_run_scale", last_level)):
        known = np.isfinite(level) & np.isfinite(other) & (other > 0) & (level > 0)
        ratio = np.divide(level, other, out=np.ones_like(level), where=known)
        for at in _where((ratio > factor) | (ratio < 1 / factor)):
            detail = f"{level[at]:.4g} a day on average, against {other[at]:.4g}"
            add(kind, at, detail, abs(float(level[at] - other[at])))
    return flags


def _where(mask: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    return ((item, number) for item, number in np.argwhere(mask).tolist())


def _repeated(item_ids: Sequence[str], values: Array, naive: Array) -> Iterator[Flag]:
    for group in _alike(values):
        if len({naive[index].tobytes() for index in group}) > 1:
            for index, other in zip(group, [*group[1:], group[0]], strict=True):
                yield Flag(kind="repeated_answer", item_id=item_ids[index], detail=f"the same as {item_ids[other]}")


def _alike(values: Array) -> Iterator[list[int]]:
    """The items with the same values, where there are several, in order of the first of them."""
    sums = of_items(_sums, values)
    ordered = in_order(sums)
    several = np.unique(np.concatenate([*each_block(_twice, ordered[1:], ordered[:-1])]))
    groups: defaultdict[bytes, list[int]] = defaultdict(list)
    for index in of_items(partial(_patterns, several), range(len(values)), sums, values).tolist():
        groups[values[index].tobytes()].append(index)
    return (group for group in groups.values() if len(group) > 1)


def _twice(sums: _Sums, before: _Sums) -> _Sums:
    return np.unique(sums[sums == before])


def _patterns(several: _Sums, places: range, sums: _Sums, values: Array) -> npt.NDArray[np.int64]:
    """The places of the items with one of these sums and a pattern, which is nobody else's."""
    some = np.flatnonzero(np.isin(sums, several))
    flat = values[some].reshape(len(some), math.prod(values.shape[1:]))
    return np.asarray(some[np.isfinite(flat).all(axis=1) & has_pattern(flat)] + places.start)


def _sums(values: Array) -> _Sums:
    """A number an item that is the same where the values are, byte by byte, and seldom elsewhere."""
    words = np.ascontiguousarray(values).view(np.uint64).reshape(len(values), -1)
    odd = np.random.default_rng(0).integers(0, 1 << 63, words.shape[1], np.uint64) * np.uint64(2) + np.uint64(1)
    return np.asarray((words ^ (words >> np.uint64(32))) @ odd)


def item_levels(values: Array) -> Array:
    """The mean absolute value over the steps, items x targets, NaN for an item without any."""
    known = np.isfinite(values)
    total = np.where(known, np.abs(values), 0.0).sum(axis=1)
    levels: Array = np.divide(total, known.sum(axis=1), out=np.full(total.shape, np.nan), where=known.any(axis=1))
    return levels
