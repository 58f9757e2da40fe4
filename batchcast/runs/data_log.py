"""What the model said to a record that was sent alone: found in the transform job's data-log.

The service writes there which file failed and how, never which record; in the retry round a file is a record.
Line forms: amazon-sagemaker-examples issue 1620, sagemaker-python-sdk issues 1882 and 1951.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from batchcast.runs.follow import ExecutionView
from batchcast.runs.logs import data_log
from batchcast.session.session import Session
from batchcast.steps.errors import ConfigError, ServiceError

__all__ = ["FailedRequest", "failed_requests", "with_answers"]

_MARK = "[sagemaker logs]: "
_SHARD_END = ".jsonl: "
_HEADS = ("ClientError: ", "Bad HTTP status received from algorithm: ", "Unable to get response from algorithm")
_MOST_CHARACTERS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedRequest:
    """How a request ended, in the service's words, and the body of the model's answer, cut to 1000 characters."""

    what: str
    message: str = ""


def failed_requests(lines: Iterable[str]) -> dict[str, FailedRequest]:
    """Name of the shard, without its folder, to the last request for it that failed; other lines are passed over."""
    heads: dict[str, str] = {}
    bodies: dict[str, list[str]] = {}
    for line in lines:
        before, found, rest = line.partition(_MARK)[2].partition(_SHARD_END)
        if not found:
            continue
        shard = before.rsplit("/", 1)[-1] + _SHARD_END.rstrip(": ")
        if rest.startswith(_HEADS):
            heads[shard], bodies[shard] = rest, []
        elif shard in heads and (rest.strip() or bodies[shard]) and rest != "Message:":
            bodies[shard].append(rest)
    return {
        shard: FailedRequest(what=head, message="\n".join(bodies[shard])[:_MOST_CHARACTERS].rstrip())
        for shard, head in heads.items()
    }


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
