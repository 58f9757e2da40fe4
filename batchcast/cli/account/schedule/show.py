from typing import Any

import click

from batchcast.cli.echo import echo
from batchcast.cli.options import SCHEDULE_OPTIONS
from batchcast.pipelines.cron import describe_times
from batchcast.session.session import open_session


@click.command("show")
@SCHEDULE_OPTIONS
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
        echo("\n".join(describe_times(cron, zone)))
