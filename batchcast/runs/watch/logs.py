"""The log of a job: what its container wrote, and what the service says about a transform's requests.

With it, what the model said to a record that was sent alone, for the failed records of a run's document.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from batchcast.runs.follow import ExecutionView
from batchcast.session.service_errors import error_code
from batchcast.session.session import Session, pages
from batchcast.steps.errors import ConfigError, ServiceError
from batchcast.steps.outcome.data_log import FailedRequest, failed_requests

# Developer guide, "Log groups and streams that Amazon SageMaker AI sends to CloudWatch Logs", read 2023-03.
_GROUPS = {"processing-job": "/aws/sagemaker/ProcessingJobs", "transform-job": "/aws/sagemaker/TransformJobs"}
# Every line of a data-log has it, and no line of a container.
_MARK = '"[sagemaker logs]"'
_MOST_PAGES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One line; `stream` names the instance it is from."""

    stream: str
    time: datetime
    text: str


def job_log(session: Session, job_arn: str) -> Iterator[LogLine]:
    """Every line of the job, page by page; none while it has written none."""
    try:
        for event in (event for page in _pages(session, job_arn) for event in page["events"]):
            when = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
            stream = event["logStreamName"].partition("/")[2]
            yield LogLine(stream=stream, time=when, text=event["message"].rstrip("\n"))
    except ConfigError as error:
        # The first job of an account makes the group with its first line.
        if error_code(error) != "ResourceNotFoundException":
            raise


def data_log(session: Session, job_arn: str) -> list[str]:
    """What the service said about the requests of a transform job; at most five API calls, so perhaps not all."""
    listing = _pages(session, job_arn, filterPattern=_MARK)
    return [event["message"].rstrip("\n") for page in islice(listing, _MOST_PAGES) for event in page["events"]]


def _pages(session: Session, job_arn: str, **only: str) -> Iterator[Any]:
    kind, _, job = job_arn.rsplit(":", 1)[-1].partition("/")
    request = {"logGroupName": _GROUPS[kind], "logStreamNamePrefix": f"{job}/", **only}
    return pages(session.client("logs").filter_log_events, mark="nextToken", **request)


def with_answers(
    failed: Iterable[Mapping[str, Any]], session: Session, execution: ExecutionView
) -> list[dict[str, Any]]:
    """The failed records of a report, each with `answer`: what the model said to it alone, None where no log tells.

    A log that may not be read, or is gone, tells nothing: the records are named all the same.
    """
    rows = [dict(row) for row in failed]
    retry = execution.step("TransformRetry")
    found: Mapping[str, FailedRequest] = {}
    if retry is not None and retry.job is not None and any(row["round"] == 1 for row in rows):
        with suppress(ConfigError, ServiceError):
            found = failed_requests(data_log(session, retry.job))
    for row in rows:
        request = found.get(row["shard"]) if row["round"] == 1 else None
        row["answer"] = request and {"what": request.what, "message": request.message}
    return rows
