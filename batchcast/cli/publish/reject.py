from datetime import UTC, datetime
from typing import Any

import click

from batchcast.cli.echo import echo
from batchcast.cli.options import DECISION_OPTIONS, open_run


@click.command("reject")
@DECISION_OPTIONS
def reject_command(run_id: str, reason: str, name: str, **where: Any) -> None:
    """Close a run that is held for how its forecasts look: nobody can approve it any more."""
    from batchcast.runs.approve import decider, reject_run

    session, run = open_run(name, run_id, where)
    reject_run(run, by=decider(session), at=datetime.now(UTC).isoformat(timespec="seconds"), reason=reason)
    echo(f"Run {run_id} is rejected; nothing of it is published.")
