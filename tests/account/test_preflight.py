"""`preflight` on an account with everything in order, and with each thing out of order."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import boto3
import pytest
from botocore import handlers
from click.testing import CliRunner
from scripted_run import ScriptedRun
from strict import Recorder
from team import ACCOUNT, BUCKET, REGION, ROLE

from batchcast.account import volume
from batchcast.account.deploy import Package, apply, plan_deployment
from batchcast.account.deploy_settings import DeploySettings
from batchcast.cli.main import root
from batchcast.session.finding import Finding
from batchcast.session.session import AwsSession
from batchcast.steps.errors import ConfigError, ServiceError
from batchcast.steps.publish.lock import take_lock
from batchcast.steps.publish.publication import point_at

MODEL_ROLE = f"arn:aws:iam::{ACCOUNT}:role/demand-model"
QUOTAS = {
    "ml.m5.4xlarge for transform job usage": 20.0,
    "ml.m5.4xlarge for processing job usage": 1.0,
    "ml.m5.4xlarge for endpoint usage": 0.0,
}
WORKLOAD = ("--items", "100000", "--seconds", "30", "--price-per-hour", "0.922")


@pytest.fixture
def script(account: Recorder, monkeypatch: pytest.MonkeyPatch) -> ScriptedRun:
    """What moto has not of IAM and Service Quotas; no run is going on."""
    script = ScriptedRun(status="Succeeded", quotas=dict(QUOTAS))
    monkeypatch.setattr(handlers, "BUILTIN_HANDLERS", [*handlers.BUILTIN_HANDLERS, *script.handlers()])
    return script


@pytest.fixture
def ready(session: AwsSession, script: ScriptedRun, settings: DeploySettings, packed: Package) -> AwsSession:
    """An account with nothing in the way of a run."""
    apply(session, plan_deployment(session, settings, packed))
    create_model(session, ModelDataUrl=f"s3://{BUCKET}/model.tar.gz")
    session.store.write(f"s3://{BUCKET}/history/part-0.parquet", b"PAR1" * 1000)
    return session


def create_model(session: AwsSession, **container: object) -> None:
    """The team's model."""
    client = session.client("sagemaker")
    client.create_model(
        ModelName="demand-model", ExecutionRoleArn=MODEL_ROLE, PrimaryContainer={"Image": "image:1", **container}
    )


def preflight(*arguments: str) -> tuple[int, dict[str, list[Finding]]]:
    """The command in this process: its exit code, and the findings by check."""
    done = CliRunner().invoke(root, ["preflight", "--json", "--region", REGION, *arguments])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    found: dict[str, list[Finding]] = {}
    for one in json.loads(done.stdout):
        found.setdefault(one["check"], []).append(Finding(**one))
    return done.exit_code, found


def test_everything_in_order_is_said_line_by_line(account: Recorder, ready: AwsSession) -> None:
    exit_code, found = preflight(*WORKLOAD)
    assert exit_code == 0
    assert {one.level for lines in found.values() for one in lines} == {"ok"}
    assert list(found) == [
        "model",
        "model role",
        "processing role",
        "keys",
        "buckets",
        "history",
        "quotas",
        "other runs",
        "lock",
        "published",
        "estimate",
    ]
    assert found["history"][0].what == "1 Parquet files, 0.0 MB."
    assert "20 are needed, the account has 20" in found["quotas"][0].what
    assert "USD" in found["estimate"][0].what


def test_a_history_too_large_for_the_volume_is_said(
    account: Recorder, ready: AwsSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(volume, "_GROWTH", 60_000_000)  # 4,000 bytes stand for 40 GB
    exit_code, found = preflight(*WORKLOAD)
    assert exit_code == 0
    (warning,) = [one for one in found["history"] if one.level == "warning"]
    assert warning.what == "VolumeSizeInGB is 200; history and records will take about 224 GB."
    assert warning.remedy == "Deploy with --volume-size-in-gb 224."


def test_a_volume_too_small_to_check_the_answers_on_is_said(account: Recorder, ready: AwsSession) -> None:
    exit_code, found = preflight("--items", "100000000", *WORKLOAD[2:])
    assert exit_code == 0
    (warning,) = [one for one in found["history"] if one.level == "warning"]
    words = warning.what.split()
    assert warning.what.startswith(
        "VolumeSizeInGB is 200; the answers of 100,000,000 items and what they are checked in"
    )
    size = int(words[-2].replace(",", ""))
    assert 200 < size < 1_000
    assert warning.remedy == f"Deploy with --volume-size-in-gb {size}."


def test_it_only_reads(account: Recorder, ready: AwsSession) -> None:
    account.calls.clear()
    preflight(*WORKLOAD)
    verbs = {operation for _, operation, _ in account.calls}
    assert all(verb.startswith(("Describe", "List", "Get", "Head", "Simulate")) for verb in verbs), verbs
    assert len(account.calls) < 40


Spoil = Callable[[AwsSession, ScriptedRun], None]


def with_model(**container: object) -> Spoil:
    """Another model in its place."""

    def spoil(session: AwsSession, _: ScriptedRun) -> None:
        session.client("sagemaker").delete_model(ModelName="demand-model")
        if container:
            create_model(session, **container)

    return spoil


def with_script(**members: Any) -> Spoil:
    """Other answers of the account."""

    def spoil(_: AwsSession, script: ScriptedRun) -> None:
        for name, value in members.items():
            setattr(script, name, value)

    return spoil


def without_history(session: AwsSession, _: ScriptedRun) -> None:
    """The prefix has something, but nothing of Parquet."""
    session.store.delete(f"s3://{BUCKET}/history/part-0.parquet")
    session.store.write(f"s3://{BUCKET}/history/notes.txt", b"soon")


def with_broken_pointer(session: AwsSession, _: ScriptedRun) -> None:
    """Somebody wrote it by hand."""
    session.store.write(f"s3://{BUCKET}/batchcast/published/latest.json", b"{}")


def with_pointer_at(run_date: date) -> Spoil:
    """latest.json names a run of that date."""
    return lambda session, _: point_at(
        session.store, f"s3://{BUCKET}/batchcast/published", "runaaaaaaaaa", run_date, None, None
    )


def with_lock_of(run_id: str, status: str) -> Spoil:
    """A run has the publish prefix; `status` of its execution."""

    def spoil(session: AwsSession, script: ScriptedRun) -> None:
        publish_uri = f"s3://{BUCKET}/batchcast/published"
        take_lock(session.store, publish_uri, run_id=run_id, run_label="2026-11-15", now=datetime.now(UTC))
        script.status = status

    return spoil


S3_DATA = {"S3DataSource": {"S3Uri": f"s3://{BUCKET}/m/", "S3DataType": "S3Prefix", "CompressionType": "None"}}


@pytest.mark.parametrize(
    ("spoil", "check", "level", "said"),
    [
        (with_model(), "model", "error", "there is no model demand-model in eu-central-1."),
        (with_model(ModelDataSource=S3_DATA), "model", "error", "ModelDataSource, which Batch Transform does not take"),
        (with_model(Mode="SingleModel"), "model", "warning", "has no ModelDataUrl"),
        (
            with_script(may_not=frozenset({"demand-model s3:ListBucket"})),
            "model role",
            "error",
            f"{MODEL_ROLE} may not s3:ListBucket arn:aws:s3:::{BUCKET}",
        ),
        (with_script(may_not=frozenset({"demand-model s3:PutObject"})), "model role", "error", "may not s3:PutObject"),
        (with_script(may_not=frozenset({"latest.json"})), "processing role", "error", f"{ROLE} may not s3:PutObject"),
        (
            with_script(fails=lambda operation: "AccessDenied" if operation == "SimulatePrincipalPolicy" else None),
            "model role",
            "warning",
            "not checked: iam:SimulatePrincipalPolicy said AccessDenied",
        ),
        (without_history, "history", "error", "1 objects, none of them .parquet"),
        (with_script(quotas={}), "quotas", "warning", "there is no quota 'ml.m5.4xlarge for transform job usage'"),
        (
            with_script(quotas={**QUOTAS, "ml.m5.4xlarge for transform job usage": 4.0}),
            "quotas",
            "error",
            "20 are needed, the account has 4",
        ),
        (
            with_script(quotas={}, default_quotas={"ml.m5.4xlarge for transform job usage": 2.0}),
            "quotas",
            "error",
            "20 are needed, the default of AWS is 2.",
        ),
        (
            with_script(fails=lambda name: "AccessDeniedException" if name == "ListServiceQuotas" else None),
            "quotas",
            "warning",
            "there is no quota 'ml.m5.4xlarge for transform job usage'",
        ),
        (with_script(status="Executing"), "other runs", "warning", "going on: runaaaaaaaaa."),
        (
            with_lock_of("runbbbbbbbbb", "Executing"),
            "lock",
            "error",
            "run runbbbbbbbbb, label 2026-11-15, has had it for",
        ),
        (
            with_lock_of("runbbbbbbbbb", "Stopped"),
            "lock",
            "warning",
            "runbbbbbbbbb ended Stopped without giving it back",
        ),
        (with_pointer_at(date(2062, 2, 9)), "published", "warning", "2062-02-09, a date in the future: until then"),
        (with_broken_pointer, "published", "warning", "latest.json: is damaged: it has no 'run_id'"),
    ],
)
def test_each_obstacle_is_named_with_its_remedy(
    ready: AwsSession, script: ScriptedRun, spoil: Spoil, check: str, level: str, said: str
) -> None:
    spoil(ready, script)
    exit_code, found = preflight(*WORKLOAD)
    lines = [one for one in found[check] if one.level == level]
    assert any(said in one.what for one in lines), found[check]
    assert all(one.remedy for one in lines)
    assert exit_code == (2 if level == "error" else 0)


def test_a_missing_model_does_not_hide_the_other_checks(ready: AwsSession, script: ScriptedRun) -> None:
    with_model()(ready, script)
    _, found = preflight(*WORKLOAD)
    assert found["model role"][0].level == "warning"
    assert found["model role"][0].what == "not checked: there is no model to have one."
    assert found["history"][0].level == "ok"


def test_a_bucket_elsewhere_or_nowhere_is_named(ready: AwsSession) -> None:
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="far-away")
    _, found = preflight("-p", "HistoryUri=s3://far-away/history/", "-p", "PublishUri=s3://not-there/published")
    assert [one.what for one in found["buckets"] if one.level == "error"] == [
        "far-away is in us-east-1; jobs in eu-central-1 cannot use it.",
        "there is no bucket not-there.",
    ]


def test_keys_are_looked_up_and_their_use_is_simulated(
    account: Recorder, session: AwsSession, script: ScriptedRun, settings: DeploySettings, packed: Package
) -> None:
    kms = session.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/forecasts", TargetKeyId=key)
    definition = json.loads(packed.text)
    for one in definition["Steps"]:
        if one["Type"] == "Transform":
            one["Arguments"]["TransformOutput"]["KmsKeyId"] = "alias/forecasts"
    client = session.client("sagemaker")
    client.create_pipeline(PipelineName="batchcast", PipelineDefinition=json.dumps(definition), RoleArn=ROLE)
    create_model(session, ModelDataUrl=f"s3://{BUCKET}/model.tar.gz")
    script.may_not = frozenset({f"kms:Decrypt arn:aws:kms:{REGION}:{ACCOUNT}:key/{key}"})
    exit_code, found = preflight()
    assert exit_code == 2
    assert found["keys"][0].what == "alias/forecasts is enabled."
    assert "may not kms:Decrypt" in found["model role"][0].what
    kms.disable_key(KeyId=key)
    assert preflight()[1]["keys"][0].what == "alias/forecasts is Disabled."


def test_an_estimate_that_cannot_be_made_is_a_warning(ready: AwsSession) -> None:
    exit_code, found = preflight()
    assert exit_code == 0
    assert "not estimated" in found["estimate"][0].what


def test_expired_credentials_end_it(ready: AwsSession, script: ScriptedRun) -> None:
    script.fails = lambda operation: "ExpiredTokenException" if operation == "DescribeModel" else None
    with pytest.raises(ServiceError, match="Renew the credentials"):
        preflight()


def test_a_workspace_has_nothing_to_check(tmp_path: object) -> None:
    ended = CliRunner().invoke(root, ["preflight", "--workspace", str(tmp_path)])
    assert isinstance(ended.exception, ConfigError)


def test_the_table_has_a_line_a_finding(ready: AwsSession) -> None:
    done = CliRunner().invoke(root, ["preflight", "--region", REGION, *WORKLOAD])
    assert done.exit_code == 0
    assert "demand-model exists and has a ModelDataUrl." in done.stdout
