"""Which steps start, and what the execution's status is, when a step does not succeed."""

from __future__ import annotations

from pathlib import Path

import pytest
from local_pipeline import (
    Json,
    after,
    condition,
    ended,
    equals,
    fail,
    local,
    processing,
    run,
    start,
    statuses,
    store_of,
    transform,
)

from batchcast.engine.errors import ServiceException

OK = "pass"
BAD = "raise SystemExit(3)"
SLOW = "import time; time.sleep(0.3)"


def poison(workspace: Path) -> Json:
    """A Transform step over one record that the model refuses."""
    store_of(workspace).write("s3://b/in/part-0.jsonl", b'{"poison": 1}\n')
    return transform("Transform", "s3://b/in/", "s3://b/out")


def test_e73_a_plain_dependency_on_a_failed_transform_never_starts_and_the_execution_fails(tmp_path: Path) -> None:
    """E73, first half: developer guide, "Define a pipeline"; API reference, PipelineExecutionStatus."""
    execution, steps = run(
        local(tmp_path),
        poison(tmp_path),
        processing("Validate", OK, DependsOn=["Transform"]),
        processing("Publish", OK, DependsOn=["Validate"]),
    )
    assert statuses(steps) == {"Transform": "Failed"}
    assert steps["Transform"]["FailureReason"] == "ClientError: See job logs for more information"
    assert execution["PipelineExecutionStatus"] == "Failed"
    assert execution["FailureReason"] == "Step failure: One or multiple steps failed."


@pytest.mark.parametrize("trigger", ["Any", "Failed"])
def test_e73_a_step_triggered_by_the_failure_runs_and_the_execution_completes_with_failures(
    tmp_path: Path, trigger: str
) -> None:
    """E73, second half: run conditions of the SageMaker Python SDK 3.27, `sagemaker.mlops.workflow.step_dependency`."""
    execution, steps = run(
        local(tmp_path), poison(tmp_path), processing("Validate", OK, DependsOn=[after("Transform", trigger)])
    )
    assert statuses(steps) == {"Transform": "Failed", "Validate": "Succeeded"}
    assert execution["PipelineExecutionStatus"] == "CompletedWithFailures"
    assert "FailureReason" not in execution


def test_e74_a_fail_step_ends_the_execution_as_failed_with_its_message_and_it_cannot_be_retried(
    tmp_path: Path,
) -> None:
    """E74: developer guide, "Define a pipeline", Fail step."""
    client = local(tmp_path)
    message = {"Std:Join": {"On": " ", "Values": ["run", {"Get": "Execution.PipelineName"}, "was held"]}}
    arn = start(client, condition("Held", [equals(1, 1)], [fail("FailHeld", message)]))
    execution = ended(client, arn)
    assert (execution["PipelineExecutionStatus"], execution["FailureReason"]) == ("Failed", "run p was held")
    with pytest.raises(ServiceException) as refused:
        client.retry_pipeline_execution(PipelineExecutionArn=arn)
    assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_after_a_fail_step_nothing_starts_and_what_runs_is_waited_for(tmp_path: Path) -> None:
    _, steps = run(
        local(tmp_path),
        processing("Slow", SLOW),
        processing("AfterSlow", OK, DependsOn=["Slow"]),
        fail("Stop"),
    )
    assert statuses(steps) == {"Slow": "Succeeded", "Stop": "Failed"}


def test_a_trigger_that_does_not_come_true_leaves_its_step_out_and_harms_nothing(tmp_path: Path) -> None:
    execution, steps = run(
        local(tmp_path), processing("A", OK), processing("Repair", OK, DependsOn=[after("A", "Failed")])
    )
    assert statuses(steps) == {"A": "Succeeded"}
    assert execution["PipelineExecutionStatus"] == "Succeeded"


def test_p11_an_independent_branch_goes_on_when_another_fails(tmp_path: Path) -> None:
    execution, steps = run(
        local(tmp_path),
        processing("Bad", BAD),
        processing("A", SLOW),
        processing("B", OK, DependsOn=["A"]),
    )
    assert statuses(steps) == {"Bad": "Failed", "A": "Succeeded", "B": "Succeeded"}
    assert execution["PipelineExecutionStatus"] == "Failed"


def test_one_failure_that_nothing_handles_fails_the_execution_though_another_is_handled(tmp_path: Path) -> None:
    execution, _ = run(
        local(tmp_path),
        processing("Bad", BAD),
        processing("Worse", BAD),
        processing("Repair", OK, DependsOn=[after("Bad")]),
    )
    assert execution["PipelineExecutionStatus"] == "Failed"


def test_a_step_waits_for_both_kinds_of_dependency(tmp_path: Path) -> None:
    _, steps = run(
        local(tmp_path),
        processing("Bad", BAD),
        processing("Slow", SLOW),
        processing("Both", OK, DependsOn=[after("Bad"), "Slow"]),
    )
    assert steps["Both"]["StartTime"] >= steps["Slow"]["EndTime"]


def test_only_the_taken_branch_runs_and_a_step_after_the_other_never_starts(tmp_path: Path) -> None:
    execution, steps = run(
        local(tmp_path),
        condition("Choice", [equals(1, 1), equals(1, 2)], [processing("Then", OK)], [processing("Else", OK)]),
        processing("AfterThen", OK, DependsOn=["Then"]),
        processing("AfterElse", OK, DependsOn=["Else"]),
    )
    assert statuses(steps) == {"Choice": "Succeeded", "Else": "Succeeded", "AfterElse": "Succeeded"}
    assert execution["PipelineExecutionStatus"] == "Succeeded"


def test_a_property_of_a_failed_step_has_no_value_and_fails_the_step_that_asks(tmp_path: Path) -> None:
    asks = processing("Asks", OK, {"Get": "Steps.Bad.ProcessingJobArn"}, DependsOn=[after("Bad")])
    _, steps = run(local(tmp_path), processing("Bad", BAD), asks)
    assert steps["Asks"]["StepStatus"] == "Failed"
    assert "step Bad is Failed: its properties and files have no value" in steps["Asks"]["FailureReason"]


def test_independent_steps_run_side_by_side(tmp_path: Path) -> None:
    _, steps = run(local(tmp_path), *(processing(name, SLOW) for name in "ABC"))
    assert max(step["StartTime"] for step in steps.values()) < min(step["EndTime"] for step in steps.values())


def test_no_more_steps_run_at_once_than_the_parallelism_allows(tmp_path: Path) -> None:
    _, steps = run(
        local(tmp_path),
        *(processing(name, SLOW) for name in "ABC"),
        ParallelismConfiguration={"MaxParallelExecutionSteps": 1},
    )
    first, second, third = sorted(steps.values(), key=lambda step: step["StartTime"])
    assert first["EndTime"] <= second["StartTime"]
    assert second["EndTime"] <= third["StartTime"]


def test_a_condition_without_a_value_fails_its_step(tmp_path: Path) -> None:
    absent = {"Std:JsonGet": {"S3Uri": {"Std:Join": {"On": "", "Values": ["s3://b/none.json"]}}, "Path": "a"}}
    execution, steps = run(local(tmp_path), condition("C", [equals(absent, 1)], [processing("A", OK)]))
    assert statuses(steps) == {"C": "Failed"}
    assert "there is no such object" in steps["C"]["FailureReason"]
    assert execution["PipelineExecutionStatus"] == "Failed"
