import click

from batchcast.cli.account.schedule.create import create_command
from batchcast.cli.account.schedule.delete import delete_command
from batchcast.cli.account.schedule.pause import pause_command
from batchcast.cli.account.schedule.preview import preview_command
from batchcast.cli.account.schedule.resume import resume_command
from batchcast.cli.account.schedule.show import schedule_show_command

_COMMANDS = (
    *(create_command, schedule_show_command, preview_command),
    *(pause_command, resume_command, delete_command),
)


@click.group(commands=_COMMANDS)
def schedule_command() -> None:
    """Start the pipeline on a schedule."""
