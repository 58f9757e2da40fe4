"""`async`: an endpoint for forecasts between the weekly runs, that scales to zero instances."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from batchcast.cli.echo import echo
from batchcast.pipelines.settings import BuildSettings
from batchcast.serving.endpoint.limits import DEFAULT_TIMEOUT, DEFAULT_TTL
from batchcast.session.session import Session, open_session
from batchcast.steps.errors import ConfigError, CoverageError, Problem

if TYPE_CHECKING:
    from batchcast.runs.run_record import PastRun
    from batchcast.serving.bulk.run import AsyncRun
    from batchcast.serving.bulk.submit import SubmitPace, SubmitProgress
    from batchcast.serving.endpoint.settings import AsyncSettings

_Command = TypeVar("_Command", bound=Callable[..., Any])
_NAME = BuildSettings().pipeline_name


@click.group("async")
def async_command() -> None:
    """Ad-hoc and bulk forecasts on an asynchronous endpoint that scales to zero instances."""


def _endpoint_option(command: _Command) -> _Command:
    return click.option("--endpoint", default=f"{_NAME}-async", show_default=True, help="Name of the endpoint.")(
        command
    )


def _account_options(command: _Command) -> _Command:
    """These commands work in an account alone; --workspace, which most others have, is refused with the reason."""
    for option in (
        click.option("--workspace", hidden=True, expose_value=False, callback=_refuse_workspace),
        click.option("--profile", help="A profile of ~/.aws/config."),
        click.option("--region", help="The AWS region; else the one boto3 finds."),
    ):
        command = option(command)
    return command


def _refuse_workspace(_: click.Context, __: click.Parameter, workspace: str | None) -> None:
    if workspace is not None:
        remedy = "Leave it out to work on AWS; `forecast ITEM --workspace` asks the workspace's model at once."
        raise ConfigError(Problem("not_local", "a workspace has no asynchronous endpoint.", "--workspace", remedy))


def _run_options(command: _Command) -> _Command:
    for option in (
        click.option("--name", default=_NAME, show_default=True, help="Name of the pipeline the run is of."),
        click.option("--shards", "run_id", required=True, metavar="RUN_ID", help="The run whose shards were built."),
    ):
        command = option(command)
    return command


@async_command.command("deploy")
@_endpoint_option
@click.option("--model", required=True, help="Name of the SageMaker model.")
@click.option("--instance-type", required=True, metavar="TYPE", help="For example ml.m5.4xlarge.")
@click.option("--max-instances", type=click.IntRange(1), default=1, show_default=True, help="Most instances at once.")
@click.option("--concurrency", type=click.IntRange(1), default=4, show_default=True, help="Requests an instance.")
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
    from batchcast.serving.endpoint.settings import AsyncSettings

    where = {name: given.pop(name) for name in ("region", "profile")}
    settings = AsyncSettings(**given, tags=_tags(tags))
    if dry_run:
        echo(json.dumps(_requests(settings), indent=1))
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
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def async_status_command(endpoint: str, price_per_hour: float | None, as_json: bool, **where: Any) -> None:
    """Instances, queue, whether its scaling is whole, and what it cost since Monday.

    Exit code 2 when something keeps it from waking, growing or sleeping.
    """
    from batchcast.cli.model.async_status_text import print_status, status_document, usd_per_hour
    from batchcast.serving.endpoint.endpoint import read_async_settings
    from batchcast.serving.endpoint.status import async_status

    session = open_session(**where)
    now = datetime.now(UTC)
    found = async_status(endpoint, session.client, now)
    monday = (now - timedelta(days=now.weekday())).replace(hour=0, minute=0, second=0, microsecond=0)
    hours = found.instance_hours(monday, now)
    usd = usd_per_hour(read_async_settings(endpoint, session.client), session.region, price_per_hour)
    if as_json:
        echo(json.dumps(status_document(found, hours, usd), indent=1))
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
@click.option("--ttl", type=int, default=DEFAULT_TTL, show_default=True, help="Seconds a request may wait.")
@click.option("--timeout", type=int, default=DEFAULT_TIMEOUT, show_default=True, help="Seconds the model may take.")
@click.option("--attempts", type=int, default=2, show_default=True, help="Times a record is sent at most.")
@click.option("--senders", type=int, default=8, show_default=True, help="Requests sent at once.")
@_account_options
def submit_command(run_id: str, name: str, endpoint: str, region: str | None, profile: str | None, **pace: Any) -> None:
    """Send the records of a run, as fast as the endpoint can serve them and no faster.

    Stays until all are answered; ended anywhere and started again it goes on. `async collect` publishes the answers.
    """
    from batchcast.serving.bulk.submit import SubmitPace, submit_run
    from batchcast.serving.endpoint.endpoint import read_async_settings

    wanted = SubmitPace(**pace)
    session = open_session(region=region, profile=profile)
    _, run = _run_of(session, name, run_id)
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

    session = open_session(**where)
    past, run = _run_of(session, name, run_id)
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


def _collected(session: Session, past: PastRun, run: AsyncRun, *, allow_partial: bool) -> dict[str, Any]:
    from batchcast.runs.run_record import contract_of_run
    from batchcast.serving.bulk.collect import collect_run, decide_run, error_key_of

    uri, contract = contract_of_run(session, past)
    error_key = error_key_of(contract, uri)
    found = collect_run(run, session.store, now=time.time(), error_key=error_key, allow_partial=allow_partial)
    echo(f"{found.shards:,} shards written; {found.failed:,} records were given up.", err=True)
    return decide_run(run, session.store, contract, past.parameters)


def _run_of(session: Session, name: str, run_id: str) -> tuple[PastRun, AsyncRun]:
    from batchcast.runs.run_record import find_run
    from batchcast.serving.bulk.run import open_async_run

    past = find_run(session, name, run_id)
    return past, open_async_run(session.store, past.parameters["RunsUri"], run_id)


def _tags(pairs: tuple[str, ...]) -> dict[str, str]:
    parted = [pair.partition("=") for pair in pairs]
    for key, equals, _ in parted:
        if not equals:
            raise ConfigError(Problem("setting", f"{key!r} has no '='.", "--tag", "Write --tag KEY=VALUE."))
    return {key: value for key, _, value in parted}


def _requests(settings: AsyncSettings) -> list[dict[str, Any]]:
    calls = [
        ("sagemaker", "create_endpoint_config", settings.config()),
        ("sagemaker", "create_endpoint", settings.endpoint_request()),
        ("application-autoscaling", "register_scalable_target", settings.scalable_target()),
        ("application-autoscaling", "put_scaling_policy", settings.tracking_policy()),
        ("application-autoscaling", "put_scaling_policy", settings.step_policy()),
        ("cloudwatch", "put_metric_alarm", settings.wake_alarm("<ARN of the step policy>")),
    ]
    return [{"service": service, "method": method, "request": request} for service, method, request in calls]


def _fit(records: int, settings: AsyncSettings, pace: SubmitPace) -> str:
    from batchcast.planner.arithmetic.async_queue import FULL_CAPACITY_MINUTES, expired_requests, instances_to_finish

    if pace.ttl <= FULL_CAPACITY_MINUTES * 60:
        seconds = FULL_CAPACITY_MINUTES * 60
        what = f"{pace.ttl} s; from zero to all instances an endpoint needs {seconds:.0f} s."
        raise ConfigError(Problem("pace", what, "--ttl", "Leave it out: what waits longer than that is lost."))
    slots, ttl_hours = settings.max_instances * settings.concurrency, pace.ttl / 3600
    hours = FULL_CAPACITY_MINUTES / 60 + records * pace.seconds / slots / 3600
    told = (
        f"{records:,} records of {pace.seconds:g} s on {settings.max_instances} x {settings.concurrency} requests: "
        f"about {hours:.1f} h."
    )
    at_once = expired_requests(records, pace.seconds, slots, ttl_hours)
    if not at_once:
        return f"{told} None would expire after {ttl_hours:g} h in the queue, even sent at once."
    enough = instances_to_finish(records, pace.seconds, settings.concurrency, ttl_hours)
    return (
        f"{told} Sent at once about {at_once:,} would expire after {ttl_hours:g} h in the queue; they are sent at the "
        f"pace they are served instead. {enough} instances would do without."
    )


def _show(progress: SubmitProgress) -> None:
    echo(
        f"{progress.answered:,} of {progress.records:,} answered, {progress.in_flight:,} unanswered, "
        f"{progress.failed:,} lost, {progress.instances} instances",
        err=True,
    )
