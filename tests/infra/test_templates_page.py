"""docs/templates-and-ci.md: its commands, workflow and buildspec, in the order in which a team's CI runs them."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from cfnlint.api import lint_file
from click.testing import CliRunner
from stack import create
from strict import Recorder
from team import BUCKET, CONTRACT, DEFAULTS, REGION, ROLE

from batchcast.account.deploy import Package, pipeline_template
from batchcast.account.deploy_settings import DeploySettings
from batchcast.cli.main import root
from batchcast.runs.start import deployed_pipeline
from batchcast.session.session import AwsSession

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "templates-and-ci.md").read_text()
WORKFLOW, BUILDSPEC = (
    yaml.safe_load(each) for each in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
)


def substituted(template: dict[str, Any], **given: str) -> dict[str, Any]:
    """The pipeline's properties as CloudFormation resolves them."""
    values = {name: one.get("Default") for name, one in template["Parameters"].items()} | given
    properties: dict[str, Any] = template["Resources"]["Pipeline"]["Properties"]
    text = properties["PipelineDefinition"]["PipelineDefinitionBody"]["Fn::Sub"]
    text = re.sub(r"\$\{(\w+)\}", lambda found: str(values[found[1]]), text).replace("${!", "${")
    return {**properties, "PipelineDefinition": text, "RoleArn": values[properties["RoleArn"]["Ref"]]}


def test_the_template_is_clean_and_makes_what_deploy_makes(
    session: AwsSession, settings: DeploySettings, packed: Package, tmp_path: Path
) -> None:
    template = pipeline_template(settings, packed)
    path = tmp_path / "pipeline.template.json"
    path.write_text(json.dumps(template))
    assert lint_file(path) == []
    assert len(path.read_bytes()) < 51_200  # more has to lie in S3 (CloudFormation user guide, quotas)
    made = substituted(template)
    assert json.loads(made["PipelineDefinition"]) == packed.definition
    assert made["RoleArn"] == ROLE
    session.client("sagemaker").create_pipeline(**made)  # behind the strict validator
    other = json.loads(substituted(template, ModelName="demand-model-2")["PipelineDefinition"])["Parameters"]
    assert [one["DefaultValue"] for one in other if one["Name"] == "ModelName"] == ["demand-model-2"]


def test_a_parameter_without_a_value_has_to_be_given_to_the_template(settings: DeploySettings, packed: Package) -> None:
    definition = json.loads(packed.text)
    for one in definition["Parameters"]:
        one.pop("DefaultValue") if one["Name"] == "ModelName" else None
    definition["Metadata"] = {"note": "${AWS::Region} is not meant"}
    template = pipeline_template(settings, dataclasses.replace(packed, definition=definition))
    assert {name for name, one in template["Parameters"].items() if "Default" not in one} == {"ModelName"}
    assert json.loads(substituted(template, ModelName="m")["PipelineDefinition"])["Metadata"] == definition["Metadata"]


def run(command: str) -> None:
    """A command of the page; a `> file` takes its output."""
    words = shlex.split(command)
    assert words.pop(0) == "batchcast"
    target = words.index(">") if ">" in words else len(words)
    done = CliRunner().invoke(root, words[:target], catch_exceptions=False)
    assert done.exit_code == 0, (command, done.output)
    if target < len(words):
        Path(words[-1]).write_text(done.stdout)


def test_the_workflow_and_the_buildspec_deploy(
    account: Recorder, session: AwsSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create({"ModelName": "demand-model", "BucketName": BUCKET})
    shutil.copy(CONTRACT, tmp_path / "model.toml")
    (tmp_path / "deploy.toml").write_text('contract = "model.toml"\n[parameters]\nModelName = "demand-model"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)

    for command in BUILDSPEC["phases"]["build"]["commands"]:
        run(command)
    assert deployed_pipeline(session, "batchcast") is None
    (artifact,) = BUILDSPEC["artifacts"]["files"]
    template = json.loads(Path(artifact).read_text())
    assert lint_file(Path(artifact)) == []
    made = substituted(template)
    for uri in re.findall(r"s3://[^\"]*(?:app\.pyz|model\.toml)", made["PipelineDefinition"]):
        assert session.store.exists(uri)

    steps = WORKFLOW["jobs"]["deploy"]["steps"]
    commands = [one["run"] for one in steps if one.get("run", "").startswith("batchcast ")]
    for command in commands:
        run(command)
    deployed = deployed_pipeline(session, "batchcast")
    assert deployed
    assert json.loads(deployed["PipelineDefinition"]) == json.loads(made["PipelineDefinition"])
    assert deployed["RoleArn"] == made["RoleArn"]
    assert WORKFLOW[True].keys() == {"pull_request", "push"}  # YAML 1.1 reads `on` as true
    assert WORKFLOW["permissions"]["id-token"] == "write"
    assert DEFAULTS["RunsUri"] in made["PipelineDefinition"]
