"""A place to deploy to, and the runs in it: the same methods in a workspace and in an account."""

from __future__ import annotations

import json
from pathlib import Path

import boto3
import pytest
from strict import Recorder
from team import BUCKET, CONTRACT, DEFAULTS, REGION, ROLE

import batchcast as bc


def test_a_workspace_refuses_what_it_has_not(tmp_path: Path) -> None:
    with pytest.raises(bc.ConfigError, match="a workspace has no bucket, pipeline_role_arn"):
        bc.connect(tmp_path).deploy(pipeline_role_arn=ROLE, bucket=BUCKET)
    with pytest.raises(bc.ConfigError, match="pipeline 'other'"):
        bc.connect(tmp_path, pipeline_name="other").deploy()
    with pytest.raises(bc.ConfigError, match="a workspace has no stack"):
        bc.connect(tmp_path).deploy(stack="forecasts")
    with pytest.raises(bc.ConfigError, match="no pipeline 'batchcast' in local"):
        bc.connect(tmp_path).start()


def test_wrong_overrides_are_told_all_at_once_before_anything_starts(tmp_path: Path) -> None:
    place = bc.connect(tmp_path)
    place.deploy()
    with pytest.raises(bc.ConfigError) as caught:
        place.start({"MaxConcurrentTransforms": 20, "ForecastHorizon": 0})
    assert len(caught.value.problems) == 2
    assert place.runs() == []


def test_an_account_is_deployed_to_and_started(account: Recorder) -> None:
    pytest.importorskip("sagemaker")
    place = bc.connect(region=REGION)
    roles = {"pipeline_role_arn": ROLE, "processing_role_arn": ROLE}
    told = place.deploy(**roles, bucket=BUCKET, contract=CONTRACT, parameters=DEFAULTS)
    assert told.startswith("Pipeline batchcast in eu-central-1: created, version 1.")
    run = place.start({"RunLabel": "2026-W48", "ForecastHorizon": 14})
    assert run.parameters["ForecastHorizon"] == "14"
    assert [each.run_id for each in place.runs()] == [run.run_id]
    with pytest.raises(bc.DataError, match="no_report"):
        run.report()


def test_a_stack_gives_what_a_deployment_needs(account: Recorder) -> None:
    pytest.importorskip("sagemaker")
    from stack import LEAST, STACK, create

    outputs = create(LEAST)
    place = bc.connect(region=REGION)
    told = place.deploy(stack=STACK, contract=CONTRACT, parameters={"ModelName": "demand-model"})
    assert told.startswith("Pipeline batchcast in eu-central-1: created, version 1.")
    deployed = boto3.client("sagemaker", region_name=REGION).describe_pipeline(PipelineName="batchcast")
    assert deployed["RoleArn"] == outputs["PipelineRoleArn"]
    definition = json.loads(deployed["PipelineDefinition"])
    assert definition["Steps"][0]["Arguments"]["RoleArn"] == outputs["ProcessingRoleArn"]
    with pytest.raises(bc.ConfigError, match="for the pipeline 'batchcast', this is 'other'"):
        bc.connect(region=REGION, pipeline_name="other").deploy(stack=STACK, contract=CONTRACT)


def test_the_definition_is_linted_and_planned_by_one_import() -> None:
    pytest.importorskip("sagemaker")
    definition = bc.define(bc.BuildSettings(pipeline_name="weekly"), {"ModelName": "demand-model"})
    assert next(one for one in definition["Parameters"] if one["Name"] == "ModelName")["DefaultValue"] == "demand-model"
    assert [problem.code for problem in bc.lint(definition)] == []
    costs = {scenario.name: scenario.cost_usd for scenario in bc.plan(items=100_000, seconds=30).scenarios}
    assert costs["batch"] < costs["endpoint_sequential"]
