"""`async`: an endpoint for forecasts between the weekly runs, that scales to zero instances."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from batchcast.cli.echo import echo, echo_json
from batchcast.cli.options import COUNT, JSON_OPTION, NAME_OPTION, PIPELINE_NAME, open_run
from batchcast.pipelines.parameters import split_pairs
from batchcast.serving.endpoint.settings import DEFAULT_TIMEOUT, DEFAULT_TTL, AsyncSettings
from batchcast.session.session import Session, account_options, open_session, together
from batchcast.steps.errors import ConfigError, CoverageError, Problem

if TYPE_CHECKING:
    from batchcast.runs.run_record import RunRecord
    from batchcast.serving.bulk.run import AsyncRun
    from batchcast.serving.bulk.submit import SubmitPace, SubmitProgress
    from batchcast.serving.endpoint.status import AsyncStatus


@click.group("async")
def async_command() -> None:
    """Ad-hoc and bulk forecasts on an asynchronous endpoint that scales to zero instances."""


def _refuse_workspace(_: click.Context, __: click.Parameter, workspace: str | None) -> None:
    if workspace is not None:
        remedy = "Leave it out to work on AWS; `forecast ITEM --workspace` asks the workspace's model at once."
        raise ConfigError(Problem("not_local", "a workspace has no asynchronous endpoint.", "--workspace", remedy))


_endpoint_option = click.option("--endpoint", default=f"{PIPELINE_NAME}-async", help="Name of the endpoint.")
# These commands work in an account alone; --workspace, which most others have, is refused with the reason.
_account_options = together(
    account_options,
    click.option("--workspace", hidden=True, expose_value=False, callback=_refuse_workspace),
)
_run_options = together(
    click.option("--shards", "run_id", required=True, metavar="RUN_ID", help="The run whose shards were built."),
    NAME_OPTION,
)


@async_command.command("deploy")
@_endpoint_option
@click.option("--model", required=True, help="Name of the SageMaker model.")
@click.option("--instance-type", required=True, metavar="TYPE", help="For example ml.m5.4xlarge.")
@click.option("--max-instances", type=COUNT, default=1, help="Most instances at once.")
@click.option("--concurrency", type=COUNT, default=4, help="Requests an instance.")
@click.option("--output", "output_uri", required=True, metavar="S3URI", help="Prefix for answers and failures.")
@click.option("--success-topic", metavar="ARN", help="SNS topic that is told of answers.")
@click.option("--error-topic", metavar="ARN", help="SNS topic that is told of failures.")
@click.option("--kms-key", help="KMS key of the answers.")
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="On endpoint and configuration; repeatable.")
@_account_options
@click.option("--dry-run", is_flag=True, help="Print the exact requests as JSON and send nothing.")
def async_deploy_command(tags: tuple[str, ...], dry_run: bool, **given: Any) -> None:
    """Create the endpoint with all that lets it scale to zero and out again, or fix it."""
    from batchcast.serving.endpoint.endpoint import deploy_async

    where = {name: given.pop(name) for name in ("region", "profile")}
    settings = AsyncSettings(**given, tags=split_pairs(tags, "setting", "--tag", "Write --tag KEY=VALUE."))
    if dry_run:
        echo_json(settings.requests())
        return
    session = open_session(**where)
    echo("An endpoint takes some minutes until it is in service.", err=True)
    done = deploy_async(settings, session.client)
    echo(
        f"Endpoint {settings.endpoint} in {session.region}: {done}. It has 0 to {settings.max_instances} instances, "
        f"answers a single request from zero in about ten minutes and is back at zero about 20 minutes after the last."
    )


@async_command.command("status")
@_endpoint_option
@_account_options
@click.option("--price-per-hour", type=float, help="USD an instance hour, instead of the price table's.")
@JSON_OPTION
def async_status_command(endpoint: str, price_per_hour: float | None, as_json: bool, **where: Any) -> None:
    """Instances, queue, whether its scaling is whole, and what it cost since Monday.

    Exit code 2 when something keeps it from waking, growing or sleeping.
    """
    from batchcast.serving.endpoint.endpoint import read_async_settings
    from batchcast.serving.endpoint.status import async_status

    session = open_session(**where)
    now = datetime.now(UTC)
    found = async_status(endpoint, session.client, now)
    monday = (now - timedelta(days=now.weekday())).replace(hour=0, minute=0, second=0, microsecond=0)
    hours = found.instance_hours(monday, now)
    usd = _usd_per_hour(read_async_settings(endpoint, session.client), session.region, price_per_hour)
    if as_json:
        echo_json(_status_document(found, hours, usd))
    else:
        print_status(found, hours, usd)
    if found.problems:
        sys.exit(ConfigError.exit_code)


@async_command.command()
@_endpoint_option
@_account_options
@click.option("--discard-queue", is_flag=True, help="Even when requests wait or are being served.")
def teardown_command(endpoint: str, discard_queue: bool, **where: Any) -> None:
    """Remove the endpoint, its configurations, its scaling and its alarm, and see that they are gone.

    Objects on S3 stay.
    """
    from batchcast.serving.endpoint.endpoint import teardown_async
    from batchcast.serving.endpoint.status import async_status

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


@async_command.command()
@_run_options
@_endpoint_option
@click.option("--seconds", type=float, required=True, help="Seconds a record takes, as far as is known.")
@click.option("--ttl", type=int, default=DEFAULT_TTL, help="Seconds a request may wait.")
@click.option("--timeout", type=int, default=DEFAULT_TIMEOUT, help="Seconds the model may take.")
@click.option("--attempts", type=int, default=2, help="Times a record is sent at most.")
@click.option("--senders", type=int, default=8, help="Requests sent at once.")
@_account_options
def submit_command(run_id: str, name: str, endpoint: str, **given: Any) -> None:
    """Send the records of a run, as fast as the endpoint can serve them and no faster.

    Stays until all are answered; ended anywhere and started again it goes on. `async collect` publishes the answers.
    """
    from batchcast.serving.bulk.submit import SubmitPace, submit_run
    from batchcast.serving.endpoint.endpoint import read_async_settings

    where = {each: given.pop(each) for each in ("region", "profile")}
    wanted = SubmitPace(**given)
    session, _, run = _open(name, run_id, where)
    if not run.records:
        echo(f"Nothing is left to send: every shard of {run_id} has its output.")
        return
    settings = read_async_settings(endpoint, session.client)
    echo(_fit(len(run.records), settings, wanted), err=True)
    ended = submit_run(run, settings, wanted, session.client, session.store, on_progress=_show)
    echo(f"{ended.answered:,} records have an answer, {ended.failed:,} were given up.")
    echo(f"Publish them with `async collect --shards {run_id}`.", err=True)


@async_command.command()
@_run_options
@click.option("--now", "allow_partial", is_flag=True, help="Decide without the answers that are not there yet.")
@_account_options
def collect_command(run_id: str, name: str, allow_partial: bool, **where: Any) -> None:
    """Account for every record of a run that was submitted, and publish its forecasts or say why not."""
    from batchcast.steps.outcome.reused_answers import is_decided

    session, past, run = _open(name, run_id, where)
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
    found = collect_run(run, session.store, now=time.time(), error_key=error_key, allow_partial=allow_partial)
    echo(f"{found.shards:,} shards written; {found.failed:,} records were given up.", err=True)
    return decide_run(run, session.store, contract, past.parameters)


def _open(name: str, run_id: str, where: Mapping[str, Any]) -> tuple[Session, RunRecord, AsyncRun]:
    from batchcast.serving.bulk.run import open_async_run

    session, past = open_run(name, run_id, where)
    return session, past, open_async_run(session.store, past.parameters["RunsUri"], run_id)


def _fit(records: int, settings: AsyncSettings, pace: SubmitPace) -> str:
    from batchcast.planner.arithmetic.async_queue import FULL_CAPACITY_MINUTES, expired_requests, instances_to_finish

    if pace.ttl <= FULL_CAPACITY_MINUTES * 60:
        seconds = FULL_CAPACITY_MINUTES * 60
        what = f"{pace.ttl} s; from zero to all instances an endpoint needs {seconds:.0f} s."
        raise ConfigError(Problem("pace", what, "--ttl", "Leave it out: what waits longer than that is lost."))
    slots, ttl_hours = settings.max_instances * settings.concurrency, pace.ttl / 3600
    hours = FULL_CAPACITY_MINUTES / 60 + records * pace.seconds / slots / 3600
    plan = (
        f"{records:,} records of {pace.seconds:g} s on {settings.max_instances} x {settings.concurrency} requests: "
        f"about {hours:.1f} h."
    )
    at_once = expired_requests(records, pace.seconds, slots, ttl_hours)
    if not at_once:
        return f"{plan} None would expire after {ttl_hours:g} h in the queue, even sent at once."
    enough = instances_to_finish(records, pace.seconds, settings.concurrency, ttl_hours)
    return (
        f"{plan} Sent at once about {at_once:,} would expire after {ttl_hours:g} h in the queue; they are sent at the "
        f"pace they are served instead. {enough} instances would do without."
    )


def _show(progress: SubmitProgress) -> None:
    echo(
        f"{progress.answered:,} of {progress.records:,} answered, {progress.in_flight:,} unanswered, "
        f"{progress.failed:,} lost, {progress.instances} instances",
        err=True,
    )


def _usd_per_hour(settings: AsyncSettings, region: str, price_per_hour: float | None) -> float | None:
    """USD an instance hour; None where nobody said and the table has no such type in the region."""
    from batchcast.planner.prices.prices import load_prices

    if price_per_hour is not None:
        return price_per_hour
    rate = load_prices().rates.get(region, {}).get(settings.instance_type)
    return rate.of("AsyncInf") if rate else None


def _status_document(found: AsyncStatus, hours: float, usd: float | None) -> dict[str, Any]:
    """The status as --json prints it; `hours` of instances since Monday, `usd` an hour of one."""
    shown = {name: value for name, value in asdict(found).items() if name != "changes"}
    return {
        **shown,
        "problems": [str(problem) for problem in found.problems],
        "instance_hours_since_monday": round(hours, 3),
        "cost_usd_since_monday": None if usd is None else round(hours * usd, 2),
    }


def print_status(found: AsyncStatus, hours: float, usd: float | None) -> None:
    """The same in words."""
    oldest = "" if found.oldest_age_seconds is None else f", the oldest of {found.oldest_age_seconds:,.0f} s"
    queue = "not measured" if found.backlog is None else f"{found.backlog:,.0f} requests{oldest}"
    expired = "not measured" if found.expired_last_day is None else f"{found.expired_last_day:,.0f} requests"
    price = "--price-per-hour says what they cost" if usd is None else f"${hours * usd:,.2f}"
    going = "" if found.desired_instances == found.instances else f", going to {found.desired_instances}"
    asleep = " (asleep)" if found.instances == found.desired_instances == 0 else ""
    rows = {
        "Endpoint": f"{found.endpoint} ({found.status})",
        "Instances": f"{found.instances}{going}{asleep}",
        "Queue": queue,
        "Expired": f"{expired} in the last day",
        "Since Monday": f"{hours:.2f} instance hours, {price}",
        "Scaling": "whole" if not found.problems else "not whole:",
    }
    for name, text in rows.items():
        echo(f"{name + ':':<14}{text}")
    for problem in found.problems:
        echo(f"  {problem}")
