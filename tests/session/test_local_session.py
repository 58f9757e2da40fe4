"""botocore's own clients on the local engine: waiters, paginators, exceptions, validation, objects and logs."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ParamValidationError, WaiterError
from local_pipeline import ROLE, definition, local, processing, store_of, transform

import batchcast as bc
from batchcast.engine.errors import NotEmulatedError

QUICK = {"Delay": 1, "MaxAttempts": 20}


def local_client(engine: bc.LocalSageMaker, service: str = "sagemaker") -> Any:
    return bc.local_session(engine).client(service)


@pytest.fixture
def sagemaker(tmp_path: Path) -> Any:
    return local_client(local(tmp_path))


def put_pipeline(client: Any, name: str = "p") -> None:
    client.create_pipeline(
        PipelineName=name,
        PipelineDefinition=definition(processing("A", "pass")),
        RoleArn=ROLE,
        ClientRequestToken=name * 32,
    )


def test_it_is_botocore_s_client(sagemaker: Any) -> None:
    assert sagemaker.meta.service_model.service_name == "sagemaker"
    assert sagemaker.meta.region_name == "us-east-1"
    put_pipeline(sagemaker)
    described = sagemaker.describe_pipeline(PipelineName="p")
    assert described["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert described["PipelineStatus"] == "Active"


def test_a_token_is_filled_in_and_a_call_without_an_answer_has_its_metadata(sagemaker: Any) -> None:
    put_pipeline(sagemaker)
    arn = sagemaker.start_pipeline_execution(PipelineName="p")["PipelineExecutionArn"]
    assert sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)["PipelineExecutionArn"] == arn
    sagemaker.create_processing_job(ProcessingJobName="j", **processing("A", "import time; time.sleep(9)")["Arguments"])
    assert sagemaker.stop_processing_job(ProcessingJobName="j").keys() == {"ResponseMetadata"}


def test_waiters_wait_for_the_engine_s_jobs(sagemaker: Any, tmp_path: Path) -> None:
    waiter = sagemaker.get_waiter("processing_job_completed_or_stopped")
    sagemaker.create_processing_job(ProcessingJobName="good", **processing("A", "pass")["Arguments"])
    waiter.wait(ProcessingJobName="good", WaiterConfig=QUICK)
    sagemaker.create_processing_job(ProcessingJobName="bad", **processing("A", "raise SystemExit(1)")["Arguments"])
    with pytest.raises(WaiterError):
        waiter.wait(ProcessingJobName="bad", WaiterConfig=QUICK)
    store_of(tmp_path).write("s3://b/in/a.jsonl", b'{"id": 1}\n')
    sagemaker.create_transform_job(TransformJobName="t", **transform("T", "s3://b/in/", "s3://b/out")["Arguments"])
    sagemaker.get_waiter("transform_job_completed_or_stopped").wait(TransformJobName="t", WaiterConfig=QUICK)
    assert store_of(tmp_path).exists("s3://b/out/a.jsonl.out")


def test_paginators_go_through_every_page(sagemaker: Any) -> None:
    for name in "abcde":
        put_pipeline(sagemaker, name)
    pages = list(sagemaker.get_paginator("list_pipelines").paginate(PaginationConfig={"PageSize": 2}))
    assert [len(page["PipelineSummaries"]) for page in pages] == [2, 2, 1]
    assert {each["PipelineName"] for page in pages for each in page["PipelineSummaries"]} == set("abcde")


def test_errors_are_the_client_s_exceptions(sagemaker: Any) -> None:
    arguments = processing("A", "pass")["Arguments"]
    sagemaker.create_processing_job(ProcessingJobName="j", **arguments)
    with pytest.raises(sagemaker.exceptions.ResourceInUse) as caught:
        sagemaker.create_processing_job(ProcessingJobName="j", **arguments)
    assert isinstance(caught.value, ClientError)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    with pytest.raises(ClientError, match="ValidationException"):
        sagemaker.describe_model(ModelName="absent")


def test_parameters_are_validated_by_botocore_itself(sagemaker: Any) -> None:
    with pytest.raises(ParamValidationError, match="Colour"):
        sagemaker.describe_pipeline(PipelineName="p", Colour="red")
    with pytest.raises(ParamValidationError, match="PipelineName"):
        sagemaker.describe_pipeline()


def test_what_is_not_there_is_the_engine_s_refusal(tmp_path: Path) -> None:
    engine = local(tmp_path)
    with pytest.raises(NotEmulatedError, match="CreateTrainingJob is not emulated"):
        local_client(engine).create_training_job(
            TrainingJobName="t",
            AlgorithmSpecification={"TrainingInputMode": "File"},
            RoleArn=ROLE,
            OutputDataConfig={"S3OutputPath": "s3://b/o"},
            StoppingCondition={},
        )
    with pytest.raises(NotEmulatedError, match="PutBucketPolicy is not emulated"):
        local_client(engine, "s3").put_bucket_policy(Bucket="b", Policy="{}")
    with pytest.raises(NotEmulatedError, match="s3: ServerSideEncryption"):
        local_client(engine, "s3").put_object(Bucket="b", Key="k", Body=b"", ServerSideEncryption="aws:kms")
    with pytest.raises(NotEmulatedError, match="a workspace has no events"):
        local_client(engine, "events").list_rules()


def test_objects_are_those_of_the_store(tmp_path: Path) -> None:
    engine = local(tmp_path)
    s3 = local_client(engine, "s3")
    s3.put_object(Bucket="b", Key="k/one", Body=b"0123456789")
    s3.put_object(Bucket="b", Key="k/two", Body=io.BytesIO(b"two"))
    assert store_of(tmp_path).read("s3://b/k/two") == b"two"
    assert s3.get_object(Bucket="b", Key="k/one")["Body"].read() == b"0123456789"
    part = s3.get_object(Bucket="b", Key="k/one", Range="bytes=2-4")
    assert (part["Body"].read(), part["ContentRange"]) == (b"234", "bytes 2-4/10")
    assert s3.get_object(Bucket="b", Key="k/one", Range="bytes=-3")["Body"].read() == b"789"
    assert s3.head_object(Bucket="b", Key="k/one")["ContentLength"] == 10
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket="b", Key="absent")
    with pytest.raises(ClientError) as absent:
        s3.head_object(Bucket="b", Key="absent")
    assert absent.value.response["Error"]["Code"] == "404"
    s3.delete_object(Bucket="b", Key="k/one")
    assert [each["Key"] for each in s3.list_objects_v2(Bucket="b", Prefix="k/")["Contents"]] == ["k/two"]


def test_objects_are_listed_page_by_page_and_by_folder(tmp_path: Path) -> None:
    engine = local(tmp_path)
    keys = ["a/1", "a/2", "b/1", "c", "d/1/x", "d/2"]
    for key in keys:
        engine.store.write(f"s3://b/{key}", b"x")
    paginator = local_client(engine, "s3").get_paginator("list_objects_v2")
    pages = list(paginator.paginate(Bucket="b", PaginationConfig={"PageSize": 4}))
    assert [each["Key"] for page in pages for each in page["Contents"]] == keys
    pages = list(paginator.paginate(Bucket="b", Delimiter="/", PaginationConfig={"PageSize": 2}))
    assert [each["Prefix"] for page in pages for each in page.get("CommonPrefixes", [])] == ["a/", "b/", "d/"]
    assert [each["Key"] for page in pages for each in page.get("Contents", [])] == ["c"]


def test_logs_are_read_as_the_sdk_reads_them(tmp_path: Path) -> None:
    engine = local(tmp_path)
    sagemaker, logs = local_client(engine), local_client(engine, "logs")
    group = "/aws/sagemaker/ProcessingJobs"
    with pytest.raises(logs.exceptions.ResourceNotFoundException):
        logs.describe_log_streams(logGroupName=group)
    sagemaker.create_processing_job(ProcessingJobName="j", **processing("A", "print('one'); print('two')")["Arguments"])
    sagemaker.get_waiter("processing_job_completed_or_stopped").wait(ProcessingJobName="j", WaiterConfig=QUICK)
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix="j/")["logStreams"]
    assert [stream["logStreamName"] for stream in streams] == ["j/algo-1/container-log"]
    first = logs.get_log_events(logGroupName=group, logStreamName="j/algo-1/container-log", startFromHead=True)
    assert [event["message"] for event in first["events"]] == ["one", "two"]
    after = logs.get_log_events(
        logGroupName=group, logStreamName="j/algo-1/container-log", nextToken=first["nextForwardToken"]
    )
    assert (after["events"], after["nextForwardToken"]) == ([], first["nextForwardToken"])
    assert len(logs.filter_log_events(logGroupName=group, logStreamNamePrefix="j/")["events"]) == 2


def test_no_aws_configuration_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"AWS_PROFILE": "absent", "AWS_CONFIG_FILE": "/absent", "AWS_ENDPOINT_URL": "http://x"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.delenv("AWS_REGION", raising=False)
    assert local_client(local(tmp_path)).list_pipelines()["PipelineSummaries"] == []
