"""`schedule`: what is asked of EventBridge Scheduler, and what it says of it."""

from __future__ import annotations

import pytest
from botocore import handlers
from click.testing import CliRunner, Result
from golden import matches_golden
from scripted_run import ScriptedRun
from strict import Recorder
from team import ACCOUNT, REGION

from batchcast.account.deploy import Package, apply, plan_deployment
from batchcast.account.deploy_settings import DeploySettings
from batchcast.cli.main import root
from batchcast.session.session import AwsSession
from batchcast.steps.errors import ConfigError, ServiceError

ROLE = f"arn:aws:iam::{ACCOUNT}:role/forecast-scheduler"
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:forecast-starts"
CREATE = ("create", "--cron", "cron(30 3 ? * SUN *)", "--timezone", "Europe/Berlin", "--scheduler-role", ROLE)
CREATE = (*CREATE, "--dead-letter-queue", QUEUE)


def schedule(*arguments: str) -> Result:
    """The command line in this process."""
    return CliRunner().invoke(root, ["schedule", *arguments, "--region", REGION])


@pytest.fixture
def deployed(session: AwsSession, settings: DeploySettings, packed: Package) -> AwsSession:
    """The account with the pipeline."""
    apply(session, plan_deployment(session, settings, packed))
    return session


def written(account: Recorder) -> list[tuple[str, dict[str, object]]]:
    """What was asked of the scheduler that changes something."""
    return [
        (operation, request)
        for service, operation, request in account.calls
        if service == "scheduler" and operation != "GetSchedule"
    ]


def test_create_makes_the_reviewed_request(account: Recorder, deployed: AwsSession) -> None:
    done = schedule(*CREATE, "-p", "ForecastHorizon=14")
    assert done.exit_code == 0, done.exception
    ((operation, request),) = written(account)
    assert operation == "CreateSchedule"
    assert matches_golden("create_schedule", request)
    lines = done.stdout.splitlines()
    assert lines[0] == "Schedule batchcast: created."
    assert all(line.startswith("Sun ") and "03:30 Europe/Berlin" in line and line.endswith("UTC") for line in lines[1:])
    assert len(lines) == 4


def test_creating_it_again_does_nothing_and_changing_it_says_what(account: Recorder, deployed: AwsSession) -> None:
    schedule(*CREATE)
    assert schedule(*CREATE).stdout.startswith("Schedule batchcast: is as it should be; nothing changed.\n")
    assert len(written(account)) == 1
    changed = schedule(*CREATE, "-p", "ForecastHorizon=7").stdout
    assert "Schedule batchcast: changed." in changed
    assert '"Value": "7"' in changed
    assert written(account)[-1][0] == "UpdateSchedule"


def test_pause_and_resume_change_the_state_and_nothing_else(account: Recorder, deployed: AwsSession) -> None:
    schedule(*CREATE)
    before = deployed.client("scheduler").get_schedule(Name="batchcast")
    assert schedule("pause").stdout == "Schedule batchcast is paused.\n"
    paused = deployed.client("scheduler").get_schedule(Name="batchcast")
    assert paused["State"] == "DISABLED"
    assert schedule(*CREATE).stdout.startswith("Schedule batchcast: is as it should be")
    assert deployed.client("scheduler").get_schedule(Name="batchcast")["State"] == "DISABLED"
    assert "disabled" in schedule("show").stdout
    assert schedule("resume").stdout == "Schedule batchcast is resumed.\n"
    after = deployed.client("scheduler").get_schedule(Name="batchcast")
    same = ("State", "Target", "ScheduleExpression", "ScheduleExpressionTimezone", "FlexibleTimeWindow", "Description")
    assert {key: before[key] for key in same} == {key: after[key] for key in same}


def test_show_says_when_and_with_what_it_runs(deployed: AwsSession) -> None:
    schedule(*CREATE, "-p", "ForecastHorizon=14")
    shown = schedule("show").stdout
    assert "cron(30 3 ? * SUN *) in Europe/Berlin, enabled" in shown
    assert "    ForecastHorizon=14\n    RunLabel=<aws.scheduler.scheduled-time>\n" in shown
    assert QUEUE in shown


def test_preview_needs_no_account_for_an_expression(account: Recorder) -> None:
    done = schedule("preview", "--cron", "cron(30 2 ? * SUN 2027)", "--timezone", "Europe/Berlin", "--count", "60")
    assert account.calls == []
    assert len(done.stdout.splitlines()) == 52
    assert "Sun 2027-03-28 02:30 Europe/Berlin   not run            skipped: the clocks go forward" in done.stdout
    assert "Sun 2027-10-31 02:30 Europe/Berlin   2027-10-31 00:30 UTC   the clocks go back" in done.stdout
    assert "never runs" in schedule("preview", "--cron", "cron(0 0 1 1 ? 1999)").stdout


def test_a_time_that_will_be_skipped_is_told_however_far_away(deployed: AwsSession) -> None:
    often = ("create", "--cron", "cron(30 2 ? * SUN *)", *CREATE[3:])
    for told in (schedule(*often), schedule("show"), schedule("preview", "--count", "1")):
        assert told.stdout.splitlines()[-2] == "…"
        assert "the clocks go" in told.stdout.splitlines()[-1]


def test_preview_shows_ten_times_of_the_schedule(deployed: AwsSession) -> None:
    schedule(*CREATE)
    assert len(schedule("preview").stdout.splitlines()) == 10


def test_delete_removes_it(account: Recorder, deployed: AwsSession) -> None:
    schedule(*CREATE)
    assert schedule("delete").stdout == "Schedule batchcast is deleted.\n"
    assert "there is no schedule 'batchcast' in eu-central-1" in str(schedule("delete").exception)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--cron", "cron(30 3 * * SUN *)"), "both say which day"),
        (("--timezone", "Europe/Berln"), "Did you mean Europe/Berlin"),
        (("-p", "RunLabel=x"), "is the scheduled time of each run"),
        (("-p", "ForecastHorizon=0"), "outside 1 to 1000"),
        (("--pipeline", "weekly"), "there is no pipeline 'weekly'"),
    ],
)
def test_nothing_is_written_when_something_is_wrong(
    account: Recorder, deployed: AwsSession, arguments: tuple[str, str], said: str
) -> None:
    ended = schedule(*CREATE, *arguments)
    assert isinstance(ended.exception, ConfigError)
    assert said in str(ended.exception)
    assert written(account) == []


@pytest.mark.parametrize("command", [("show",), ("pause",), ("resume",), ("delete",), ("preview",)])
def test_a_schedule_that_is_not_there_is_named(account: Recorder, command: tuple[str, ...]) -> None:
    assert "there is no schedule 'batchcast'" in str(schedule(*command).exception)


def test_a_workspace_has_no_scheduler(tmp_path: object) -> None:
    ended = CliRunner().invoke(root, ["schedule", "show", "--workspace", str(tmp_path)])
    assert "a workspace has no scheduler" in str(ended.exception)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("ThrottlingException", ServiceError),
        ("AccessDeniedException", ConfigError),
        ("ExpiredTokenException", ServiceError),
        ("ValidationException", ConfigError),
        ("ConflictException", ServiceError),
        ("ServiceQuotaExceededException", ServiceError),
    ],
)
@pytest.mark.parametrize("command", [CREATE, ("show",), ("pause",), ("resume",), ("delete",)], ids=lambda one: one[0])
def test_every_command_tells_every_refusal(
    deployed: AwsSession,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
    code: str,
    kind: type[Exception],
) -> None:
    script = ScriptedRun(fails=lambda name: code if "Schedule" in name else None)
    monkeypatch.setattr(handlers, "BUILTIN_HANDLERS", [*handlers.BUILTIN_HANDLERS, *script.handlers()])
    assert isinstance(schedule(*command).exception, kind)
