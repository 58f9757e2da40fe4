"""Forecasts that are well formed and still look wrong, item by item. What becomes of a flag stands in `[checks]`."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from batchcast.steps.answers.item_arrays import each_block, in_order, of_items
from batchcast.steps.checks.levels import LevelTally, compare_levels, level_tally, usually_sells
from batchcast.steps.outcome.comparison import Array, Comparison

MOST = 0.5
"""What more of the items than this say is said of the whole run."""
_DISTINCT_VALUES = 3
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
    item_ids: Sequence[str], values: Array, compared: Comparison, last: Array, targets: Sequence[str]
) -> list[Flag]:
    """All flags, by kind and item.

    `values` is items x days x targets with NaN for items without a forecast, which are not looked at; `last` are those
    of the last published run at the same steps, NaN where there are none.
    """
    rows = range(len(values)), values, compared.naive, compared.scale, compared.before, last
    found, tallies = zip(*each_block(partial(_find_flags, item_ids, targets, compared.season), *rows), strict=True)
    flags = [*_repeated(item_ids, values, compared.naive), *(flag for some in found for flag in some)]
    flags.extend(_most(targets, tallies))
    return sorted(flags, key=lambda flag: (flag.kind, flag.item_id, flag.detail))


def _find_flags(
    item_ids: Sequence[str],
    targets: Sequence[str],
    season: int,
    places: range,
    values: Array,
    naive: Array,
    scale: Array,
    before: Array,
    last: Array,
) -> tuple[list[Flag], list[LevelTally]]:
    """Of some items, at these places of `item_ids`; with what all of them say about the whole run."""
    flags: list[Flag] = []
    selling = usually_sells(naive)
    sides = compare_levels(values, naive, scale, before, last, selling, season)

    def add(kind: str, at: tuple[int, int], detail: str, a_step: float) -> None:
        said = f"{targets[at[1]]}: {detail}"
        flags.append(Flag(kind=kind, item_id=item_ids[places[at[0]]], detail=said, size=a_step * values.shape[1]))

    zero = (values == 0).all(axis=1) & selling
    for at in _where(zero):
        detail = "0 on every day; the last week had sales on almost every day"
        add("constant_zero", at, detail, float(np.nan_to_num(sides[0].other[at])))
    for kind, side in zip(("scale", "last_run_scale"), sides, strict=True):
        for at in _where(side.far):
            detail = f"{side.level[at]:.4g} a day on average, against {side.other[at]:.4g}"
            add(kind, at, detail, abs(float(side.level[at] - side.other[at])))
        for at in _where(side.opposite):
            detail = f"{side.mean[at]:.4g} a day on average, against {side.other_mean[at]:.4g} of {side.name}"
            add("sign", at, detail, abs(float(side.mean[at] - side.other_mean[at])))
    if values.shape[1] < season:  # The last run may have had other days of the week, and zeros may be a closed one.
        return flags, [level_tally(sides[0], np.zeros_like(zero))]
    return flags, [level_tally(side, zero) for side in sides]


def _most(targets: Sequence[str], tallies: Sequence[Sequence[LevelTally]]) -> Iterator[Flag]:
    """What MOST of the items say, be they many or one, is said of the whole run."""
    for number, target in enumerate(targets):
        along = ""
        for same in zip(*tallies, strict=True):
            compared = sum(int(tally.compared[number]) for tally in same)
            far = np.concatenate([tally.far[number] for tally in same])
            if len(far) > MOST * compared:
                what = f"{len(far):,} of {compared:,} items, the median one {float(np.median(far)):,.4g} times it"
                detail = f"{target}: far from {same[0].name}: {what}{along}"
                yield Flag(kind="run_scale", item_id="", detail=detail, size=len(far) / compared)
            elif compared:
                along = "; the history agrees, and may have another unit now"


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


def has_pattern(values: Array) -> npt.NDArray[np.bool_]:
    """Which rows have three different values or more: slow sellers share a flat forecast for good reasons."""
    ordered = np.sort(values, axis=1)  # NaN comes last, and is above nothing
    return np.asarray((np.diff(ordered, axis=1) > 0).sum(axis=1) >= _DISTINCT_VALUES - 1)


def _sums(values: Array) -> _Sums:
    """A number an item that is the same where the values are, byte by byte, and seldom elsewhere."""
    words = np.ascontiguousarray(values).view(np.uint64).reshape(len(values), -1)
    odd = np.random.default_rng(0).integers(0, 1 << 63, words.shape[1], np.uint64) * np.uint64(2) + np.uint64(1)
    return np.asarray((words ^ (words >> np.uint64(32))) @ odd)
