"""Why the steps of an execution failed: what the step says, what its job says, and what the job's data-log says.

DescribePipelineExecution itself only says that one or multiple steps failed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from batchcast.runs.follow import ExecutionView, StepView, error_of
from batchcast.runs.watch.logs import data_log
from batchcast.session.session import Session
from batchcast.steps.errors import ConfigError, CoverageError, ServiceError
from batchcast.steps.outcome.data_log import failed_requests

_NAMED_SHARDS = 5
_DESCRIBE = {
    "processing-job": ("describe_processing_job", "ProcessingJobName"),
    "transform-job": ("describe_transform_job", "TransformJobName"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One failed step; `reasons` go from the step to the single request, each said once."""

    step: str
    job: str | None
    reasons: tuple[str, ...]


def failures(session: Session, execution: ExecutionView) -> list[Failure]:
    """Every step that failed to do its work; the step that holds a run back has done it, and so has a Fail step.

    API calls: one a step that has a job, and at most five for the log of a transform job. A step without one was
    refused its job, and says why.
    """
    failed = [step for step in execution.steps if step.status == "Failed" and not step.decides]
    return [_failure(session, step) for step in failed if not _holds(session, step)]


def failure_lines(document: Mapping[str, Any]) -> list[str]:
    """The `failures` of a run's document, a line a reason; what its cause says already is not said again."""
    cause = document["cause"] or ""
    failed = document["failures"]
    return [f"  {one['step']}: {reason}" for one in failed for reason in one["reasons"] if reason not in cause]


def _holds(session: Session, step: StepView) -> bool:
    error = error_of(session.client("sagemaker"), step)
    return isinstance(error, CoverageError) and error.problems[0].code == "held"


def _failure(session: Session, step: StepView) -> Failure:
    arn = step.job or ""
    found = [step.failure_reason, *(_job_reasons(session, arn) if arn else ())]
    if ":transform-job/" in arn:
        found += _request_reasons(session, arn)
    reasons: list[str] = []
    for reason in found:
        if reason and not any(reason in other for other in reasons):
            reasons.append(reason)
    return Failure(step=step.name, job=arn.rsplit("/", 1)[-1] or None, reasons=tuple(reasons))


def _job_reasons(session: Session, arn: str) -> Iterator[str]:
    kind, _, name = arn.rsplit(":", 1)[-1].partition("/")
    method, member = _DESCRIBE[kind]
    job: dict[str, Any] = getattr(session.client("sagemaker"), method)(**{member: name})
    yield job.get("FailureReason", "")
    yield job.get("ExitMessage", "")


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
