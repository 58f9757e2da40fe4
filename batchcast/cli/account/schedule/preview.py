from typing import Any

import click

from batchcast.cli.echo import echo
from batchcast.cli.options import SCHEDULE_OPTIONS
from batchcast.pipelines.cron import describe_times
from batchcast.session.session import open_session


@click.command()
@click.option("--cron", metavar="'cron(…)'", help="An expression, instead of that of the schedule.")
@click.option("--timezone", default="UTC", help="The time zone of --cron.")
@click.option("--count", type=click.IntRange(1, 1000), default=10, help="How many times.")
@SCHEDULE_OPTIONS
def preview_command(cron: str | None, timezone: str, count: int, name: str, **where: Any) -> None:
    """Print the next times, local and UTC, and what changes of clocks do to them.

    The next time that a change of clocks concerns is printed in any case, if it is within a year. With --cron nothing
    is asked of AWS.
    """
    from batchcast.account.schedule import get_schedule

    if cron is None:
        found = get_schedule(open_session(**where), name)
        cron, timezone = found["ScheduleExpression"], found.get("ScheduleExpressionTimezone", "UTC")
    echo("\n".join(describe_times(cron, timezone, count)))
