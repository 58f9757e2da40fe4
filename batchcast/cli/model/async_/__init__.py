"""`async`: an endpoint for forecasts between the weekly runs, that scales to zero instances."""

import click

from batchcast.cli.model.async_.collect import collect_command
from batchcast.cli.model.async_.deploy import async_deploy_command
from batchcast.cli.model.async_.status import async_status_command
from batchcast.cli.model.async_.submit import submit_command
from batchcast.cli.model.async_.teardown import teardown_command

_COMMANDS = (async_deploy_command, async_status_command, teardown_command, submit_command, collect_command)


@click.group("async", commands=_COMMANDS)
def async_command() -> None:
    """Ad-hoc and bulk forecasts on an asynchronous endpoint that scales to zero instances."""
