"""Follow one pipeline execution to its end, on AWS or on the local engine: the client has the same methods."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from steps.errors import BatchcastError, parse_error

__all__ = ["ENDED", "ExecutionView", "StepView", "error_of", "follow", "view"]

# DescribePipelineExecution, PipelineExecutionStatus (botocore 1.44, 2026-11).
ENDED = frozenset({"Succeeded", "Failed", "Stopped", "CompletedWithFailures"})


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    """One step as it stands; `seconds` is None until it has ended, `job` is the ARN of its job."""

    name: str
    status: str
    started: datetime | None
    seconds: float | None
    failure_reason: str
    job: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionView:
    """An execution and its steps, in the order in which they started."""

    arn: str
    status: str
    failure_reason: str
    steps: tuple[StepView, ...]

    @property
    def run_id(self) -> str:
        """The execution id, which names every path of the run."""
        return self.arn.rsplit("/", 1)[-1]

    @property
    def ended(self) -> bool:
        """Whether the status is final."""
        return self.status in ENDED

    def step(self, name: str) -> StepView | None:
        """The step of that name, None while it has not started."""
        return next((step for step in self.steps if step.name == name), None)


def view(client: Any, arn: str) -> ExecutionView:
    """The execution as it stands now; two API calls, and one more for every further hundred steps."""
    execution = client.describe_pipeline_execution(PipelineExecutionArn=arn)
    steps = [_step_view(step) for step in _listed_steps(client, arn)]
    steps.sort(key=lambda step: (step.started is None, step.started.timestamp() if step.started else 0.0))
    return ExecutionView(
        arn=arn,
        status=execution["PipelineExecutionStatus"],
        failure_reason=execution.get("FailureReason", ""),
        steps=tuple(steps),
    )


def follow(
    client: Any,
    arn: str,
    *,
    on_view: Callable[[ExecutionView], None],
    every_seconds: float,
    sleep: Callable[[float], None] = time.sleep,
) -> ExecutionView:
    """Look every `every_seconds` and pass each view on, until the execution has ended; the last view."""
    while True:
        current = view(client, arn)
        on_view(current)
        if current.ended:
            return current
        sleep(every_seconds)


def error_of(client: Any, step: StepView) -> BatchcastError | None:
    """The error that a failed processing step left as its exit message, as the exception it was raised as."""
    if step.status != "Failed" or not step.job or ":processing-job/" not in step.job:
        return None
    job = client.describe_processing_job(ProcessingJobName=step.job.rsplit("/", 1)[-1])
    return parse_error(job.get("ExitMessage", ""))


def _listed_steps(client: Any, arn: str) -> Iterator[Mapping[str, Any]]:
    token: dict[str, str] = {}
    while True:
        page = client.list_pipeline_execution_steps(PipelineExecutionArn=arn, MaxResults=100, **token)
        yield from page["PipelineExecutionSteps"]
        if not page.get("NextToken"):
            return
        token = {"NextToken": page["NextToken"]}


def _step_view(step: Mapping[str, Any]) -> StepView:
    started, ended = step.get("StartTime"), step.get("EndTime")
    jobs = [kind["Arn"] for name, kind in step.get("Metadata", {}).items() if name in ("ProcessingJob", "TransformJob")]
    return StepView(
        name=step["StepName"],
        status=step["StepStatus"],
        started=started,
        seconds=(ended - started).total_seconds() if started and ended else None,
        failure_reason=step.get("FailureReason", ""),
        job=jobs[0] if jobs else None,
    )
