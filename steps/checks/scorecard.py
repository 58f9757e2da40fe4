"""How good the forecasts of the runs before were, as far as the history knows by now.

Each run scores the steps that became known since the run before it, so that a step of a run is scored once. The sums
are kept with its publication, and `scorecard` adds them up.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batchcast.steps.answers.item_arrays import Positions, among_first, in_order, kept_array, of_items, summed
from batchcast.steps.checks.flags import Flag
from batchcast.steps.contract.answer import Expected
from batchcast.steps.contract.frequency import Frequency
from batchcast.steps.outcome.comparison import Array, Comparison, seasonal_changes
from batchcast.steps.outcome.last_run import LastRun, earlier_runs, values_of
from batchcast.steps.outcome.quantile_scores import pinball
from batchcast.steps.store.objects import ObjectStore

_CLASSES = {"A": 0.8, "B": 0.95, "C": float("inf")}
"""The items that make up the first 80 % of the volume, the next 15 %, and the others."""
_SUMS = ("cells", "actual", "error", "naive_error", "bias", "pinball", "naive_pinball")
_SCALED = ("scaled_cells", "scaled_error", "scaled_naive_error")
_WEEKS = 2


def score_past_runs(
    store: ObjectStore,
    publish_uri: str,
    last_run: LastRun | None,
    *,
    run_date: date,
    frequency: Frequency,
    season: int,
    item_ids: pa.ChunkedArray,
    expected: Expected,
    compared: Comparison,
) -> list[dict[str, Any]]:
    """A row an earlier run, target, lead and class of items: how many values became known since the run before, their
    sum, and the sums of the errors of the model and of the seasonal naive as of that run's date."""
    moments = frequency.before(run_date, compared.before.shape[1])
    rows: list[dict[str, Any]] = []
    since: int | None = None
    for run in scored_runs(store, publish_uri, last_run, run_date):
        if run.run_date not in moments:
            break
        origin = moments.index(run.run_date)
        since = origin + 1 if since is None else since
        new = range(since, len(moments))
        if not new:
            break
        values, _ = values_of(store, run, item_ids, expected.columns, [moments[at].isoformat() for at in new])
        if not np.isfinite(values).any():
            break
        named = {"run_id": run.run_id, "run_date": run.run_date.isoformat()}
        rows += [named | row for row in _rows(values, new, origin, season, expected, compared)]
    return rows


def scored_runs(
    store: ObjectStore, publish_uri: str, last_run: LastRun | None, run_date: date | None = None
) -> Iterator[LastRun]:
    """Of each run date before the given one what was published last, the newest first."""
    seen = {run_date and run_date.isoformat()}
    for run in earlier_runs(store, publish_uri, last_run):
        if run.run_date.isoformat() not in seen:
            seen.add(run.run_date.isoformat())
            yield run


def _add(rows: Sequence[dict[str, Any]], by: str) -> list[dict[str, Any]]:
    """The sums of the rows that have the same value of `by`, in order, with what follows from them.

    WAPE = error / actual, bias = sum of (forecast - actual) / actual; None where the actual values sum up to nothing.
    MASE is the mean of the errors, each divided by its item's mean change from a season before: None without any.
    """
    found: dict[Any, dict[str, Any]] = {}
    for row in rows:
        total = found.setdefault(row[by], {by: row[by], **dict.fromkeys(_SUMS + _SCALED, 0)})
        total |= {name: total[name] + row.get(name, 0) for name in _SUMS + _SCALED}
    for total in found.values():
        size = total["actual"]
        shares = {"wape": "error", "wape_naive": "naive_error", "bias_share": "bias"}
        total |= {name: round(total[of] / size, 6) if size else None for name, of in shares.items()}
        size = total["scaled_cells"]
        shares = {"mase": "scaled_error", "mase_naive": "scaled_naive_error"}
        total |= {name: round(total[of] / size, 6) if size else None for name, of in shares.items()}
    return [found[key] for key in sorted(found)]


def scorecard(weeks: Sequence[tuple[date, Sequence[dict[str, Any]]]]) -> dict[str, Any]:
    """The sums by `runs` (their run date), `leads` (steps ahead), `items` (their class) and `weeks` (who scored).

    `weeks` are run dates with the rows that their runs have scored, the newest first.
    """
    rows = [{**row, "week": week.isoformat()} for week, scored in weeks for row in scored]
    names = {"runs": "run_date", "leads": "lead", "items": "items", "weeks": "week"}
    return {name: _add(rows, by) for name, by in names.items()}


def worse_than_naive(card: Mapping[str, Any]) -> Iterator[Flag]:
    """A flag where the model's error was above the naive's in each of the last weeks of a scorecard."""
    last = card["weeks"][-_WEEKS:]
    if len(last) == _WEEKS and all(week["error"] > week["naive_error"] for week in last):
        errors = ", then ".join(f"{week['wape']} against {week['wape_naive']} of the naive" for week in last)
        yield Flag(kind="worse_than_naive", item_id="", detail=f"WAPE {errors}")


def _rows(
    values: Array, new: range, origin: int, season: int, expected: Expected, compared: Comparison
) -> Iterator[dict[str, Any]]:
    place, changes = np.array(new), seasonal_changes(compared)
    same = origin - season + 1 + (place - origin - 1) % season
    for number, (target, at_point) in enumerate(zip(expected.targets, expected.points, strict=True)):
        sums = partial(_sums, place, same, at_point, expected.outputs.quantiles(target))
        arrays = values, compared.before[:, :, number], changes[:, number]
        for name, members in volume_classes(compared.scale[:, number]).items():
            found = dict(zip(_SCALED + _SUMS, summed(sums, *arrays, members), strict=True))
            for column in np.flatnonzero(found["cells"]).tolist():
                # A manifest is compared byte by byte: the last bits of a sum may differ between machines.
                rounded = {key: round(each[column].item(), 6) for key, each in found.items()}
                yield {"target": target, "lead": new[column] - origin, "items": name, **rounded}


def _sums(
    place: Positions,
    same: Positions,
    at_point: int,
    levels: Sequence[tuple[float, int]],
    values: Array,
    before: Array,
    changes: Array,
    members: npt.NDArray[np.bool_],
) -> list[npt.NDArray[Any]]:
    """Of some items those that are `members`: `_SCALED` and `_SUMS` by step, of which `before` has the actual values at
    `place`, and the naive at `same`."""
    actual, point = before[:, place], values[:, :, at_point]
    naive = before[:, same] if same.min() >= 0 else np.full_like(actual, np.nan)
    known = np.isfinite(point) & np.isfinite(actual) & np.isfinite(naive) & members[:, None]
    usable = known & np.isfinite(changes)[:, None]

    def total(each: Array, cells: npt.NDArray[np.bool_] = known) -> Array:
        return np.asarray(np.where(cells, each, 0.0).sum(axis=0))

    errors = [np.abs(each - actual) for each in (point, naive)]
    scaled = (total(error / changes[:, None], usable) for error in errors)
    first = [usable.sum(axis=0), *scaled, known.sum(axis=0), total(np.abs(actual)), *map(total, errors)]
    losses: list[npt.NDArray[Any]] = [np.zeros(len(place), np.int64)] * 2
    for level, at in levels:
        both = (pinball(each, actual, level) for each in (values[:, :, at], naive))
        losses = [sum_ + total(np.nan_to_num(loss)) for sum_, loss in zip(losses, both, strict=True)]
    return [*first, total(point - actual), *losses]


def volume_classes(scale: Array) -> dict[str, npt.NDArray[np.bool_]]:
    """Class to which items are in it, by their share of the volume; an item without any is in the last one."""
    sizes = of_items(lambda some: -np.nan_to_num(some), scale)
    ordered = in_order(sizes)
    sums = np.cumsum(ordered, out=kept_array(ordered.shape, np.float64))
    total = min(float(sizes.sum()), -1e-300)
    share = of_items(lambda some, own: (some - own) / total, sums, ordered)
    found: dict[str, npt.NDArray[np.bool_]] = {}
    before: npt.NDArray[np.bool_] = kept_array(scale.shape, np.bool_)
    for name, high in _CLASSES.items():
        members = among_first(sizes, ordered, int(np.searchsorted(share, high)))
        found[name] = of_items(lambda some, taken: some & ~taken, members, before)
        before = members
    return found
