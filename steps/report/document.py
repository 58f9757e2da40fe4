"""`report.json`: the outcome for the pipeline's Condition and for `status`. Written last of the reports."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from batchcast.steps.checks.flags import Flag
from batchcast.steps.outcome.approval import Approval
from batchcast.steps.outcome.decision import Decision
from batchcast.steps.outcome.input_records import contract_uri
from batchcast.steps.outcome.ledger import REASONS, LedgerRow
from batchcast.steps.outcome.reconcile import Reconciliation
from batchcast.steps.publish.publication import Publication
from batchcast.steps.publish_arguments import PublishArguments
from batchcast.steps.shards.manifest import Manifest

SCHEMA = 1
LISTED = 200
"""At most so many items are listed in the report; the ledger has all of them."""


def report(
    manifest: Manifest,
    found: Reconciliation,
    decision: Decision,
    flags: Sequence[Flag],
    *,
    approval: Approval | None,
    arguments: PublishArguments,
    score: dict[str, Any] | None,
    card: Mapping[str, Any],
) -> dict[str, Any]:
    """The report as JSON, of a run that is not published; `card` is the scorecard."""
    shards = {status: found.shards.get(status, 0) for status in ("ok", "missing", "short", "long", "garbled")}
    return {
        "schema": SCHEMA,
        "run_id": manifest.run_id,
        "run_date": manifest.run_date.isoformat(),
        "run_label": arguments.run_label,
        "forecast_horizon": manifest.forecast_horizon,
        "frequency": manifest.frequency,
        "frequency_inferred": manifest.frequency_inferred,
        "notes": list(manifest.notes),
        "round": arguments.round,
        "outcome": decision.outcome,
        "cause": decision.cause,
        "cause_kind": decision.cause_kind,
        "counts": dataclasses.asdict(found.tally),
        "reasons": dict(sorted(found.reasons.items())),
        **_published(None, 0),
        "quarantined": [_explained(row) for row in _some(found.ledger.odd, "quarantined")],
        "failed": [
            _explained(row)
            | {name: getattr(row, name) for name in ("shard", "line", "round")}
            | {"contract": contract_uri(arguments.runs_uri, row)}
            for row in _some(found.ledger.odd, "failed", "missing")
        ],
        "mismatches": list(found.mismatches[:LISTED]),
        "shards": {"expected": sum(shards.values()), **shards},
        "flags": [dataclasses.asdict(flag) for flag in flags[:LISTED]],
        "flag_counts": dict(sorted(Counter(flag.kind for flag in flags).items())),
        "flagged_items": len({flag.item_id for flag in flags if flag.item_id}),
        "flagged_run": list(dict.fromkeys(flag.kind for flag in flags if not flag.item_id)),
        "approved": approval and dataclasses.asdict(approval),
        "rejected": None,
        "score": score,
        "scorecard": card,
        "requests": {"first": manifest.totals.requests, "retry": found.retry_requests},
        "retry_records": len(found.retry) if decision.outcome == "RETRY" else 0,
        "parameters": {**manifest.parameters, **dataclasses.asdict(arguments)},
    }


def published_report(report: Mapping[str, Any], publication: Publication, carried_forward: int) -> dict[str, Any]:
    """The same of a run that is; `carried_forward` is the number of items filled up from the last published run."""
    return {**report, **_published(publication, carried_forward)}


def _published(publication: Publication | None, carried_forward: int) -> dict[str, Any]:
    return {
        "published": publication.uri if publication else None,
        "pointer_moved": publication.pointer_moved if publication else False,
        "pointer_note": publication.pointer_note if publication else "",
        "merged": publication and publication.merged,
        "carried_forward": carried_forward,
    }


def _some(rows: Iterable[LedgerRow], *statuses: str) -> Iterable[LedgerRow]:
    return islice((row for row in rows if row.status in statuses), LISTED)


def _explained(row: LedgerRow) -> dict[str, Any]:
    return {"item_id": row.item_id, "reason": row.reason, "explanation": REASONS[row.reason], "detail": row.detail}
