"""The newest approved package of a group becomes the model of the pipeline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import handlers
from click.testing import CliRunner
from scripted_run import PREFIX, ScriptedRun
from stack import LEAST, allows, create, needed, statements_of_policy
from strict import Recorder
from team import ACCOUNT, BUCKET, CONTRACT, DEFAULTS, REGION, ROLE

from batchcast.account.deploy_settings import read_deploy_settings
from batchcast.account.model_package import described_model, packages_of
from batchcast.account.studio_pipeline import get_pipeline
from batchcast.cli.main import root
from batchcast.pipelines.definition import defaults_of
from batchcast.runs.start import deployed_pipeline
from batchcast.session.session import AwsSession
from batchcast.steps.errors import ConfigError

MODEL_ROLE = f"arn:aws:iam::{ACCOUNT}:role/demand-model"
OWN = {name: value for name, value in DEFAULTS.items() if name != "ModelName"}


@pytest.fixture
def registry(account: Recorder) -> Any:
    """A client of a registry with the group `demand`: version 1 approved, 2 rejected, 3 pending."""
    client = boto3.client("sagemaker", region_name=REGION)
    client.create_model_package_group(ModelPackageGroupName="demand")
    for status in ("Approved", "Rejected", "PendingManualApproval"):
        register(client, status)
    return client


def register(client: Any, status: str) -> str:
    container = {"Image": "image:1", "ModelDataUrl": f"s3://{BUCKET}/model.tar.gz"}
    made = client.create_model_package(
        ModelPackageGroupName="demand",
        ModelApprovalStatus=status,
        InferenceSpecification={
            "Containers": [container],
            "SupportedContentTypes": ["application/json"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
    )
    return str(made["ModelPackageArn"])


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    file = tmp_path / "deploy.toml"
    file.write_text(
        f'pipeline_role_arn = "{ROLE}"\nprocessing_role_arn = "{ROLE}"\nbucket = "{BUCKET}"\ncontract = "{CONTRACT}"\n'
        f'model_package_group = "demand"\nmodel_role_arn = "{MODEL_ROLE}"\n'
        'subnets = ["subnet-1"]\nsecurity_group_ids = ["sg-1"]\n'
        '[model_environment]\nWORKERS = "4"\n[tags]\nteam = "forecasting"\n[parameters]\n'
        + "".join(f'{name} = "{value}"\n' for name, value in OWN.items())
    )
    return file


def run(*words: str) -> str:
    done = CliRunner().invoke(root, [*words, "--region", REGION], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def deployed_model(session: AwsSession) -> dict[str, Any]:
    pipeline = deployed_pipeline(session, "batchcast")
    assert pipeline
    found = described_model(session, defaults_of(json.loads(pipeline["PipelineDefinition"]))["ModelName"])
    assert found
    return found


def test_the_newest_approved_package_becomes_the_model(
    account: Recorder, session: AwsSession, registry: Any, settings_file: Path
) -> None:
    said = run("deploy", "--settings", str(settings_file))
    model = deployed_model(session)
    assert model["ModelName"].startswith("demand-v1-")
    assert model["ModelName"] in said
    assert model["ExecutionRoleArn"] == MODEL_ROLE
    assert model["PrimaryContainer"]["ModelPackageName"].endswith(":model-package/demand/1")
    assert model["PrimaryContainer"]["Environment"] == {"WORKERS": "4"}
    assert model["VpcConfig"] == {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}
    request = next(one for _, operation, one in account.calls if operation == "CreateModel")
    assert request["Tags"] == [{"Key": "team", "Value": "forecasting"}]


def test_another_deployment_follows_the_group(session: AwsSession, registry: Any, settings_file: Path) -> None:
    """What a schedule starts has the defaults of the deployed pipeline: it follows too."""
    words = ("deploy", "--settings", str(settings_file))
    run(*words)
    first = deployed_model(session)["ModelName"]
    assert "nothing changed" in run(*words)

    register(registry, "Approved")
    assert f'"{first}" -> "demand-v4-' in run("show", "--diff", "--settings", str(settings_file))
    run(*words)
    assert deployed_model(session)["ModelName"].startswith("demand-v4-")
    assert described_model(session, first)  # a run that goes on keeps its own

    settings_file.write_text(settings_file.read_text().replace('WORKERS = "4"', 'WORKERS = "8"'))
    run(*words)
    assert deployed_model(session)["PrimaryContainer"]["Environment"] == {"WORKERS": "8"}


def test_the_policy_of_the_stack_lets_a_deployment_and_a_preflight_through(
    account: Recorder, session: AwsSession, registry: Any, settings_file: Path
) -> None:
    boto3.client("iam").create_role(RoleName="demand-model", AssumeRolePolicyDocument="{}")
    made = create(
        {**LEAST, "ModelName": "demand-v*", "ModelPackageGroupName": "demand", "ModelRoleName": "demand-model"}
    )
    statements = [*statements_of_policy(made["OperatorPolicyArn"]), *statements_of_policy(made["RegistryPolicyArn"])]
    account.calls.clear()
    run("deploy", "--settings", str(settings_file))
    list(packages_of(session, deployed_model(session)))
    calls = [one for one in account.calls if "Model" in one[1]]
    assert {"CreateModel", "ListModelPackages", "DescribeModel", "DescribeModelPackage"} == {one[1] for one in calls}
    for service, operation, request in calls:
        action, resource = needed(service, operation, request)
        assert allows(statements, action, resource), (action, resource)
        assert not allows(statements, action, f"{PREFIX}:model/other") or resource == "*"
    context = {"iam:PassedToService": "sagemaker.amazonaws.com"}
    assert allows(statements, "iam:PassRole", MODEL_ROLE, context)
    assert not allows(statements, "iam:PassRole", f"{MODEL_ROLE}-2", context)


def test_preflight_says_which_version_it_is_and_whether_a_newer_one_is_approved(
    session: AwsSession, registry: Any, settings_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = ScriptedRun(status="Succeeded", quotas={})
    monkeypatch.setattr(handlers, "BUILTIN_HANDLERS", [*handlers.BUILTIN_HANDLERS, *script.handlers()])
    run("deploy", "--settings", str(settings_file))
    name = deployed_model(session)["ModelName"]

    def lines() -> list[tuple[str, str]]:
        done = CliRunner().invoke(root, ["preflight", "--json", "--region", REGION])
        return [(one["level"], one["what"]) for one in json.loads(done.stdout) if one["check"] == "model"]

    known = f"{name} is version 1 of demand, Approved."
    assert lines() == [("ok", known), ("ok", f"{name} exists and has a ModelDataUrl.")]
    register(registry, "Approved")
    assert lines()[0] == ("warning", f"{known} The newest approved is 4.")


def test_a_dry_run_shows_the_model_and_makes_none(account: Recorder, registry: Any, settings_file: Path) -> None:
    calls = json.loads(run("deploy", "--dry-run", "--settings", str(settings_file)))
    assert [one["method"] for one in calls] == ["put_object", "put_object", "create_model", "create_pipeline"]
    assert not [one for one in account.operations() if "Create" in one and "Package" not in one]


def test_a_group_without_an_approved_package_is_refused(account: Recorder, settings_file: Path) -> None:
    client = boto3.client("sagemaker", region_name=REGION)
    client.create_model_package_group(ModelPackageGroupName="demand")
    register(client, "Rejected")
    with pytest.raises(ConfigError, match="no package of 'demand' is approved"):
        run("deploy", "--settings", str(settings_file))


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"model_package_group": "demand"}, "model_role_arn: is needed"),
        ({"model_role_arn": MODEL_ROLE}, "model_role_arn: is of the model of a package group"),
        ({"model_environment": ("A=1",)}, "model_role_arn: is of the model of a package group"),
        (
            {"model_package_group": "demand", "model_role_arn": MODEL_ROLE, "defaults": ("ModelName=own",)},
            "ModelName: is the model of the package group",
        ),
        ({"model_environment": ("A",)}, "Write --model-environment KEY=VALUE"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(given: dict[str, Any], named: str) -> None:
    own = {"pipeline_role_arn": ROLE, "processing_role_arn": ROLE, "bucket": BUCKET, "contract": CONTRACT}
    with pytest.raises(ConfigError, match=named):
        read_deploy_settings(None, {**own, **given}, region=REGION)


def test_the_sdks_pipeline_follows_no_group() -> None:
    given = {"model_package_group": "demand", "model_role_arn": MODEL_ROLE}
    with pytest.raises(ConfigError, match="model_package_group"):
        get_pipeline(REGION, ROLE, BUCKET, sagemaker_session=object(), contract=CONTRACT, **given)
