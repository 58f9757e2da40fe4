from typing import Any

import click

from batchcast.cli.echo import echo
from batchcast.cli.options import SCHEDULE_OPTIONS
from batchcast.session.session import open_session


@click.command()
@SCHEDULE_OPTIONS
def resume_command(name: str, **where: Any) -> None:
    """Start runs again; those that were missed stay missed."""
    from batchcast.account.schedule import set_state

    set_state(open_session(**where), name, enabled=True)
    echo(f"Schedule {name} is resumed.")
