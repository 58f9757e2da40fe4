"""Requests and answers held against the service model that boto3 works from."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.model import ServiceModel
from botocore.validate import ParamValidator
from engine_client import EngineClient
from engine_model import engine_model_text
from local_pipeline import (
    ROLE,
    condition,
    definition,
    ended,
    equals,
    fail,
    local,
    processing,
    steps_of,
    store_of,
    transform,
)

from batchcast.engine.errors import NotEmulatedError, ServiceException
from batchcast.engine.requests.request_check import MODEL_FILE, committed_model, refusals, values_at
from batchcast.engine.requests.request_check import violations as request_violations

MODEL: ServiceModel = botocore.session.get_session().get_service_model("sagemaker")
OPERATIONS = committed_model()["operations"]
# Checked and given back by Describe calls; on a laptop there is nothing they could act on.
DESCRIBED_ONLY = {
    "CreateProcessingJob": [
        "AppSpecification.ImageUri",
        "ExperimentConfig",
        "NetworkConfig",
        "ProcessingOutputConfig.KmsKeyId",
        "ProcessingResources.ClusterConfig.InstanceType",
        "ProcessingResources.ClusterConfig.VolumeKmsKeyId",
        "ProcessingResources.ClusterConfig.VolumeSizeInGB",
        "RoleArn",
        "Tags",
    ],
    "CreateTransformJob": [
        "ExperimentConfig",
        "Tags",
        "TransformOutput.KmsKeyId",
        "TransformResources.InstanceType",
        "TransformResources.TransformAmiVersion",
        "TransformResources.VolumeKmsKeyId",
    ],
}
HANDLED = (Path(__file__).parents[1] / "fixtures" / "golden" / "request_members.txt").read_text().split()
# Python has no surrogates: a pattern with ranges of them is not compared.
PATTERNS = {
    name: shape
    for name, shape in committed_model()["shapes"].items()
    if "pattern" in shape and "\\u" not in shape["pattern"]
}


def leaves(name: str, path: str) -> Iterator[str]:
    """The members of a request that have none of their own: `[]` stands for the members of a list."""
    shape = committed_model()["shapes"][name]
    if shape["type"] == "structure":
        for member, reference in shape["members"].items():
            yield from leaves(reference["shape"], f"{path}.{member}")
    elif shape["type"] == "list":
        yield from leaves(shape["member"]["shape"], f"{path}[]")
    else:
        yield path


def is_below(path: str, above: str) -> bool:
    return f"{path}.".replace("[]", "").startswith(f"{above}.".replace("[]", ""))


def test_the_committed_model_is_botocores() -> None:
    assert MODEL_FILE.read_text() == engine_model_text(), "make definition"


def test_p04_every_member_of_a_request_is_handled_or_refused_by_name() -> None:
    """A member that botocore gains is neither at first: it has to be put somewhere."""
    known = {path for name, each in OPERATIONS.items() for path in leaves(each["input"]["shape"], name)}
    refused = {f"{operation}.{path}" for operation, paths in refusals()["members"].items() for path in paths}
    below = {
        path
        for path in known
        if any(f"{path}.".replace("[]", "").startswith(f"{one}.".replace("[]", "")) for one in refused)
    }
    assert known - below == set(HANDLED) - below
    assert not set(HANDLED) - known


@pytest.mark.parametrize("operation", DESCRIBED_ONLY)
def test_p04_what_is_described_only_is_a_member(operation: str) -> None:
    handled = {path.replace("[]", "") for path in HANDLED}
    for path in DESCRIBED_ONLY[operation]:
        place = f"{operation}.{path}".replace("[]", "")
        assert any(is_below(each, place) for each in handled), path


@pytest.mark.parametrize("name", sorted(PATTERNS))
@pytest.mark.parametrize(
    "text", ["a", "a-b", "-a", "a b", "", "A_1", "s3://b/k", "s3://", "text/csv; x=1", "ü", "a\nb", "1a", "x" * 1025]
)
def test_e68_each_pattern_accepts_what_the_service_model_s_accepts(name: str, text: str) -> None:
    pattern = PATTERNS[name]["pattern"].replace(r"\p{L}\p{Z}\p{N}", r"\w\s")
    model = {"shapes": PATTERNS, "operations": {"Any": {"input": {"shape": name}}}}
    request: Any = text
    broken = {each.code for each in request_violations(model, "Any", request)}
    assert ("pattern" not in broken) == bool(re.fullmatch(pattern, text))


@pytest.mark.parametrize("operation", sorted(refusals()["members"]))
def test_what_is_refused_is_a_member_of_the_service_model(operation: str) -> None:
    for path in refusals()["members"][operation]:
        shape: Any = MODEL.operation_model(operation).input_shape
        for name in path.split("."):
            shape = shape.members[name.removesuffix("[]")]
            shape = shape.member if name.endswith("[]") else shape


def test_r05_a_refused_member_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotEmulatedError) as refused:
        local(tmp_path).start_pipeline_execution(
            PipelineName="p", PipelineVersionAlias="live", MlflowExperimentName="x"
        )
    assert "PipelineVersionAlias: is not emulated locally. Local versions have no aliases" in str(refused.value)
    assert "MlflowExperimentName" in str(refused.value)


def test_p15_what_a_laptop_cannot_act_on_is_described_as_it_was_asked_for(tmp_path: Path) -> None:
    client = local(tmp_path)
    asked = {
        **processing("A", "pass", outputs={"o": "s3://b/o"})["Arguments"],
        "ProcessingJobName": "job",
        "NetworkConfig": {"VpcConfig": {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}},
        "ExperimentConfig": {"ExperimentName": "weekly"},
    }
    asked["ProcessingResources"]["ClusterConfig"]["VolumeKmsKeyId"] = "key"
    asked["ProcessingOutputConfig"]["KmsKeyId"] = "key"
    tags = {"Tags": [{"Key": "team", "Value": "forecast"}]}
    assert all(list(values_at({**asked, **tags}, path)) for path in DESCRIBED_ONLY["CreateProcessingJob"])
    client.create_processing_job(**asked, **tags)
    described = client.describe_processing_job(ProcessingJobName="job")
    assert {key: described[key] for key in asked} == asked
    with pytest.raises(ServiceException, match=r"NetworkConfig\.VpcConfig"):
        client.create_processing_job(**{**asked, "NetworkConfig": {"VpcConfig": {}}})


def test_p25_the_network_of_a_model_is_described_as_it_was_asked_for_and_not_acted_on(tmp_path: Path) -> None:
    client = local(tmp_path)
    network = {"VpcConfig": {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}, "EnableNetworkIsolation": True}
    client.create_model(ModelName="tiny", PrimaryContainer={"Image": "image"}, ExecutionRoleArn=ROLE, **network)
    described = client.describe_model(ModelName="tiny")
    assert {name: described[name] for name in network} == network
    with pytest.raises(ServiceException, match=r"VpcConfig"):
        client.create_model(ModelName="other", PrimaryContainer={}, VpcConfig={"Subnets": ["subnet-1"]})


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_an_unknown_argument_is_an_error(tmp_path: Path, operation: str) -> None:
    method = getattr(local(tmp_path), re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower())
    with pytest.raises(ServiceException, match="Colour") as refused:
        method(Colour="red")
    assert refused.value.response["Error"]["Code"] == "ParamValidationError"


def violations(shape: Any, value: Any, path: str) -> Iterator[str]:
    """Where an answer breaks an enumeration, a length or a pattern, which botocore itself does not check."""
    if shape.type_name == "structure":
        for name, member in value.items():
            yield from violations(shape.members[name], member, f"{path}.{name}")
    elif shape.type_name == "list":
        for member in value:
            yield from violations(shape.member, member, f"{path}[]")
    elif shape.type_name == "string":
        enum, pattern = shape.metadata.get("enum"), shape.metadata.get("pattern")
        if enum and value not in enum:
            yield f"{path}: {value!r} is none of {enum}"
        if pattern and "\\p{" not in pattern and not re.fullmatch(pattern, value, re.DOTALL):
            yield f"{path}: {value!r} is not {pattern}"
        if len(value) > shape.metadata.get("max", len(value)):
            yield f"{path}: {value!r} is too long"


def check(operation: str, answer: Any) -> None:
    shape: Any = MODEL.operation_model(operation).output_shape
    if shape is None:
        assert answer is None
        return
    report = ParamValidator().validate(answer, shape)
    assert not report.has_errors(), report.generate_report()
    assert list(violations(shape, answer, operation)) == []
    assert all(isinstance(value, datetime) for key, value in answer.items() if key.endswith("Time"))


class Checked:
    """A client whose every answer is held against the output shape of its operation."""

    def __init__(self, client: EngineClient) -> None:
        self._client = client
        self.called: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        operation = "".join(word.capitalize() for word in name.split("_"))

        def call(**request: Any) -> Any:
            answer = getattr(self._client, name)(**request)
            check(operation, answer)
            self.called.add(operation)
            return answer

        return call


def test_every_answer_has_the_shape_that_boto3_gives(tmp_path: Path) -> None:
    client = Checked(local(tmp_path))
    _pipelines(client, tmp_path)
    _jobs(client, tmp_path)
    _models(client)
    assert client.called == set(OPERATIONS)


def _pipelines(client: Any, workspace: Path) -> None:
    store_of(workspace).write("s3://b/in/part-0.jsonl", b'{"id": 1}\n')
    report = "import os; open(os.environ['OPT_ML'] + '/output/message', 'w').write('done')"
    text = definition(
        processing("A", report, {"Std:Join": {"On": "", "Values": [{"Get": "Parameters.Days"}]}}, DisplayName="first"),
        transform("B", "s3://b/in/", "s3://b/out", Description="second", DependsOn=["A"]),
        processing("C", "raise SystemExit(1)", DependsOn=["B"]),
        condition("D", [equals(1, 1)], [processing("E", "pass")]),
        parameters=[{"Name": "Days", "Type": "Integer", "DefaultValue": 31}],
    )
    tags = [{"Key": "team", "Value": "forecast"}]
    limit = {"MaxParallelExecutionSteps": 2}
    client.create_pipeline(
        PipelineName="p",
        PipelineDisplayName="weekly",
        PipelineDescription="a pipeline",
        PipelineDefinition=text,
        RoleArn=ROLE,
        Tags=tags,
        ParallelismConfiguration=limit,
    )
    arn = client.start_pipeline_execution(
        PipelineName="p",
        PipelineExecutionDisplayName="one",
        PipelineExecutionDescription="a run",
        PipelineParameters=[{"Name": "Days", "Value": "7"}],
    )["PipelineExecutionArn"]
    ended(client, arn)
    steps_of(client, arn)
    client.list_pipeline_parameters_for_execution(PipelineExecutionArn=arn)
    client.describe_pipeline_definition_for_execution(PipelineExecutionArn=arn)
    client.retry_pipeline_execution(PipelineExecutionArn=arn)
    client.stop_pipeline_execution(PipelineExecutionArn=arn)
    ended(client, arn)
    client.list_pipeline_executions(PipelineName="p")
    client.update_pipeline(PipelineName="p", PipelineDefinition=definition(fail("F", "held")))
    ended(client, client.start_pipeline_execution(PipelineName="p")["PipelineExecutionArn"])
    client.describe_pipeline(PipelineName="p")
    client.list_pipelines()
    client.list_pipeline_versions(PipelineName="p")
    client.delete_pipeline(PipelineName="p")


def _jobs(client: Any, workspace: Path) -> None:
    request = processing("S", "import time; time.sleep(9)", outputs={"o": "s3://b/o"}, environment={"K": "v"})
    tags = [{"Key": "team", "Value": "forecast"}]
    client.create_processing_job(ProcessingJobName="job", Tags=tags, **request["Arguments"])
    client.stop_processing_job(ProcessingJobName="job")
    client.describe_processing_job(ProcessingJobName="job")
    client.list_processing_jobs()
    store_of(workspace).write("s3://b/slow/part-0.jsonl", b'{"seconds": 9}\n')
    client.create_transform_job(TransformJobName="job", **transform("T", "s3://b/slow/", "s3://b/out")["Arguments"])
    client.stop_transform_job(TransformJobName="job")
    client.describe_transform_job(TransformJobName="job")
    client.list_transform_jobs()
    for describe, status in (
        (client.describe_processing_job, "Processing"),
        (client.describe_transform_job, "Transform"),
    ):
        deadline = time.monotonic() + 10
        while describe(**{f"{status}JobName": "job"})[f"{status}JobStatus"] != "Stopped":
            assert time.monotonic() < deadline
            time.sleep(0.02)


def _models(client: Any) -> None:
    container = {"Image": "tiny", "ModelDataUrl": "s3://b/model.tar.gz", "Environment": {"A": "b"}}
    client.create_model(ModelName="m", PrimaryContainer=container, ExecutionRoleArn=ROLE, EnableNetworkIsolation=True)
    client.describe_model(ModelName="m")
    client.describe_model(ModelName="tiny")
    client.list_models()
    tagged = client.describe_model(ModelName="m")["ModelArn"]
    client.add_tags(ResourceArn=tagged, Tags=[{"Key": "team", "Value": "forecast"}])
    client.list_tags(ResourceArn=tagged)
    client.delete_tags(ResourceArn=tagged, TagKeys=["team"])
    client.delete_model(ModelName="m")
