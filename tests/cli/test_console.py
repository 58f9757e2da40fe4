"""What a person sees of a run that goes on: in a terminal of any width, and in a log."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.table import Table
from rich.text import Text

from batchcast.cli import terminal as consoles
from batchcast.cli.console import RunDisplay
from batchcast.cli.echo import echo
from batchcast.cli.main import root
from batchcast.cli.model.async_.status import print_status
from batchcast.cli.model.check_container import print_container_report
from batchcast.cli.terminal import cell, stderr_console, stdout_console, working
from batchcast.container_check.report import CheckFinding, ContainerReport
from batchcast.engine.transform.context import TransformProgress
from batchcast.pipelines.definition import DEFINITION_FILE
from batchcast.runs.follow import ExecutionView, StepView
from batchcast.serving.endpoint.status import AsyncStatus
from batchcast.steps.errors import Problem

COUNTS = TransformProgress(files_done=1_200, files_total=3_000, records_done=40_000, records_total=100_000)


def transform(status: str, *, hours: float, ended: bool = False) -> ExecutionView:
    """A run whose transform began so many hours ago."""
    step = StepView(
        name="Transform",
        status=status,
        started=datetime.now(UTC) - timedelta(hours=hours),
        seconds=hours * 3600 if ended else None,
        failure_reason="",
        job="arn:aws:sagemaker:eu-central-1:123456789012:transform-job/t",
    )
    return ExecutionView(arn="run", status="Executing", failure_reason="", steps=(step,))


def shown(view: ExecutionView, capfd: pytest.CaptureFixture[str]) -> str:
    """What it looks like on stderr, without colours."""
    with RunDisplay(lambda _, __: COUNTS) as display:
        display.show(view)
    return capfd.readouterr().err


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """stderr is a terminal; its width is set by the test."""
    for name, value in {"TTY_COMPATIBLE": "1", "TTY_INTERACTIVE": "1", "NO_COLOR": "1", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.mark.parametrize(("width", "bar"), [(60, False), (80, False), (120, True)])
def test_no_terminal_is_too_narrow_for_the_words(
    terminal: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], width: int, bar: bool
) -> None:
    terminal.setenv("COLUMNS", str(width))
    seen = shown(transform("Executing", hours=2), capfd)
    for words in ("40,000/100,000", "1,200/3,000", "5.6/s", "3 h 0 min"):
        assert words in seen
    assert "…" not in seen
    assert ("━" in seen) == bar


def test_a_run_that_was_followed_late_has_its_own_time(
    terminal: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert "2:00:00 " in shown(transform("Succeeded", hours=2, ended=True), capfd)


@pytest.mark.parametrize(("status", "mark"), [("Succeeded", "✓"), ("Failed", "✗"), ("Stopped", "✗")])
def test_a_step_that_has_ended_says_how(
    terminal: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], status: str, mark: str
) -> None:
    assert f"{mark} Transform" in shown(transform(status, hours=2, ended=True), capfd)


def test_a_log_has_a_line_a_change(capfd: pytest.CaptureFixture[str]) -> None:
    assert shown(transform("Executing", hours=2), capfd) == (
        "Transform executing: 40,000/100,000 records, 1,200/3,000 shards, 5.6/s, about 3 h 0 min left\n"
    )
    failed = shown(transform("Failed", hours=2, ended=True), capfd)
    assert failed == "Transform failed in 7200.0 s: 40,000/100,000 records, 1,200/3,000 shards, 5.6/s\n"


def test_what_a_service_says_is_no_markup_and_stays_on_its_line(capfd: pytest.CaptureFixture[str]) -> None:
    error = f"ServiceError [throttled] {'slow ' * 40}[/]"
    with RunDisplay(lambda _, __: None) as display:
        display.message(error)
    assert capfd.readouterr().err == f"{error}\n"


ESCAPE = "\x1b[2J\u202e"


def no_escape(printed: str) -> bool:
    """What acts on the terminal is written out, and shown."""
    return "\x1b[2J" not in printed and "\u202e" not in printed and "\\x1b[2J" in printed


def test_no_text_on_the_console_acts_on_the_terminal(terminal: pytest.MonkeyPatch, capsys: Any) -> None:
    table = Table("Item")
    table.add_row(cell(f"shop{ESCAPE}"))
    for printed in (f"shop{ESCAPE}", Text(f"shop{ESCAPE}"), table):
        stdout_console().print(printed)
        assert no_escape(capsys.readouterr().out)
    echo(f"shop{ESCAPE}", fg="red")
    assert no_escape(capsys.readouterr().out)
    with stderr_console().status(f"shop{ESCAPE}") as status:
        status.update(f"next{ESCAPE}")
    assert ESCAPE not in capsys.readouterr().err


def test_reports_of_what_a_model_or_a_service_said_do_not_act_on_the_terminal(capsys: Any, tmp_path: Path) -> None:
    finding = CheckFinding(check="single_record", verdict="breaks", what=f"said {ESCAPE}", remedy=f"see {ESCAPE}")
    print_container_report(ContainerReport(findings=(finding,), levels=()), f"image{ESCAPE}", f"of{ESCAPE}")
    assert no_escape(capsys.readouterr().out)
    problem = Problem("scaling", f"alarm {ESCAPE}.")
    status = AsyncStatus(
        endpoint=f"e{ESCAPE}",
        status="InService",
        instances=1,
        desired_instances=1,
        backlog=None,
        oldest_age_seconds=None,
        expired_last_day=None,
        problems=(problem,),
        changes=(),
    )
    print_status(status, 1.0, None)
    assert no_escape(capsys.readouterr().out)
    definition = json.loads(DEFINITION_FILE.read_text())
    definition["Steps"][1] |= {"Name": f"Transform{ESCAPE}", "Type": ESCAPE}
    (tmp_path / "pipeline.json").write_text(json.dumps(definition))
    assert no_escape(CliRunner().invoke(root, ["lint", str(tmp_path / "pipeline.json")]).output)


def test_what_takes_long_says_so_with_its_rate_and_the_time_left(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(consoles, "_SILENT_SECONDS", 0.05)
    monkeypatch.setattr(consoles, "PLAIN_EVERY_SECONDS", 0.05)
    with working("Asking the [model]", 8) as done:
        done()
        done()
        time.sleep(0.3)
    said = capfd.readouterr().err
    assert re.search(r"^Asking the \[model\]: 2 of 8, [\d.]+ a second, \d+ s left$", said, flags=re.MULTILINE)


def test_what_goes_on_is_asked_again_each_time(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(consoles, "_SILENT_SECONDS", 0.05)
    monkeypatch.setattr(consoles, "PLAIN_EVERY_SECONDS", 0.05)
    checks = ["ping"]
    with working(lambda: f"Check {checks[-1]}"):
        time.sleep(0.3)
        checks.append("large bodies")
        time.sleep(0.3)
    said = capfd.readouterr().err
    assert said.index("Check ping: 0 s\n") < said.index("Check large bodies: 0 s\n")


def test_on_a_terminal_it_is_said_in_place(terminal: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    terminal.setattr(consoles, "_SILENT_SECONDS", 0.01)
    with working("Reading [history]"):
        time.sleep(0.6)
    said = capfd.readouterr().err
    assert "Reading [history]: 0 s" in said


def test_what_is_soon_done_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with working("Reading"):
        pass
    assert capfd.readouterr().err == ""
