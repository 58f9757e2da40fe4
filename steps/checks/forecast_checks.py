"""All checks of a run's forecasts together: the gate of the whole run, the flags of items, and what each one means."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from batchcast.steps.answers.item_names import ItemNames
from batchcast.steps.checks.flags import Flag, find_flags
from batchcast.steps.checks.gate import Past, RunMeasures, gate_flags, measure_run
from batchcast.steps.checks.other_items import other_items
from batchcast.steps.contract.checks import CHECKS, Checks
from batchcast.steps.outcome.comparison import Array, Comparison
from batchcast.steps.outcome.last_run import LastRun, reference_run, values_of
from batchcast.steps.store.objects import ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedForecasts:
    """The flags that `[checks]` does not turn off, those that hold the run, and what the run measured: that is kept
    with its publication, for later runs to be held against. `last` are the last run's values on this run's dates."""

    flags: tuple[Flag, ...]
    holding: tuple[Flag, ...]
    measured: RunMeasures
    last: Array


def check_forecasts(
    store: ObjectStore,
    publish_uri: str,
    last_run: LastRun | None,
    *,
    run_date: date,
    dates: Sequence[str],
    item_ids: pa.ChunkedArray,
    values: Array,
    compared: Comparison,
    columns: Mapping[str, str],
    checks: Checks,
    chosen: bool,
    others: Sequence[Flag],
) -> CheckedForecasts:
    """Check `values`, items x steps x targets; `columns` is target to published column, `others` are flags found
    elsewhere. Items that were `chosen` need not be those of the last run."""
    targets, names = list(columns), list(columns.values())
    reference, earlier = reference_run(store, publish_uri, last_run)
    by_date, by_step = values_of(store, reference, item_ids, names, dates)
    last = by_step
    again = reference is not None and reference.run_date == run_date
    if again:  # A second run of a week gives the same answers at the same steps, as it must.
        by_step = np.broadcast_to(np.nan, by_step.shape)
    past = Past(run=reference, by_date=by_date, by_step=by_step, earlier=earlier, same_date=again)
    ids = ItemNames(item_ids)
    measured = measure_run(values, compared, past, targets)
    if last_run is not None and not chosen:
        others = [*others, *other_items(store, last_run, item_ids, last if reference is last_run else None)]
    gate = gate_flags(measured, values, past, ids, targets)
    found = (*others, *gate, *find_flags(ids, values, compared, last, targets))
    flags = rank_flags(flag for flag in found if checks.severities[flag.kind] != "off")
    if again:  # What a second run of a week changes says nothing about what a week changes.
        measured = {
            target: {side: each for side, each in sides.items() if side != "last_run"}
            for target, sides in measured.items()
        }
    holding = tuple(flag for flag in flags if checks.severities[flag.kind] == "hold")
    return CheckedForecasts(flags=flags, holding=holding, measured=measured, last=by_date)


def rank_flags(flags: Iterable[Flag]) -> tuple[Flag, ...]:
    """Those of the whole run first, in the order of the checks, then the items' by what is at stake."""
    place = {kind: number for number, kind in enumerate(CHECKS)}

    def rank(flag: Flag) -> tuple[bool, float, int, str, str]:
        return flag.item_id != "", -flag.size if flag.item_id else 0.0, place[flag.kind], flag.item_id, flag.detail

    return tuple(sorted(flags, key=rank))
