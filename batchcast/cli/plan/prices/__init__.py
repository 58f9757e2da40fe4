"""`prices`: the price table, shown or brought up to date."""

import click

from batchcast.cli.plan.prices.refresh import refresh_command
from batchcast.cli.plan.prices.show import prices_show_command


@click.group(commands=[prices_show_command, refresh_command])
def prices_command() -> None:
    """The price table: show it, or bring it up to date."""
