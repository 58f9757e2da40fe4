from typing import Any

import click

from batchcast.cli.echo import echo
from batchcast.cli.options import SCHEDULE_OPTION
from batchcast.session.session import open_session, session_options


@click.command()
@SCHEDULE_OPTION
@session_options
def pause_command(name: str, **where: Any) -> None:
    """Start nothing until it is resumed; a run that has started goes on."""
    from batchcast.account.schedule import set_state

    set_state(open_session(**where), name, enabled=False)
    echo(f"Schedule {name} is paused.")
