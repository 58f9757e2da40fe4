from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchcast.cli.echo import echo
from batchcast.cli.options import JSON_OPTION, NAME_OPTION, PARAMETER_OPTION, THERE_FILE, open_run
from batchcast.pipelines.parameters import parse_overrides
from batchcast.session.session import Session, WorkspaceSession, session_options
from batchcast.steps.errors import ConfigError, Problem

if TYPE_CHECKING:
    from batchcast.runs.run_record import RunRecord


@click.command()
@click.argument("run_id")
@PARAMETER_OPTION
@click.option("--items", type=THERE_FILE, help="Run these alone: one id a line, or a run's failed_records.jsonl.")
@NAME_OPTION
@click.option("--no-wait", is_flag=True, help="On AWS: print the run id and leave the execution running.")
@session_options
@JSON_OPTION
def rerun_command(
    run_id: str, parameters: tuple[str, ...], items: Path | None, name: str, no_wait: bool, as_json: bool, **where: Any
) -> None:
    """Run what is left of an earlier run, and publish all of it.

    Good forecasts of run RUN_ID are carried over, only the other records are sent, and the whole is published under
    the new run. The earlier run's parameters are the defaults. With --items only these items are run, anew, and replace
    those that readers see of this run date.
    """
    from batchcast.cli.console import RunDisplay, end_with_result
    from batchcast.runs.start import start_run
    from batchcast.runs.watch.run_and_wait import run_and_wait

    overrides = parse_overrides(parameters)
    session, run = open_run(name, run_id, where)
    if no_wait and isinstance(session, WorkspaceSession):
        what = "an execution in a workspace runs in the process that starts it."
        raise ConfigError(Problem("no_wait", what, "--no-wait", "Leave it out."))
    values = _values(session, run, overrides, items)
    if no_wait:
        echo(start_run(session.client("sagemaker"), name, values).rsplit("/", 1)[-1])
        return
    end_with_result(
        *run_and_wait(session, name, values, display=RunDisplay), as_json=as_json, workspace=where["workspace"]
    )


def _values(session: Session, run: RunRecord, overrides: Mapping[str, str], items: Path | None) -> dict[str, str]:
    from batchcast.runs.rerun import put_items, rerun_of_items, rerun_of_the_rest

    if items is None:
        values = rerun_of_the_rest(run, overrides)
        echo(f"Carrying over what run {run.run_id} has; left to run: {run.outstanding():,} records", err=True)
        return values
    uri = put_items(session.store, run.parameters["RunsUri"], items.read_bytes(), str(items))
    return rerun_of_items(run, overrides, uri)
