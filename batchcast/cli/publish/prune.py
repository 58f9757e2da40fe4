from typing import Any

import click

from batchcast.cli.echo import echo
from batchcast.cli.options import PUBLISH_OPTIONS, open_publish_uri
from batchcast.cli.terminal import working


@click.command()
@click.option("--keep", type=int, required=True, metavar="N", help="How many of the newest runs stay.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@PUBLISH_OPTIONS
def prune_command(keep: int, dry_run: bool, publish_uri: str | None, name: str, **where: Any) -> None:
    """Remove old published runs, never the one readers see.

    Publications whose manifest is damaged go too. In a workspace, so does what its runs left behind that nothing
    refers to any more: jobs, logs, shards and outputs of all but the newest runs.
    """
    from batchcast.local.leftovers import remove_runs

    session, uri = open_publish_uri(publish_uri, name, where)
    with working("Looking for what to remove" if dry_run else "Removing"):
        removed = remove_runs(session, name, uri, keep=keep, dry_run=dry_run)
    for line in removed:
        echo(f"{'Would remove' if dry_run else 'Removed'} {line}")
    if not removed:
        echo("Nothing to remove.")
