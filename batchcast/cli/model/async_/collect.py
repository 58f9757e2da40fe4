"""`async collect`: publish what the endpoint has answered."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from batchcast.cli.echo import echo
from batchcast.cli.options import ACCOUNT_ALONE_OPTIONS, SHARDS_OPTIONS, open_run
from batchcast.session.session import Session
from batchcast.steps.errors import CoverageError, Problem

if TYPE_CHECKING:
    from batchcast.runs.run_record import RunRecord
    from batchcast.serving.bulk.run import AsyncRun


@click.command()
@SHARDS_OPTIONS
@click.option("--now", "allow_partial", is_flag=True, help="Decide without the answers that are not there yet.")
@ACCOUNT_ALONE_OPTIONS
def collect_command(run_id: str, name: str, allow_partial: bool, **where: Any) -> None:
    """Account for every record of a run that was submitted, and publish its forecasts or say why not."""
    from batchcast.serving.bulk.run import open_async_run
    from batchcast.steps.outcome.reused_answers import is_decided

    session, past = open_run(name, run_id, where)
    run = open_async_run(session.store, past.parameters["RunsUri"], run_id)
    report = past.report() if is_decided(session.store, run.runs_uri, run_id) else None
    if report is not None:
        echo(f"Decided already; the report is below {run.runs_uri.rstrip('/')}/{run_id}/report/.", err=True)
    else:
        report = _collected(session, past, run, allow_partial=allow_partial)
    counts = report["counts"]
    echo(
        f"Run {run_id}: {report['outcome']}. {counts['ok']:,} of {counts['expected']:,} items have a forecast.\n"
        f"Forecasts: {report['published'] or 'nothing published'}"
    )
    if report["outcome"] == "HELD":
        raise CoverageError(Problem("held", str(report["cause"]), run_id, "failed_records.jsonl says why."))


def _collected(session: Session, past: RunRecord, run: AsyncRun, *, allow_partial: bool) -> dict[str, Any]:
    from batchcast.runs.run_record import contract_of_run
    from batchcast.serving.bulk.collect import collect_run, decide_run
    from batchcast.steps.contract.model_contract import parse_contract

    uri, contract = contract_of_run(session, past)
    error_key = parse_contract(contract, where=uri).outputs.error
    shards, failed = collect_run(run, session.store, now=time.time(), error_key=error_key, allow_partial=allow_partial)
    echo(f"{shards:,} shards written; {failed:,} records were given up.", err=True)
    return decide_run(run, session.store, contract, past.parameters)
