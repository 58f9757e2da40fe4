from typing import Any

import click

from batchcast.account.deploy_settings import read_stack, stack_option
from batchcast.cli.echo import echo
from batchcast.cli.options import PIPELINE_NAME, SCHEDULE_OPTIONS
from batchcast.pipelines.cron import describe_times
from batchcast.pipelines.parameters import parse_overrides
from batchcast.session.session import open_session
from batchcast.steps.errors import ConfigError, Problem


@click.command()
@click.option("--cron", required=True, metavar="'cron(…)'", help="For example 'cron(30 3 ? * SUN *)'.")
@click.option("--timezone", default="UTC", help="For example Europe/Berlin.")
@click.option("-p", "--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="Parameter of every run.")
@stack_option
@click.option("--scheduler-role", metavar="ARN", help="Role with which the scheduler starts runs.")
@click.option("--dead-letter-queue", metavar="ARN", help="SQS queue for starts that failed.")
@click.option("--pipeline", help="Name of the pipeline.  [default: that of --stack, or batchcast]")
@SCHEDULE_OPTIONS
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
    echo("\n".join(describe_times(cron, timezone)))


def _needed(option: str, value: str | None) -> str:
    if value is None:
        remedy = "Give it, or --stack: it is an output of infra/batchcast.yaml."
        raise ConfigError(Problem("option", "is needed.", option, remedy))
    return value
