"""`doctor`: what of this machine would stop a user."""

from pathlib import Path

import click

from batchcast.cli.echo import end_with_findings
from batchcast.cli.options import FOLDER, JSON_OPTION
from batchcast.cli.terminal import working


@click.command()
@click.option("--aws", "call_aws", is_flag=True, help="Try the credentials by one call to AWS.")
@click.option("--workspace", type=FOLDER, help="Where runs would be kept; else this folder.")
@JSON_OPTION
def doctor_command(call_aws: bool, workspace: Path | None, as_json: bool) -> None:
    """Look for what of this machine would stop a run, with the remedy.

    Ends with 2 when something would. Nothing is changed, and without --aws nothing is called.
    """
    from batchcast.local.doctor import examine

    with working("Looking at this machine"):
        found = list(examine(folder=workspace, call_aws=call_aws))
    end_with_findings(found, as_json=as_json)
