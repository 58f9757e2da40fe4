"""infra/batchcast.yaml: clean, deployable, and its policies neither too narrow nor too wide for what the code calls."""

from __future__ import annotations

import dataclasses
import fnmatch
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pytest
from botocore import handlers
from cfnlint.api import lint_file
from cfnlint.decode import decode
from click.testing import CliRunner
from golden import matches_golden
from scripted_run import PREFIX, RUN_ID, ScriptedRun, step
from stack import (
    LEAST,
    STACK,
    TEMPLATE,
    allows,
    context_of,
    create,
    needed,
    statements_of_bucket,
    statements_of_policy,
    statements_of_role,
    texts,
)
from strict import Recorder
from team import ACCOUNT, BUCKET, DEFAULTS, REGION, ROLE

from batchcast.account.deploy import Package, apply, plan_deployment
from batchcast.account.deploy_settings import DeploySettings
from batchcast.cli.main import root
from batchcast.runs.follow import ENDED
from batchcast.runs.published import list_published
from batchcast.session.session import AwsSession
from batchcast.steps.errors import BatchcastError
from batchcast.steps.publish.lock import end_lock, take_lock
from batchcast.steps.publish.publication import pointer_uri, publication_uri, publish
from batchcast.steps.store.objects import ObjectStore
from batchcast.steps.validate_and_publish import HIDDEN_FILE

KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/0a1b2c3d"
MOST = {
    **LEAST,
    "ModelRoleName": "demand-model",
    "RealTimeEndpointName": "live",
    "KmsKeyArn": KEY,
    "HistoryBucketName": "acme-warehouse",
    "NotificationEmail": "forecasts@example.com",
    "UseVpc": "true",
    "LongestGapDays": "14",
    "HistoryKmsKeyArn": KEY,
}
# Actions that have no resource of which an ARN could be named (Service Authorization Reference, read 2026-11).
WITHOUT_RESOURCE = {
    "Image",
    "ImageToken",
    "Lists",
    "Metrics",
    "NetworkInterfaces",
    "Prices",
    "Quotas",
    "EncryptedConnectionsOnly",
}
# What no call of ours shows: roles handed over, and the key that S3 uses on our behalf.
NOT_CALLED = {
    "iam:PassRole",
    "pricing:GetProducts",
    "servicequotas:ListAWSDefaultServiceQuotas",
    "kms:Decrypt",
    "kms:GenerateDataKey",
    "kms:DescribeKey",
    "sts:AssumeRole",
}


def test_the_linter_has_nothing_to_say() -> None:
    assert lint_file(TEMPLATE) == []


def test_what_a_linter_is_told_to_pass_over_has_its_reason() -> None:
    resources = template()["Resources"].values()
    skipped = [one for each in resources for one in each.get("Metadata", {}).get("checkov", {}).get("skip", [])]
    assert skipped
    assert [one for one in skipped if len(one.get("comment", "")) < 20] == []
    assert "cfn-lint" not in TEMPLATE.read_text()


@pytest.mark.parametrize("parameters", [LEAST, MOST], ids=["least", "most"])
def test_it_deploys_with_the_least_and_with_everything(account: Recorder, parameters: dict[str, str]) -> None:
    boto3.client("iam").create_role(RoleName="demand-model", AssumeRolePolicyDocument="{}")
    outputs = create(parameters)
    s3 = boto3.client("s3", region_name=REGION)
    assert outputs["BucketName"] == BUCKET
    (rule,) = s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"]
    expected = "aws:kms" if "KmsKeyArn" in parameters else "AES256"
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == expected
    attached = boto3.client("iam").list_attached_role_policies(RoleName="demand-model")["AttachedPolicies"]
    assert [one["PolicyArn"] for one in attached] == [outputs["ModelPolicyArn"]] * ("ModelRoleName" in parameters)


def test_the_bucket_is_closed_and_runs_expire_and_forecasts_do_not() -> None:
    bucket = template()["Resources"]["Bucket"]["Properties"]
    closed = bucket["PublicAccessBlockConfiguration"]
    assert len(closed) == 4
    assert all(closed.values())
    rules = {rule["Id"]: rule for rule in bucket["LifecycleConfiguration"]["Rules"]}
    assert rules["unfinished-uploads"]["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] == 2
    expiring = {rule["Prefix"]["Fn::Sub"] for rule in rules.values() if "ExpirationInDays" in rule}
    assert expiring == {"${Prefix}/runs/", "${Prefix}/async/"}
    statement = template()["Resources"]["BucketPolicy"]["Properties"]["PolicyDocument"]["Statement"][0]
    assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_an_empty_queue_of_finished_runs_is_what_rings(account: Recorder) -> None:
    resources = template()["Resources"]
    missed = resources["MissedRunAlarm"]["Properties"]
    assert missed["Dimensions"] == [{"Name": "QueueName", "Value": {"Fn::GetAtt": ["FinishedRuns", "QueueName"]}}]
    assert (missed["MetricName"], missed["Threshold"]) == ("ApproximateNumberOfMessagesVisible", 1)
    assert (missed["ComparisonOperator"], missed["TreatMissingData"]) == ("LessThanThreshold", "breaching")
    (statement,) = resources["RunsPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    for one in ("Finished", "Begun", "Ended"):
        (target,) = resources[f"{one}Rule"]["Properties"]["Targets"]
        assert target["Arn"] == {"Fn::GetAtt": [f"{one}Runs", "Arn"]}
        assert {"Fn::GetAtt": [f"{one}Rule", "Arn"]} in statement["Condition"]["ArnEquals"]["aws:SourceArn"]
        assert {"Fn::GetAtt": [f"{one}Runs", "Arn"]} in statement["Resource"]
    seconds = {days: row["Value"] for days, row in template()["Mappings"]["SecondsOf"].items()}
    assert seconds == {str(days): days * 86400 for days in range(1, 15)}
    create({**LEAST, "LongestGapDays": "9"})
    sqs = boto3.client("sqs", region_name=REGION)
    urls = [url for url in sqs.list_queues()["QueueUrls"] if "FinishedRuns" in url]
    found = sqs.get_queue_attributes(QueueUrl=urls[0], AttributeNames=["MessageRetentionPeriod"])["Attributes"]
    assert found["MessageRetentionPeriod"] == str(9 * 86400)


def test_a_run_that_does_not_end_rings() -> None:
    resources = template()["Resources"]
    alarm = resources["StillRunningAlarm"]["Properties"]
    difference, *counted = alarm["Metrics"]
    assert (difference["Expression"], alarm["Threshold"]) == ("FILL(begun, 0) - FILL(ended, 0)", 0)
    queues = {one["Id"]: one["MetricStat"]["Metric"]["Dimensions"][0]["Value"]["Fn::GetAtt"][0] for one in counted}
    assert queues == {"begun": "BegunRuns", "ended": "EndedRuns"}
    assert alarm["EvaluationPeriods"] == {"Ref": "LongestRunHours"}
    # A message has to be there for as long as the alarm looks back, and gone before the next weekly run begins.
    kept = {resources[name]["Properties"]["MessageRetentionPeriod"] for name in queues.values()}
    assert kept == {5 * 86400}
    assert template()["Parameters"]["LongestRunHours"]["MaxValue"] * 3600 < 5 * 86400
    states = {
        name: resources[f"{name}Rule"]["Properties"]["EventPattern"]["detail"]["currentPipelineExecutionStatus"]
        for name in ("Begun", "Ended")
    }
    assert states == {"Begun": ["Executing"], "Ended": sorted(ENDED, key=states["Ended"].index)}


def test_whoever_publishes_to_the_topic_is_named_in_its_policy() -> None:
    resources = template()["Resources"]
    rules = {
        name
        for name, one in resources.items()
        if one["Type"] == "AWS::Events::Rule" and one["Properties"]["Targets"][0]["Arn"] == {"Ref": "Notifications"}
    }
    statement = resources["NotificationsPolicy"]["Properties"]["PolicyDocument"]["Statement"][0]
    named = {one["Fn::GetAtt"][0] for one in statement["Condition"]["ArnEquals"]["aws:SourceArn"]}
    assert rules == named == {"FailedRule", "RecoveredRule", "HiddenRule"}


def test_each_end_of_a_run_is_one_mail_and_one_that_is_as_it_should_be_is_none() -> None:
    """A held run ends Failed, by the exit of its step: `Stopped` and `Failed` are never told of one execution."""
    told = [
        status
        for name in ("FailedRule", "RecoveredRule")
        for status in template()["Resources"][name]["Properties"]["EventPattern"]["detail"][
            "currentPipelineExecutionStatus"
        ]
    ]
    assert sorted(told) == sorted(ENDED - {"Succeeded"})


def template() -> dict[str, Any]:
    """The template with its short forms written out."""
    found, problems = decode(str(TEMPLATE))
    assert not problems
    return dict(found)


def test_the_rules_name_what_the_pipeline_has(account: Recorder) -> None:
    create(LEAST)
    events = boto3.client("events", region_name=REGION)
    patterns = [json.loads(one["EventPattern"])["detail"] for one in events.list_rules()["Rules"]]
    definition = json.loads((TEMPLATE.parents[1] / "pipelines" / "pipeline.json").read_text())
    fails = {one["Name"] for one in walk(definition["Steps"]) if one["Type"] == "Fail"}
    assert {name for pattern in patterns for name in pattern.get("stepName", [])} == fails
    model = boto3.client("sagemaker", region_name=REGION).meta.service_model
    known = set(model.shape_for("PipelineExecutionStatus").enum)
    assert {name for pattern in patterns for name in pattern.get("currentPipelineExecutionStatus", [])} <= known
    about_runs = [pattern for pattern in patterns if "object" not in pattern]
    assert {arn for pattern in about_runs for arn in pattern["pipelineArn"]} == {f"{PREFIX}:pipeline/batchcast"}


def test_a_run_that_readers_do_not_see_is_told_of(account: Recorder) -> None:
    create(LEAST)
    (pattern,) = [
        found
        for one in boto3.client("events", region_name=REGION).list_rules()["Rules"]
        if (found := json.loads(one["EventPattern"]))["source"] == ["aws.s3"]
    ]
    (key,) = pattern["detail"]["object"]["key"]
    report = f"batchcast/runs/{RUN_ID}/report"
    assert fnmatch.fnmatchcase(f"{report}/{HIDDEN_FILE}", key["wildcard"])
    assert not fnmatch.fnmatchcase(f"{report}/report.json", key["wildcard"])
    assert pattern["detail"]["bucket"] == {"name": [BUCKET]}
    bucket = template()["Resources"]["Bucket"]["Properties"]
    assert bucket["NotificationConfiguration"]["EventBridgeConfiguration"] == {"EventBridgeEnabled": True}


def walk(steps: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Every step, those in branches too."""
    for one in steps:
        yield one
        for branch in ("IfSteps", "ElseSteps"):
            yield from walk(one.get("Arguments", {}).get(branch, []))


def test_no_policy_allows_everything_where_an_arn_can_stand(account: Recorder) -> None:
    boto3.client("iam").create_role(RoleName="demand-model", AssumeRolePolicyDocument="{}")
    outputs = create(MOST)
    roles = [outputs[name] for name in ("PipelineRoleArn", "ProcessingRoleArn", "SchedulerRoleArn", "PruneRoleArn")]
    policies = [outputs[name] for name in ("ModelPolicyArn", "OperatorPolicyArn", "AsyncPolicyArn")]
    found = [one for arn in roles for one in statements_of_role(arn)]
    found += [one for arn in policies for one in statements_of_policy(arn)]
    assert len(found) > 30
    wide = {one.get("Sid") for one in found if "*" in texts(one["Resource"])}
    assert wide <= WITHOUT_RESOURCE
    assert not [each for one in found for each in texts(one["Action"]) if each.endswith("*")]


def test_the_role_of_the_steps_may_do_what_the_steps_do_and_where(
    account: Recorder, session: AwsSession, tmp_path: Path
) -> None:
    outputs = create(LEAST)
    statements = statements_of_role(outputs["ProcessingRoleArn"])
    account.calls.clear()
    store, file = session.store, tmp_path / "file"
    file.write_bytes(b"x" * 10_000_000)
    uri = f"s3://{BUCKET}/batchcast/runs/run/report/report.json"
    store.put_if(uri, b"1", None)
    store.write(uri, b"2")
    store.upload(file, uri)
    store.read(uri)
    store.exists(uri)
    list(store.list(uri))
    list(store.list(f"s3://{BUCKET}/history/"))
    assert len(account.calls) == 10
    for service, operation, request in account.calls:
        assert allows(statements, *needed(service, operation, request)), (operation, request.get("Key"))
    for place in ("history/part.parquet", "batchcast/code/app.pyz", "other/x"):
        assert not allows(statements, "s3:PutObject", f"arn:aws:s3:::{BUCKET}/{place}")
    assert not [one for one in statements if "s3:DeleteObject" in texts(one["Action"])]


PUBLISH = f"s3://{BUCKET}/batchcast/published"


def publish_weeks(store: ObjectStore, weeks: int) -> None:
    """So many runs, one a week, each with the lock of the prefix."""
    now = datetime.now(UTC)
    for number in range(weeks):
        run_id, week = f"run{number}", date(2026, 11, 1) + timedelta(weeks=number)
        manifest = {"run_id": run_id, "run_date": week.isoformat(), "outcome": "COMPLETE", "counts": {"ok": 1}}
        take_lock(store, PUBLISH, run_id=run_id, run_label="w", now=now)
        for _ in ("an attempt", "a second one"):
            publish(store, PUBLISH, pa.table({"sales": [1.0]}), {**manifest, "previous": None})
        end_lock(store, PUBLISH, run_id)


def refused(account: Recorder, statements: list[dict[str, Any]], role: str) -> set[tuple[str, str]]:
    """Those of the calls on S3 that role and bucket do not let through, conditions and all."""
    calls = [(*needed(*one), context_of(one[2], role)) for one in account.calls if one[0] == "s3"]
    assert calls
    return {(action, key) for action, key, context in calls if not allows(statements, action, key, context)}


def test_publishing_needs_no_right_to_overwrite_or_delete(account: Recorder, session: AwsSession) -> None:
    outputs = create(LEAST)
    role, store = outputs["ProcessingRoleArn"], session.store
    statements = [*statements_of_role(role), *statements_of_bucket()]
    account.calls.clear()
    publish_weeks(store, 2)
    assert refused(account, statements, role) == set()
    account.calls.clear()
    file = f"{publication_uri(PUBLISH, date(2026, 11, 1), 'run0')}part-00000.parquet"
    store.write(file, b"other")
    store.put_if(file, b"other again", store.read_tagged(file)[1])
    store.write(pointer_uri(PUBLISH), b"{}")
    store.delete(file)
    of_file = {(f"s3:{right}", file.replace("s3://", "arn:aws:s3:::")) for right in ("PutObject", "DeleteObject")}
    of_pointer = ("s3:PutObject", pointer_uri(PUBLISH).replace("s3://", "arn:aws:s3:::"))
    assert refused(account, statements, role) == {*of_file, of_pointer}
    # Published files would stay what they are were the bucket's policy gone.
    assert refused(account, statements_of_role(role), role) == of_file


def test_the_prune_role_alone_removes_what_is_published(account: Recorder, session: AwsSession) -> None:
    outputs = create(LEAST)
    role, store = outputs["PruneRoleArn"], session.store
    publish_weeks(store, 4)
    account.calls.clear()
    run("prune", "--keep", "1", "--publish-uri", PUBLISH)
    assert [one.run_id for one in list_published(PUBLISH, store=store)] == ["run3"]
    bucket, everything = statements_of_bucket(), {"Effect": "Allow", "Action": "*", "Resource": "*"}
    assert refused(account, [*statements_of_role(role), *bucket], role) == set()
    administrator = refused(account, [everything, *bucket], f"arn:aws:iam::{ACCOUNT}:role/administrator")
    assert {action for action, _ in administrator} == {"s3:DeleteObject"}
    for who in (role, f"arn:aws:iam::{ACCOUNT}:root"):
        version = f"arn:aws:s3:::{BUCKET}/batchcast/published/forecasts/x"
        assert not allows([everything, *bucket], "s3:DeleteObjectVersion", version, context_of({}, who))


def test_the_role_of_the_model_reads_records_and_writes_answers_and_nothing_else(account: Recorder) -> None:
    statements = statements_of_policy(create(LEAST)["ModelPolicyArn"])
    run = f"arn:aws:s3:::{BUCKET}/batchcast/runs/{RUN_ID}"
    assert allows(statements, "s3:GetObject", f"{run}/input/r0/part-00000.jsonl")
    assert allows(statements, "s3:PutObject", f"{run}/output/r1/record-000001.jsonl.out")
    assert not allows(statements, "s3:PutObject", f"{run}/report/report.json")
    assert not allows(statements, "s3:GetObject", f"arn:aws:s3:::{BUCKET}/batchcast/published/latest.json")


def every_statement(outputs: Mapping[str, str]) -> list[dict[str, Any]]:
    """Those of all roles and policies of the stack."""
    roles = [outputs[name] for name in ("PipelineRoleArn", "ProcessingRoleArn", "SchedulerRoleArn", "PruneRoleArn")]
    policies = [outputs[name] for name in ("ModelPolicyArn", "OperatorPolicyArn", "AsyncPolicyArn")]
    found = [one for arn in roles for one in statements_of_role(arn)]
    return found + [one for arn in policies for one in statements_of_policy(arn)]


def test_grants_of_a_key_go_to_services_alone(account: Recorder) -> None:
    boto3.client("iam").create_role(RoleName="demand-model", AssumeRolePolicyDocument="{}")
    grants = [one for one in every_statement(create(MOST)) if "kms:CreateGrant" in texts(one["Action"])]
    assert len(grants) == 3
    for one in grants:
        assert texts(one["Action"]) == ["kms:CreateGrant"]
        assert one["Condition"] == {"Bool": {"kms:GrantIsForAWSResource": "true"}}


def test_what_is_overwritten_or_deleted_can_be_brought_back_by_no_role_undone(account: Recorder) -> None:
    bucket = template()["Resources"]["Bucket"]["Properties"]
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["LoggingConfiguration"]["DestinationBucketName"] == {"Ref": "AccessLogs"}
    actions = {each for one in every_statement(create(LEAST)) for each in texts(one["Action"])}
    forbidden = {
        "s3:DeleteObjectVersion",
        "s3:PutBucketVersioning",
        "s3:PutLifecycleConfiguration",
        "s3:PutBucketPolicy",
    }
    assert not actions & forbidden


def test_the_pipeline_stops_and_looks_at_jobs_of_its_own_steps_only(account: Recorder) -> None:
    outputs = create(LEAST)
    definition = json.loads((TEMPLATE.parents[1] / "pipelines" / "pipeline.json").read_text())
    kinds = {"Processing": "processing-job", "Transform": "transform-job"}
    for statements in (
        statements_of_role(outputs["PipelineRoleArn"]),
        statements_of_policy(outputs["OperatorPolicyArn"]),
    ):
        for one in walk(definition["Steps"]):
            if one["Type"] in kinds:
                for name in (one["Name"], one["Name"].lower()):
                    job = f"{PREFIX}:{kinds[one['Type']]}/pipelines-{RUN_ID}-{name}-a1b2c3d4e5"
                    assert allows(statements, f"sagemaker:Describe{one['Type']}Job", job)
        for kind in kinds.values():
            other = f"{PREFIX}:{kind}/pipelines-{RUN_ID}-TrainModel-a1b2c3d4e5"
            assert not allows(statements, "sagemaker:StopTransformJob", other)
            assert not allows(statements, "sagemaker:DescribeProcessingJob", other)


def test_the_topic_is_encrypted_with_a_key_that_its_publishers_may_use() -> None:
    resources = template()["Resources"]
    assert resources["Notifications"]["Properties"]["KmsMasterKeyId"] == {"Ref": "NotificationsKey"}
    (statement,) = [
        one
        for one in resources["NotificationsKey"]["Properties"]["KeyPolicy"]["Statement"]
        if one["Sid"] == "Publishers"
    ]
    assert statement["Principal"] == {"Service": ["cloudwatch.amazonaws.com", "events.amazonaws.com"]}


def test_managed_policies_keep_the_limit_of_iam(account: Recorder) -> None:
    """IAM user guide, quotas: 6,144 characters without white space."""
    boto3.client("iam").create_role(RoleName="demand-model", AssumeRolePolicyDocument="{}")
    outputs = create(
        {**MOST, "PipelineName": "a" * 41, "Prefix": "p" * 30, "ModelName": "m" * 40, "ModelPackageGroupName": "g" * 63}
    )
    for name in ("ModelPolicyArn", "OperatorPolicyArn", "RegistryPolicyArn", "AsyncPolicyArn"):
        text = json.dumps({"Version": "2012-10-17", "Statement": statements_of_policy(outputs[name])})
        assert len("".join(text.split())) <= 6144, name


def test_the_scheduler_may_start_this_pipeline_only(account: Recorder) -> None:
    outputs = create(LEAST)
    statements = statements_of_role(outputs["SchedulerRoleArn"])
    assert allows(statements, "sagemaker:StartPipelineExecution", f"{PREFIX}:pipeline/batchcast")
    assert not allows(statements, "sagemaker:StartPipelineExecution", f"{PREFIX}:pipeline/other")
    assert allows(statements, "sqs:SendMessage", outputs["DeadLetterQueueArn"])


@pytest.fixture
def script(account: Recorder, monkeypatch: pytest.MonkeyPatch) -> ScriptedRun:
    """A run that failed in its transform."""
    parameters = {
        **{name: value.replace("acme-forecasts", BUCKET) for name, value in DEFAULTS.items()},
        "RunLabel": "w",
    }
    script = ScriptedRun(parameters=parameters, quotas={"ml.m5.4xlarge for transform job usage": 20.0})
    monkeypatch.setattr(handlers, "BUILTIN_HANDLERS", [*handlers.BUILTIN_HANDLERS, *script.handlers()])
    return script


def test_operators_may_do_what_the_commands_do_and_no_more(
    account: Recorder, session: AwsSession, script: ScriptedRun, settings: DeploySettings, packed: Package
) -> None:
    boto3.client("iam").create_role(RoleName="demand-model", AssumeRolePolicyDocument="{}")
    outputs = create({**LEAST, "ModelRoleName": "demand-model"})
    statements = statements_of_policy(outputs["OperatorPolicyArn"])
    session.client("sagemaker").create_model(
        ModelName="demand-model",
        ExecutionRoleArn=f"arn:aws:iam::{ACCOUNT}:role/demand-model",
        PrimaryContainer={"Image": "image:1", "ModelDataUrl": f"s3://{BUCKET}/model.tar.gz"},
    )
    account.calls.clear()
    text = packed.text.replace(ROLE, outputs["ProcessingRoleArn"])
    for description in ("New.", "Changed."):
        tagged = settings.build.model_copy(update={"tags": {"state": description}})
        wanted = dataclasses.replace(packed, text=text, definition=json.loads(text), description=description)
        apply(session, plan_deployment(session, dataclasses.replace(settings, build=tagged), wanted))
    every_command(script, outputs)
    first = {f"{service}:{operation}": request for service, operation, request in reversed(account.calls)}
    assert matches_golden("requests", dict(sorted(first.items())))
    called = {needed(service, operation, request) for service, operation, request in account.calls}
    refused = sorted(f"{one} on {resource}" for one, resource in called if not allows(statements, one, resource))
    assert refused == []
    allowed = {each for one in statements for each in texts(one["Action"])}
    assert allowed - {one for one, _ in called} - NOT_CALLED == set()


def every_command(script: ScriptedRun, outputs: Mapping[str, str]) -> None:
    """Run each of them on the deployed pipeline, as a person would."""
    run("preflight")
    run("start", "-p", "RunLabel=w")
    run("stop")
    script.status = "Failed"
    script.steps = [step("BuildShards", "Failed", end=60), step("Transform", "Failed", end=60)]
    for command in ("status", "wait", "logs", "list"):
        run(command, *([RUN_ID] if command == "status" else []))
    run("rerun", RUN_ID, "--no-wait")
    run("schedule", "create", "--cron", "cron(30 3 ? * SUN *)", "--stack", STACK)
    for command in ("show", "pause", "resume", "delete"):
        run("schedule", command)


def run(*arguments: str) -> None:
    """The command line in this process; what it says of this made-up run does not matter here."""
    ended = CliRunner().invoke(root, [*arguments, "--region", REGION])
    assert ended.exception is None or isinstance(ended.exception, SystemExit | BatchcastError), ended.exception
