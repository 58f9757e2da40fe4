"""How a run stands, in one look: steps, shards done, when it ends, and why it failed."""

from datetime import UTC, datetime, timedelta
from typing import Any

from batchcast.engine.transform.context import TransformProgress
from batchcast.runs.follow import ExecutionView, view
from batchcast.runs.outcome import failure_lines, failures, flag_lines, outcome_of, pointer_lines, request_lines
from batchcast.runs.progress import count_shards, shard_records
from batchcast.runs.run_record import RunRecord
from batchcast.session.session import Session, WorkspaceSession


def run_status(session: Session, run: RunRecord, now: datetime) -> tuple[dict[str, Any], int]:
    """The document of `status --json`, and the exit code: 0 while the run goes on, then as `wait` ends.

    `interrupted` is a run in a workspace whose process has ended before it.

    API calls: 5, and 1 for every thousand shards (2 and 3 for a run of 3,000 shards whose transform runs), counted
    after the run was found, which is 4 more. A failed step adds 2, a failed transform 7.
    """
    client, runs_uri = session.client("sagemaker"), run.parameters["RunsUri"]
    execution = view(client, run.arn)
    document, exit_code = outcome_of(client, execution, session.store, runs_uri)
    document["label"] = run.parameters["RunLabel"]
    document["model"] = run.parameters["ModelName"]
    document["progress"] = _progress(session, execution, runs_uri, now)
    document["interrupted"] = isinstance(session, WorkspaceSession) and run.arn in session.engine.interrupted()
    document["failures"] = failures(session, execution)
    return document, exit_code if execution.ended else 0


def status_lines(document: dict[str, Any]) -> list[str]:
    """The status in words, a line a step; of a condition the outcome tells what it decided."""
    execution = document["execution"]
    words = f": {document['headline']}" if document["headline"] else ""
    lines = [f"Run {document['run_id']} ({document['label']}): {document['outcome'] or execution['status']}{words}"]
    lines.append(f"  Model: {document['model']}")
    for step in execution["steps"]:
        if step["status"] == "Succeeded" and step["job"] is None:
            continue
        seconds = "" if step["seconds"] is None else f" in {_duration(step['seconds'])}"
        lines.append(f"  {step['name']}: {step['status'].lower()}{seconds}")
        if (progress := document["progress"]) and progress["step"] == step["name"]:
            lines.append(f"    {_progress_words(progress)}")
    if document["interrupted"]:
        run_id = document["run_id"]
        lines.append(f"The process that ran it has ended: `wait {run_id}` goes on with it, `stop {run_id}` ends it.")
    lines += failure_lines(document)
    if document["cause"]:
        lines.append(str(document["cause"]))
    lines += request_lines(document)
    if document["published"]:
        lines.append(f"Forecasts: {document['published']}")
    lines += [*flag_lines(document), *pointer_lines(document)]
    return lines


def _progress(session: Session, execution: ExecutionView, runs_uri: str, now: datetime) -> dict[str, Any] | None:
    """Of the transform that ran last; None before there is a manifest."""
    transform = execution.step("TransformRetry") or execution.step("Transform")
    records = shard_records(session.store, runs_uri, execution.run_id) if transform else {}
    if transform is None or not records:
        return None
    counted = count_shards(session.store, runs_uri, execution.run_id, transform.name, records)
    began: datetime | None = None  # when the job's instances began to work, which is minutes after the step began
    if transform.status == "Executing" and transform.job:
        name = transform.job.rsplit("/", 1)[-1]
        job = session.client("sagemaker").describe_transform_job(TransformJobName=name)
        began = job.get("TransformStartTime")
    return {
        "step": transform.name,
        "shards_done": counted.files_done,
        "shards_total": counted.files_total,
        "records_done": counted.records_done,
        "records_total": counted.records_total,
        **_forecast(counted, began, now),
    }


def _forecast(counted: TransformProgress, began: datetime | None, now: datetime) -> dict[str, Any]:
    """Records an hour, and when the last one will be done at that rate; None while nothing is done."""
    seconds = (now - began).total_seconds() if began else 0.0
    if seconds <= 0 or not counted.records_done or not counted.records_total:
        return {"records_per_hour": None, "ends_about": None}
    rate = counted.records_done / seconds
    left = timedelta(seconds=(counted.records_total - counted.records_done) / rate)
    ends = (now + left).astimezone(UTC).replace(microsecond=0)
    return {"records_per_hour": round(rate * 3600), "ends_about": ends.isoformat()}


def _progress_words(progress: dict[str, Any]) -> str:
    words = (
        f"{progress['shards_done']:,} of {progress['shards_total']:,} shards, "
        f"{progress['records_done']:,} of {progress['records_total']:,} records"
    )
    if progress["ends_about"]:
        ends = datetime.fromisoformat(progress["ends_about"]).astimezone()
        words += f", {progress['records_per_hour']:,} an hour, ends about {ends:%a %H:%M}"
    return words


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"
