"""What the model said to a record that was sent alone, for the failed records of a run's document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from batchcast.runs.follow import ExecutionView
from batchcast.runs.watch.logs import data_log
from batchcast.session.session import Session
from batchcast.steps.errors import ConfigError, ServiceError
from batchcast.steps.outcome.data_log import FailedRequest, failed_requests


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
