"""Stopping executions and jobs, from this process and from another."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from engine_client import EngineClient
from local_pipeline import Json, ended, local, processing, start, statuses, steps_of, store_of, transform

from batchcast.engine.errors import ServiceException

SLEEP = "import time; time.sleep(60)"


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_executing(client: EngineClient, arn: str, step: str) -> Callable[[], bool]:
    return lambda: steps_of(client, arn).get(step, {}).get("StepStatus") == "Executing"


def slow_transform(workspace: Path) -> Json:
    store_of(workspace).write("s3://b/in/a.jsonl", b'{"id": 1}\n')
    store_of(workspace).write("s3://b/in/b.jsonl", b'{"seconds": 30}\n')
    return transform("Transform", "s3://b/in/", "s3://b/out")


def test_a_stopped_execution_ends_its_steps_and_starts_no_other(tmp_path: Path) -> None:
    client = local(tmp_path)
    lingers = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(time.sleep(1))); "
    lingers += f"open({str(tmp_path / 'ready')!r}, 'w').close(); time.sleep(60)"
    arn = start(client, processing("A", lingers), processing("B", "pass", DependsOn=["A"]))
    until((tmp_path / "ready").exists)
    assert client.stop_pipeline_execution(PipelineExecutionArn=arn) == {"PipelineExecutionArn": arn}
    stopping = client.describe_pipeline_execution(PipelineExecutionArn=arn)
    assert stopping["PipelineExecutionStatus"] == "Stopping"
    execution = ended(client, arn)
    assert execution["PipelineExecutionStatus"] == "Stopped"
    assert "FailureReason" not in execution
    assert statuses(steps_of(client, arn)) == {"A": "Stopped"}


def test_a_stopped_execution_leaves_no_output_of_its_transform(tmp_path: Path) -> None:
    client = local(tmp_path)
    arn = start(client, slow_transform(tmp_path))
    until(lambda: store_of(tmp_path).exists("s3://b/out/a.jsonl.out"))
    client.stop_pipeline_execution(PipelineExecutionArn=arn)
    assert ended(client, arn)["PipelineExecutionStatus"] == "Stopped"
    assert list(store_of(tmp_path).list("s3://b/out")) == []


def test_p06_a_job_that_is_stopped_by_hand_stops_its_step_and_fails_the_execution(tmp_path: Path) -> None:
    client = local(tmp_path)
    arn = start(client, slow_transform(tmp_path))
    until(is_executing(client, arn, "Transform"))
    job = steps_of(client, arn)["Transform"]["Metadata"]["TransformJob"]["Arn"].rsplit("/", 1)[1]
    client.stop_transform_job(TransformJobName=job)
    assert ended(client, arn)["PipelineExecutionStatus"] == "Failed"
    assert statuses(steps_of(client, arn)) == {"Transform": "Stopped"}
    assert client.describe_transform_job(TransformJobName=job)["TransformJobStatus"] == "Stopped"


def test_another_client_of_the_workspace_can_stop(tmp_path: Path) -> None:
    client = local(tmp_path)
    arn = start(client, processing("A", SLEEP))
    until(is_executing(client, arn, "A"))
    local(tmp_path).stop_pipeline_execution(PipelineExecutionArn=arn)
    assert ended(client, arn)["PipelineExecutionStatus"] == "Stopped"


def test_a_stopped_execution_can_be_retried(tmp_path: Path) -> None:
    client = local(tmp_path)
    wait_once = (
        "import os, time; f = os.environ['F']; time.sleep(0 if os.path.exists(f) else 60 * (not open(f, 'w').close()))"
    )
    arn = start(client, processing("A", wait_once, environment={"F": str(tmp_path / "flag")}))
    until((tmp_path / "flag").exists)
    client.stop_pipeline_execution(PipelineExecutionArn=arn)
    ended(client, arn)
    client.retry_pipeline_execution(PipelineExecutionArn=arn)
    assert ended(client, arn)["PipelineExecutionStatus"] == "Succeeded"


def test_what_has_ended_cannot_be_stopped(tmp_path: Path) -> None:
    client = local(tmp_path)
    arn = start(client, processing("A", "pass"))
    ended(client, arn)
    with pytest.raises(ServiceException) as refused:
        client.stop_pipeline_execution(PipelineExecutionArn=arn)
    assert refused.value.response["Error"]["Code"] == "ConflictException"
    job = steps_of(client, arn)["A"]["Metadata"]["ProcessingJob"]["Arn"].rsplit("/", 1)[1]
    with pytest.raises(ServiceException, match="the processing job is in status Completed"):
        client.stop_processing_job(ProcessingJobName=job)
