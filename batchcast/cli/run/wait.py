from typing import Any

import click

from batchcast.cli.options import JSON_OPTION, RUN_OPTIONS, open_run


@click.command()
@RUN_OPTIONS
@JSON_OPTION
def wait_command(run_id: str | None, name: str, as_json: bool, **where: Any) -> None:
    """Follow a run to its end; its exit code is the run's.

    Without RUN_ID the run that was started last. Interrupting it leaves a run on AWS as it is; throttling, broken
    connections and expired credentials are waited out for an hour.
    """
    from batchcast.cli.console import RunDisplay, end_with_result
    from batchcast.runs.watch.run_and_wait import wait_for_run

    session, run = open_run(name, run_id, where)
    ended = wait_for_run(session, run.arn, run.parameters["RunsUri"], display=RunDisplay)
    end_with_result(*ended, as_json=as_json, workspace=where["workspace"])
