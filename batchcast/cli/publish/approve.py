from datetime import UTC, datetime
from typing import Any

import click

from batchcast.cli.echo import echo
from batchcast.cli.options import DECISION_OPTIONS, open_run
from batchcast.cli.terminal import working
from batchcast.steps.outcome.approval import Approval


@click.command("approve")
@DECISION_OPTIONS
@click.option("--as-reference", is_flag=True, help="Compare the next runs with this one, as after a new model.")
def approve_command(run_id: str, reason: str, name: str, as_reference: bool, **where: Any) -> None:
    """Publish a run that is held for how its forecasts look.

    The forecasts of run RUN_ID are published as they are: nothing is transformed again. The checks stay as they are
    for the next run. Who, when and why stand in the published manifest and in the report.
    """
    from batchcast.runs.approve import approve_run, decider
    from batchcast.runs.outcome import pointer_lines
    from batchcast.runs.run_record import contract_of_run

    session, run = open_run(name, run_id, where)
    now = datetime.now(UTC)
    at = now.isoformat(timespec="seconds")
    approval = Approval(by=decider(session), at=at, reason=reason, as_reference=as_reference)
    with working("Publishing"):
        report = approve_run(run, contract_of_run(session, run)[1], approval, now)
    echo(f"Run {run_id} is published at {report['published']}; {report['pointer_note']}.")
    for line in pointer_lines({**report, "visible": report["pointer_moved"], "pointer": report["pointer_note"]}):
        echo(line)
