from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchcast.cli.echo import echo
from batchcast.cli.options import (
    COUNT,
    JSON_OPTION,
    PARAMETER_OPTION,
    PATH,
    POSITIVE,
    SERVER_OPTION,
    STOP_AFTER_OPTION,
    URL_OPTION,
)
from batchcast.pipelines.parameters import check_parameters, parse_overrides
from batchcast.session.session import LOCAL_REGION, WorkspaceSession
from batchcast.session.workspace_models import LOCAL_START_SECONDS

if TYPE_CHECKING:
    from batchcast.local.run import LocalRun


@click.command()
@PARAMETER_OPTION
@click.option("--sample", type=click.Choice(["bakery", "grocery"]), default="bakery", help="For what is not given.")
@click.option("--history", metavar="DIR|FILE|S3URI", help="Parquet history; the sample's unless given.")
@click.option("--contract", type=PATH, help="The model.toml that declares the model's records.")
@SERVER_OPTION
@URL_OPTION
@click.option(
    "--start-seconds",
    type=POSITIVE,
    default=LOCAL_START_SECONDS,
    help="How long a model server may take to answer its first ping; SageMaker waits about half an hour.",
)
@click.option("--faults", type=PATH, help="A TOML plan of faults to inject, for rehearsals.")
@click.option("--tuning", type=PATH, help="What `tune` measured; -p still wins over it.")
@click.option("--workspace", type=PATH, default=Path("workspace"), help="Where runs lie; a killed one goes on there.")
@click.option("--keep-runs", type=COUNT, metavar="N", help="Then remove all but the N newest runs, as `prune` does.")
@STOP_AFTER_OPTION
@JSON_OPTION
def local_command(
    parameters: tuple[str, ...],
    workspace: Path,
    keep_runs: int | None,
    stop_after: float | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Run the whole pipeline on this machine, with real model servers and no AWS.

    Without options it forecasts the bakery sample, daily; --sample grocery is weekly, with quantiles. It uses
    2 instances with 4 concurrent transforms unless told otherwise, where SageMaker would use the definition's defaults.
    A history or contract of your own needs your model, too: --model-command or --model-url.
    """
    from batchcast.cli.console import RunDisplay, end_with_result
    from batchcast.local.leftovers import remove_runs
    from batchcast.local.run import LOCAL_DEFAULTS, PIPELINE_NAME, local_run, run_local

    run = local_run(workspace, parse_overrides(parameters), **given)
    bound = timedelta(hours=stop_after) if stop_after else _planned_bound(run, given["tuning"])
    document, exit_code = run_local(run, RunDisplay, bound)
    if keep_runs is not None and document["published"]:
        publish_uri = {**LOCAL_DEFAULTS, **run.overrides}["PublishUri"]
        for line in remove_runs(WorkspaceSession(workspace), PIPELINE_NAME, publish_uri, keep=keep_runs):
            echo(f"Removed {line}", err=True)
    more = ("local -p ForecastHorizon=14", "--help")
    end_with_result(document, exit_code, *more, as_json=as_json, workspace=workspace)


def _planned_bound(run: LocalRun, tuning: Path | None) -> timedelta | None:
    """What the measured speed and the records of the history say; None without a measurement."""
    if tuning is None:
        return None
    from batchcast.local.run import LOCAL_DEFAULTS
    from batchcast.planner.plan.prepare import default_bound

    values = check_parameters({**LOCAL_DEFAULTS, **run.overrides})
    workload = {"history": run.history, "contract": run.contract, "horizon": values.forecast_horizon}
    return default_bound(values, region=LOCAL_REGION, tuning=tuning, **workload)
