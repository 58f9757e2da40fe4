"""How far a transform is, in records: its outputs, or its requests, counted against what the manifest promises.

And how a run stands, in one look: steps, shards done, when it ends, and why it failed.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from batchcast.engine.client import LocalSageMaker
from batchcast.engine.transform.context import TransformProgress
from batchcast.runs import outcome
from batchcast.runs.follow import ExecutionView, StepView, view
from batchcast.runs.run_record import RunRecord
from batchcast.session.session import Session, WorkspaceSession
from batchcast.steps.errors import DataError
from batchcast.steps.shards.layout import retry_members
from batchcast.steps.shards.manifest import MANIFEST_FILE
from batchcast.steps.store.documents import parse_document
from batchcast.steps.store.objects import ObjectMissingError, ObjectStore, join_uri

_ROUNDS = {"Transform": 0, "TransformRetry": 1}
_OBJECTS_A_PAGE = 1000
# One listing call in so many seconds, whatever the number of shards: 480 calls in ten hours.
_SECONDS_A_PAGE = 75.0
_LEAST_SECONDS = 300.0


def count_shards(
    store: ObjectStore, runs_uri: str, run_id: str, step: str, records: Mapping[str, int]
) -> TransformProgress:
    """Count the outputs of a transform step; one listing call for every thousand shards.

    `records` has the number of records by shard for the first round; in the retry round its shards are listed.
    """
    outputs = _names(store, join_uri(runs_uri, run_id, "output", f"r{_ROUNDS[step]}") + "/")
    done = {name.removesuffix(".out") for name in outputs}
    if _ROUNDS[step]:
        records = _retry_records(store, runs_uri, run_id)
    return TransformProgress(
        files_done=len(done),
        files_total=len(records),
        records_done=sum(records.get(name, 0) for name in done),
        records_total=sum(records.values()),
    )


@dataclass(frozen=True, slots=True)
class JobProgress:
    """`progress_of` for a workspace, whose engine counts requests; what each round sends is read once."""

    engine: LocalSageMaker
    store: ObjectStore
    runs_uri: str
    _sent: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict, init=False)

    def __call__(self, run_id: str, step: StepView) -> TransformProgress | None:
        """None for a step that is no transform."""
        if not step.job or ":transform-job/" not in step.job:
            return None
        done = self.engine.transform_progress(step.job.rsplit("/", 1)[-1])
        if (run_id, step.name) not in self._sent:
            with suppress(DataError, ObjectMissingError):  # missing or damaged: the step that needs it says so
                self._sent[run_id, step.name] = self._read(run_id, step.name)
        records, requests = self._sent.get((run_id, step.name), (None, 1))
        # Requests hold nearly equally many records; when all are done, so are these.
        counted = done.records_done * records // requests if records else done.records_done
        return replace(done, records_done=counted, records_total=records)

    def _read(self, run_id: str, step: str) -> tuple[int, int]:
        """The records and the requests of a round."""
        if _ROUNDS[step]:
            records = sum(_retry_records(self.store, self.runs_uri, run_id).values())
            return records, records
        totals = _of_manifest("totals", dict, self.store, self.runs_uri, run_id)
        records = int(totals.get("records") or 0)
        return records, int(totals.get("requests") or records)


class ShardCounts:
    """`progress_of` for a display, that lists objects no more often than a listing is worth.

    What was counted before is told until the next count is due.
    """

    def __init__(self, session: Session, runs_uri: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._session, self._runs_uri, self._clock = session, runs_uri, clock
        self._records: dict[str, int] = {}
        self._counted: dict[str, tuple[TransformProgress, str, float]] = {}

    def __call__(self, run_id: str, step: StepView) -> TransformProgress | None:
        """None for a step that is no transform, and before there is a manifest."""
        if step.name not in _ROUNDS:
            return None
        self._records = self._records or shard_records(self._session.store, self._runs_uri, run_id)
        if not self._records:
            return None
        if self._is_due(step):
            progress = count_shards(self._session.store, self._runs_uri, run_id, step.name, self._records)
            self._counted[step.name] = progress, step.status, self._clock()
        return self._counted[step.name][0]

    def _is_due(self, step: StepView) -> bool:
        if step.name not in self._counted:
            return True
        progress, status, when = self._counted[step.name]
        wait = max(_LEAST_SECONDS, _SECONDS_A_PAGE * (1 + progress.files_done // _OBJECTS_A_PAGE))
        return step.status != status or (step.status == "Executing" and self._clock() - when >= wait)


def shard_records(store: ObjectStore, runs_uri: str, run_id: str) -> dict[str, int]:
    """Shard name to its number of records, from the manifest; empty before there is one."""
    try:
        shards = _of_manifest("shards", list, store, runs_uri, run_id)
    except ObjectMissingError:
        return {}
    return dict(shard for shard in shards if isinstance(shard, tuple))


def _of_manifest(key: str, kind: type, store: ObjectStore, runs_uri: str, run_id: str) -> Any:
    """One value of the manifest; of each shard, of which there may be a million, its name and number of records."""
    uri = join_uri(runs_uri, run_id, "manifest", MANIFEST_FILE)
    document = parse_document(
        store.read(uri), {key: kind}, code="manifest", where=uri, remedy="Start a new run.", shorten=_shard_size
    )
    return document[key]


def _shard_size(found: dict[str, Any]) -> Any:
    return (str(found["name"]), int(found.get("records") or 0)) if "name" in found else found


def _retry_records(store: ObjectStore, runs_uri: str, run_id: str) -> dict[str, int]:
    """Shard of the retry round to its number of records."""
    members = {name: retry_members(name) for name in _names(store, join_uri(runs_uri, run_id, "input", "r1") + "/")}
    return {name: found[1] for name, found in members.items() if found}


def _names(store: ObjectStore, prefix: str) -> set[str]:
    return {stored.uri.removeprefix(prefix) for stored in store.list(prefix)}


def run_status(session: Session, run: RunRecord, now: datetime) -> tuple[dict[str, Any], int]:
    """The document of `status --json`, and the exit code: 0 while the run goes on, then as `wait` ends.

    `interrupted` is a run in a workspace whose process has ended before it.

    API calls: 5, and 1 for every thousand shards (2 and 3 for a run of 3,000 shards whose transform runs), counted
    after the run was found, which is 4 more. A failed step adds 2, a failed transform 7.
    """
    client, runs_uri = session.client("sagemaker"), run.parameters["RunsUri"]
    execution = view(client, run.arn)
    document, exit_code = outcome.outcome_of(client, execution, session.store, runs_uri)
    document["label"] = run.parameters["RunLabel"]
    document["model"] = run.parameters["ModelName"]
    document["progress"] = _progress(session, execution, runs_uri, now)
    document["interrupted"] = isinstance(session, WorkspaceSession) and run.arn in session.engine.interrupted()
    document["failures"] = outcome.failures(session, execution)
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
    lines += outcome.failure_lines(document)
    if document["cause"]:
        lines.append(str(document["cause"]))
    lines += [*document["notes"], *outcome.step_lines(document), *outcome.request_lines(document)]
    if document["published"]:
        lines.append(f"Forecasts: {document['published']}")
    return [*lines, *outcome.flag_lines(document), *outcome.pointer_lines(document)]


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
