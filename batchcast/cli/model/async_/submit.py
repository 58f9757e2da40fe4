"""`async submit`: send the records of a run to the endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from batchcast.cli.echo import echo
from batchcast.cli.options import ACCOUNT_ALONE_OPTIONS, ENDPOINT_OPTION, SHARDS_OPTIONS, open_run
from batchcast.planner.arithmetic.async_queue import FULL_CAPACITY_MINUTES, expired_requests, instances_to_finish
from batchcast.serving.endpoint.endpoint import read_async_settings
from batchcast.serving.endpoint.settings import DEFAULT_TIMEOUT, DEFAULT_TTL, AsyncSettings
from batchcast.steps.errors import ConfigError, Problem

if TYPE_CHECKING:
    from batchcast.serving.bulk.submit import SubmitPace, SubmitProgress


@click.command()
@SHARDS_OPTIONS
@ENDPOINT_OPTION
@click.option("--seconds", type=float, required=True, help="Seconds a record takes, as far as is known.")
@click.option("--ttl", type=int, default=DEFAULT_TTL, help="Seconds a request may wait.")
@click.option("--timeout", type=int, default=DEFAULT_TIMEOUT, help="Seconds the model may take.")
@click.option("--attempts", type=int, default=2, help="Times a record is sent at most.")
@click.option("--senders", type=int, default=8, help="Requests sent at once.")
@ACCOUNT_ALONE_OPTIONS
def submit_command(run_id: str, name: str, endpoint: str, **given: Any) -> None:
    """Send the records of a run, as fast as the endpoint can serve them and no faster.

    Stays until all are answered; ended anywhere and started again it goes on. `async collect` publishes the answers.
    """
    from batchcast.serving.bulk.run import open_async_run
    from batchcast.serving.bulk.submit import SubmitPace, submit_run

    where = {each: given.pop(each) for each in ("region", "profile")}
    wanted = SubmitPace(**given)
    session, past = open_run(name, run_id, where)
    run = open_async_run(session.store, past.parameters["RunsUri"], run_id)
    if not run.records:
        echo(f"Nothing is left to send: every shard of {run_id} has its output.")
        return
    settings = read_async_settings(endpoint, session.client)
    echo(_fit(len(run.records), settings, wanted), err=True)
    ended = submit_run(run, settings, wanted, session.client, session.store, on_progress=_show)
    echo(f"{ended.answered:,} records have an answer, {ended.failed:,} were given up.")
    echo(f"Publish them with `async collect --shards {run_id}`.", err=True)


def _fit(records: int, settings: AsyncSettings, pace: SubmitPace) -> str:
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
