from typing import Any

import click

from batchcast.cli.echo import echo
from batchcast.cli.options import COUNT, PUBLISH_OPTIONS, open_publish_uri
from batchcast.cli.terminal import working
from batchcast.session.session import open_session
from batchcast.steps.errors import ConfigError, Problem


@click.command()
@click.option("--to", metavar="RUN_ID", help="The run to name; the one that was replaced by default.")
@click.option("--code", is_flag=True, help="The pipeline's definition instead, code and contract with it.")
@click.option("--version", type=COUNT, help="For --code: the version; the one before the latest by default.")
@PUBLISH_OPTIONS
def rollback_command(
    to: str | None, code: bool, version: int | None, publish_uri: str | None, name: str, **where: Any
) -> None:
    """Let readers see an earlier published run again, or give the pipeline an earlier definition."""
    from batchcast.account.deploy import restore_version
    from batchcast.runs.published import rollback as go_back

    if code:
        if to or publish_uri:
            what = "--to and --publish-uri are of published runs."
            raise ConfigError(Problem("option", what, "--code", "Leave them."))
        restored, made = restore_version(open_session(**where), name, version)
        now = f", as version {made}" if made else ""
        echo(f"Pipeline {name} is what version {restored} was{now}; what is published stays.")
        return
    if version:
        raise ConfigError(Problem("option", "it is of the pipeline's definition.", "--version", "Give --code too."))
    session, uri = open_publish_uri(publish_uri, name, where)
    with working("Going back"):
        run = go_back(uri, to=to, store=session.store)
    echo(f"Readers see run {run.run_id} of {run.run_date} now: {run.items:,} items, {run.outcome}.")
