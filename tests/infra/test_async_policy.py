"""Who works with the asynchronous endpoint may do what the commands do, and no more."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from answering_endpoint import MODEL, OUTPUT, AnsweringEndpoint
from click.testing import CliRunner
from sample_run import CONTRACT
from stack import LEAST, allows, create, needed, statements_of_policy, texts
from strict import Recorder
from team import ACCOUNT, BUCKET, REGION

from batchcast.cli.main import root
from batchcast.session.session import AwsSession

# Needed beside the call that is made: the role of the scaling, and what Application Auto Scaling asks of its caller.
NOT_CALLED = {"iam:CreateServiceLinkedRole", "sagemaker:UpdateEndpointWeightsAndCapacities"}

# The stack makes the bucket before anything is put into it.
pytestmark = pytest.mark.usefixtures("outputs")


@pytest.fixture
def outputs(account: Recorder) -> Mapping[str, str]:
    """Of the stack, in an account that has the role of the model."""
    boto3.client("iam").create_role(RoleName="demand-model", AssumeRolePolicyDocument="{}")
    return create({**LEAST, "ModelRoleName": "demand-model", "RealTimeEndpointName": "live"})


def call(*arguments: str) -> None:
    ended = CliRunner().invoke(root, [*arguments, "--region", REGION])
    assert ended.exit_code == 0, ended.output or ended.exception


def every_command(endpoint: AnsweringEndpoint, folder: Path) -> None:
    """Run each of them, as a person would."""
    options = ["--model", MODEL, "--instance-type", "ml.m5.4xlarge", "--max-instances", "2", "--output", OUTPUT]
    call("async", "deploy", *options, "--tag", "team=forecast")
    call("async", "deploy", *options, "--tag", "team=forecast")
    call("async", "status", "--price-per-hour", "1")
    item = min(endpoint.run.items)
    contract = folder / "model.toml"
    contract.write_text(CONTRACT)
    history = ("--history", f"s3://{BUCKET}/history/", "--contract", str(contract))
    call("forecast", item, *history, "--endpoint", "batchcast-async", "--json")
    call("async", "submit", "--shards", endpoint.run.run_id, "--seconds", "1", "--senders", "1")
    call("async", "collect", "--shards", endpoint.run.run_id)
    call("parity", "--endpoint", "live", "--against", endpoint.run.run_id, "--json")
    call("async", "deploy", *options, "--instance-type", "ml.c5.4xlarge")
    call("async", "teardown")


def put_history(session: AwsSession, endpoint: AnsweringEndpoint, folder: Path) -> None:
    store, _, product = min(endpoint.run.items).partition("/")
    days = [date(2026, 11, 22) - timedelta(days=number) for number in range(40)]
    columns = {"store": [store] * 40, "product": [product] * 40, "date": days, "sales": [float(n) for n in range(40)]}
    pq.write_table(pa.table(columns), folder / "part.parquet")
    session.store.upload(folder / "part.parquet", f"s3://{BUCKET}/history/part.parquet")


def test_the_policy_for_the_endpoint_covers_the_commands_and_no_more(
    account: Recorder, outputs: Mapping[str, str], endpoint: AnsweringEndpoint, session: AwsSession, tmp_path: Path
) -> None:
    put_history(session, endpoint, tmp_path)
    account.calls.clear()
    every_command(endpoint, tmp_path)
    called = {needed(service, operation, request) for service, operation, request in account.calls}
    statements = [
        *statements_of_policy(outputs["OperatorPolicyArn"]),
        *statements_of_policy(outputs["AsyncPolicyArn"]),
    ]
    refused = sorted(f"{one} on {resource}" for one, resource in called if not allows(statements, one, resource))
    assert refused == []
    own = {each for one in statements_of_policy(outputs["AsyncPolicyArn"]) for each in texts(one["Action"])}
    assert own - {one for one, _ in called} - NOT_CALLED == set()


def test_other_endpoints_and_alarms_are_none_of_its_business(outputs: Mapping[str, str]) -> None:
    statements = statements_of_policy(outputs["AsyncPolicyArn"])
    prefix = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"
    assert allows(statements, "sagemaker:DeleteEndpoint", f"{prefix}:endpoint/batchcast-async")
    assert not allows(statements, "sagemaker:DeleteEndpoint", f"{prefix}:endpoint/checkout")
    for action in ("InvokeEndpoint", "UpdateEndpoint", "UpdateEndpointWeightsAndCapacities"):
        assert not allows(statements, f"sagemaker:{action}", f"{prefix}:endpoint/checkout")
    assert not allows(statements, "sagemaker:DeleteEndpoint", f"{prefix}:endpoint/live")
    alarms = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm"
    assert not allows(statements, "cloudwatch:DeleteAlarms", f"{alarms}:checkout")
    assert not allows(statements, "cloudwatch:DeleteAlarms", f"{alarms}:TargetTracking-endpoint/checkout/variant/a")
    assert not allows(statements, "s3:PutObject", f"arn:aws:s3:::{BUCKET}/batchcast/code/app.pyz")


def test_what_application_auto_scaling_asks_of_its_caller_is_allowed(outputs: Mapping[str, str]) -> None:
    """It tries, with the caller's rights, what it is to do later, and sets the alarms of target tracking with them."""
    statements = statements_of_policy(outputs["AsyncPolicyArn"])
    prefix = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"
    assert allows(statements, "sagemaker:UpdateEndpointWeightsAndCapacities", f"{prefix}:endpoint/batchcast-async")
    assert allows(statements, "sagemaker:DescribeEndpointConfig", f"{prefix}:endpoint-config/7f4e1944-1817-4891")
    alarm = "TargetTracking-endpoint/batchcast-async/variant/main-AlarmHigh-7f4e1944"
    assert allows(statements, "cloudwatch:PutMetricAlarm", f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{alarm}")


def test_a_managed_policy_is_as_long_as_iam_takes(outputs: Mapping[str, str]) -> None:
    """6,144 characters, blanks left out (IAM user guide, quotas)."""
    for name in ("OperatorPolicyArn", "AsyncPolicyArn", "ModelPolicyArn"):
        assert len(json.dumps(statements_of_policy(outputs[name]), separators=(",", ":"))) < 6000


def test_the_role_of_the_model_reads_requests_and_answers_them(outputs: Mapping[str, str]) -> None:
    statements = statements_of_policy(outputs["ModelPolicyArn"])
    place = f"arn:aws:s3:::{BUCKET}/batchcast"
    for allowed, action, key in (
        (True, "s3:GetObject", "async/inputs/record.json"),
        (True, "s3:GetObject", "runs/runaaaaaaaaa/async/input/part-00000/000001.json"),
        (True, "s3:PutObject", "async/answers/x.out"),
        (False, "s3:PutObject", "runs/runaaaaaaaaa/async/sent/00000000.json"),
        (False, "s3:GetObject", "published/latest.json"),
    ):
        assert allows(statements, action, f"{place}/{key}") == allowed
