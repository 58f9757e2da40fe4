"""A run whose forecasts are to be published, and what its publication says of it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from batchcast.steps.arguments import ALL
from batchcast.steps.checks.forecast_checks import CheckedForecasts
from batchcast.steps.container import ContainerPaths
from batchcast.steps.contract.answer import Expected
from batchcast.steps.contract.model_contract import ModelContract
from batchcast.steps.outcome.approval import Approval
from batchcast.steps.outcome.decision import Decision
from batchcast.steps.outcome.last_run import LastRun, forecasts_of
from batchcast.steps.outcome.reconcile import Reconciliation
from batchcast.steps.publish.forecast_table import forecast_table
from batchcast.steps.publish.publication import Publication, publish
from batchcast.steps.publish_arguments import PublishArguments
from batchcast.steps.shards.manifest import Manifest
from batchcast.steps.shards.sent_records import SentRecords
from batchcast.steps.store.objects import ObjectStore

__all__ = ["PublishRun", "publish_run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishRun:
    """What the step works on: its arguments, what the build promised, and where to read and write."""

    arguments: PublishArguments
    paths: ContainerPaths
    store: ObjectStore
    manifest: Manifest
    records: pa.Table
    contract: ModelContract
    expected: Expected
    approval: Approval | None = None

    @property
    def has_chosen_items(self) -> bool:
        """Whether ItemsUri names the items."""
        return bool(self.manifest.parameters["items_uri"] != ALL)

    def covers_less(self, last_run: LastRun) -> bool:
        """Whether this run has so few of the last one's items that something must be wrong, or on purpose."""
        least = last_run.items * (1 - self.arguments.systemic_failure_percent / 100)
        return bool(self.records.num_rows < least)

    @property
    def sent(self) -> SentRecords:
        """How its records were sent."""
        return SentRecords.of(self.manifest, self.records)


def publish_run(
    run: PublishRun, found: Reconciliation, decision: Decision, last_run: LastRun | None, checked: CheckedForecasts
) -> tuple[Publication, int]:
    """Publish the usable forecasts; also the number of items filled up from the last published run."""
    columns, publish_uri = run.expected.columns, run.arguments.publish_uri
    without = [row for row in found.rows if row.status not in ("ok", "carried")]
    older = None
    if run.contract.checks.missing_forecasts == "carry_forward" and without:
        items = [row.item_id for row in without]
        older = forecasts_of(run.store, last_run, items, columns, run.expected.dates)
    table = forecast_table(run.records["item_id"], found.values, found.usable, run.expected.dates, columns, older)
    filled = len(older["item_id"].unique()) if older is not None else 0
    previous = {"run_id": last_run.run_id, "run_date": last_run.run_date.isoformat()} if last_run else None
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
        "previous": previous,
        "flagged_items": len({flag.item_id for flag in checked.flags if flag.item_id}),
        "measured": checked.measured,
        "approved": run.approval and run.approval.as_dict(),
        "parameters": dict(run.manifest.parameters),
        "contract_sha256": run.manifest.contract_sha256,
        "code_version": run.manifest.code_version,
    }
    return publish(run.store, publish_uri, table, manifest, keep_pointer=_keep_pointer(run, last_run)), filled


def _keep_pointer(run: PublishRun, last_run: LastRun | None) -> str:
    """Why `latest.json` must not name this run: a run of a few chosen items would hide all others from the readers."""
    if last_run is None or not run.has_chosen_items or not run.covers_less(last_run):
        return ""
    return f"this run has {run.records.num_rows} items of ItemsUri, run {last_run.run_id} has {last_run.items}"
