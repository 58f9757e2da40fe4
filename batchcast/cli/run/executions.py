"""`start`, `status`, `wait`, `logs`, `stop` and `list`: the runs of the deployed pipeline."""

import json
import sys
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from batchcast.account.deploy_settings import read_stack, stack_option
from batchcast.cli.echo import echo, echo_json
from batchcast.cli.options import (
    COUNT,
    JSON_OPTION,
    NAME_OPTION,
    PARAMETER_OPTION,
    POSITIVE,
    STOP_AFTER_OPTION,
    WORKLOAD,
    WORKLOAD_OPTIONS,
    open_run,
)
from batchcast.cli.terminal import cell, plain_table, stdout_console
from batchcast.pipelines.parameters import parse_overrides
from batchcast.session.session import Session, WorkspaceSession, open_session, session_options, together
from batchcast.steps.errors import ConfigError, Problem, ServiceError

_MOST_LISTED = 20
# An optional run id, the pipeline's name and the session's options.
_of_one_run = together(click.argument("run_id", required=False), NAME_OPTION, session_options)


@click.command()
@PARAMETER_OPTION
@click.option("--budget", type=POSITIVE, metavar="USD", help="Refuse a run whose estimate is more.")
@WORKLOAD_OPTIONS
@STOP_AFTER_OPTION
@click.option("--pipeline-version", type=COUNT, metavar="N", help="Run an earlier version; `deploy` says its number.")
@stack_option
@click.option("--scheduler-role", metavar="ARN", help="Role with which the scheduler stops the run, as --stack has it.")
@NAME_OPTION
@session_options
@JSON_OPTION
def start_command(
    parameters: tuple[str, ...],
    budget: float | None,
    tuning: Path | None,
    stop_after: float | None,
    pipeline_version: int | None,
    name: str,
    as_json: bool,
    **given: Any,
) -> None:
    """Start a run and print its id.

    On AWS the same RunLabel and parameters start the same run, however often: safe to repeat after a broken
    connection. In a workspace each start is a run of its own that lives in this process: the command stays to its
    end. What hangs goes on for days: --stop-after bounds it, on AWS by a schedule that stops the run and deletes
    itself.
    """
    from batchcast.account.schedule import schedule_stop
    from batchcast.cli.console import RunDisplay, end_with_result
    from batchcast.planner.plan.prepare import check_budget, default_bound
    from batchcast.runs.start import (
        check_no_overlap,
        pointer_problem,
        required_pipeline,
        run_parameters,
        start_run,
        started_status,
        tuned_run,
    )
    from batchcast.runs.watch.run_and_wait import run_and_wait

    workload = {each: given.pop(each) for each in WORKLOAD} | {"tuning": tuning}
    stack, scheduler_role = given.pop("stack"), given.pop("scheduler_role")
    overrides = parse_overrides(parameters)
    session = open_session(**given)
    pipeline = required_pipeline(session, name, pipeline_version)
    values = tuned_run(session, pipeline, tuning, overrides) if tuning else run_parameters(pipeline, overrides)
    planned = None if stop_after else default_bound(values, region=session.region, **workload)
    bound = timedelta(hours=stop_after) if stop_after else planned
    if budget is not None:
        check_budget(values, budget, region=session.region, **workload)
    if isinstance(session, WorkspaceSession):
        chosen = values.service_values()
        ended = run_and_wait(session, name, chosen, display=RunDisplay, stop_after=bound, version=pipeline_version)
        end_with_result(*ended, as_json=as_json, workspace=given["workspace"])
    role = _stopping_role(session, stack, scheduler_role, needed=stop_after is not None)
    client = session.client("sagemaker")
    check_no_overlap(session, name, values.service_values(), once=True)
    with suppress(ServiceError):  # this identity may not read it
        if problem := pointer_problem(session.store, values.publish_uri, values.run_date, datetime.now(UTC).date()):
            echo(str(problem), err=True)
    arn = start_run(client, name, values.service_values(), once=True, version=pipeline_version)
    status = started_status(client, arn, values.run_label)
    run_id = arn.rsplit("/", 1)[-1]
    if as_json:
        echo_json({"run_id": run_id, "arn": arn, "status": status})
    else:
        echo(run_id)
        echo(f"{status}; `wait {run_id}` follows it to its end.", err=True)
    if bound and role:
        at = datetime.now(UTC) + bound
        schedule_stop(session, arn, at, role)
        echo(f"What is left of it at {at:%Y-%m-%d %H:%M} UTC is stopped.", err=True)
    else:
        echo("Nothing stops it if it hangs: --stop-after with --stack does.", err=True)


@click.command()
@_of_one_run
@JSON_OPTION
def status_command(run_id: str | None, name: str, as_json: bool, **where: Any) -> None:
    """Show how a run stands: steps, shards done, when it ends, why it failed.

    Without RUN_ID the run that was started last. Ends with the exit code of the run once that has ended.
    """
    from batchcast.cli.console import print_next
    from batchcast.runs.progress import run_status, status_lines

    session, run = open_run(name, run_id, where)
    document, exit_code = run_status(session, run, datetime.now(UTC))
    echo(json.dumps(document, indent=1) if as_json else "\n".join(status_lines(document)))
    if document["next"] and not as_json:
        print_next(document, where["workspace"])
    sys.exit(exit_code)


@click.command()
@_of_one_run
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


@click.command()
@_of_one_run
@click.option("--step", metavar="NAME", help="Of this step only.")
def logs_command(run_id: str | None, name: str, step: str | None, **where: Any) -> None:
    """Print the logs of a run's jobs, step by step.

    Without RUN_ID those of the run that was started last.
    """
    from batchcast.runs.follow import view
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


@click.command()
@_of_one_run
def stop_command(run_id: str | None, name: str, **where: Any) -> None:
    """Stop a run; nothing of it is published.

    Without RUN_ID the run that was started last.
    """
    from batchcast.runs.follow import ENDED
    from batchcast.runs.start import stop_run

    session, run = open_run(name, run_id, where)
    if run.status in ENDED:
        echo(f"Run {run.run_id} has ended already: {run.status}.")
        return
    stop_run(session.client("sagemaker"), run.arn)
    echo(f"Run {run.run_id} is being stopped.")


@click.command(name="list")
@NAME_OPTION
@click.option("--limit", type=click.IntRange(1, 1000), default=_MOST_LISTED, help="How many runs.")
@session_options
@JSON_OPTION
def list_command(name: str, limit: int, as_json: bool, **where: Any) -> None:
    """List the runs, the newest first."""
    from batchcast.runs.start import list_runs

    session = open_session(**where)
    found = list(list_runs(session.client("sagemaker"), name, limit))
    if as_json:
        echo_json([{**asdict(one), "started": one.started.isoformat()} for one in found])
        return
    if not found:
        echo(f"Pipeline {name} has not run here yet.")
        return
    rows = [(one.run_id, one.status, f"{one.started.astimezone():%Y-%m-%d %H:%M}", cell(one.label)) for one in found]
    stdout_console().print(plain_table("Run", "Status", "Started", "Label", rows=rows))


def _stopping_role(session: Session, stack: str | None, given: str | None, *, needed: bool) -> str | None:
    """The scheduler's role: what is given, else that of the stack."""
    if given is None and stack is None and needed:
        what = "a run on AWS is stopped by the scheduler, which needs a role."
        raise ConfigError(Problem("option", what, "--stop-after", "Give --stack, or --scheduler-role."))
    return given or read_stack(session, stack).get("SchedulerRoleArn")
