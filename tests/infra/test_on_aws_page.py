"""docs/on-aws.md, typed as printed: from an empty account to a scheduled pipeline, with the stack's policies enforced.

In two partitions, with no region but the one of the user's own configuration.
"""

import json
import os
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import handlers
from click.testing import CliRunner
from scripted_run import PREFIX, RUN_ID, ScriptedRun, step
from stack import allows, context_of, create, needed, statements_of_bucket, statements_of_policy, statements_of_role
from strict import Recorder
from team import ACCOUNT, CONTRACT

from batchcast.cli.main import root
from batchcast.pipelines.definition import defaults_of
from batchcast.pipelines.requests import resolve_requests
from batchcast.steps.store.objects import split_uri

PAGE = Path(__file__).resolve().parents[2] / "docs" / "on-aws.md"
PARTITIONS = {"eu-central-1": "aws", "cn-north-1": "aws-cn"}  # moto has one IAM for aws and aws-us-gov
STUDIO, MODEL = "STUDIO-ROLE", "demand-model"
REPORT = {
    "outcome": "COMPLETE",
    "cause": None,
    "cause_kind": None,
    "counts": {"expected": 8, "ok": 8, "quarantined": 0, "failed": 0, "missing": 0, "carried": 0},
    "published": "s3://acme-forecasts/batchcast/published/forecasts/x/",
    "pointer_moved": True,
    "pointer_note": "latest.json names this run",
    "quarantined": [],
    "failed": [],
    "mismatches": [],
    "parameters": {},
    "score": None,
}


def page_commands() -> list[str]:
    """What the page has people type up to the workspace's part, a line each."""
    text = PAGE.read_text().split("## The same in a workspace")[0]
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    typed = "\n".join(body for language, body in blocks if not language).replace("\\\n", " ")
    return [line for line in typed.splitlines() if line.strip()]


def page_settings() -> str:
    (found,) = re.findall(r"^```toml\n(# deploy\.toml.*?)^```", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL)
    return str(found)


@dataclass
class Team:
    """An account as it is before the page is followed, and what was made in it since."""

    region: str
    account: Recorder
    script: ScriptedRun
    outputs: dict[str, str] = field(default_factory=dict)
    typed: list[str] = field(default_factory=list)

    @property
    def partition(self) -> str:
        return PARTITIONS[self.region]

    def here(self, arn: str) -> str:
        """An ARN of the tests' own region and partition as it is in this one."""
        return arn.replace("arn:aws:", f"arn:{self.partition}:").replace(":eu-central-1:", f":{self.region}:")

    def type(self, command: str) -> None:
        words = shlex.split(command, comments=True)
        self.account.calls.clear()
        if words[0] == "aws":
            self.aws(words[1:])
        else:
            assert words[:2] == ["python", "run_pipeline.py"]
            self.run_pipeline(words[2:])
        self.typed.append(" ".join(words[:3]))

    def aws(self, words: list[str]) -> None:
        """What the AWS CLI does for such a command."""
        options = {name: value for name, value in pairwise(words) if name.startswith("--")}
        match words[:2]:
            case "cloudformation", "deploy":
                given = words[words.index("--parameter-overrides") + 1 :]
                assert (options["--template-file"], options["--stack-name"]) == ("infra/batchcast.yaml", "forecasts")
                self.outputs = create(dict(one.split("=", 1) for one in given), self.region)
            case "cloudformation", "describe-stacks":
                assert self.outputs
            case "configure", "set":
                _, profile, name = words[2].split(".")
                value = self.outputs["PruneRoleArn"] if words[3] == "PRUNE-ROLE-ARN" else words[3]
                path = Path(os.environ["AWS_CONFIG_FILE"])
                head = f"[profile {profile}]\n" if not path.exists() else ""
                with path.open("a") as stream:
                    stream.write(f"{head}{name} = {self.region if name == 'region' else value}\n")
            case "iam", "attach-role-policy":
                assert options["--policy-arn"] == "OPERATOR-POLICY-ARN"
                arn = self.outputs["OperatorPolicyArn"]
                boto3.client("iam").attach_role_policy(RoleName=options["--role-name"], PolicyArn=arn)
            case _:
                raise AssertionError(words)

    def run_pipeline(self, words: list[str]) -> None:
        """The command succeeds, and the operator's policy lets each of its calls through."""
        self.script.status = "Succeeded" if words[0] in ("wait", "status", "preflight") else "Executing"
        done = CliRunner().invoke(root, words)
        assert done.exit_code == 0, (words, done.output, done.exception)
        policy = "PruneRoleArn" if "--profile" in words else "OperatorPolicyArn"
        self.check(policy, [(*needed(*one), one[2]) for one in self.account.calls if one[1] != "AssumeRole"])
        if self.partition != "aws":
            assert "arn:aws:" not in json.dumps([one[2] for one in self.account.calls], default=str)

    def check(self, policy: str, calls: list[tuple[str, str, dict[str, Any]]]) -> None:
        """Each call is allowed to whom the output names, by its own statements and the bucket's, conditions and all."""
        arn = self.outputs[policy]
        statements = statements_of_policy(arn) if ":policy/" in arn else statements_of_role(arn)
        principal = arn if ":role/" in arn else f"arn:{self.partition}:iam::{ACCOUNT}:role/{STUDIO}"
        bucket = statements_of_bucket(self.region)
        refused = {
            (action, self.here(resource))
            for action, resource, request in calls
            if not allows([*statements, *bucket], action, self.here(resource), self.context(request, principal))
        }
        assert refused == set()

    def context(self, request: dict[str, Any], principal: str) -> dict[str, str]:
        services = {"PassedToService": "iam:PassedToService", "namespace": "cloudwatch:namespace"}
        given = {key: request[member] for member, key in services.items() if member in request}
        return context_of(request, principal) | given


@pytest.fixture(params=PARTITIONS)
def team(
    request: pytest.FixtureRequest, account: Recorder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Team]:
    region = request.param
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    credentials = Path(os.environ["AWS_SHARED_CREDENTIALS_FILE"])
    credentials.write_text("[default]\naws_access_key_id = testing\naws_secret_access_key = testing\n")
    iam, s3 = boto3.client("iam"), boto3.client("s3")
    for name in (STUDIO, MODEL):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")
    s3.create_bucket(Bucket="acme-warehouse", CreateBucketConfiguration={"LocationConstraint": region})
    s3.put_object(Bucket="acme-warehouse", Key="sales/part-0.parquet", Body=b"PAR1" * 100)
    boto3.client("sagemaker").create_model(
        ModelName=MODEL,
        ExecutionRoleArn=iam.get_role(RoleName=MODEL)["Role"]["Arn"],
        PrimaryContainer={"Image": "image:1", "ModelDataUrl": "s3://acme-warehouse/model.tar.gz"},
    )
    quotas = {f"ml.m5.4xlarge for {kind} job usage": 20.0 for kind in ("transform", "processing")}
    script = ScriptedRun(quotas=quotas)
    team = Team(region=region, account=account, script=script)
    script.prefix = team.here(PREFIX)
    script.steps = [step("BuildShards", "Succeeded", end=60), step("Transform", "Executing")]
    monkeypatch.setattr(handlers, "BUILTIN_HANDLERS", [*handlers.BUILTIN_HANDLERS, *script.handlers()])
    (tmp_path / "deploy.toml").write_text(page_settings())
    shutil.copy(CONTRACT, tmp_path / "model.toml")
    monkeypatch.chdir(tmp_path)
    yield team


def test_the_page_leads_from_an_empty_account_to_a_scheduled_pipeline(team: Team) -> None:
    schedules: list[dict[str, Any]] = []
    for command in page_commands():
        if "status" in command or "wait" in command:
            report = json.dumps(REPORT).encode()
            key = f"batchcast/runs/{RUN_ID}/report/report.json"
            boto3.client("s3").put_object(Bucket="acme-forecasts", Key=key, Body=report)
        team.type(command)
        schedules += [one for _, operation, one in team.account.calls if operation == "CreateSchedule"]
        if " deploy " in command and "run_pipeline" in command:
            definition = deployed_definition()
            team.script.definition = json.dumps(definition)
            team.script.parameters = {**defaults_of(definition), "RunLabel": "2026-W47"}
    for needed_one in ("deploy", "preflight", "start", "wait", "prune", "schedule"):
        assert any(needed_one in command for command in team.typed), needed_one
    assert boto3.client("scheduler").get_schedule(Name="batchcast")["State"] == "DISABLED"  # the last one pauses
    check_roles(team, deployed_definition(), schedules)


def deployed_definition() -> dict[str, Any]:
    found = boto3.client("sagemaker").describe_pipeline(PipelineName="batchcast")["PipelineDefinition"]
    return dict(json.loads(found))


def check_roles(team: Team, definition: dict[str, Any], schedules: list[dict[str, Any]]) -> None:
    """What SageMaker and the scheduler do for the pipeline, each with the role that it is given."""
    jobs = resolve_requests(definition, {**defaults_of(definition), "RunLabel": "w"}, RUN_ID)
    assert {job.operation for job in jobs} == {"CreateProcessingJob", "CreateTransformJob"}
    pipeline: list[tuple[str, str, dict[str, Any]]] = []
    processing: list[tuple[str, str, dict[str, Any]]] = []
    model: list[tuple[str, str, dict[str, Any]]] = []
    for job in jobs:
        kind = job.operation.removeprefix("Create")
        arn = f"{PREFIX}:{'transform' if 'Transform' in kind else 'processing'}-job/pipelines-{RUN_ID}-{job.step}-a1b2"
        verbs = [f"sagemaker:{verb}{kind}" for verb in ("Create", "Describe", "Stop")]
        pipeline += [(verb, arn, {}) for verb in [*verbs, "sagemaker:AddTags"]]
        for name, value in uris_of(job.request):
            role = model if kind == "TransformJob" else processing
            role += reading(value) if name == "S3Uri" and not is_output(job.request, value) else writing(value)
        if "RoleArn" in job.request:
            pipeline.append(("iam:PassRole", job.request["RoleArn"], {"PassedToService": "sagemaker.amazonaws.com"}))
            assert job.request["RoleArn"] == team.outputs["ProcessingRoleArn"]
    defaults = defaults_of(definition)
    processing += reading(defaults["HistoryUri"])
    pipeline.append(("sagemaker:DescribeModel", f"{PREFIX}:model/{defaults['ModelName']}", {}))
    team.check("PipelineRoleArn", pipeline)
    team.check("ProcessingRoleArn", processing)
    team.check("ModelPolicyArn", model)
    check_scheduler(team, schedules)


def check_scheduler(team: Team, schedules: list[dict[str, Any]]) -> None:
    starts = [one["Target"] for one in schedules if "SageMakerPipelineParameters" in one["Target"]]
    stops = [one["Target"] for one in schedules if one["Target"]["Arn"].endswith("sagemaker:stopPipelineExecution")]
    assert starts and stops and len(starts + stops) == len(schedules)
    calls = [("sagemaker:StartPipelineExecution", one["Arn"], {}) for one in starts]
    calls += [("sqs:SendMessage", one["DeadLetterConfig"]["Arn"], {}) for one in starts]
    calls += [
        ("sagemaker:StopPipelineExecution", json.loads(one["Input"])["PipelineExecutionArn"], {}) for one in stops
    ]
    team.check("SchedulerRoleArn", calls)


def uris_of(value: Any) -> Iterator[tuple[str, str]]:
    """The objects that a job's request names, with the member that names them."""
    if isinstance(value, dict):
        for name, one in value.items():
            if name in ("S3Uri", "S3OutputPath") and isinstance(one, str):
                yield name, one
            else:
                yield from uris_of(one)
    elif isinstance(value, list):
        for one in value:
            yield from uris_of(one)


def is_output(request: dict[str, Any], uri: str) -> bool:
    return uri in json.dumps(request.get("ProcessingOutputConfig", {}))


def reading(uri: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Input is listed by its prefix, then read."""
    bucket, key = split_uri(uri)
    file = key if Path(key).suffix else f"{key.rstrip('/')}/part-00000.x"
    arn = f"arn:aws:s3:::{bucket}"
    return [("s3:ListBucket", arn, {"Prefix": key}), ("s3:GetObject", f"{arn}/{file}", {})]


def writing(uri: str) -> list[tuple[str, str, dict[str, Any]]]:
    bucket, key = split_uri(uri)
    return [("s3:PutObject", f"arn:aws:s3:::{bucket}/{key.rstrip('/')}/part-00000.jsonl.out", {})]
