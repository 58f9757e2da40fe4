from typing import Any

import click

from batchcast.cli.echo import echo
from batchcast.cli.options import RUN_OPTIONS, open_run
from batchcast.runs.follow import view
from batchcast.steps.errors import ConfigError, Problem


@click.command()
@RUN_OPTIONS
@click.option("--step", metavar="NAME", help="Of this step only.")
def logs_command(run_id: str | None, name: str, step: str | None, **where: Any) -> None:
    """Print the logs of a run's jobs, step by step.

    Without RUN_ID those of the run that was started last.
    """
    from batchcast.runs.watch.logs import job_log

    session, run = open_run(name, run_id, where)
    steps = [one for one in view(session.client("sagemaker"), run.arn).steps if one.job]
    chosen = [one for one in steps if step in (None, one.name)]
    if not chosen:
        with_jobs = ", ".join(one.name for one in steps) or "none yet"
        what = f"run {run.run_id} has no job of {step or 'any step'}."
        raise ConfigError(Problem("no_log", what, "--step", f"Steps with a job: {with_jobs}."))
    for one in chosen:
        line = None
        for line in job_log(session, str(one.job)):
            echo(f"{one.name} {line.stream} {line.time:%Y-%m-%dT%H:%M:%S}Z {line.text}")
        if line is None:
            echo(f"The job of {one.name} has written nothing yet.", err=True)
