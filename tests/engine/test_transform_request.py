"""What CreateTransformJob accepts, and the words it refuses with."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from engine_client import EngineClient
from scripted_model import ScriptedModel
from transform_case import transform_request

from batchcast.engine.errors import NotEmulatedError, ServiceException
from batchcast.engine.server.model_server import ModelUrl
from batchcast.engine.transform.request import check_transform_request
from batchcast.steps.store.objects import DirectoryStore

pytestmark = pytest.mark.timed

MODEL = {"ModelName": "model", "PrimaryContainer": {"ModelDataUrl": "s3://b/m.tar.gz"}, "ExecutionRoleArn": "the-role"}


def check(tmp_path: Path, request: Mapping[str, Any] | None = None, **options: Any) -> None:
    store = DirectoryStore(tmp_path)
    store.write("s3://b/in/a", b"1\n")
    check_transform_request(request or transform_request(), store=store, **{"model": MODEL, **options})


def refusal(tmp_path: Path, request: Mapping[str, Any] | None = None, **options: Any) -> ServiceException:
    with pytest.raises(ServiceException) as caught:
        check(tmp_path, request, **options)
    return caught.value


def test_e04_no_object_under_the_prefix(tmp_path: Path) -> None:
    """E4: seen in amazon-sagemaker-examples issues 2268, 2270 and 2414; the wording is theirs."""
    error = refusal(tmp_path, transform_request(S3Uri="s3://b/other/"), region="eu-west-1")
    assert error.code == "ValidationException"
    assert error.response["Error"]["Message"] == (
        'No S3 objects found under S3 URL "s3://b/other/" given in input data source. Please ensure that the bucket '
        "exists in the selected region (eu-west-1), that objects exist under that S3 prefix, and that the role "
        '"the-role" has "s3:ListBucket" permissions on bucket "b".'
    )


@pytest.mark.parametrize("payload", [-1, 101])
def test_e20_a_payload_limit_of_more_than_100_mb(tmp_path: Path, payload: int) -> None:
    """E20: documented (API reference, MaxPayloadInMB); 0, unlimited, is accepted."""
    assert "maxPayloadInMB" in refusal(tmp_path, transform_request(MaxPayloadInMB=payload)).message
    check(tmp_path, transform_request(MaxPayloadInMB=0))


def test_e21_concurrency_times_payload_over_100_mb(tmp_path: Path) -> None:
    """E21: documented (API reference, MaxPayloadInMB)."""
    error = refusal(tmp_path, transform_request(MaxConcurrentTransforms=20, MaxPayloadInMB=6))
    assert (error.code, "120 MB" in error.message) == ("ValidationException", True)
    check(tmp_path, transform_request(MaxConcurrentTransforms=16, MaxPayloadInMB=6))


def test_e21_the_limit_itself_is_allowed_and_one_mb_more_is_not(tmp_path: Path) -> None:
    """E21: documented (API reference, MaxPayloadInMB)."""
    for concurrency, payload in ((100, 1), (20, 5), (1, 100)):
        check(tmp_path, transform_request(MaxConcurrentTransforms=concurrency, MaxPayloadInMB=payload))
    error = refusal(tmp_path, transform_request(MaxConcurrentTransforms=101, MaxPayloadInMB=1))
    assert "101 MB" in error.message


def test_e21_the_default_payload_counts_too(tmp_path: Path) -> None:
    """E21: unknown for an unset payload; our pick."""
    assert "102 MB" in refusal(tmp_path, transform_request(MaxConcurrentTransforms=17)).message
    check(tmp_path, transform_request(MaxConcurrentTransforms=0, MaxPayloadInMB=100))


@pytest.mark.parametrize(
    ("member", "accepted", "refused"),
    [("InvocationsMaxRetries", (0, 3), (-1, 4)), ("InvocationsTimeoutInSeconds", (1, 3600), (0, 3601))],
)
def test_e39_limits_of_retries_and_time(tmp_path: Path, member: str, accepted: Any, refused: Any) -> None:
    """E39: documented (API reference, ModelClientConfig)."""
    for value in accepted:
        check(tmp_path, transform_request(**{member: value}))
    for value in refused:
        assert refusal(tmp_path, transform_request(**{member: value})).code == "ValidationException"


@pytest.mark.parametrize(
    "changes",
    [
        {"Accept": "text/csv"},
        {"Accept": None},
        {"ContentType": "application/x-npy", "Accept": "application/x-npy"},
        {"AssembleWith": "None"},
        {"SplitType": "None"},
        {"ContentType": "text/csv", "Accept": "text/csv", "SplitType": "None", "AssembleWith": "None"},
        {"ContentType": "text/csv", "Accept": "text/csv", "InputFilter": "$.id"},
    ],
)
def test_e59_a_join_needs_equal_formats_and_delimiters(tmp_path: Path, changes: dict[str, Any]) -> None:
    """E59: documented (developer guide, "Associate Prediction Results"); that create refuses is our pick."""
    error = refusal(tmp_path, transform_request(JoinSource="Input", **changes))
    assert (error.code, error.message.startswith("DataProcessing")) == ("ValidationException", True)


@pytest.mark.parametrize("media", ["application/json", "application/jsonlines", "text/csv", "text/csv; charset=utf-8"])
def test_e59_the_three_formats_can_be_joined(tmp_path: Path, media: str) -> None:
    """E59: documented."""
    check(tmp_path, transform_request(JoinSource="Input", ContentType=media, Accept=media))


@pytest.mark.parametrize("member", ["InputFilter", "OutputFilter"])
def test_e62_a_filter_longer_than_63_characters(tmp_path: Path, member: str) -> None:
    """E62: documented (API reference, DataProcessing)."""
    path = "$." + "a" * 61
    check(tmp_path, transform_request(**{member: path}))
    error = refusal(tmp_path, transform_request(**{member: path + "a"}))
    assert (error.code, "63" in error.message) == ("ValidationException", True)


@pytest.mark.parametrize("path", ["id", "$..id", "$[?(@.a>1)]", "$.a[", "$['a.b'", "$.a b"])
def test_a_filter_outside_the_subset_is_refused(tmp_path: Path, path: str) -> None:
    assert "JSONPath" in refusal(tmp_path, transform_request(InputFilter=path)).message


def test_e65_a_job_name_is_used_once(tmp_path: Path) -> None:
    """E65: documented (API reference, CreateTransformJob: ResourceInUse)."""
    with ScriptedModel() as model:
        client = EngineClient(tmp_path, models={"model": ModelUrl(url=model.url)})
        DirectoryStore(tmp_path / "s3").write("s3://b/in/a", b"1\n")
        client.create_transform_job(**transform_request())
        with pytest.raises(ServiceException) as caught:
            client.create_transform_job(**transform_request())
        while client.describe_transform_job(TransformJobName="job")["TransformJobStatus"] == "InProgress":
            time.sleep(0.01)
    assert (caught.value.code, "transform-job/job" in caught.value.message) == ("ResourceInUse", True)


def test_e66_a_model_that_does_not_exist(tmp_path: Path) -> None:
    """E66: documented; the wording was seen."""
    error = refusal(tmp_path, model=None)
    assert (error.code, "Could not find model" in error.message) == ("ValidationException", True)


@pytest.mark.parametrize("place", ["PrimaryContainer", "Containers"])
def test_e66_a_model_with_a_model_data_source(tmp_path: Path, place: str) -> None:
    """E66: seen in sagemaker-python-sdk issues 4777 and 5160; the wording is theirs."""
    container = {"ModelDataSource": {"S3DataSource": {}}}
    error = refusal(tmp_path, model={place: container if place == "PrimaryContainer" else [container]})
    assert error.message == (
        "SageMaker Batch currently doesn't support Model entity with container definitions which use ModelDataSource"
    )


@pytest.mark.parametrize("kind", ["ml.g4dn.xlarge", "ml.g5.xlarge", "ml.g6.xlarge", "ml.trn1.2xlarge"])
def test_e67_a_volume_key_with_a_local_disk(tmp_path: Path, kind: str) -> None:
    """E67: documented (API reference, TransformResources); the wording was seen in kubeflow/pipelines pull 8335."""
    error = refusal(tmp_path, transform_request(InstanceType=kind, VolumeKmsKeyId="key"))
    assert error.message.startswith(f"VolumeKmsKeyId is not supported for instance type: {kind}.")
    check(tmp_path, transform_request(InstanceType=kind))
    check(tmp_path, transform_request(InstanceType="ml.m5.4xlarge", VolumeKmsKeyId="key"))


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"InstanceCount": 0}, "greater than or equal to 1"),
        ({"InstanceCount": 101}, "less than or equal to 100"),
        ({"Environment": {f"K{number}": "v" for number in range(17)}}, "less than or equal to 16"),
        ({"Environment": {"K": "v" * 10241}}, "less than or equal to 10240"),
        ({"TransformJobName": "j" * 64}, "less than or equal to 63"),
        ({"TransformJobName": "a_b"}, "regular expression"),
        ({"BatchStrategy": "MULTI_RECORD"}, "enum value set: [MultiRecord, SingleRecord]"),
        ({"Tags": [{"Key": "k", "Value": "v" * 257}]}, "less than or equal to 256"),
    ],
)
def test_e68_the_service_model_s_limits(tmp_path: Path, changes: dict[str, Any], constraint: str) -> None:
    """E68: documented (the service model; 100 instances: API reference, TransformResources)."""
    error = refusal(tmp_path, transform_request(**changes))
    assert (error.code, constraint in error.message) == ("ValidationException", True)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"Surprise": 1}, 'Unknown parameter in input: "Surprise"'),
        ({"ModelName": None}, 'Missing required parameter in input: "ModelName"'),
        ({"InstanceCount": "2"}, "Invalid type for parameter TransformResources.InstanceCount"),
        ({"InstanceCount": True}, "Invalid type for parameter TransformResources.InstanceCount"),
        ({"Tags": [{"Key": "k"}]}, 'Missing required parameter in Tags[0]: "Value"'),
    ],
)
def test_e68_what_the_client_refuses_before_sending(tmp_path: Path, changes: dict[str, Any], what: str) -> None:
    """E68: botocore's ParamValidationError, in its words."""
    error = refusal(tmp_path, transform_request(**changes))
    assert (error.code, what in error.message) == ("ParamValidationError", True)


def test_all_violations_are_told_at_once(tmp_path: Path) -> None:
    error = refusal(tmp_path, transform_request(InstanceCount=0, TransformJobName="a_b", InvocationsMaxRetries=4))
    assert error.message.startswith("3 validation errors detected")


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"SplitType": "RecordIO"}, "TransformInput.SplitType"),
        ({"SplitType": "TFRecord"}, "TransformInput.SplitType"),
        ({"DataCaptureConfig": {"DestinationS3Uri": "s3://b/c"}}, "DataCaptureConfig"),
        ({"S3Uri": "https://b.s3.amazonaws.com/in"}, "TransformInput.DataSource.S3DataSource.S3Uri"),
        ({"S3OutputPath": "https://b.s3.amazonaws.com/out"}, "TransformOutput.S3OutputPath"),
    ],
)
def test_r01_what_is_not_emulated_is_refused_by_name(tmp_path: Path, changes: dict[str, Any], where: str) -> None:
    with pytest.raises(NotEmulatedError) as caught:
        check(tmp_path, transform_request(**changes))
    assert caught.value.problems[0].where == where
