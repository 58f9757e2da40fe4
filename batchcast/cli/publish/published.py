from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from batchcast.cli.echo import echo, echo_json
from batchcast.cli.options import JSON_OPTION, PUBLISH_OPTIONS, open_publish_uri
from batchcast.cli.terminal import cell, plain_table, stdout_console, working
from batchcast.steps.errors import ConfigError, Problem

if TYPE_CHECKING:
    from batchcast.runs.published import PublishedRun


@click.command()
@click.option("--sql", "dialect", type=click.Choice(["athena", "duckdb"]), help="Print the view of what readers see.")
@PUBLISH_OPTIONS
@JSON_OPTION
def published_command(publish_uri: str | None, name: str, as_json: bool, dialect: str | None, **where: Any) -> None:
    """List the published runs, or print the SQL that reads them."""
    from batchcast.runs.published import list_publications

    session, uri = open_publish_uri(publish_uri, name, where)
    if dialect:
        from batchcast.runs.sql_views import view_sql

        if as_json:
            raise ConfigError(Problem("option", "--sql prints SQL.", "--json", "Leave one of the two out."))
        echo(view_sql(session.store, uri, dialect))
        return
    with working("Reading what is published"):
        runs, damaged = list_publications(uri, session.store)
    if as_json:
        rows = [{**asdict(run), "outcome": "DAMAGED"} for run in damaged]
        echo_json([*(asdict(run) for run in runs), *rows])
        return
    if runs:
        _print(runs)
    elif not damaged:
        echo(f"Nothing is published at {uri}.")
    for run in damaged:
        remedy = "`rollback` lets readers see another run" if run.current else "`prune` removes it"
        echo(f"Run {run.run_id} of {run.run_date} {run.what} {remedy}.", err=True)


def _print(runs: Sequence[PublishedRun]) -> None:
    table = plain_table("Run", "Run date", "Outcome", "Items", "Rows", "Flagged", "", numbers=range(3, 6))
    for run in runs:
        notes = ["readers see this"] * run.current + [f"approved: {run.approved}"] * bool(run.approved)
        numbers = (f"{number:,}" for number in (run.items, run.rows, run.flagged_items))
        table.add_row(run.run_id, str(run.run_date), run.outcome, *numbers, cell(", ".join(notes)))
    stdout_console().print(table)
