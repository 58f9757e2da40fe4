"""`schedule`: let the pipeline start by itself, once a week or as a cron expression says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from batchcast.account.deploy_settings import read_stack, stack_option
from batchcast.cli.echo import echo
from batchcast.cli.options import PIPELINE_NAME
from batchcast.pipelines.parameters import parse_overrides
from batchcast.session.session import open_session, session_options
from batchcast.steps.errors import ConfigError, Problem

if TYPE_CHECKING:
    from batchcast.pipelines.cron import Occurrence

_PREVIEWED = 10
_AFTER_CREATION = 3
_name = click.option("--schedule", "name", default=PIPELINE_NAME, help="Name of the schedule.")


@click.group()
def schedule_command() -> None:
    """Start the pipeline on a schedule."""


@schedule_command.command()
@click.option("--cron", required=True, metavar="'cron(…)'", help="For example 'cron(30 3 ? * SUN *)'.")
@click.option("--timezone", default="UTC", help="For example Europe/Berlin.")
@click.option("-p", "--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="Parameter of every run.")
@stack_option
@click.option("--scheduler-role", metavar="ARN", help="Role with which the scheduler starts runs.")
@click.option("--dead-letter-queue", metavar="ARN", help="SQS queue for starts that failed.")
@click.option("--pipeline", help="Name of the pipeline.  [default: that of --stack, or batchcast]")
@_name
@session_options
def create_command(
    cron: str, timezone: str, parameters: tuple[str, ...], stack: str | None, name: str, **given: Any
) -> None:
    """Create the schedule, or change it to this.

    Each run has its scheduled time as run label. A start that fails is tried again for an hour, then left to the
    queue.
    """
    from batchcast.account.schedule import Schedule, put_schedule

    role, queue, pipeline = (given.pop(each) for each in ("scheduler_role", "dead_letter_queue", "pipeline"))
    session = open_session(**given)
    outputs = read_stack(session, stack)
    wanted = Schedule(
        name=name,
        pipeline_name=pipeline or outputs.get("PipelineName", PIPELINE_NAME),
        cron=cron,
        timezone=timezone,
        scheduler_role_arn=_needed("--scheduler-role", role or outputs.get("SchedulerRoleArn")),
        dead_letter_queue=_needed("--dead-letter-queue", queue or outputs.get("DeadLetterQueueArn")),
        parameters=parse_overrides(parameters),
    )
    new, changes = put_schedule(session, wanted)
    done = "created" if new else "changed" if changes else "is as it should be; nothing changed"
    echo(f"Schedule {name}: {done}.")
    for change in changes:
        echo(f"  {change}")
    echo("\n".join(_times(cron, timezone, _AFTER_CREATION)))


@schedule_command.command("show")
@_name
@session_options
def schedule_show_command(name: str, **where: Any) -> None:
    """Print what the schedule does and when it runs next."""
    from batchcast.account.schedule import get_schedule

    found = get_schedule(open_session(**where), name)
    target = found["Target"]
    cron, zone = found["ScheduleExpression"], found.get("ScheduleExpressionTimezone", "UTC")
    echo(f"Schedule {name}: {cron} in {zone}, {found['State'].lower()}")
    echo(f"  starts {target['Arn']}")
    for parameter in target.get("SageMakerPipelineParameters", {}).get("PipelineParameterList", []):
        echo(f"    {parameter['Name']}={parameter['Value']}")
    echo(f"  failed starts go to {target.get('DeadLetterConfig', {}).get('Arn', 'nowhere')}")
    if found["State"] == "ENABLED":
        echo("\n".join(_times(cron, zone, _AFTER_CREATION)))


@schedule_command.command()
@click.option("--cron", metavar="'cron(…)'", help="An expression, instead of that of the schedule.")
@click.option("--timezone", default="UTC", help="The time zone of --cron.")
@click.option("--count", type=click.IntRange(1, 1000), default=_PREVIEWED, help="How many times.")
@_name
@session_options
def preview_command(cron: str | None, timezone: str, count: int, name: str, **where: Any) -> None:
    """Print the next times, local and UTC, and what changes of clocks do to them.

    The next time that a change of clocks concerns is printed in any case, if it is within a year. With --cron nothing
    is asked of AWS.
    """
    from batchcast.account.schedule import get_schedule

    if cron is None:
        found = get_schedule(open_session(**where), name)
        cron, timezone = found["ScheduleExpression"], found.get("ScheduleExpressionTimezone", "UTC")
    echo("\n".join(_times(cron, timezone, count)))


@schedule_command.command()
@_name
@session_options
def pause_command(name: str, **where: Any) -> None:
    """Start nothing until it is resumed; a run that has started goes on."""
    from batchcast.account.schedule import set_state

    set_state(open_session(**where), name, enabled=False)
    echo(f"Schedule {name} is paused.")


@schedule_command.command()
@_name
@session_options
def resume_command(name: str, **where: Any) -> None:
    """Start runs again; those that were missed stay missed."""
    from batchcast.account.schedule import set_state

    set_state(open_session(**where), name, enabled=True)
    echo(f"Schedule {name} is resumed.")


@schedule_command.command()
@_name
@session_options
def delete_command(name: str, **where: Any) -> None:
    """Delete the schedule; the pipeline and its runs stay."""
    from batchcast.account.schedule import delete_schedule

    delete_schedule(open_session(**where), name)
    echo(f"Schedule {name} is deleted.")


def _needed(option: str, value: str | None) -> str:
    if value is None:
        remedy = "Give it, or --stack: it is an output of infra/batchcast.yaml."
        raise ConfigError(Problem("option", "is needed.", option, remedy))
    return value


def _times(cron: str, timezone: str, count: int) -> Iterator[str]:
    """So many times that run, and the first after them that a change of clocks concerns, if there is one in a year."""
    from batchcast.pipelines.cron import next_irregular, next_runs, parse_cron, time_zone

    parsed, zone = parse_cron(cron), time_zone(timezone)
    found = list(next_runs(parsed, zone, datetime.now(UTC), count))
    if not found:
        yield f"It never runs: no time from now on matches {cron}."
        return
    yield from (_words(one, timezone) for one in found)
    later = next_irregular(parsed, zone, found[-1])
    if later:
        yield "…"
        yield _words(later, timezone)


def _words(one: Occurrence, timezone: str) -> str:
    utc = "not run         " if one.utc is None else f"{one.utc:%Y-%m-%d %H:%M} UTC"
    return f"{one.local:%a %Y-%m-%d %H:%M} {timezone}   {utc}   {one.note}".rstrip()
