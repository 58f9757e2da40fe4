"""`start`, `status`, `wait`, `logs`, `stop`, `list` on an account whose execution follows a script."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore import handlers
from click.testing import CliRunner, Result
from golden import matches_golden
from scripted_run import ARN, BEGAN, RUN_ID, ScriptedRun, step
from strict import Recorder
from team import ACCOUNT, BUCKET, DEFAULTS, REGION

from batchcast.account.deploy import Package, apply, plan_deployment
from batchcast.account.deploy_settings import DeploySettings
from batchcast.cli.console import typed_command
from batchcast.cli.main import root
from batchcast.runs.follow import AWS_PACE, Pace, follow
from batchcast.runs.progress import ShardCounts, run_status, status_lines
from batchcast.session.session import AwsSession
from batchcast.steps.errors import ConfigError, ServiceError
from batchcast.steps.publish.lock import read_lock, take_lock

RUN = f"batchcast/runs/{RUN_ID}"
HELD = "CoverageError [held]"
REPORT = {
    "outcome": "COMPLETE",
    "cause": None,
    "cause_kind": None,
    "counts": {"expected": 8, "ok": 8, "quarantined": 0, "failed": 0, "missing": 0, "carried": 0},
    "published": f"s3://{BUCKET}/batchcast/published/forecasts/run_date=2026-11-22/run_id={RUN_ID}/",
    "pointer_moved": True,
    "pointer_note": "latest.json names this run",
    "quarantined": [],
    "failed": [],
    "mismatches": [],
    "parameters": {},
    "score": None,
}
TRANSFORM_JOB = f"pipelines-{RUN_ID}-Transform-abc"


@pytest.fixture
def script(account: Recorder, monkeypatch: pytest.MonkeyPatch) -> ScriptedRun:
    """The run that this account has."""
    script = ScriptedRun(parameters={**DEFAULTS, "RunLabel": "2026-11-22"})
    monkeypatch.setattr(handlers, "BUILTIN_HANDLERS", [*handlers.BUILTIN_HANDLERS, *script.handlers()])
    return script


@pytest.fixture
def deployed(session: AwsSession, settings: DeploySettings, packed: Package) -> AwsSession:
    """The account with the pipeline."""
    apply(session, plan_deployment(session, settings, packed))
    return session


def run(*arguments: str) -> Result:
    """The command line in this process."""
    return CliRunner().invoke(root, [*arguments, "--region", REGION])


def put(session: AwsSession, name: str, value: object) -> None:
    """An object of the run."""
    session.store.write(f"s3://{BUCKET}/{RUN}/{name}", json.dumps(value).encode())


def manifest(shards: int, records: int) -> dict[str, Any]:
    """As much of a manifest as progress reads."""
    return {"shards": [{"name": f"part-{number:05d}.jsonl", "records": records} for number in range(shards)]}


# --- start: safe to repeat, and nothing starts that is wrong


def test_a_label_starts_one_run_however_often(account: Recorder, deployed: AwsSession, script: ScriptedRun) -> None:
    arguments = ("start", "-p", "RunLabel=2026-11-22", "-p", "ForecastHorizon=14")
    first, again = run(*arguments), run(*arguments)
    other = run(*arguments, "-p", "MaxFailedRecords=5")
    assert (first.stdout, again.stdout) == (f"{RUN_ID}\n", f"{RUN_ID}\n")
    assert other.stdout != first.stdout
    started = [request for _, operation, request in account.calls if operation == "StartPipelineExecution"]
    assert matches_golden("start", started[0])


def test_the_default_label_starts_a_run_each_time(deployed: AwsSession, script: ScriptedRun) -> None:
    assert run("start").stdout != run("start").stdout


@pytest.mark.parametrize(("status", "exit_code"), [("Succeeded", 0), ("Failed", 2), ("Stopped", 2)])
def test_an_earlier_run_of_the_label_is_told(
    deployed: AwsSession, script: ScriptedRun, status: str, exit_code: int
) -> None:
    script.status = status
    ended = run("start", "-p", "RunLabel=2026-11-22")
    assert (ended.exit_code == 0) == (exit_code == 0)
    if exit_code:
        assert isinstance(ended.exception, ConfigError)
        assert f"`rerun {RUN_ID}`, or give another label." in str(ended.exception)


SCHEDULER = f"arn:aws:iam::{ACCOUNT}:role/forecast-scheduler"


def stops(account: Recorder) -> list[dict[str, Any]]:
    """The schedules that were made."""
    return [request for _, operation, request in account.calls if operation == "CreateSchedule"]


def hours_from_now(request: dict[str, Any]) -> float:
    at = datetime.fromisoformat(request["ScheduleExpression"][3:-1]).replace(tzinfo=UTC)
    return (at - datetime.now(UTC)).total_seconds() / 3600


def test_a_schedule_stops_what_hangs_and_is_made_once(
    account: Recorder, deployed: AwsSession, script: ScriptedRun
) -> None:
    command = ("start", "-p", "RunLabel=2026-11-22", "--stop-after", "12", "--scheduler-role", SCHEDULER)
    first, again = run(*command), run(*command)
    assert first.stdout == again.stdout == f"{RUN_ID}\n"
    (request,) = stops(account)
    assert matches_golden("stop_schedule", request)
    assert hours_from_now(request) == pytest.approx(12, abs=0.1)
    assert "What is left of it at 20" in first.stderr


def test_the_plan_says_after_how_long_a_run_must_be_hanging(
    account: Recorder, deployed: AwsSession, script: ScriptedRun
) -> None:
    workload = ("--items", "100000", "--seconds", "30")
    ended = run("start", *workload, "--scheduler-role", SCHEDULER)
    assert ended.exit_code == 0
    (request,) = stops(account)
    planned = json.loads(
        run("plan", *workload, "--instances", "20", "--concurrency", "4", "--price-per-hour", "1", "--json").stdout
    )
    (batch,) = [one for one in planned["scenarios"] if one["name"] == "batch"]
    assert hours_from_now(request) == pytest.approx(2 * batch["p95"], rel=0.2)


@pytest.mark.parametrize("options", [(), ("--items", "1000", "--seconds", "1")])
def test_a_start_without_a_bound_says_so(
    account: Recorder, deployed: AwsSession, script: ScriptedRun, options: tuple[str, ...]
) -> None:
    assert "Nothing stops it if it hangs" in run("start", *options).stderr
    assert stops(account) == []


def test_a_bound_without_the_role_for_it_starts_nothing(deployed: AwsSession, script: ScriptedRun) -> None:
    ended = run("start", "--stop-after", "12")
    assert isinstance(ended.exception, ConfigError)
    assert "Give --stack, or --scheduler-role." in str(ended.exception)
    assert not script.tokens


def take(session: AwsSession, run_id: str, label: str) -> None:
    """Another run has the publish prefix."""
    take_lock(session.store, DEFAULTS["PublishUri"], run_id=run_id, run_label=label, now=datetime.now(UTC))


def test_a_run_does_not_start_beside_another(deployed: AwsSession, script: ScriptedRun) -> None:
    take(deployed, "runbbbbbbbbb", "2026-11-15")
    ended = run("start", "-p", "RunLabel=2026-11-22")
    assert isinstance(ended.exception, ServiceError)
    assert "run runbbbbbbbbb, label 2026-11-15, has had it for" in str(ended.exception)
    assert not script.tokens


def test_a_start_that_is_repeated_is_answered_with_the_run_that_has_the_lock(
    deployed: AwsSession, script: ScriptedRun
) -> None:
    arguments = ("start", "-p", "RunLabel=2026-11-22")
    first = run(*arguments)
    take(deployed, RUN_ID, "2026-11-22")
    assert run(*arguments).stdout == first.stdout == f"{RUN_ID}\n"


def test_two_runs_of_the_default_label_are_two_runs(deployed: AwsSession, script: ScriptedRun) -> None:
    take(deployed, "runbbbbbbbbb", "manual")
    assert isinstance(run("start").exception, ServiceError)


@pytest.mark.parametrize("status", ["Failed", "Stopped", "Succeeded", "CompletedWithFailures"])
def test_the_lock_of_a_run_that_has_ended_is_freed(deployed: AwsSession, script: ScriptedRun, status: str) -> None:
    take(deployed, "runbbbbbbbbb", "2026-11-15")
    statuses = iter([status])
    script.status = lambda: next(statuses, "Executing")
    assert run("start", "-p", "RunLabel=2026-11-22").exit_code == 0
    assert read_lock(deployed.store, DEFAULTS["PublishUri"]) is None


def test_the_lock_of_a_run_that_this_pipeline_does_not_know_is_left_alone(
    deployed: AwsSession, script: ScriptedRun
) -> None:
    take(deployed, "runbbbbbbbbb", "2026-11-15")
    script.fails = lambda operation: "ResourceNotFound" if operation == "DescribePipelineExecution" else None
    refused = run("start", "-p", "RunLabel=2026-11-22").exception
    assert isinstance(refused, ServiceError)
    lock = f"{DEFAULTS['PublishUri']}/lock.json"
    assert f"It is no run of the pipeline batchcast: wait for it; once it has ended, delete {lock}." in str(refused)
    assert read_lock(deployed.store, DEFAULTS["PublishUri"]) is not None


def test_who_may_not_read_the_lock_starts_all_the_same(deployed: AwsSession, script: ScriptedRun) -> None:
    script.fails = lambda operation: "AccessDenied" if operation == "GetObject" else None
    assert run("start", "-p", "RunLabel=2026-11-22").exit_code == 0


@pytest.mark.parametrize(
    ("parameter", "said"),
    [
        ("ForecastHorizo=3", "Did you mean ForecastHorizon"),
        ("MaxPayloadInMB=50", "SageMaker allows 100 MB"),
        ("TransformInstanceType=ml.r5.large", "is not an instance type Batch Transform takes"),
    ],
)
def test_nothing_starts_with_a_wrong_parameter(
    deployed: AwsSession, script: ScriptedRun, parameter: str, said: str
) -> None:
    ended = run("start", "-p", parameter)
    assert isinstance(ended.exception, ConfigError)
    assert said in str(ended.exception)
    assert not script.tokens


def test_a_pipeline_that_is_not_there_is_named(account: Recorder, script: ScriptedRun) -> None:
    assert "there is no pipeline 'weekly' in eu-central-1" in str(run("start", "--name", "weekly").exception)


def test_a_pipeline_of_another_version_is_not_started(
    session: AwsSession, settings: DeploySettings, packed: Package, script: ScriptedRun
) -> None:
    older = json.loads(packed.text)
    older["Parameters"] = [one for one in older["Parameters"] if one["Name"] != "ItemsUri"]
    client = session.client("sagemaker")
    client.create_pipeline(
        PipelineName="batchcast", PipelineDefinition=json.dumps(older), RoleArn=settings.pipeline_role_arn
    )
    assert "this version of batchcast: ItemsUri. Deploy it again." in str(run("start").exception)


def test_a_run_above_the_budget_is_refused_with_its_estimate(deployed: AwsSession, script: ScriptedRun) -> None:
    workload = ("--items", "100000", "--seconds", "30", "--price-per-hour", "0.922")
    ended = run("start", "--budget", "100", *workload)
    assert isinstance(ended.exception, ConfigError)
    assert "USD and" in str(ended.exception)
    assert not script.tokens
    assert run("start", "--budget", "1000", *workload).exit_code == 0


def test_a_budget_needs_to_know_the_workload(deployed: AwsSession, script: ScriptedRun) -> None:
    assert "--items: is needed" in str(run("start", "--budget", "100", "--price-per-hour", "1").exception)


# --- status: one look, at a bounded price


def test_progress_is_shards_with_an_output_and_ends_when_the_rate_says(
    session: AwsSession, script: ScriptedRun
) -> None:
    script.steps = [step("Transform", "Executing", start=900), step("BuildShards", "Succeeded", end=800)]
    script.jobs[TRANSFORM_JOB] = {"TransformStartTime": BEGAN + timedelta(seconds=1200)}
    put(session, "manifest/manifest.json", manifest(4, 25))
    for done in ("part-00000", "part-00002", "part-00003"):
        put(session, f"output/r0/{done}.jsonl.out", {})
    put(session, "output/_batchcast", {})
    document, exit_code = run_status(session, find_run_of(session), BEGAN + timedelta(seconds=1200 + 3600))
    assert exit_code == 0
    assert document["progress"] == {
        "step": "Transform",
        "shards_done": 3,
        "shards_total": 4,
        "records_done": 75,
        "records_total": 100,
        "records_per_hour": 75,
        "ends_about": "2026-11-22T05:10:00+00:00",
    }
    assert [one["name"] for one in document["execution"]["steps"]] == ["BuildShards", "Transform"]
    lines = status_lines(document)
    assert lines[0] == f"Run {RUN_ID} (2026-11-22): Executing"
    assert "    3 of 4 shards, 75 of 100 records, 75 an hour, ends about " in lines[4]


def test_a_file_of_the_retry_round_counts_the_records_in_it(session: AwsSession, script: ScriptedRun) -> None:
    script.steps = [step("TransformRetry", "Executing", start=900)]
    put(session, "manifest/manifest.json", manifest(4, 25))
    for name in ("record-000003", "records-000004-3", "records-000010-3"):
        put(session, f"input/r1/{name}.jsonl", {})
    put(session, "output/r1/records-000004-3.jsonl.out", {})
    document, _ = run_status(session, find_run_of(session), BEGAN)
    assert (document["progress"]["shards_done"], document["progress"]["shards_total"]) == (1, 3)
    assert (document["progress"]["records_done"], document["progress"]["records_total"]) == (3, 7)


def test_a_run_of_3000_shards_costs_twelve_calls(account: Recorder, session: AwsSession, script: ScriptedRun) -> None:
    script.steps = [step("Transform", "Executing", start=900)]
    put(session, "manifest/manifest.json", manifest(3000, 32))
    names = [f"{RUN}/output/r0/part-{number:05d}.jsonl.out" for number in range(3000)]
    script.objects = lambda _: names
    account.calls.clear()
    document, _ = run_status(session, find_run_of(session), BEGAN)
    assert document["progress"]["shards_done"] == 3000
    assert len(account.calls) == 12
    assert Counter(account.operations())["s3:ListObjectsV2"] == 3


def test_without_an_id_the_last_run_is_shown(account: Recorder, session: AwsSession, script: ScriptedRun) -> None:
    put(session, "report/report.json", REPORT)
    script.status, script.steps = "Succeeded", [step("BuildShards", "Succeeded", end=60)]
    ended = run("status", "--json")
    assert ended.exit_code == 0
    assert json.loads(ended.stdout)["run_id"] == RUN_ID
    assert json.loads(ended.stdout)["outcome"] == "COMPLETE"


@pytest.mark.parametrize(
    ("status", "published", "exit_code"),
    [
        ("Executing", False, 0),
        ("Stopping", False, 0),
        ("Stopped", False, 130),
        ("Failed", False, 75),
        ("Succeeded", True, 0),
        ("CompletedWithFailures", True, 0),
    ],
)
def test_each_status_of_an_execution_has_its_exit_code(
    session: AwsSession, script: ScriptedRun, status: str, published: bool, exit_code: int
) -> None:
    if published:
        put(session, "report/report.json", REPORT)
    script.status, script.steps = status, [step("BuildShards", "Executing")]
    document, found = run_status(session, find_run_of(session), BEGAN)
    assert document["execution"]["status"] == status
    assert found == exit_code


def test_a_held_run_says_so(session: AwsSession, script: ScriptedRun) -> None:
    held = {
        **REPORT,
        "outcome": "HELD",
        "cause": "3 of 8 records failed.",
        "cause_kind": "coverage",
        "published": None,
    }
    put(session, "report/report.json", held)
    script.status = "Failed"
    ended = run("status")
    assert ended.exit_code == 5
    assert "3 of 8 records failed. Nothing was published." in ended.stdout


def test_a_failure_is_explained_down_to_the_request(
    account: Recorder, session: AwsSession, script: ScriptedRun
) -> None:
    script.status = "Failed"
    reason = "ClientError: See job logs for more information"
    script.steps = [
        step("BuildShards", "Failed", end=60, reason="AlgorithmError: See job logs"),
        step("Transform", "Failed", end=60, reason=reason),
    ]
    script.jobs[f"pipelines-{RUN_ID}-BuildShards-abc"] = {
        "ExitMessage": "DataError [no_rows] history: 0 rows. Look at HistoryUri.",
        "FailureReason": "AlgorithmError: See job logs for more information",
    }
    script.jobs[TRANSFORM_JOB] = {"FailureReason": reason}
    data_log = [
        "MaxConcurrentTransforms=4, MaxPayloadInMB=6, BatchStrategy=SINGLE_RECORD",
        f"{BUCKET}/{RUN}/input/r0/part-00001.jsonl: ClientError: 400",
        f"{BUCKET}/{RUN}/input/r0/part-00001.jsonl: ",
        f"{BUCKET}/{RUN}/input/r0/part-00001.jsonl: Message:",
        f"{BUCKET}/{RUN}/input/r0/part-00001.jsonl: no promo column",
    ]
    stream = f"{TRANSFORM_JOB}/i-0a1b-1790000000/data-log"
    script.log["/aws/sagemaker/TransformJobs"] = [
        (stream, f"2026-11-22T04:00:00.000:[sagemaker logs]: {line}") for line in data_log
    ] + [(f"{TRANSFORM_JOB}/i-0a1b-1790000000", "a line of the container")] * 50
    document, exit_code = run_status(session, find_run_of(session), BEGAN)
    assert exit_code == 3
    assert document["failures"] == [
        {
            "step": "BuildShards",
            "job": f"pipelines-{RUN_ID}-BuildShards-abc",
            "reasons": (
                "AlgorithmError: See job logs",
                "AlgorithmError: See job logs for more information",
                "DataError [no_rows] history: 0 rows. Look at HistoryUri.",
            ),
        },
        {
            "step": "Transform",
            "job": TRANSFORM_JOB,
            "reasons": (reason, "part-00001.jsonl: ClientError: 400 no promo column"),
        },
    ]
    assert "  Transform: part-00001.jsonl: ClientError: 400 no promo column" in status_lines(document)
    assert Counter(account.operations())["logs:FilterLogEvents"] <= 5


def test_a_log_that_may_not_be_read_is_no_obstacle(session: AwsSession, script: ScriptedRun) -> None:
    script.status = "Failed"
    script.steps = [step("Transform", "Failed", end=60, reason="ClientError: See job logs")]
    script.fails = lambda operation: "AccessDeniedException" if operation == "FilterLogEvents" else None
    document, _ = run_status(session, find_run_of(session), BEGAN)
    assert "its data-log cannot be read: logs:FilterLogEvents said" in document["failures"][0]["reasons"][1]


@pytest.mark.parametrize("command", ["status", "wait"])
@pytest.mark.parametrize("metadata", [{}, {"TransformJob": {}}])
def test_a_step_that_was_refused_its_job_says_why(
    session: AwsSession, script: ScriptedRun, command: str, metadata: dict[str, Any]
) -> None:
    script.status = "Failed"
    put(session, "report/report.json", {**REPORT, "outcome": "HELD", "cause": "No usable forecast.", "published": None})
    reason = "ClientError: Failed to invoke sagemaker:CreateTransformJob. Error Details: Could not find model."
    refused = {**step("Transform", "Failed", end=60, reason=reason), "Metadata": metadata}
    held = f"{HELD} No usable forecast. Nothing was published."
    script.jobs[f"pipelines-{RUN_ID}-ValidateAndPublish-abc"] = {"ExitMessage": held}
    script.steps = [refused, step("ValidateAndPublish", "Failed", end=90, reason="AlgorithmError: exit code: 5")]
    ended = run(command)
    assert ended.exit_code == 5
    assert [line for line in ended.stdout.splitlines() if reason in line] == [f"  Transform: {reason}"]
    assert ended.stdout.count("No usable forecast.") == 1
    assert "AlgorithmError" not in ended.stdout


def test_a_reason_that_is_the_cause_is_said_once(session: AwsSession, script: ScriptedRun) -> None:
    script.status, script.steps = (
        "Failed",
        [step("BuildShards", "Failed", end=60, reason="AlgorithmError: See job logs")],
    )
    cause = "DataError [no_rows] history: 0 rows. Look at HistoryUri."
    script.jobs[f"pipelines-{RUN_ID}-BuildShards-abc"] = {"ExitMessage": cause}
    for command in ("status", "wait"):
        said = run(command).stdout
        assert said.count(cause) == 1
        assert "  BuildShards: AlgorithmError: See job logs\n" in said


def test_a_condition_is_no_line_of_the_status(session: AwsSession, script: ScriptedRun) -> None:
    condition = {"StepName": "Outcome", "StepStatus": "Succeeded", "Metadata": {"Condition": {"Outcome": "False"}}}
    script.steps = [step("BuildShards", "Succeeded", end=60), condition]
    said = run("status").stdout.partition("\nNext:")[0]
    assert said.splitlines()[1:] == ["  Model: demand-model", "  BuildShards: succeeded in 1 min"]


class Clock:
    """Time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


LOST = {**REPORT, "outcome": "HELD", "cause": "3 of 8 records failed.", "cause_kind": "coverage", "published": None}
ODD = {**LOST, "cause": "the forecasts differ from the last run's.", "cause_kind": "forecasts"}
BUILT, SENT = step("BuildShards", "Succeeded", end=60), step("Transform", "Failed", start=60, end=90)


@pytest.mark.parametrize(
    ("status", "steps", "report", "typed"),
    [
        ("Executing", [BUILT], None, f"wait {RUN_ID}"),
        ("Failed", [step("BuildShards", "Failed", end=60)], None, f"logs {RUN_ID}"),
        ("Failed", [BUILT, SENT], None, f"rerun {RUN_ID}"),
        ("Stopped", [BUILT, step("Transform", "Stopped", start=60, end=90)], None, f"rerun {RUN_ID}"),
        ("Failed", [BUILT, SENT], LOST, f"rerun {RUN_ID}"),
        ("Failed", [BUILT, SENT], {**LOST, "cause_kind": "model"}, f"logs {RUN_ID} --step Transform"),
        ("Failed", [BUILT], ODD, f"approve {RUN_ID} --reason …"),
        ("Failed", [BUILT], {**ODD, "rejected": {"by": "ana", "at": "", "reason": "cents"}}, None),
        ("Succeeded", [BUILT], {**REPORT, "pointer_moved": False}, f"rollback --to {RUN_ID}"),
        ("Succeeded", [BUILT], REPORT, None),
    ],
    ids=["goes on", "not built", "undecided", "stopped", "lost", "model", "odd", "rejected", "unseen", "complete"],
)
def test_a_run_that_is_not_done_names_the_one_command_to_type_next(
    session: AwsSession,
    script: ScriptedRun,
    status: str,
    steps: list[dict[str, Any]],
    report: dict[str, Any] | None,
    typed: str | None,
) -> None:
    script.status, script.steps = status, steps
    if report:
        put(session, "report/report.json", report)
    said = run("status").stdout.partition("\nNext:\n")[2]
    assert said.splitlines() == ([f"  {typed_command()} {typed}"] if typed else [])
    assert json.loads(run("status", "--json").stdout)["next"] == typed


def test_status_before_the_first_run_says_how_to_begin(session: AwsSession, account: Recorder) -> None:
    ended = run("status")
    assert isinstance(ended.exception, ConfigError)
    assert "has not run here yet. `local` runs it on this machine" in str(ended.exception)


# --- wait: ten hours, through what goes wrong in ten hours


def test_ten_hours_cost_fewer_than_1500_calls(account: Recorder, session: AwsSession, script: ScriptedRun) -> None:
    clock, hours = Clock(), 10 * 3600.0
    shards = [f"{RUN}/output/r0/part-{number:05d}.jsonl.out" for number in range(3000)]
    script.status = lambda: "Succeeded" if clock.now > hours else "Executing"
    script.steps = lambda: [step("Transform", "Executing", start=600)]
    script.objects = lambda _: shards[: int(3000 * clock.now / hours)]
    put(session, "manifest/manifest.json", manifest(3000, 32))
    counts, seen = ShardCounts(session, f"s3://{BUCKET}/batchcast/runs", clock), []

    def on_view(view: Any) -> None:
        progress = counts(view.run_id, view.steps[0])
        assert progress is not None
        seen.append(progress.files_done)

    account.calls.clear()
    follow(session, ARN, on_view=on_view, pace=AWS_PACE, clock=clock, sleep=clock.sleep)
    assert clock.now > hours
    assert len(account.calls) < 1500
    assert seen == sorted(seen)
    assert seen[-1] > 2900
    assert len(set(seen)) > 60


@pytest.mark.parametrize("code", ["ThrottlingException", "ExpiredTokenException", "ServiceUnavailable"])
def test_trouble_is_waited_out(session: AwsSession, script: ScriptedRun, code: str) -> None:
    clock, said = Clock(), list[str]()
    script.steps = [step("BuildShards", "Executing")]
    script.status = lambda: "Succeeded" if clock.now > 4000 else "Executing"
    script.fails = lambda _: code if 1000 < clock.now < 1800 else None
    last = follow(
        session, ARN, on_view=lambda _: None, pace=AWS_PACE, report=said.append, clock=clock, sleep=clock.sleep
    )
    assert last.status == "Succeeded"
    assert len(said) == 1
    assert "The run goes on; this command keeps trying." in said[0]


def test_trouble_without_end_is_an_error_of_the_service(session: AwsSession, script: ScriptedRun) -> None:
    clock, pace = Clock(), Pace(first=60, later=60, patience=300)
    script.fails = lambda _: "ExpiredTokenException"
    with pytest.raises(ServiceError, match="Renew the credentials"):
        follow(session, ARN, on_view=lambda _: None, pace=pace, clock=clock, sleep=clock.sleep)
    assert 300 < clock.now < 400


def test_renewed_credentials_are_taken_up(
    session: AwsSession, script: ScriptedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.status = "Succeeded"
    script.fails = lambda _: None if script.access_keys[-1] == "renewed" else "ExpiredTokenException"
    with pytest.raises(ServiceError):
        session.client("sagemaker").list_pipelines()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "renewed")
    clock = Clock()
    follow(session, ARN, on_view=lambda _: None, pace=AWS_PACE, clock=clock, sleep=clock.sleep)
    assert script.access_keys[2:] == ["renewed", "renewed"]


def test_a_refusal_is_not_waited_out(session: AwsSession, script: ScriptedRun) -> None:
    script.fails = lambda _: "AccessDeniedException"
    clock = Clock()
    with pytest.raises(ConfigError, match="Allow sagemaker:DescribePipelineExecution"):
        follow(session, ARN, on_view=lambda _: None, pace=AWS_PACE, clock=clock, sleep=clock.sleep)
    assert clock.now == 0


def test_the_command_attaches_to_the_last_run_and_ends_as_it_does(session: AwsSession, script: ScriptedRun) -> None:
    put(session, "report/report.json", REPORT)
    script.status, script.steps = "CompletedWithFailures", [step("BuildShards", "Succeeded", end=60)]
    ended = run("wait", "--json")
    assert ended.exit_code == 0
    assert json.loads(ended.stdout)["published"] == REPORT["published"]


def test_who_stops_waiting_leaves_the_run_as_it_is(session: AwsSession, script: ScriptedRun) -> None:
    def interrupted() -> list[dict[str, Any]]:
        raise KeyboardInterrupt

    script.steps = interrupted
    ended = run("wait")
    assert (ended.exit_code, ended.stdout) == (130, "")
    assert ended.stderr == f"Run {RUN_ID} goes on; `wait {RUN_ID}` follows it again.\n"
    assert script.status == "Executing"


# --- logs, stop, list


def test_logs_are_printed_step_by_step_with_their_stream_and_time(script: ScriptedRun) -> None:
    script.steps = [step("BuildShards", "Succeeded", end=60), step("Transform", "Executing", start=60)]
    processing, transform = f"pipelines-{RUN_ID}-BuildShards-abc", TRANSFORM_JOB
    script.log = {
        "/aws/sagemaker/ProcessingJobs": [(f"{processing}/algo-1-179", "reading"), ("other/algo-1", "no")],
        "/aws/sagemaker/TransformJobs": [(f"{transform}/i-1", line) for line in "abcde"],
    }
    ended = run("logs")
    assert ended.stdout.splitlines() == [
        "BuildShards algo-1-179 2026-11-22T03:30:00Z reading",
        *(f"Transform i-1 2026-11-22T03:30:00Z {line}" for line in "abcde"),
    ]
    assert run("logs", "--step", "BuildShards").stdout.count("\n") == 1
    assert "Steps with a job: BuildShards, Transform." in str(run("logs", "--step", "Transfrom").exception)


def test_stop_asks_once_however_often_it_is_typed(account: Recorder, script: ScriptedRun) -> None:
    assert run("stop").stdout == f"Run {RUN_ID} is being stopped.\n"
    run("stop")
    tokens = [request["ClientRequestToken"] for _, name, request in account.calls if name == "StopPipelineExecution"]
    assert len(tokens) == 2
    assert len(set(tokens)) == 1
    assert script.status == "Stopping"


def test_a_run_that_has_ended_is_not_stopped(account: Recorder, script: ScriptedRun) -> None:
    script.status = "Succeeded"
    ended = run("stop")
    assert (ended.exit_code, ended.stdout) == (0, f"Run {RUN_ID} has ended already: Succeeded.\n")
    assert "StopPipelineExecution" not in {operation for _, operation, _ in account.calls}


def test_the_list_shows_the_newest_first_with_its_label(script: ScriptedRun) -> None:
    assert json.loads(run("list", "--json").stdout) == [
        {"run_id": RUN_ID, "status": "Executing", "started": "2026-11-22T03:30:00+00:00", "label": "2026-11-22"}
    ]
    assert RUN_ID in run("list").stdout


def test_an_unknown_run_is_refused_with_the_latest(deployed: AwsSession, script: ScriptedRun) -> None:
    script.fails = lambda operation: "ResourceNotFound" if operation == "DescribePipelineExecution" else None
    ended = run("status", "zzzzzzzzzzzz")
    assert f"The latest are {RUN_ID}" in str(ended.exception)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("ThrottlingException", ServiceError),
        ("AccessDeniedException", ConfigError),
        ("ResourceNotFound", ConfigError),
        ("ExpiredTokenException", ServiceError),
        ("ValidationException", ConfigError),
    ],
)
@pytest.mark.parametrize("command", ["start", "status", "wait", "logs", "stop", "list"])
def test_every_command_tells_every_refusal(
    account: Recorder, script: ScriptedRun, command: str, code: str, kind: type[Exception]
) -> None:
    script.fails = lambda _: code
    ended = run(command)
    assert isinstance(ended.exception, kind)


def find_run_of(session: AwsSession) -> Any:
    """The scripted run as the commands find it."""
    from batchcast.runs.run_record import latest_run

    return latest_run(session, "batchcast")


def test_a_job_that_has_written_nothing_yet_says_so(session: AwsSession, script: ScriptedRun) -> None:
    script.steps = [step("BuildShards", "Executing")]
    ended = run("logs")
    assert (ended.exit_code, ended.stdout) == (0, "")
    assert ended.stderr == "The job of BuildShards has written nothing yet.\n"


def test_a_log_that_may_not_be_read_is_an_error_of_logs(session: AwsSession, script: ScriptedRun) -> None:
    script.steps = [step("BuildShards", "Executing")]
    script.fails = lambda operation: "AccessDeniedException" if operation == "FilterLogEvents" else None
    assert "Allow logs:FilterLogEvents" in str(run("logs").exception)
