from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import click

from batchcast.cli.echo import end_with_findings
from batchcast.cli.options import FOLDER, JSON_OPTION


@click.command()
@click.option("--aws", "call_aws", is_flag=True, help="Try the credentials by one call to AWS.")
@click.option("--workspace", type=FOLDER, help="Where runs would be kept; else this folder.")
@JSON_OPTION
def doctor_command(call_aws: bool, workspace: Path | None, as_json: bool) -> None:
    """Look for what of this machine would stop a run, with the remedy.

    Ends with 2 when something would. Nothing is changed, and without --aws nothing is called.
    """
    from batchcast.local.doctor import examine

    with _progress():
        found = list(examine(folder=workspace, call_aws=call_aws))
    end_with_findings(found, as_json=as_json)


def _progress() -> AbstractContextManager[object]:
    """What says that it goes on; nothing where rich is missing, which is among what is looked for."""
    try:
        from batchcast.cli.terminal import working
    except ImportError:
        return nullcontext()
    return working("Looking at this machine")
