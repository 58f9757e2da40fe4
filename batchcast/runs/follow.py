"""Follow one pipeline execution to its end, on AWS or on the local engine: the client has the same methods."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from batchcast.session.session import Session, pages
from batchcast.steps.errors import BatchcastError, ServiceError, parse_error

# DescribePipelineExecution, PipelineExecutionStatus (botocore 1.44, 2026-11).
ENDED = frozenset({"Succeeded", "Failed", "Stopped", "CompletedWithFailures"})


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    """One step as it stands; `seconds` is None until it has ended, `job` is the ARN of its job.

    `decides`: it does no work, but is a condition or the end to which one leads.
    """

    name: str
    status: str
    started: datetime | None
    seconds: float | None
    failure_reason: str
    job: str | None
    decides: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionView:
    """An execution and its steps, in the order in which they started."""

    arn: str
    status: str
    failure_reason: str
    steps: tuple[StepView, ...]

    @property
    def run_id(self) -> str:
        return self.arn.rsplit("/", 1)[-1]

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    def step(self, name: str) -> StepView | None:
        """The step of that name, None while it has not started."""
        return next((step for step in self.steps if step.name == name), None)


def view(client: Any, arn: str) -> ExecutionView:
    """The execution as it stands now; two API calls, and one more for every further hundred steps."""
    execution = client.describe_pipeline_execution(PipelineExecutionArn=arn)
    listing = pages(client.list_pipeline_execution_steps, PipelineExecutionArn=arn, MaxResults=100)
    steps = [_step_view(step) for page in listing for step in page["PipelineExecutionSteps"]]
    steps.sort(key=lambda step: (step.started is None, step.started.timestamp() if step.started else 0.0))
    return ExecutionView(
        arn=arn,
        status=execution["PipelineExecutionStatus"],
        failure_reason=execution.get("FailureReason", ""),
        steps=tuple(steps),
    )


def follow(
    session: Session,
    arn: str,
    *,
    on_view: Callable[[ExecutionView], None],
    pace: Pace,
    report: Callable[[str], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> ExecutionView:
    """Look at the execution again and again and pass each view on, until it has ended; the last view.

    Throttling, a broken network and expired credentials are waited out for `pace.patience` seconds, each told to
    `report` once; credentials that were renewed meanwhile are taken up. Raises the last ServiceError after that.
    """
    began = clock()
    since: float | None = None  # when the trouble began that is in the way of looking
    told = ""
    while True:
        try:
            current = view(session.client("sagemaker"), arn)
            on_view(current)
        except ServiceError as error:
            code, now = error.problems[0].code, clock()
            since = now if since is None else since
            if now - since > pace.patience:
                raise
            if code != told:
                told = code
                report(f"{error} The run goes on; this command keeps trying.")
            if code in _PERHAPS_EXPIRED:
                session.renew()
        else:
            since, told = None, ""
            if current.ended:
                return current
        sleep(pace.first if clock() - began < _FIRST_SECONDS else pace.later)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often to look: every `first` seconds for the first ten minutes, then every `later` seconds."""

    first: float
    later: float
    patience: float


_FIRST_SECONDS = 600.0
_PERHAPS_EXPIRED = ("credentials", "s3")
# Ten hours are 433 looks of two calls each.
AWS_PACE = Pace(first=15.0, later=90.0, patience=3600.0)
WORKSPACE_PACE = Pace(first=0.1, later=0.1, patience=0.0)


def error_of(client: Any, step: StepView) -> BatchcastError | None:
    """The error that a failed processing step left as its exit message, as the exception it was raised as."""
    if step.status != "Failed" or not step.job or ":processing-job/" not in step.job:
        return None
    job = client.describe_processing_job(ProcessingJobName=step.job.rsplit("/", 1)[-1])
    return parse_error(job.get("ExitMessage", ""))


def _step_view(step: Mapping[str, Any]) -> StepView:
    started, ended = step.get("StartTime"), step.get("EndTime")
    metadata = step.get("Metadata", {})
    # A step that was refused its job has none to name.
    jobs = [metadata[kind].get("Arn") for kind in ("ProcessingJob", "TransformJob") if kind in metadata]
    return StepView(
        name=step["StepName"],
        status=step["StepStatus"],
        started=started,
        seconds=(ended - started).total_seconds() if started and ended else None,
        failure_reason=step.get("FailureReason", ""),
        job=jobs[0] if jobs else None,
        decides=not metadata.keys().isdisjoint({"Condition", "Fail"}),
    )
