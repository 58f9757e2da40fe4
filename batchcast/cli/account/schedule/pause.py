from typing import Any

import click

from batchcast.cli.echo import echo
from batchcast.cli.options import SCHEDULE_OPTIONS
from batchcast.session.session import open_session


@click.command()
@SCHEDULE_OPTIONS
def pause_command(name: str, **where: Any) -> None:
    """Start nothing until it is resumed; a run that has started goes on."""
    from batchcast.account.schedule import set_state

    set_state(open_session(**where), name, enabled=False)
    echo(f"Schedule {name} is paused.")
