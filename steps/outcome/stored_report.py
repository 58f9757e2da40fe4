"""The report of a run as it lies in the store."""

from typing import Any

from batchcast.steps.errors import DataError, Problem
from batchcast.steps.store.documents import find_mismatch, parse_document
from batchcast.steps.store.objects import ObjectMissingError, ObjectStore, join_uri

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
_DECIDED = {"by": str, "at": str, "reason": str}


def read_report(store: ObjectStore, runs_uri: str, run_id: str) -> dict[str, Any] | None:
    """The report of a run, None without one. Raises DataError for a damaged one."""
    uri = join_uri(runs_uri, run_id, "report", "report.json")
    try:
        data = store.read(uri)
    except ObjectMissingError:
        return None
    remedy = "Delete it and `rerun` the run: its records are then accounted for anew."
    report = parse_document(data, _REPORT, code="report", where=uri, remedy=remedy)
    for name in ("approved", "rejected"):  # an older version's report has neither
        if report.get(name) is not None and (wrong := find_mismatch(report[name], _DECIDED)):
            raise DataError(Problem("report", f"{name!r} is damaged: {wrong}.", uri, remedy))
    return report
