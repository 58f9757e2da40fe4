"""`--stack`: what the template's outputs are for, so that no ARN is copied by hand."""

from __future__ import annotations

import json

import boto3
import pytest
from click.testing import CliRunner
from stack import LEAST, STACK, create
from strict import Recorder
from team import BUCKET, CONTRACT, REGION

from batchcast.account.deploy_settings import read_stack
from batchcast.cli.main import root
from batchcast.session.session import AwsSession
from batchcast.steps.errors import ConfigError

KEY = f"arn:aws:kms:{REGION}:123456789012:key/0a1b2c3d"


def run(*arguments: str) -> str:
    """The command's stdout."""
    return CliRunner().invoke(root, [*arguments, "--region", REGION], catch_exceptions=False).stdout


def test_deploy_and_schedule_need_nothing_but_the_stack_the_contract_and_the_model(account: Recorder) -> None:
    outputs = create({**LEAST, "HistoryBucketName": "acme-warehouse", "HistoryPrefix": "sales/", "KmsKeyArn": KEY})
    told = run("deploy", "--stack", STACK, "--contract", str(CONTRACT), "-p", "ModelName=demand-model")
    assert told.startswith(f"Pipeline batchcast in {REGION}: created, version 1.")
    pipeline = boto3.client("sagemaker", region_name=REGION).describe_pipeline(PipelineName="batchcast")
    definition = json.loads(pipeline["PipelineDefinition"])
    assert pipeline["RoleArn"] == outputs["PipelineRoleArn"]
    arguments = definition["Steps"][0]["Arguments"]
    assert arguments["RoleArn"] == outputs["ProcessingRoleArn"]
    assert arguments["ProcessingOutputConfig"]["KmsKeyId"] == KEY
    defaults = {one["Name"]: one.get("DefaultValue") for one in definition["Parameters"]}
    assert defaults["HistoryUri"] == "s3://acme-warehouse/sales/"
    assert defaults["RunsUri"] == f"s3://{BUCKET}/batchcast/runs"
    assert defaults["PublishUri"] == f"s3://{BUCKET}/batchcast/published"
    run("schedule", "create", "--stack", STACK, "--cron", "cron(30 3 ? * SUN *)")
    target = boto3.client("scheduler", region_name=REGION).get_schedule(Name="batchcast")["Target"]
    assert target["RoleArn"] == outputs["SchedulerRoleArn"]
    assert target["DeadLetterConfig"] == {"Arn": outputs["DeadLetterQueueArn"]}


def test_options_take_precedence_over_the_stack(account: Recorder) -> None:
    create(LEAST)
    options = ["--stack", STACK, "--contract", str(CONTRACT), "--name", "other", "-p", "HistoryUri=s3://elsewhere/h/"]
    calls = json.loads(run("deploy", *options, "--dry-run"))
    definition = json.loads(calls[-1]["request"]["PipelineDefinition"])
    assert calls[-1]["request"]["PipelineName"] == "other"
    assert definition["Parameters"][0]["DefaultValue"] == "s3://elsewhere/h/"


def test_a_stack_that_is_not_there_or_of_another_template_is_named(account: Recorder, session: AwsSession) -> None:
    with pytest.raises(ConfigError, match="there is no stack 'forecasts' in eu-central-1"):
        read_stack(session, STACK)
    topic = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
    boto3.client("cloudformation", region_name=REGION).create_stack(StackName=STACK, TemplateBody=json.dumps(topic))
    with pytest.raises(ConfigError, match="has no output BucketName, DeadLetterQueueArn"):
        read_stack(session, STACK)


@pytest.mark.parametrize("left_out", ["--scheduler-role", "--dead-letter-queue"])
def test_a_schedule_without_a_stack_names_what_it_needs(account: Recorder, left_out: str) -> None:
    given = {"--scheduler-role": "arn:aws:iam::123456789012:role/s", "--dead-letter-queue": "arn:aws:sqs:x:1:q"}
    options = [word for name, value in given.items() if name != left_out for word in (name, value)]
    command = ["schedule", "create", "--cron", "cron(30 3 ? * SUN *)", *options, "--region", REGION]
    refused = CliRunner().invoke(root, command).exception
    assert isinstance(refused, ConfigError)
    assert f"{left_out}: is needed." in str(refused)
