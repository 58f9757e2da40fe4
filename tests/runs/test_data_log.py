"""The model's words in a data-log: which request of which one-record file they belong to."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from batchcast.runs.follow import ExecutionView, StepView
from batchcast.runs.watch.logs import with_answers
from batchcast.session.service_errors import TranslatingClient
from batchcast.session.session import WorkspaceSession
from batchcast.steps.outcome.data_log import FailedRequest, failed_requests

KEY = "bucket/runs/abc/input/r1/record-000007.jsonl"
EXECUTION = "arn:aws:sagemaker:local:000000000000:pipeline/batchcast/execution/abcdefghijkl"


def logged(*texts: str, key: str = KEY) -> list[str]:
    return [f"2026-11-22T10:00:00.000:[sagemaker logs]: {key}: {text}" for text in texts]


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (
            logged("ClientError: 400", "", "Message:", "no promo"),
            FailedRequest(what="ClientError: 400", message="no promo"),
        ),
        (
            logged("ClientError: 400", "", "Message:", "Traceback:", "", "  KeyError: 'promo'"),
            FailedRequest(what="ClientError: 400", message="Traceback:\n\n  KeyError: 'promo'"),
        ),
        (
            logged("Bad HTTP status received from algorithm: 503", "", "Message:", "busy")
            + logged("Bad HTTP status received from algorithm: 500", "", "Message:", "no memory"),
            FailedRequest(what="Bad HTTP status received from algorithm: 500", message="no memory"),
        ),
        (
            logged("Failed to parse output from the algorithm as JSON: NaN is not JSON"),
            FailedRequest(what="Failed to parse output from the algorithm as JSON: NaN is not JSON"),
        ),
        (
            logged("Unable to get response from algorithm (no answer within 5 s)"),
            FailedRequest(what="Unable to get response from algorithm (no answer within 5 s)"),
        ),
    ],
)
def test_the_last_failure_of_a_file_counts_with_all_of_its_message(lines: list[str], found: FailedRequest) -> None:
    assert failed_requests(lines) == {"record-000007.jsonl": found}


@pytest.mark.parametrize(
    "name", ["part-00000.jsonl", "request-00003.json", "record-000004.csv", "request-00005.parquet"]
)
def test_a_failure_is_found_whatever_the_requests_are(name: str) -> None:
    lines = logged("ClientError: 400", "", "Message:", "see a.json: no", key=f"my runs/input/r0/{name}")
    assert failed_requests(lines) == {name: FailedRequest(what="ClientError: 400", message="see a.json: no")}


def test_lines_of_several_files_may_be_mixed() -> None:
    other = KEY.replace("7", "8")
    mixed = [
        line
        for pair in zip(
            logged("ClientError: 400", "", "Message:", "first"),
            logged("ClientError: 413", "", "Message:", "second", key=other),
            strict=True,
        )
        for line in pair
    ]
    assert failed_requests(mixed) == {
        "record-000007.jsonl": FailedRequest(what="ClientError: 400", message="first"),
        "record-000008.jsonl": FailedRequest(what="ClientError: 413", message="second"),
    }


def test_a_long_message_is_cut_and_lines_of_no_file_are_passed_over() -> None:
    lines = ["Traceback of the container", "2026:[sagemaker logs]: MaxConcurrentTransforms=4, MaxPayloadInMB=6"]
    lines += logged("ClientError: 400", "", "Message:", "x" * 5000)
    [found] = failed_requests(lines).values()
    assert found.message == "x" * 1000


def execution(*names: str) -> ExecutionView:
    steps = tuple(
        StepView(
            name=name,
            status="Failed",
            started=datetime(2026, 11, 22, tzinfo=UTC),
            seconds=1.0,
            failure_reason="",
            job=f"arn:aws:sagemaker:local:000000000000:transform-job/job-of-{name}",
        )
        for name in names
    )
    return ExecutionView(arn=EXECUTION, status="Failed", failure_reason="", steps=steps)


def row(shard: str, number: int) -> dict[str, Any]:
    return {"item_id": "a", "shard": shard, "round": number}


def write_log(workspace: Path, job: str, name: str, lines: list[str]) -> None:
    folder = workspace / "logs" / "aws" / "sagemaker" / "TransformJobs" / job / "instance-0"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("".join(f"{line}\n" for line in lines))


def test_a_record_of_the_retry_round_is_told_with_what_the_model_said_to_it(tmp_path: Path) -> None:
    write_log(tmp_path, "job-of-TransformRetry", "data-log", logged("ClientError: 400", "", "Message:", "no promo"))
    write_log(tmp_path, "job-of-TransformRetry", "container-log", ["Traceback: record-000009.jsonl: boom"])
    write_log(tmp_path, "job-of-Transform", "data-log", logged("ClientError: 413"))
    rows = [row("record-000007.jsonl", 1), row("record-000009.jsonl", 1), row("part-00000.jsonl", 0)]
    told = with_answers(rows, WorkspaceSession(tmp_path), execution("Transform", "TransformRetry"))
    assert [each["answer"] for each in told] == [{"what": "ClientError: 400", "message": "no promo"}, None, None]


class NoLogs:
    """An account in which CloudWatch may not be read."""

    def filter_log_events(self, **_: Any) -> None:
        error = Exception("not authorized")
        error.response = {"Error": {"Code": "AccessDeniedException", "Message": "not authorized"}}  # type: ignore[attr-defined]
        raise error


class SessionWithoutLogs(WorkspaceSession):
    def client(self, service: str) -> Any:
        return TranslatingClient(NoLogs(), service)


def test_a_log_that_may_not_be_read_leaves_the_records_named(tmp_path: Path) -> None:
    rows = [row("record-000007.jsonl", 1)]
    told = with_answers(rows, SessionWithoutLogs(tmp_path), execution("TransformRetry"))
    assert told == [{**rows[0], "answer": None}]
