"""The report of a run as it lies in the store."""

from __future__ import annotations

from typing import Any

from batchcast.steps.store.documents import parse_document
from batchcast.steps.store.objects import ObjectMissingError, ObjectStore, join_uri

__all__ = ["read_report"]

_REPORT = {
    "outcome": str,
    "cause": str | None,
    "cause_kind": str | None,
    "counts": dict,
    "published": str | None,
    "pointer_moved": bool,
    "pointer_note": str,
    "quarantined": list,
    "failed": list,
    "mismatches": list,
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
