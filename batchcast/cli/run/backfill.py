from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from batchcast.cli.echo import echo, echo_json
from batchcast.cli.options import JSON_OPTION, NAME_OPTION, PARAMETER_OPTION
from batchcast.cli.terminal import plain_table, stdout_console
from batchcast.pipelines.parameters import parse_overrides
from batchcast.session.session import LOCAL_REGION, Session, open_session, session_options

if TYPE_CHECKING:
    from batchcast.runs.rerun import BackfilledDate

_DATE = click.DateTime(formats=["%Y-%m-%d"])


def _days(_context: click.Context, _parameter: click.Parameter, value: str) -> int:
    """`7d` as a number of days."""
    found = re.fullmatch(r"([1-9]\d{0,3})d", value)
    if not found:
        raise click.BadParameter(f"{value!r} is not a number of days like 7d.")
    return int(found[1])


@click.command()
@click.option("--from", "first", type=_DATE, required=True, metavar="DATE", help="First run date, like 2026-01-04.")
@click.option("--to", "last", type=_DATE, required=True, metavar="DATE", help="Last run date at most.")
@click.option("--every", callback=_days, default="7d", metavar="DAYS", help="From one to the next.")
@PARAMETER_OPTION
@NAME_OPTION
@session_options
@JSON_OPTION
def backfill_command(
    first: datetime, last: datetime, every: int, parameters: tuple[str, ...], name: str, as_json: bool, **where: Any
) -> None:
    """Forecast past dates, one run a date, in order.

    Dates that are published already, for as many days and the same items, are skipped: an interrupted backfill goes
    on where it stopped. Readers keep seeing the latest run date. The exit code is the first that is not 0.
    """
    from batchcast.cli.console import RunDisplay
    from batchcast.runs.rerun import backfill as run_dates
    from batchcast.runs.rerun import backfill_dates
    from batchcast.runs.watch.run_and_wait import run_and_wait

    dates = backfill_dates(first.date(), last.date(), every)
    overrides = parse_overrides(parameters)
    session = open_session(**where)
    values = {**_defaults(session, name), **overrides}
    ended: list[BackfilledDate] = []
    for one in run_dates(session, dates, values, lambda each: run_and_wait(session, name, each, display=RunDisplay)):
        ended.append(one)
        skipped = " (published before)" if one.skipped else ""
        line = f"{len(ended)} of {len(dates)}: {one.run_date} {one.outcome}{skipped}, run {one.run_id}"
        echo(line, err=True)
    if as_json:
        echo_json([asdict(one) for one in ended])
    else:
        _print(ended)
    sys.exit(next((one.exit_code for one in ended if one.exit_code), 0))


def _defaults(session: Session, name: str) -> Mapping[str, str]:
    """The deployed pipeline's. In a workspace those of `local` fill the gaps, and a laptop stands for the fleet."""
    from batchcast.local.run import LOCAL_DEFAULTS
    from batchcast.pipelines.definition import defaults_of

    deployed = session.client("sagemaker").describe_pipeline(PipelineName=name)
    found = defaults_of(json.loads(deployed["PipelineDefinition"]))
    found.pop("RunDate", None)
    if session.region != LOCAL_REGION:
        return found
    fleet = ("TransformInstanceCount", "MaxConcurrentTransforms")
    return {**LOCAL_DEFAULTS, **found, **{each: LOCAL_DEFAULTS[each] for each in fleet}}


def _print(ended: Sequence[BackfilledDate]) -> None:
    rows = []
    for one in ended:
        items = "" if one.ok is None else f"{one.ok:,}" if one.expected is None else f"{one.ok:,} of {one.expected:,}"
        wape = "" if one.wape is None else f"{one.wape:.3f}"
        rows.append((str(one.run_date), one.run_id, one.outcome, items, wape, "published before" * one.skipped))
    stdout_console().print(plain_table("Run date", "Run", "Outcome", "Items", "WAPE", "", rows=rows))
