from dataclasses import asdict
from typing import Any

import click

from batchcast.cli.echo import echo, echo_json
from batchcast.cli.options import JSON_OPTION, NAME_OPTION
from batchcast.cli.terminal import cell, plain_table, stdout_console
from batchcast.session.session import open_session, session_options


@click.command(name="list")
@NAME_OPTION
@click.option("--limit", type=click.IntRange(1, 1000), default=20, help="How many runs.")
@session_options
@JSON_OPTION
def list_command(name: str, limit: int, as_json: bool, **where: Any) -> None:
    """List the runs, the newest first."""
    from batchcast.runs.start import list_runs

    session = open_session(**where)
    found = list(list_runs(session.client("sagemaker"), name, limit))
    if as_json:
        echo_json([{**asdict(one), "started": one.started.isoformat()} for one in found])
        return
    if not found:
        echo(f"Pipeline {name} has not run here yet.")
        return
    rows = [(one.run_id, one.status, f"{one.started.astimezone():%Y-%m-%d %H:%M}", cell(one.label)) for one in found]
    stdout_console().print(plain_table("Run", "Status", "Started", "Label", rows=rows))
