"""`get_pipeline`: the SageMaker SDK's own Pipeline, which does what `deploy` does."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator

import pytest
from compile_offline import validate_once
from strict import Recorder
from team import BUCKET, CONTRACT, DEFAULTS, REGION, ROLE

import batchcast as bc
from batchcast.account.deploy import Package, plan_deployment
from batchcast.account.deploy_settings import DeploySettings
from batchcast.session.session import AwsSession

pytest.importorskip("sagemaker")


@pytest.fixture(autouse=True)
def quiet_sdk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The SDK warns of itself, and validates its configuration at every look into it."""
    monkeypatch.setattr("jsonschema.validate", validate_once())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture
def role(account: Recorder) -> None:
    """The SDK looks at the role before it calls SageMaker."""
    import boto3

    trust = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam = boto3.client("iam", region_name=REGION)
    iam.create_role(RoleName=ROLE.rsplit("/", 1)[-1], AssumeRolePolicyDocument=document)


def test_its_definition_is_what_deploy_sends(account: Recorder, packed: Package) -> None:
    pipeline = bc.get_pipeline(REGION, ROLE, BUCKET, contract=CONTRACT, parameters=DEFAULTS)
    assert pipeline.definition() == packed.text


def test_upsert_creates_what_deploy_would_not_change_and_start_runs_it(
    account: Recorder, role: None, session: AwsSession, settings: DeploySettings, packed: Package
) -> None:
    pipeline = bc.get_pipeline(REGION, ROLE, BUCKET, contract=CONTRACT, parameters=DEFAULTS)
    pipeline.upsert(description=packed.description)
    assert plan_deployment(session, settings, packed).calls == ()
    pipeline.upsert(description=packed.description)  # the second one updates
    assert plan_deployment(session, settings, packed).calls == ()
    execution = pipeline.start(parameters={"ForecastHorizon": 14})
    described = session.client("sagemaker").describe_pipeline_execution(PipelineExecutionArn=execution.arn)
    assert described["PipelineArn"].endswith("pipeline/batchcast")
    assert "scheduler" not in {operation.split(":")[0] for operation in account.operations()}


def test_a_change_of_the_graph_is_in_the_definition(account: Recorder) -> None:
    pipeline = bc.get_pipeline(REGION, ROLE, BUCKET, contract=CONTRACT, parameters=DEFAULTS)
    pipeline.steps[0].display_name = "Other"
    assert json.loads(pipeline.definition())["Steps"][0]["DisplayName"] == "Other"


def test_what_is_missing_is_said_at_once(account: Recorder) -> None:
    with pytest.raises(bc.ConfigError, match=r"role.*\n.*bucket"):
        bc.get_pipeline(REGION, contract=CONTRACT)
