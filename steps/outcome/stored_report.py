"""The report of a run as it lies in the store."""

from typing import Any

from batchcast.steps.store.documents import Types, parse_document
from batchcast.steps.store.objects import ObjectMissingError, ObjectStore, join_uri

_RECORD: Types = {"item_id": str | None, "reason": str, "detail": str}
_DECIDED: Types = {"by": str, "at": str, "reason": str}
_REPORT: Types = {
    "outcome": str,
    "cause": str | None,
    "cause_kind": str | None,
    "counts": dict.fromkeys(("expected", "ok", "quarantined", "failed", "missing"), int),
    "published": str | None,
    "pointer_moved": bool,
    "pointer_note": str,
    "quarantined": [_RECORD],
    "failed": [{**_RECORD, "round": int, "shard": str, "line": int}],
    "mismatches": list,
    "parameters": dict,
    "score?": {"items": int, "days": int, "wape_model": float, "wape_naive": float},
    "merged?": {"run_id": str, "replaced": int, "items": int},
    "approved?": _DECIDED,
    "rejected?": _DECIDED,
    "flagged_items?": int,
}


def read_report(store: ObjectStore, runs_uri: str, run_id: str) -> dict[str, Any] | None:
    """The report of a run, None without one. Raises DataError for a damaged one."""
    uri = join_uri(runs_uri, run_id, "report", "report.json")
    try:
        data = store.read(uri)
    except ObjectMissingError:
        return None
    remedy = "Delete it and `rerun` the run: its records are then accounted for anew."
    return parse_document(data, _REPORT, code="report", where=uri, remedy=remedy)
