"""`approve` and `reject`: what becomes of a run that is held because its forecasts look wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from batchcast.cli.echo import echo
from batchcast.pipelines.settings import BuildSettings
from batchcast.session.session import Session, session_options

if TYPE_CHECKING:
    from batchcast.runs.run_record import PastRun

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _decision_options(command: _Command) -> _Command:
    for option in (
        session_options,
        click.option("--name", default=BuildSettings().pipeline_name, show_default=True, help="Name of the pipeline."),
        click.option("--reason", required=True, help="Why; it is kept with the run."),
        click.argument("run_id"),
    ):
        command = option(command)
    return command


@click.command()
@_decision_options
@click.option(
    "--as-reference",
    is_flag=True,
    help="Compare the next runs with this one, as after a new model; else with the last.",
)
def approve(run_id: str, reason: str, name: str, as_reference: bool, **where: Any) -> None:
    """Publish a run that is held for how its forecasts look.

    The forecasts of run RUN_ID are published as they are: nothing is transformed again. The checks stay as they are
    for the next run. Who, when and why stand in the published manifest and in the report.
    """
    from datetime import UTC, datetime

    from batchcast.runs.approve import approve_run
    from batchcast.runs.outcome import pointer_lines
    from batchcast.runs.run_record import contract_of_run
    from batchcast.steps.outcome.approval import Approval

    session, run = _open(run_id, name, where)
    now = datetime.now(UTC)
    approval = Approval(by=_user(session), at=_moment(now), reason=reason, as_reference=as_reference)
    report = approve_run(run, contract_of_run(session, run)[1], approval, now)
    echo(f"Run {run_id} is published at {report['published']}; {report['pointer_note']}.")
    for line in pointer_lines({**report, "visible": report["pointer_moved"], "pointer": report["pointer_note"]}):
        echo(line)


@click.command()
@_decision_options
def reject(run_id: str, reason: str, name: str, **where: Any) -> None:
    """Close a run that is held for how its forecasts look: nobody can approve it any more."""
    from datetime import UTC, datetime

    from batchcast.runs.approve import reject_run

    session, run = _open(run_id, name, where)
    reject_run(run, by=_user(session), at=_moment(datetime.now(UTC)), reason=reason)
    echo(f"Run {run_id} is rejected; nothing of it is published.")


def _open(run_id: str, name: str, where: dict[str, Any]) -> tuple[Session, PastRun]:
    from batchcast.runs.run_record import find_run
    from batchcast.session.session import open_session

    session = open_session(**where)
    return session, find_run(session, name, run_id)


def _user(session: Session) -> str:
    """Who decides: the caller's ARN on AWS, the account of this machine in a workspace."""
    import getpass

    from batchcast.session.session import WorkspaceSession

    if isinstance(session, WorkspaceSession):
        return getpass.getuser()
    return str(session.client("sts").get_caller_identity()["Arn"])


def _moment(now: Any) -> str:
    return str(now.replace(microsecond=0).isoformat())
