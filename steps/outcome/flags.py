"""Forecasts that pass every check and still look wrong. A flag is for people; it holds a run only on demand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from batchcast.steps.outcome.comparison import Array, Comparison

__all__ = ["FLAGS", "Flag", "find_flags"]

FLAGS = {
    "repeated_answer": "the same values as another item whose history differs",
    "constant_zero": "nothing but zeros for an item that sells almost every day",
    "scale": "a level far from the item's own history",
    "last_run_scale": "a level far from the last published run",
    "unexpected_output": "an output object that belongs to no record of this run",
    "fewer_items": "far fewer items than the last published run",
    "run_scale": "the sum of all forecasts is far from the seasonal naive's",
}
"""The kinds of flag, and what each says."""

SCALE_FACTOR = 10.0
"""An item's mean forecast may be this many times its reference, or as small a part of it."""
SLOW_SCALE_FACTOR = 30.0
"""The same for an item that does not sell almost every day: its few sales say little about its level."""
RUN_FACTOR = 2.0
"""The same for the sum over all items, where chance evens out."""
_SELLING_SHARE = 0.8
_DISTINCT_VALUES = 3
_RUN_ITEMS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """One suspicion; `item_id` is empty when it is about the whole run."""

    kind: str
    item_id: str
    detail: str


def find_flags(
    item_ids: Sequence[str], values: Array, compared: Comparison, last_level: Array, targets: Sequence[str]
) -> list[Flag]:
    """All flags, by kind and item.

    `values` is items x days x targets with NaN for items without a forecast, which are not looked at;
    `last_level` is the mean forecast of the last published run, items x targets, NaN where there is none.
    """
    flags = list(_repeated(item_ids, values, compared.naive))
    level = _mean(np.abs(values))
    reference = np.fmax(_mean(np.abs(compared.naive)), compared.scale)
    selling = (np.nan_to_num(compared.naive) > 0).mean(axis=1) > _SELLING_SHARE
    factor = np.where(selling, SCALE_FACTOR, SLOW_SCALE_FACTOR)
    for number, target in enumerate(targets):
        flags.extend(_zeros(item_ids, values[:, :, number], selling[:, number], target))
        for kind, other in (("scale", reference), ("last_run_scale", last_level)):
            flags.extend(_scale(kind, item_ids, level[:, number], other[:, number], factor[:, number], target))
        flags.extend(_run_scale(values[:, :, number], compared.naive[:, :, number], target))
    return sorted(flags, key=lambda flag: (flag.kind, flag.item_id, flag.detail))


def _repeated(item_ids: Sequence[str], values: Array, naive: Array) -> Iterator[Flag]:
    groups: defaultdict[bytes, list[int]] = defaultdict(list)
    for index in np.flatnonzero(np.isfinite(values).all(axis=(1, 2))).tolist():
        groups[values[index].tobytes()].append(index)
    for group in groups.values():
        # Slow sellers share a flat forecast for good reasons; a pattern of several values is nobody else's.
        if len(group) < 2 or len(np.unique(values[group[0]])) < _DISTINCT_VALUES:
            continue
        if len({naive[index].tobytes() for index in group}) > 1:
            for index, other in zip(group, [*group[1:], group[0]], strict=True):
                yield Flag(kind="repeated_answer", item_id=item_ids[index], detail=f"the same as {item_ids[other]}")


def _zeros(item_ids: Sequence[str], values: Array, selling: npt.NDArray[np.bool_], target: str) -> Iterator[Flag]:
    for index in np.flatnonzero((values == 0).all(axis=1) & selling).tolist():
        detail = f"{target}: 0 on every day; the last week had sales on almost every day"
        yield Flag(kind="constant_zero", item_id=item_ids[index], detail=detail)


def _scale(
    kind: str, item_ids: Sequence[str], level: Array, reference: Array, factor: Array, target: str
) -> Iterator[Flag]:
    known = np.isfinite(level) & np.isfinite(reference) & (reference > 0) & (level > 0)
    ratio = np.divide(level, reference, out=np.ones_like(level), where=known)
    for index in np.flatnonzero((ratio > factor) | (ratio < 1 / factor)).tolist():
        detail = f"{target}: {level[index]:.4g} a day on average, against {reference[index]:.4g}"
        yield Flag(kind=kind, item_id=item_ids[index], detail=detail)


def _run_scale(values: Array, naive: Array, target: str) -> Iterator[Flag]:
    both = np.isfinite(values) & np.isfinite(naive)
    forecast, reference = float(values[both].sum()), float(naive[both].sum())
    if both.any(axis=1).sum() < _RUN_ITEMS or reference <= 0:
        return
    if not 1 / RUN_FACTOR <= forecast / reference <= RUN_FACTOR:
        detail = f"{target}: {forecast:.6g} in all, against {reference:.6g}"
        yield Flag(kind="run_scale", item_id="", detail=detail)


def _mean(values: Array) -> Array:
    """The mean over the days, NaN for an item with no value at all."""
    known = np.isfinite(values)
    days = known.sum(axis=1)
    total: Array = np.where(known, values, 0.0).sum(axis=1)
    mean: Array = np.divide(total, days, out=np.full(total.shape, np.nan), where=days > 0)
    return mean
