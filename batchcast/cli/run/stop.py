from typing import Any

import click

from batchcast.cli.echo import echo
from batchcast.cli.options import RUN_OPTIONS, open_run
from batchcast.runs.follow import ENDED


@click.command()
@RUN_OPTIONS
def stop_command(run_id: str | None, name: str, **where: Any) -> None:
    """Stop a run; nothing of it is published.

    Without RUN_ID the run that was started last.
    """
    from batchcast.runs.start import stop_run

    session, run = open_run(name, run_id, where)
    if run.status in ENDED:
        echo(f"Run {run.run_id} has ended already: {run.status}.")
        return
    stop_run(session.client("sagemaker"), run.arn)
    echo(f"Run {run.run_id} is being stopped.")
