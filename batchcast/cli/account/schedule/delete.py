from typing import Any

import click

from batchcast.cli.echo import echo
from batchcast.cli.options import SCHEDULE_OPTIONS
from batchcast.session.session import open_session


@click.command()
@SCHEDULE_OPTIONS
def delete_command(name: str, **where: Any) -> None:
    """Delete the schedule; the pipeline and its runs stay."""
    from batchcast.account.schedule import delete_schedule

    delete_schedule(open_session(**where), name)
    echo(f"Schedule {name} is deleted.")
