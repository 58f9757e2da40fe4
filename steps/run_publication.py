"""A run whose forecasts are to be published, and what its publication says of it."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batchcast.steps.answers.item_arrays import blocks, of_items
from batchcast.steps.answers.item_names import ItemNames
from batchcast.steps.arguments import ALL
from batchcast.steps.checks.forecast_checks import CheckedForecasts
from batchcast.steps.checks.scorecard import score_past_runs
from batchcast.steps.container import ContainerPaths
from batchcast.steps.contract.answer import Expected
from batchcast.steps.contract.frequency import parse_frequency
from batchcast.steps.contract.model_contract import ModelContract
from batchcast.steps.errors import DataError
from batchcast.steps.outcome.approval import Approval
from batchcast.steps.outcome.comparison import Comparison
from batchcast.steps.outcome.decision import Decision
from batchcast.steps.outcome.last_run import LastRun, forecasts_of, not_compared, published_parts
from batchcast.steps.outcome.ledger import GOOD, Ledger
from batchcast.steps.outcome.reconcile import Reconciliation
from batchcast.steps.publish.forecast_table import ForecastRows, Rows
from batchcast.steps.publish.merged_rows import MergedRows, fill_up, replace_items
from batchcast.steps.publish.publication import Publication, publish
from batchcast.steps.publish_arguments import PublishArguments
from batchcast.steps.shards.manifest import Manifest
from batchcast.steps.shards.sent_records import SentRecords
from batchcast.steps.store.objects import ObjectStore

_LINES = 1 << 32
"""More than a shard has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishRun:
    """What the step works on: its arguments, what the build promised, what readers see by now, and where to read and
    write. Arrays of all items lie in `scratch`, a directory."""

    arguments: PublishArguments
    paths: ContainerPaths
    store: ObjectStore
    manifest: Manifest
    records: pa.Table
    contract: ModelContract
    expected: Expected
    scratch: Path
    last_run: LastRun | None
    approval: Approval | None = None
    scores: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    @property
    def has_chosen_items(self) -> bool:
        """Whether ItemsUri names the items."""
        return bool(self.manifest.parameters["items_uri"] != ALL)

    @property
    def covers_less(self) -> bool:
        """Whether this run has so few of the last one's items that something must be wrong, or on purpose."""
        least = self.last_run.items * (1 - self.arguments.systemic_failure_percent / 100) if self.last_run else 0
        return bool(self.records.num_rows < least)

    def score_before(self, compared: Comparison) -> list[dict[str, Any]]:
        """How the runs before did, by what is known since the last one; a few chosen items do not tell."""
        if self.has_chosen_items or not compared.before.size:
            return []
        return score_past_runs(
            self.store,
            self.arguments.publish_uri,
            self.last_run,
            run_date=self.manifest.run_date,
            frequency=parse_frequency(self.manifest.frequency),
            season=self.manifest.season,
            item_ids=self.records["item_id"],
            expected=self.expected,
            compared=compared,
        )

    def sent(self, ledger: Ledger) -> SentRecords:
        """How the requests were sent that hold a record without a good answer."""
        shards = {shard: number for number, shard in enumerate({row.shard for row in ledger.odd if row.shard})}
        names = pa.array(list(shards), pa.string())
        wanted = {shards[row.shard] * _LINES + row.line for row in ledger.odd if row.shard and row.line is not None}
        requests = pa.array(list(wanted), pa.int64())
        found = [self.records.slice(0, 0)]
        for some in blocks(len(self.records)) if wanted else ():
            part = self.records.slice(some.start, some.stop - some.start)
            shard = pc.index_in(part["shard"], value_set=names).cast(pa.int64())
            request = pc.add(pc.multiply(shard, _LINES), part["line"].cast(pa.int64()))
            mine = pc.is_in(request, value_set=requests)
            if pc.any(mine).as_py():
                found.append(part.filter(mine))
        return SentRecords.of(self.manifest, pa.concat_tables(found))


def publish_run(
    run: PublishRun, found: Reconciliation, decision: Decision, checked: CheckedForecasts
) -> tuple[Publication, int]:
    """Publish the usable forecasts; also the number of items filled up from the last published run.

    A run of chosen items of the date that readers see publishes all that they see, with these items replaced.
    """
    columns, last_run = run.expected.columns, run.last_run
    without = [row for row in found.ledger.odd if row.status not in GOOD]
    names, dates, usable = run.records["item_id"], run.expected.dates, found.ledger.usable
    places = of_items(lambda some, good: np.asarray(some)[good], range(len(usable)), usable)
    forecasts = ForecastRows(item_ids=names, values=found.values, places=places, dates=dates, targets=columns)
    items = [row.item_id for row in without]
    merged = _merge_published(run, forecasts, items)
    table: Rows = merged or forecasts
    filled = 0
    if run.contract.checks.missing_forecasts == "carry_forward" and without and merged is None:
        older = forecasts_of(run.store, last_run, items, columns, dates)
        if older is not None:
            table = fill_up(forecasts, older)
            filled = table.items
    manifest: dict[str, Any] = {
        "schema": 1,
        "run_id": run.manifest.run_id,
        "run_date": run.manifest.run_date.isoformat(),
        "run_label": run.arguments.run_label,
        "outcome": decision.outcome,
        "counts": dataclasses.asdict(found.tally),
        "forecast_horizon": run.manifest.forecast_horizon,
        "frequency": run.manifest.frequency,
        "outputs": [dataclasses.asdict(output) for output in run.contract.outputs.columns],
        "without_forecast": [{"item_id": row.item_id, "status": row.status, "reason": row.reason} for row in without],
        "carried_forward": filled,
        "previous": {"run_id": last_run.run_id, "run_date": last_run.run_date.isoformat()} if last_run else None,
        "merged": None,
        "flagged_items": len({flag.item_id for flag in checked.flags if flag.item_id}),
        "measured": checked.measured,
        "scores": run.scores,
        "approved": run.approval and dataclasses.asdict(run.approval),
        "parameters": dict(run.manifest.parameters),
        "contract_sha256": run.manifest.contract_sha256,
        "code_version": run.manifest.code_version,
    }
    keep = _keep_pointer(run)
    if last_run is not None and merged is not None:
        keep = ""
        manifest |= _merged(last_run, manifest, merged)
    uri = run.arguments.publish_uri
    return publish(run.store, uri, table, manifest, keep_pointer=keep, scratch=run.scratch), filled


def merged_rows(run: PublishRun) -> int:
    """How many rows readers see of the run that this one is to replace some items of; 0 where it is to replace none."""
    mine, last_run = run.manifest, run.last_run
    if last_run is None or not run.has_chosen_items or last_run.run_date != mine.run_date:
        return 0
    then = last_run.manifest
    same = (then.get("forecast_horizon"), then.get("frequency")) == (mine.forecast_horizon, mine.frequency)
    return (
        sum(file["rows"] for file in then["files"]) if same and last_run.columns == tuple(run.expected.columns) else 0
    )


def _merge_published(run: PublishRun, forecasts: ForecastRows, without: Sequence[str]) -> MergedRows | None:
    """What readers see with these forecasts in the place of the same items', where this run is to replace some of
    them; None otherwise, and if it cannot be read. Which of the items without a forecast it has is noted."""
    last_run = run.last_run
    if last_run is None or not merged_rows(run):
        return None
    asked = sorted({*without, *(row["item_id"] for row in last_run.manifest["without_forecast"])})
    try:
        return replace_items(published_parts(run.store, last_run, run.expected.columns), forecasts, asked)
    except DataError as error:
        not_compared(last_run, error)
        return None


def _merged(last_run: LastRun, mine: Mapping[str, Any], merged: MergedRows) -> dict[str, Any]:
    """What the manifest of a run of a few items says otherwise when all of the last run's are published with them."""
    then = {row["item_id"]: row for row in last_run.manifest["without_forecast"]}
    names = ItemNames(merged.forecasts.item_ids)
    new = {names[int(place)] for place in np.intersect1d(names.places([*then]), merged.forecasts.places)}
    then = {item_id: row for item_id, row in then.items() if item_id not in new}
    # An item that this run has no forecast of keeps the last run's.
    now = {row["item_id"]: row for row in mine["without_forecast"] if row["item_id"] not in merged.named}
    without = [row for _, row in sorted((then | now).items())]
    lost = Counter(row["status"] for row in without)
    replaced, filled = len(merged.forecasts.places), len(merged.named & {*then})
    ok = replaced + merged.items - filled
    counts = {**mine["counts"], "expected": ok + len(without), "ok": ok, "carried": merged.items}
    return {
        "outcome": "COMPLETE_WITH_QUARANTINE" if without else "COMPLETE",
        "counts": counts | {status: lost[status] for status in ("quarantined", "failed", "missing")},
        "without_forecast": without,
        "carried_forward": filled,
        "merged": {"run_id": last_run.run_id, "replaced": replaced, "items": replaced + merged.items},
        # All the items of that run: a backfill need not make it again.
        "parameters": {**mine["parameters"], "items_uri": last_run.manifest["parameters"]["items_uri"]},
        # A few items say nothing of what is usual for all of them.
        "measured": {},
        "scores": last_run.manifest["scores"],
    }


def _keep_pointer(run: PublishRun) -> str:
    """Why `latest.json` must not name this run: a run of a few chosen items would hide all others from the readers."""
    last_run = run.last_run
    if last_run is None or not run.has_chosen_items or not run.covers_less:
        return ""
    return f"this run has {run.records.num_rows} items of ItemsUri, run {last_run.run_id} has {last_run.items}"
