"""Retry policies within an execution, and RetryPipelineExecution after it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from local_pipeline import ended, local, processing, run, start, statuses, steps_of, store_of, transform, under_run

from batchcast.engine.errors import ServiceException
from batchcast.engine.pipeline.execution.retry_policy import RetryCount
from batchcast.engine.transform.plan import TransformOptions
from batchcast.steps.store.objects import DirectoryStore

CAPACITY = "SageMaker.CAPACITY_ERROR"
THROTTLING = "Step.THROTTLING"
TOKEN = "t" * 32


def policy(*types: str, **members: object) -> dict[str, object]:
    return {"ExceptionType": list(types), "IntervalSeconds": 60, "BackoffRate": 2.0, **members}


def test_e75_a_capacity_error_is_tried_again_as_the_policy_says(tmp_path: Path) -> None:
    """E75, first half: developer guide, "Retry Policy for Pipeline Steps"."""
    execution, steps = run(
        local(tmp_path, step_faults={"A": [CAPACITY, CAPACITY]}),
        processing("A", "pass", RetryPolicies=[policy(CAPACITY, MaxAttempts=2)]),
    )
    assert execution["PipelineExecutionStatus"] == "Succeeded"
    assert steps["A"]["AttemptCount"] == 3


def test_e75_a_policy_is_used_up_by_its_attempts(tmp_path: Path) -> None:
    """E75: MaxAttempts counts what comes after the first (same page)."""
    execution, steps = run(
        local(tmp_path, step_faults={"A": [CAPACITY] * 3}),
        processing("A", "pass", RetryPolicies=[policy(CAPACITY, MaxAttempts=2)]),
    )
    assert execution["PipelineExecutionStatus"] == "Failed"
    assert steps["A"]["AttemptCount"] == 3


def test_e75_an_algorithm_error_is_never_tried_again(tmp_path: Path) -> None:
    """E75, second half: developer guide, "Retry Policy for Pipeline Steps": no exception type stands for it."""
    count = "import os; open(os.environ['COUNT'], 'a').write('x'); raise SystemExit(1)"
    every = policy("Step.SERVICE_FAULT", THROTTLING, "SageMaker.JOB_INTERNAL_ERROR", CAPACITY, MaxAttempts=5)
    execution, steps = run(
        local(tmp_path), processing("A", count, environment={"COUNT": str(tmp_path / "n")}, RetryPolicies=[every])
    )
    assert execution["PipelineExecutionStatus"] == "Failed"
    assert steps["A"]["AttemptCount"] == 1
    assert steps["A"]["FailureReason"] == "AlgorithmError: See job logs for more information, exit code: 1"
    assert (tmp_path / "n").read_text() == "x"


class StumblingStore(DirectoryStore):
    """The first upload fails."""

    failed = False

    def upload(self, path: Path, uri: str) -> None:
        if not self.failed:
            self.failed = True
            raise OSError("the disk is full")
        super().upload(path, uri)


def test_what_fails_on_the_engine_s_side_is_an_internal_error_of_the_job_and_can_be_retried(tmp_path: Path) -> None:
    code = "import os; open(os.environ['OPT_ML'] + '/processing/output/o/f', 'w').close()"
    step = processing("A", code, outputs={"o": "s3://b/o"})
    client = local(tmp_path / "without", store=StumblingStore(tmp_path / "without" / "s3"))
    _, steps = run(client, step)
    assert steps["A"]["FailureReason"].startswith("InternalServerError: ")
    assert "the disk is full" in steps["A"]["FailureReason"]

    client = local(tmp_path / "with", store=StumblingStore(tmp_path / "with" / "s3"))
    _, steps = run(client, {**step, "RetryPolicies": [policy("SageMaker.JOB_INTERNAL_ERROR", MaxAttempts=1)]})
    assert (steps["A"]["StepStatus"], steps["A"]["AttemptCount"]) == ("Succeeded", 2)


def test_retries_end_with_the_policy_and_the_step_fails(tmp_path: Path) -> None:
    _, steps = run(
        local(tmp_path, step_faults={"A": [CAPACITY] * 5}),
        processing("A", "pass", RetryPolicies=[policy(CAPACITY, MaxAttempts=2)]),
    )
    assert (steps["A"]["StepStatus"], steps["A"]["AttemptCount"]) == ("Failed", 3)
    assert steps["A"]["FailureReason"].startswith(CAPACITY)


def test_throttling_is_tried_again_without_any_policy(tmp_path: Path) -> None:
    _, steps = run(local(tmp_path, step_faults={"A": [THROTTLING]}), processing("A", "pass"))
    assert (steps["A"]["StepStatus"], steps["A"]["AttemptCount"]) == ("Succeeded", 2)


def test_a_capacity_error_without_a_policy_fails_the_step(tmp_path: Path) -> None:
    _, steps = run(local(tmp_path, step_faults={"A": [CAPACITY]}), processing("A", "pass"))
    assert (steps["A"]["StepStatus"], steps["A"]["AttemptCount"]) == ("Failed", 1)


def test_each_wait_is_longer_by_the_backoff_rate() -> None:
    policy = {"ExceptionType": [CAPACITY], "IntervalSeconds": 60, "BackoffRate": 3.0, "MaxAttempts": 3}
    count = RetryCount([policy])
    assert [count.next_wait(CAPACITY, 0.0) for _ in range(4)] == [60, 180, 540, None]


def test_a_policy_that_expires_ends_by_time_and_not_by_number() -> None:
    count = RetryCount([{"ExceptionType": [CAPACITY], "ExpireAfterMin": 2}])
    assert all(count.next_wait(CAPACITY, 0.0) is not None for _ in range(30))
    assert count.next_wait(CAPACITY, 119.9) is not None
    assert count.next_wait(CAPACITY, 120.0) is None


def test_the_first_policy_that_names_the_exception_decides_and_each_counts_for_itself() -> None:
    first = {"ExceptionType": [CAPACITY], "IntervalSeconds": 5, "MaxAttempts": 1}
    second = {"ExceptionType": [CAPACITY, "SageMaker.RESOURCE_LIMIT"], "IntervalSeconds": 7, "MaxAttempts": 1}
    count = RetryCount([first, second])
    assert count.next_wait(CAPACITY, 0.0) == 5
    assert count.next_wait(CAPACITY, 0.0) is None
    assert count.next_wait("SageMaker.RESOURCE_LIMIT", 0.0) == 7


def test_a_retried_execution_runs_the_failed_step_again_as_a_whole_and_keeps_the_others(tmp_path: Path) -> None:
    client, store = local(tmp_path), store_of(tmp_path)
    store.write("s3://b/in/a.jsonl", b'{"id": 1}\n')
    store.write("s3://b/in/b.jsonl", b'{"poison": 1}\n')
    once = "import os; open(os.environ['COUNT'], 'a').write('x')"
    arn = start(
        client,
        processing("Build", once, environment={"COUNT": str(tmp_path / "n")}),
        transform("Transform", "s3://b/in/", under_run("out"), DependsOn=["Build"]),
        processing("Validate", "pass", DependsOn=["Transform"]),
    )
    assert ended(client, arn)["PipelineExecutionStatus"] == "Failed"
    before = steps_of(client, arn)

    store.write("s3://b/in/b.jsonl", b'{"id": 2}\n')
    assert client.retry_pipeline_execution(PipelineExecutionArn=arn) == {"PipelineExecutionArn": arn}
    assert ended(client, arn)["PipelineExecutionStatus"] == "Succeeded"
    after = steps_of(client, arn)
    assert statuses(after) == {"Build": "Succeeded", "Transform": "Succeeded", "Validate": "Succeeded"}
    assert after["Build"] == before["Build"]
    assert (tmp_path / "n").read_text() == "x"
    assert after["Transform"]["Metadata"] != before["Transform"]["Metadata"]
    assert after["Transform"]["AttemptCount"] == 2


def test_the_same_token_retries_once(tmp_path: Path) -> None:
    client = local(tmp_path)
    arn = start(client, processing("A", "raise SystemExit(1)"))
    ended(client, arn)
    for _ in range(2):
        client.retry_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken=TOKEN)
        ended(client, arn)
    assert steps_of(client, arn)["A"]["AttemptCount"] == 2


def test_p07_an_execution_that_succeeded_cannot_be_retried(tmp_path: Path) -> None:
    client = local(tmp_path)
    arn = start(client, processing("A", "pass"))
    ended(client, arn)
    with pytest.raises(ServiceException, match="this one is Succeeded"):
        client.retry_pipeline_execution(PipelineExecutionArn=arn)


def test_a_stop_ends_the_wait_for_a_retry(tmp_path: Path) -> None:
    client = local(tmp_path, step_faults={"A": [CAPACITY]}, options=TransformOptions(time_scale=1.0))
    arn = start(client, processing("A", "pass", RetryPolicies=[policy(CAPACITY, MaxAttempts=1)]))
    while steps_of(client, arn).get("A", {}).get("AttemptCount") != 1:
        time.sleep(0.01)
    client.stop_pipeline_execution(PipelineExecutionArn=arn)
    assert ended(client, arn, seconds=5)["PipelineExecutionStatus"] == "Stopped"
