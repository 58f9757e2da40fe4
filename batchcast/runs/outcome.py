"""What an execution came to: the document that `--json` prints, the exit code, and why steps failed.

DescribePipelineExecution itself only says that one or multiple steps failed: the step says more, then its job, then the
job's data-log.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from batchcast.runs.follow import ExecutionView, StepView, error_of
from batchcast.runs.watch.logs import data_log
from batchcast.session.session import Session
from batchcast.steps.contract.checks import flag_words
from batchcast.steps.errors import (
    BatchcastError,
    ConfigError,
    CoverageError,
    DataError,
    ModelError,
    Problem,
    ServiceError,
)
from batchcast.steps.outcome.data_log import failed_requests
from batchcast.steps.outcome.decision import held_error
from batchcast.steps.outcome.stored_report import read_report
from batchcast.steps.store.objects import DirectoryStore, ObjectStore, join_uri

INTERRUPTED = 130
# What stands in the document as it does in the report; one of an older version has no requests and merge.
_SAME = ("outcome", "requests", "published", "merged", "score", "approved")
_COUNTS = ("expected", "ok", "quarantined", "failed", "missing")


def outcome_of(client: Any, execution: ExecutionView, store: ObjectStore, runs_uri: str) -> tuple[dict[str, Any], int]:
    """The result of an execution, from its statuses and its report (None where it wrote none).

    Returns the document and the exit code: 0 published, else that of the error which names the cause. One that has
    not ended has no cause yet, and 0.
    """
    reports = join_uri(runs_uri, execution.run_id, "report")
    report = read_report(store, runs_uri, execution.run_id)
    error = _error(client, execution, report) if execution.ended else None
    document = {
        "run_id": execution.run_id,
        "next": _next_command(execution, report, error),
        "execution": {"status": execution.status, "steps": [_step_document(step) for step in execution.steps]},
        **{name: report and report.get(name) for name in _SAME},
        "cause": str(error) if error else report and report["cause"],
        "counts": report and {name: report["counts"][name] for name in _COUNTS},
        "visible": report["pointer_moved"] if report and report["published"] else None,
        "pointer": report["pointer_note"] if report and report["published"] else None,
        **{name: report[name] if report else [] for name in ("quarantined", "failed")},
        "forecast": report and _forecast(report),
        # A report of an older version has none of these.
        "notes": list(report.get("notes", ())) if report else [],
        "flagged": report and flag_words(report.get("flagged_run", ()), report.get("flagged_items", 0)),
        "headline": report and _headline(report),
        "report": _place(store, join_uri(reports, "report.html")) if report else None,
    }
    if document["published"]:
        document["published_path"] = _place(store, document["published"].rstrip("/"))
    if execution.status in ("Stopped", "Stopping"):
        return document, INTERRUPTED
    return document, error.exit_code if error else 0


def _step_document(step: StepView) -> dict[str, Any]:
    seconds = None if step.seconds is None else round(step.seconds, 2)
    own = {name: getattr(step, name) for name in ("name", "status", "job")}
    return {**own, "seconds": seconds, "failure_reason": step.failure_reason or None}


def _next_command(
    execution: ExecutionView, report: Mapping[str, Any] | None, error: BatchcastError | None
) -> str | None:
    """What to type next where something is left to do: of a run that goes on, that lost records or that was held."""
    run_id = execution.run_id
    if not execution.ended:
        return f"wait {run_id}"
    if report and report["published"]:
        return None if report["pointer_moved"] else f"rollback --to {run_id}"
    if report and report.get("rejected"):
        return None
    if report and report["cause_kind"] == "forecasts":
        return f"approve {run_id} --reason …"
    if isinstance(error, ModelError) or (report and report["cause_kind"] == "model"):
        return f"logs {run_id} --step Transform"
    return f"rerun {run_id}" if execution.step("Transform") else f"logs {run_id}"


def _headline(report: Mapping[str, Any]) -> str:
    """What the run's outcome is followed by on the first line: why it is held, or what looks wrong of it."""
    if report["outcome"] == "HELD" and report["cause_kind"] != "forecasts":
        return re.split(r"[;:.] | \(", str(report["cause"]))[0].rstrip(".")
    return flag_words(report.get("flagged_run", ()), report.get("flagged_items", 0))


def pointer_lines(document: Mapping[str, Any]) -> list[str]:
    """What to say of a run that is published and did not become what readers see; empty for any other."""
    if not document["published"] or document["visible"]:
        return []
    note = str(document["pointer"]).rstrip(".")
    return [f"Readers do not see this run: {note}. `rollback --to {document['run_id']}` lets them see it."]


def flag_lines(document: Mapping[str, Any]) -> list[str]:
    """What to say of a published run whose forecasts look wrong, and of who approved it; empty for any other."""
    if not document["published"] or not (document["flagged"] or document["approved"]):
        return []
    lines = [f"Look at the report before you use the forecasts: {document['flagged']}."] if document["flagged"] else []
    if approved := document["approved"]:
        lines.append(f"Approved by {approved['by']} at {approved['at']}: {approved['reason']}")
    return lines


def _forecast(report: Mapping[str, Any]) -> dict[str, Any]:
    """What was forecast: so many steps of a frequency, which was inferred or declared, after the run date."""
    names = {"steps": "forecast_horizon", "frequency": "frequency", "inferred": "frequency_inferred"}
    return {name: report.get(key) for name, key in {**names, "after": "run_date"}.items()}


def step_lines(document: Mapping[str, Any]) -> list[str]:
    """The steps that the run forecast; empty where no report says it."""
    forecast = document["forecast"]
    if not forecast or not forecast["frequency"]:
        return []
    how = {True: " (inferred)", False: " (declared)"}.get(forecast["inferred"], "")
    return [f"Steps:     {forecast['steps']} of {forecast['frequency']} after {forecast['after']}{how}"]


def request_lines(document: Mapping[str, Any]) -> list[str]:
    """What the run was sent in; empty where no report says it."""
    if not (requests := document["requests"]):
        return []
    retry = f", and {requests['retry']:,} more in the retry round" if requests["retry"] else ""
    return [f"Requests:  {requests['first']:,}{retry}"]


def _place(store: ObjectStore, uri: str) -> str:
    """Where a person finds it: a path where the store is a directory."""
    return str(store.path(uri)) if isinstance(store, DirectoryStore) else uri


def _error(client: Any, execution: ExecutionView, report: dict[str, Any] | None) -> BatchcastError | None:
    """The error that explains the end; None for a run that published."""
    if report is not None and report.get("rejected"):
        return held_error(f"{report['cause']} It was rejected: {report['rejected']['reason']}.", report["cause_kind"])
    if report is not None and report["outcome"] == "HELD":
        return _held(execution, report)
    if report is not None and report.get("approved"):
        return None  # The execution ended when the run was held; what was decided since is what counts.
    for step in execution.steps:
        if error := error_of(client, step):
            return error
    if report is None or report["outcome"] == "RETRY":
        return None if execution.status == "Stopped" else _undecided(execution)
    return None


def _held(execution: ExecutionView, report: Mapping[str, Any]) -> BatchcastError:
    transform = execution.step("Transform")
    if transform and report["cause_kind"] == "model" and transform.failure_reason.startswith("AlgorithmError"):
        remedy = "Fix the model's container; `logs --step Transform` prints what it and the job said."
        what = transform.failure_reason.removeprefix("AlgorithmError: ")
        return ModelError(Problem("model", what, transform.name, remedy))
    return held_error(report["cause"], report["cause_kind"])


def _undecided(execution: ExecutionView) -> BatchcastError:
    failed = [step for step in execution.steps if step.status in ("Failed", "Stopped")]
    what = "; ".join(f"{step.name}: {step.failure_reason or step.status}" for step in failed)
    what = what or execution.failure_reason
    if "No S3 objects found" in what:
        return DataError(Problem("no_files", what, remedy="Name a prefix that holds Parquet files."))
    if any(step.name.startswith("Transform") for step in failed):
        what = f"{what}. The pipeline ended there: its records are not accounted for, and nothing was published."
        remedy = f"`rerun {execution.run_id}` carries over what was answered and runs the rest."
        return CoverageError(Problem("undecided", what, remedy=remedy))
    return ServiceError(Problem("execution", f"the execution ended {execution.status}. {what}", execution.arn))


_NAMED_SHARDS = 5


def failures(session: Session, execution: ExecutionView) -> list[dict[str, Any]]:
    """Every step that failed to do its work; the step that holds a run back has done it, and so has a Fail step.

    Each by its name and its job; `reasons` go from the step to the single request, each said once.

    API calls: one a step that has a job, and at most five for the log of a transform job. A step without one was
    refused its job, and says why.
    """
    failed = [step for step in execution.steps if step.status == "Failed" and not step.decides]
    errors = [error_of(session.client("sagemaker"), step) for step in failed]
    held = [isinstance(error, CoverageError) and error.problems[0].code == "held" for error in errors]
    return [_failure(session, step) for step, holds in zip(failed, held, strict=True) if not holds]


def failure_lines(document: Mapping[str, Any]) -> list[str]:
    """The `failures` of a run's document, a line a reason; what its cause says already is not said again."""
    cause = document["cause"] or ""
    failed = document["failures"]
    return [f"  {one['step']}: {reason}" for one in failed for reason in one["reasons"] if reason not in cause]


def _failure(session: Session, step: StepView) -> dict[str, Any]:
    arn = step.job or ""
    name, client, job = arn.rsplit("/", 1)[-1], session.client("sagemaker"), {}
    found = [step.failure_reason]
    if ":processing-job/" in arn:
        job = client.describe_processing_job(ProcessingJobName=name)
    elif arn:
        job = client.describe_transform_job(TransformJobName=name)
    found += [job.get("FailureReason", ""), job.get("ExitMessage", "")]
    if ":transform-job/" in arn:
        found += _request_reasons(session, arn)
    reasons: list[str] = []
    for reason in found:
        if reason and not any(reason in other for other in reasons):
            reasons.append(reason)
    return {"step": step.name, "job": name or None, "reasons": tuple(reasons)}


def _request_reasons(session: Session, arn: str) -> Iterator[str]:
    try:
        found = failed_requests(data_log(session, arn))
    except (ConfigError, ServiceError) as error:
        yield f"its data-log cannot be read: {error.problems[0].what}"
        return
    for shard, request in list(found.items())[:_NAMED_SHARDS]:
        yield f"{shard}: {request.what} {request.message}".rstrip()
    if len(found) > _NAMED_SHARDS:
        yield f"and {len(found) - _NAMED_SHARDS} more shards"
