"""The commands in us-gov-west-1, with no region but the one they are given: nothing of them is of another partition.

IAM is left out: moto keeps one for `aws` and `aws-us-gov`, and answers with the former's ARNs.
"""

from __future__ import annotations

import json
from pathlib import Path

import boto3
import pytest
from botocore import handlers
from click.testing import CliRunner
from scripted_run import PREFIX, ScriptedRun
from strict import Recorder
from team import ACCOUNT, CONTRACT

from batchcast.cli.main import root

REGION = "us-gov-west-1"
BUCKET = "acme-gov-forecasts"


def here(resource: str) -> str:
    return f"arn:aws-us-gov:{resource}"


def test_deploy_start_and_schedule_stay_in_the_partition(
    account: Recorder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    boto3.client("s3", region_name=REGION).create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    script = ScriptedRun(status="Executing")
    script.prefix = PREFIX.replace("arn:aws:", "arn:aws-us-gov:").replace(":eu-central-1:", f":{REGION}:")
    monkeypatch.setattr(handlers, "BUILTIN_HANDLERS", [*handlers.BUILTIN_HANDLERS, *script.handlers()])
    roles = {name: here(f"iam::{ACCOUNT}:role/{name}") for name in ("pipeline", "processing", "scheduler")}
    parameters = {
        "ModelName": "demand-model",
        "HistoryUri": f"s3://{BUCKET}/history/",
        "RunsUri": f"s3://{BUCKET}/runs",
        "PublishUri": f"s3://{BUCKET}/published",
    }
    file = tmp_path / "deploy.toml"
    file.write_text(
        f'pipeline_role_arn = "{roles["pipeline"]}"\nprocessing_role_arn = "{roles["processing"]}"\n'
        f'bucket = "{BUCKET}"\ncontract = "{CONTRACT}"\n[parameters]\n'
        + "".join(f'{name} = "{value}"\n' for name, value in parameters.items())
    )
    queue = here(f"sqs:{REGION}:{ACCOUNT}:starts")
    settings = ("--settings", str(file))
    starter = ("--scheduler-role", roles["scheduler"])
    machine = None
    for words in (
        ("deploy", *settings),
        ("start", "-p", "RunLabel=2026-W47", "--stop-after", "24", *starter),
        ("schedule", "create", "--cron", "cron(30 3 ? * SUN *)", "--dead-letter-queue", queue, *starter),
        ("show", "--cloudformation", *settings),
        ("show", "--asl", *settings),
    ):
        if words[0] == "start":
            sent = boto3.client("sagemaker", region_name=REGION).describe_pipeline(PipelineName="batchcast")
            definition = json.loads(sent["PipelineDefinition"])
        done = CliRunner().invoke(root, [*words, "--region", REGION], catch_exceptions=False)
        assert done.exit_code == 0, (words, done.output)
        machine = done.stdout
        assert "arn:aws:" not in done.output

    build = definition["Steps"][0]["Arguments"]
    assert build["Environment"] == {"AWS_DEFAULT_REGION": REGION}
    assert f".dkr.ecr.{REGION}.amazonaws.com/" in build["AppSpecification"]["ImageUri"]
    assert "arn:aws-us-gov:states:::sagemaker:createTransformJob.sync" in str(machine)
    schedules = [one for _, operation, one in account.calls if operation == "CreateSchedule"]
    assert len(schedules) == 2
    assert "arn:aws:" not in json.dumps([request for _, _, request in account.calls], default=str)
