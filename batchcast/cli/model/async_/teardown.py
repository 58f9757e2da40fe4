"""`async teardown`: remove the endpoint and all that belongs to it."""

from datetime import UTC, datetime
from typing import Any

import click

from batchcast.cli.echo import echo
from batchcast.cli.options import ACCOUNT_ALONE_OPTIONS, ENDPOINT_OPTION
from batchcast.serving.endpoint.endpoint import teardown_async
from batchcast.serving.endpoint.status import async_status
from batchcast.session.session import open_session
from batchcast.steps.errors import ConfigError, Problem


@click.command()
@ENDPOINT_OPTION
@ACCOUNT_ALONE_OPTIONS
@click.option("--discard-queue", is_flag=True, help="Even when requests wait or are being served.")
def teardown_command(endpoint: str, discard_queue: bool, **where: Any) -> None:
    """Remove the endpoint, its configurations, its scaling and its alarm, and see that they are gone.

    Objects on S3 stay.
    """
    session = open_session(**where)
    if not discard_queue:
        try:
            backlog = async_status(endpoint, session.client, datetime.now(UTC)).backlog
        except ConfigError:  # it is gone, and perhaps not all that belonged to it
            backlog = None
        if backlog:
            what = f"{backlog:.0f} requests wait or are being served, and would be lost."
            raise ConfigError(Problem("queue_not_empty", what, endpoint, "Wait, or give --discard-queue."))
    removed = teardown_async(endpoint, session.client)
    echo("\n".join([*(f"Removed {each}" for each in removed), f"Looked again: nothing is left of {endpoint}."]))
