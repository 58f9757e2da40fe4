"""`approve` and `reject`: what becomes of a run that is held because its forecasts look wrong."""

from datetime import UTC, datetime
from typing import Any

import click

from batchcast.cli.echo import echo
from batchcast.cli.options import NAME_OPTION, open_run
from batchcast.session.session import Session, WorkspaceSession, session_options, together

_decision_options = together(
    click.argument("run_id"),
    click.option("--reason", required=True, help="Why; it is kept with the run."),
    NAME_OPTION,
    session_options,
)


@click.command("approve")
@_decision_options
@click.option("--as-reference", is_flag=True, help="Compare the next runs with this one, as after a new model.")
def approve_command(run_id: str, reason: str, name: str, as_reference: bool, **where: Any) -> None:
    """Publish a run that is held for how its forecasts look.

    The forecasts of run RUN_ID are published as they are: nothing is transformed again. The checks stay as they are
    for the next run. Who, when and why stand in the published manifest and in the report.
    """
    from batchcast.cli.terminal import working
    from batchcast.runs.approve import approve_run
    from batchcast.runs.outcome import pointer_lines
    from batchcast.runs.run_record import contract_of_run
    from batchcast.steps.outcome.approval import Approval

    session, run = open_run(name, run_id, where)
    now = datetime.now(UTC)
    at = now.isoformat(timespec="seconds")
    approval = Approval(by=_user(session), at=at, reason=reason, as_reference=as_reference)
    with working("Publishing"):
        report = approve_run(run, contract_of_run(session, run)[1], approval, now)
    echo(f"Run {run_id} is published at {report['published']}; {report['pointer_note']}.")
    for line in pointer_lines({**report, "visible": report["pointer_moved"], "pointer": report["pointer_note"]}):
        echo(line)


@click.command("reject")
@_decision_options
def reject_command(run_id: str, reason: str, name: str, **where: Any) -> None:
    """Close a run that is held for how its forecasts look: nobody can approve it any more."""
    from batchcast.runs.approve import reject_run

    session, run = open_run(name, run_id, where)
    reject_run(run, by=_user(session), at=datetime.now(UTC).isoformat(timespec="seconds"), reason=reason)
    echo(f"Run {run_id} is rejected; nothing of it is published.")


def _user(session: Session) -> str:
    """Who decides: the caller's ARN on AWS, the account of this machine in a workspace."""
    import getpass

    if isinstance(session, WorkspaceSession):
        return getpass.getuser()
    return str(session.client("sts").get_caller_identity()["Arn"])
