"""Whether a run's forecasts deserve to be read: each measure against what runs of this pipeline have been like.

The limits come from the pipeline's own clean runs: the median of the measure over the last ones, plus eight robust
standard deviations, at least 0.02 (0.1 of a correlation) and half the median. While there are fewer than four, fixed
limits stand in; they were set on weekly runs of two samples (benchmarks/results/gate.md) and say nothing about a
handful of items.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from batchcast.steps.answers.item_arrays import count_finite, each_block, finite_median, of_items, summed
from batchcast.steps.checks import run_change
from batchcast.steps.checks.flags import Flag, has_pattern
from batchcast.steps.checks.restlessness import restlessness
from batchcast.steps.checks.run_change import Measures, shared_cells
from batchcast.steps.outcome.comparison import Array, Comparison
from batchcast.steps.outcome.last_run import GATE_PAIRS, LastRun

_LEAST_PAIRS = 4
_LEAST_ITEMS = 20
_DEVIATIONS = 8 * 1.4826
_FLOOR = 0.02
_NO_SEASON = 0.5
"""A history whose seasons correlate by less with each other has none that a forecast could miss."""


class _Limit(NamedTuple):
    """How a measure is held against what is usual: the kind of its flag, and the limit while too few runs say more.

    That is at least `share` of the measure `of` of the history itself, of its side and name: with few sales an item, or
    one level for all items, it cannot tell a forecast that is wrong by it.
    """

    kind: str
    first: float
    of: tuple[str, str] = ("", "")
    share: float = 0.0
    floor: float = _FLOOR


_LIMITS: Mapping[tuple[str, str], _Limit] = {
    ("last_run", "change"): _Limit("last_run_change", 0.15, ("last_run", "change"), 0.25),
    ("last_run", "level"): _Limit("last_run_level", 0.1, ("last_run", "change"), 0.125),
    ("last_run", "shape"): _Limit("last_run_shape", 0.1, ("last_run", "shape"), 0.5, 0.1),
    ("last_run", "items"): _Limit("last_run_change", 0.2, ("last_run", "items"), 0.25),
    ("last_run", "profile"): _Limit("last_run_shape", 0.3, ("last_run", "profile"), 0.5, 0.1),
    ("last_run", "capped"): _Limit("last_run_shape", 0.15),
    ("last_run", "jumps"): _Limit("last_run_change", 0.015, ("history", "far"), 0.5),
    ("history", "level"): _Limit("history_level", 0.25, ("history", "level"), 2.0),
    ("history", "shape"): _Limit("history_shape", 0.6, floor=0.1),
    ("history", "place"): _Limit("history_shape", 0.1),
    ("history", "order"): _Limit("history_items", 0.5, ("history", "order"), 1.25),
    ("history", "far"): _Limit("history_items", 0.1, ("history", "far"), 2.0),
    ("history", "restless"): _Limit("history_noise", 0.6),
}
_WORDS = {
    "change": "the values differ by {:.1%} from {other}",
    "level": "the sum differs by {:+.1%} from {other}",
    "shape": "the totals' correlation is 1 - {:.3f} with {other}",
    "place": "the totals' correlation is {:.3f} higher some steps earlier or later in {other}",
    "profile": "the median item's correlation, step by step, is 1 - {:.3f} with {other}",
    "capped": "the median item has its largest value in {:.0%} more of the steps than in {other}",
    "jumps": "items that more than doubled or halved move {:.1%} of the volume of {other}",
    "items": "the median item differs by {:.1%} from {other}",
    "order": "the items' levels correlate by 1 - {:.3f} with {other}",
    "restless": "the median item changes from season to season by {:.1%} of what it does in {other}, chance included",
    "far": "{:.1%} of the items are more than double or less than half of {other}",
}
_COPIED = 0.5
_ITEM_FLOOR = 0.5

RunMeasures = Mapping[str, Mapping[str, Measures]]
"""Target to "last_run", "history" and "copies" to measures: what a publication keeps of its run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """The run this one is compared with: `by_date` its values on this run's dates, `by_step` at this run's steps, both
    items x steps x targets; and the measures of earlier published runs, the newest first. With
    `same_date` it is of the same run date, and may have the same values."""

    run: LastRun | None
    by_date: Array
    by_step: Array
    earlier: Sequence[RunMeasures] = ()
    same_date: bool = False


def measure_run(values: Array, compared: Comparison, past: Past, targets: Sequence[str]) -> RunMeasures:
    """All measures of a run; `values` is items x steps x targets. What cannot be measured is left out."""
    found: dict[str, dict[str, Measures]] = {}
    for number, target in enumerate(targets):
        mine, last = values[:, :, number], past.by_date[:, :, number]
        naive, actual = compared.naive[:, :, number], compared.actual[:, :, number]
        before, by_step = compared.before[:, :, number], past.by_step[:, :, number]
        scale = compared.scale[:, number]
        history = run_change.change_from_history(mine, naive, before, scale, compared.season)
        if history is not None:
            history = {**history, **restlessness(mine, before, compared.season)}
        own = run_change.history_changes(before, compared.season)
        # It may repeat the last run step by step, or on the dates that both have.
        asked = past.run is not None and not past.same_date
        stale = max(copied_share(mine, by_step), copied_share(mine, last)) if asked else 0.0
        sides = {
            "last_run": run_change.change_from_last_run(mine, last) if past.run else None,
            "history": history,
            **{f"own_{side}": measures for side, measures in own.items()},
            "copies": {"stale": stale, "actual": copied_share(mine, actual), "naive": copied_share(mine, naive)},
        }
        found[target] = {side: _rounded(measures) for side, measures in sides.items() if measures is not None}
    return found


def gate_flags(
    measured: RunMeasures, values: Array, past: Past, item_ids: Sequence[str], targets: Sequence[str]
) -> list[Flag]:
    """What is beyond the limits, of the whole run and of single items."""
    items = sum(each_block(lambda some: int(np.isfinite(some).any(axis=(1, 2)).sum()), values))
    flags: list[Flag] = []
    for number, target in enumerate(targets):
        mine = measured[target]
        # With a last run to compare with, the history says less: a season or a holiday moves a forecast away from it.
        side = "last_run" if "last_run" in mine else "history"
        flags.extend(_beyond(target, side, mine, past, items))
        flags.extend(_copies(target, mine["copies"], past, items))
        if past.run:
            flags.extend(_items(target, values[:, :, number], past.by_date[:, :, number], item_ids))
    return flags


def copied_share(values: Array, other: Array) -> float:
    """The share of the items with a pattern whose values are the other's at every place that both have, 0 to 1."""
    same, telling = summed(_copied, values, other)
    return float(same / telling) if telling else 0.0


def _copied(values: Array, other: Array) -> npt.NDArray[np.int64]:
    shared = shared_cells(values, other)
    if not shared.any():
        return np.zeros(2, np.int64)
    same = np.isclose(values, other, rtol=1e-9, atol=0.0) | ~shared
    telling = has_pattern(np.where(shared, values, np.nan))
    return np.array([(same.all(axis=1) & telling).sum(), telling.sum()])


def _beyond(target: str, side: str, mine: Mapping[str, Measures], past: Past, items: int) -> Iterator[Flag]:
    own = mine.get(f"own_{side}", {})
    for name, value in mine.get(side, {}).items():
        if side == "history" and name in ("shape", "place") and own.get("shape", 1.0) > _NO_SEASON:
            continue
        earlier = [run[target][side][name] for run in past.earlier if name in run.get(target, {}).get(side, {})]
        rule = _LIMITS[side, name]
        first = max(rule.first, rule.share * abs(mine.get(f"own_{rule.of[0]}", {}).get(rule.of[1], 0.0)))
        limit, known = _limit([abs(each) for each in earlier], first, rule.floor)
        if abs(value) <= limit or not (known or items >= _LEAST_ITEMS):
            continue
        other = f"run {past.run.run_id}" if past.run and side == "last_run" else "the history"
        whence = f"{known} earlier runs" if known else "too few earlier runs to know better"
        detail = f"{target}: {_WORDS[name].format(value, other=other)}; the limit is {limit:.3g}, by {whence}"
        yield Flag(kind=rule.kind, item_id="", detail=detail, size=abs(value))


def _limit(earlier: Sequence[float], first: float, floor: float) -> tuple[float, int]:
    """The limit, and of how many earlier runs it is; 0 for the `first` one."""
    found = np.array(earlier[:GATE_PAIRS])
    if len(found) < _LEAST_PAIRS:
        return first, 0
    centre = float(np.median(found))
    spread = _DEVIATIONS * float(np.median(np.abs(found - centre)))
    return centre + max(spread, floor, centre / 2), len(found)


def _copies(target: str, copies: Measures, past: Past, items: int) -> Iterator[Flag]:
    last = f"run {past.run.run_id}" if past.run else "the last run"
    words = {
        "stale": ("stale_answers", f"are those of {last}"),
        "actual": ("leaked_actuals", "are the actual values"),
        "naive": ("naive_copy", "are the last season once more"),
    }
    for name, (kind, what) in words.items():
        # A model may be a naive one, or forecast the same every week: then its earlier runs did so too.
        usual = [run[target]["copies"].get(name, 0.0) for run in past.earlier if "copies" in run.get(target, {})]
        if items >= _LEAST_ITEMS and copies[name] > max([_COPIED, *usual]):
            detail = f"{target}: the forecasts of {copies[name]:.0%} of the items {what}, value by value"
            yield Flag(kind=kind, item_id="", detail=detail, size=copies[name])


def _items(target: str, values: Array, last: Array, item_ids: Sequence[str]) -> Iterator[Flag]:
    """Items that changed by far more than the others did, with the volume that is at stake."""
    changes = of_items(run_change.item_changes, values, last)
    centre = finite_median(changes)
    if centre is None or count_finite(changes) < _LEAST_ITEMS:
        return
    spread = finite_median(of_items(lambda some: np.abs(some - centre), changes)) or 0.0
    limit = centre + max(_DEVIATIONS * spread, _ITEM_FLOOR)
    for index in np.flatnonzero(of_items(lambda some: some > limit, changes)).tolist():
        here = shared_cells(values[index], last[index])
        size = float(np.abs(values[index, here] - last[index, here]).sum())
        detail = f"{target}: {changes[index]:.0%} from the last run; {centre:.0%} is usual in this one"
        yield Flag(kind="item_change", item_id=item_ids[index], detail=detail, size=size)


def _rounded(measures: Measures) -> Measures:
    # A manifest is compared byte by byte: the last bits of a sum may differ between machines.
    # What overflows is no measure.
    return {name: round(value, 6) for name, value in measures.items() if math.isfinite(value)}
