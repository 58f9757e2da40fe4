"""`start --tuning`: the run takes what was measured of its model, and of no other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from botocore import handlers
from click.testing import CliRunner, Result
from scripted_run import RUN_ID, ScriptedRun
from strict import Recorder
from team import ACCOUNT, DEFAULTS, REGION
from tuning_document import write_tuning_document

from batchcast.account.deploy import Package, apply, plan_deployment
from batchcast.account.deploy_settings import DeploySettings
from batchcast.cli.main import root
from batchcast.session.session import AwsSession
from batchcast.steps.errors import ConfigError

IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/demand@sha256:aa"
Start = Callable[..., Result]


@pytest.fixture
def start(
    account: Recorder,
    session: AwsSession,
    settings: DeploySettings,
    packed: Package,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Start:
    """Start a run of the deployed pipeline with a measurement of this image on this instance type."""
    script = ScriptedRun(parameters=DEFAULTS)
    monkeypatch.setattr(handlers, "BUILTIN_HANDLERS", [*handlers.BUILTIN_HANDLERS, *script.handlers()])
    apply(session, plan_deployment(session, settings, packed))
    session.client("sagemaker").create_model(
        ModelName="demand-model",
        ExecutionRoleArn=f"arn:aws:iam::{ACCOUNT}:role/demand-model",
        PrimaryContainer={"Image": IMAGE},
    )

    def run(
        *arguments: str,
        command: str = "start",
        instance_type: str = "ml.m5.4xlarge",
        image: str | None = "sha256:aa",
        items: int | None = None,
    ) -> Result:
        path = tmp_path / "tuning.json"
        write_tuning_document(path, instance_type=instance_type, image=image, items_per_request=items)
        given = (command, "--region", REGION, "-p", "RunLabel=w", "--tuning", str(path), *arguments)
        return CliRunner().invoke(root, given)

    return run


def started(account: Recorder) -> dict[str, str]:
    """The parameters of the execution that was asked for."""
    (request,) = [request for _, operation, request in account.calls if operation == "StartPipelineExecution"]
    return {one["Name"]: one["Value"] for one in request["PipelineParameters"]}


def test_the_run_takes_what_was_measured_and_an_override_wins(account: Recorder, start: Start) -> None:
    assert start("-p", "InvocationsMaxRetries=1").stdout == f"{RUN_ID}\n"
    values = started(account)
    assert (values["MaxConcurrentTransforms"], values["MaxPayloadInMB"]) == ("5", "7")
    assert (values["InvocationsTimeoutInSeconds"], values["InvocationsMaxRetries"]) == ("188", "1")


@pytest.mark.parametrize("image", [None, "demand:7"])
def test_an_image_that_cannot_be_compared_is_no_obstacle(account: Recorder, start: Start, image: str | None) -> None:
    assert start(image=image).exit_code == 0
    assert started(account)["MaxConcurrentTransforms"] == "5"


def test_a_measurement_of_another_image_or_type_is_refused(account: Recorder, start: Start) -> None:
    other_image, other_type = start(image="sha256:bb"), start("-p", "TransformInstanceType=ml.c5.4xlarge")
    assert isinstance(other_image.exception, ConfigError)
    assert "it was measured with image sha256:bb, the model has sha256:aa" in str(other_image.exception)
    assert isinstance(other_type.exception, ConfigError)
    assert "it was measured on ml.m5.4xlarge, the run has ml.c5.4xlarge" in str(other_type.exception)
    other_requests = start(items=64)
    assert isinstance(other_requests.exception, ConfigError), other_requests.exception
    assert "measured with 64 records a request, the run has 1." in str(other_requests.exception)
    assert "StartPipelineExecution" not in {operation for _, operation, _ in account.calls}


def test_as_many_records_a_request_as_the_deployed_contract_sends_fit(account: Recorder, start: Start) -> None:
    assert start(items=1).exit_code == 0
    assert started(account)["MaxConcurrentTransforms"] == "5"


@pytest.mark.parametrize("command", ["start", "preflight"])
def test_what_was_measured_is_held_together_with_the_overrides(start: Start, command: str) -> None:
    refused = start("-p", "MaxConcurrentTransforms=15", command=command)
    assert isinstance(refused.exception, ConfigError)
    assert "15 requests x 7 MB" in str(refused.exception)


def test_a_run_without_a_model_is_told_so(start: Start, session: AwsSession) -> None:
    client = session.client("sagemaker")
    definition = json.loads(client.describe_pipeline(PipelineName="batchcast")["PipelineDefinition"])
    for one in definition["Parameters"]:
        if one["Name"] == "ModelName":
            del one["DefaultValue"]
    client.update_pipeline(PipelineName="batchcast", PipelineDefinition=json.dumps(definition))
    assert "ModelName" in str(start().exception)
    assert isinstance(start().exception, ConfigError)
