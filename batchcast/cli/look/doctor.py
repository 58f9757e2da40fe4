"""`doctor`: what of this machine would stop a user."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from batchcast.cli.echo import echo
from batchcast.steps.errors import ConfigError

_STYLE = {"ok": "green", "warning": "yellow", "error": "bold red"}


@click.command()
@click.option("--aws", "call_aws", is_flag=True, help="Try the credentials by one call to AWS.")
@click.option(
    "--workspace", type=click.Path(path_type=Path, file_okay=False), help="Where runs would be kept; else this folder."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout instead of the table.")
def doctor_command(call_aws: bool, workspace: Path | None, as_json: bool) -> None:
    """Look for what of this machine would stop a run, with the remedy.

    Ends with 2 when something would. Nothing is changed, and without --aws nothing is called.
    """
    from batchcast.local.doctor import examine

    lines = list(examine(folder=workspace, call_aws=call_aws))
    if as_json:
        echo(json.dumps([asdict(line) for line in lines], indent=1))
    else:
        for line in lines:
            echo(f"{line.grade:8}", fg=_STYLE[line.grade].split()[-1], nl=False)
            echo(f"{line.name:14} {line.found}")
            if line.remedy:
                echo(f"{'':23}{line.remedy}")
    sys.exit(ConfigError.exit_code if any(line.grade == "error" for line in lines) else 0)
