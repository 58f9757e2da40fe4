"""Options that several commands have."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchcast.pipelines.settings import BuildSettings
from batchcast.session.session import Session, account_options, open_session, session_options, together
from batchcast.steps.errors import ConfigError, Problem

if TYPE_CHECKING:
    from batchcast.runs.run_record import RunRecord

FILE, PATH = click.Path(path_type=Path, dir_okay=False), click.Path(path_type=Path)
FOLDER = click.Path(path_type=Path, file_okay=False)
THERE, THERE_FILE = (click.Path(path_type=Path, exists=True, dir_okay=folder) for folder in (True, False))
COUNT, POSITIVE = click.IntRange(1), click.FloatRange(0, min_open=True)
PIPELINE_NAME = BuildSettings().pipeline_name
NAME_OPTION = click.option("--name", default=PIPELINE_NAME, help="Name of the pipeline.")
STOP_AFTER_OPTION = click.option(
    "--stop-after",
    type=POSITIVE,
    metavar="HOURS",
    help="Stop the run if it goes on for longer.  [default where its speed is known: twice the plan's P95]",
)
JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
PARAMETER_OPTION = click.option(
    "-p", "--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="Override a parameter."
)
# Of a run that is estimated, by the fields of the planner's options.
WORKLOAD = ("items", "items_per_request", "seconds", "price_per_hour")
SERVER_OPTION = click.option("--model-command", metavar="'CMD … {port}'", help="Starts a model server on {port}.")
URL_OPTION = click.option("--model-url", metavar="URL", help="A model server that is already running.")


def _refuse_workspace(_: click.Context, __: click.Parameter, workspace: str | None) -> None:
    if workspace is not None:
        remedy = "Leave it out to work on AWS; `forecast ITEM --workspace` asks the workspace's model at once."
        raise ConfigError(Problem("not_local", "a workspace has no asynchronous endpoint.", "--workspace", remedy))


ENDPOINT_OPTION = click.option("--endpoint", default=f"{PIPELINE_NAME}-async", help="Name of the endpoint.")
SCHEDULE_OPTIONS = together(
    click.option("--schedule", "name", default=PIPELINE_NAME, help="Name of the schedule."), session_options
)
RUN_OPTIONS = together(click.argument("run_id", required=False), NAME_OPTION, session_options)
SHARDS_OPTIONS = together(
    click.option("--shards", "run_id", required=True, metavar="RUN_ID", help="The run whose shards were built."),
    NAME_OPTION,
)
DECISION_OPTIONS = together(
    click.argument("run_id"),
    click.option("--reason", required=True, help="Why; it is kept with the run."),
    NAME_OPTION,
    session_options,
)
PUBLISH_OPTIONS = together(
    click.option("--publish-uri", metavar="S3URI", help="Where it publishes; PublishUri of its last run by default."),
    NAME_OPTION,
    session_options,
)
# Of commands that work in an account alone; --workspace, which most others have, is refused with the reason.
ACCOUNT_ALONE_OPTIONS = together(
    account_options,
    click.option("--workspace", hidden=True, expose_value=False, callback=_refuse_workspace),
)
WORKLOAD_OPTIONS = together(
    click.option("--items", type=click.IntRange(1), help="For the estimate: records of the run."),
    click.option("--items-per-request", type=click.IntRange(1), help="For the estimate: records of a request."),
    click.option("--seconds", type=float, help="For the estimate: seconds a request takes alone."),
    click.option("--price-per-hour", type=float, help="For the estimate: USD an instance hour, not the table's."),
    click.option("--tuning", type=FILE, help="What `tune` measured of the model; -p still wins over it."),
)


class OutputFile(click.Path):
    """A file that is written when the work is done: refused before the work where it could not be written after it."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, dir_okay=False, writable=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = super().convert(value, param, ctx)
        assert isinstance(path, Path)
        # Directories that are not there yet are made with the file.
        folder = next(each for each in path.absolute().parents if each.exists())
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            self.fail(f"{str(folder)!r} is no directory that can be written to.", param, ctx)
        return path


def open_run(name: str, run_id: str | None, where: Mapping[str, Any]) -> tuple[Session, RunRecord]:
    """A run of the pipeline `name`, without an id the one that was started last; `where` are the session's options."""
    from batchcast.runs.run_record import find_run, latest_run

    session = open_session(**where)
    run = find_run(session, name, run_id) if run_id else latest_run(session, name)
    if run is None:
        remedy = "`local` runs it on this machine; in an account `deploy` and `start` do."
        raise ConfigError(Problem("no_run", f"pipeline {name} has not run here yet.", remedy=remedy))
    return session, run


def open_publish_uri(publish_uri: str | None, name: str, where: Mapping[str, Any]) -> tuple[Session, str]:
    """Where the pipeline `name` publishes, unless it is given."""
    from batchcast.runs.run_record import latest_publish_uri

    session = open_session(**where)
    return session, publish_uri or latest_publish_uri(session, name)
