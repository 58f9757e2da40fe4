"""`published`, `rollback` and `prune`: look after what was published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from batchcast.cli.echo import echo, echo_json
from batchcast.cli.options import COUNT, JSON_OPTION, NAME_OPTION
from batchcast.cli.terminal import cell, plain_table, stdout_console, working
from batchcast.session.session import Session, WorkspaceSession, open_session, session_options, together
from batchcast.steps.errors import ConfigError, Problem

if TYPE_CHECKING:
    from batchcast.runs.published import PublishedRun

_publish_options = together(
    click.option("--publish-uri", metavar="S3URI", help="Where it publishes; PublishUri of its last run by default."),
    NAME_OPTION,
    session_options,
)


@click.command()
@click.option("--sql", "dialect", type=click.Choice(["athena", "duckdb"]), help="Print the view of what readers see.")
@_publish_options
@JSON_OPTION
def published_command(publish_uri: str | None, name: str, as_json: bool, dialect: str | None, **where: Any) -> None:
    """List the published runs, or print the SQL that reads them."""
    from batchcast.runs.published import list_damaged, list_published

    session, uri = _open(publish_uri, name, where)
    if dialect:
        from batchcast.runs.sql_views import view_sql

        if as_json:
            raise ConfigError(Problem("option", "--sql prints SQL.", "--json", "Leave one of the two out."))
        echo(view_sql(session.store, uri, dialect))
        return
    with working("Reading what is published"):
        runs, damaged = list_published(uri, store=session.store), list_damaged(uri, store=session.store)
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


@click.command()
@_publish_options
@JSON_OPTION
def scorecard_command(publish_uri: str | None, name: str, as_json: bool, **where: Any) -> None:
    """Show how good the published forecasts were, by what is known since.

    Each run scores those before it: WAPE of the model and of the seasonal naive, and bias, by run date, by steps ahead
    and by class of items (A: 80 % of the volume, B: the next 15 %, C: the rest).
    """
    from batchcast.runs.scorecard import read_scorecard

    session, uri = _open(publish_uri, name, where)
    with working("Reading the scores"):
        card = read_scorecard(uri, store=session.store)
    if as_json:
        echo_json(card)
        return
    if not card["runs"]:
        echo(f"Nothing is known yet of what the runs at {uri} forecast.")
        return
    last = card["weeks"][-1]
    better = "better" if last["error"] <= last["naive_error"] else "worse"
    echo(f"By what run date {last['week']} knew, the model was {better} than the seasonal naive.")
    _print_scores(card["runs"], "Run date", "run_date")
    _print_scores(card["leads"], "Steps ahead", "lead")
    _print_scores(card["items"], "Items", "items")


@click.command()
@click.option("--to", metavar="RUN_ID", help="The run to name; the one that was replaced by default.")
@click.option("--code", is_flag=True, help="The pipeline's definition instead, code and contract with it.")
@click.option("--version", type=COUNT, help="For --code: the version; the one before the latest by default.")
@_publish_options
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
    session, uri = _open(publish_uri, name, where)
    with working("Going back"):
        run = go_back(uri, to=to, store=session.store)
    echo(f"Readers see run {run.run_id} of {run.run_date} now: {run.items:,} items, {run.outcome}.")


@click.command()
@click.option("--keep", type=int, required=True, metavar="N", help="How many of the newest runs stay.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@_publish_options
def prune_command(keep: int, dry_run: bool, publish_uri: str | None, name: str, **where: Any) -> None:
    """Remove old published runs, never the one readers see.

    Publications whose manifest is damaged go too. In a workspace, so does what its runs left behind that nothing
    refers to any more: jobs, logs, shards and outputs of all but the newest runs.
    """
    session, uri = _open(publish_uri, name, where)
    with working("Looking for what to remove" if dry_run else "Removing"):
        removed = remove_runs(session, name, uri, keep=keep, dry_run=dry_run)
    for line in removed:
        echo(f"{'Would remove' if dry_run else 'Removed'} {line}")
    if not removed:
        echo("Nothing to remove.")


def remove_runs(session: Session, name: str, publish_uri: str, *, keep: int, dry_run: bool = False) -> list[str]:
    """Remove old published runs and, in a workspace, what its runs left behind, each in words; on AWS the bucket's
    lifecycle rules do that."""
    from batchcast.local.inputs import clear_leftovers
    from batchcast.runs.published import prune

    runs = prune(publish_uri, keep=keep, store=session.store, dry_run=dry_run)
    removed = [f"the published run {run.run_id} of {run.run_date}." for run in runs]
    if isinstance(session, WorkspaceSession):
        left = clear_leftovers(session, name, publish_uri, keep=keep, dry_run=dry_run)
        removed += [f"{each.what}: {each.size / 1e6:,.1f} MB." for each in left]
    return removed


def _open(publish_uri: str | None, name: str, where: Mapping[str, Any]) -> tuple[Session, str]:
    from batchcast.runs.run_record import latest_publish_uri

    session = open_session(**where)
    return session, publish_uri or latest_publish_uri(session, name)


def _print_scores(rows: Sequence[Mapping[str, Any]], head: str, by: str) -> None:
    table = plain_table(head, "WAPE", "Naive", "MASE", "Naive", "Bias", "Values", numbers=range(1, 7))
    for row in rows:
        shares = [row[name] for name in ("wape", "wape_naive", "mase", "mase_naive", "bias_share")]
        words = ["-" if share is None else f"{share:.3f}" for share in shares]
        table.add_row(str(row[by]), *words, f"{row['cells']:,}")
    stdout_console().print("", table)


def _print(runs: Sequence[PublishedRun]) -> None:
    table = plain_table("Run", "Run date", "Outcome", "Items", "Rows", "Flagged", "", numbers=range(3, 6))
    for run in runs:
        notes = ["readers see this"] * run.current + [f"approved: {run.approved}"] * bool(run.approved)
        numbers = (f"{number:,}" for number in (run.items, run.rows, run.flagged_items))
        table.add_row(run.run_id, str(run.run_date), run.outcome, *numbers, cell(", ".join(notes)))
    stdout_console().print(table)
