from datetime import UTC, datetime, timedelta
from functools import partial
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
)
from batchcast.pipelines.parameters import parse_overrides
from batchcast.session.session import Session, WorkspaceSession, open_session, session_options
from batchcast.steps.errors import ConfigError, Problem


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
    from batchcast.runs import start
    from batchcast.runs.watch.run_and_wait import run_and_wait

    workload = {each: given.pop(each) for each in WORKLOAD} | {"tuning": tuning}
    stack, scheduler_role = given.pop("stack"), given.pop("scheduler_role")
    overrides = parse_overrides(parameters)
    session = open_session(**given)
    pipeline = start.required_pipeline(session, name, pipeline_version)
    if tuning:
        values = start.tuned_run(session, pipeline, tuning, overrides)
    else:
        values = start.run_parameters(pipeline, overrides)
    bound = timedelta(hours=stop_after) if stop_after else default_bound(values, region=session.region, **workload)
    if budget is not None:
        check_budget(values, budget, region=session.region, **workload)
    chosen = values.service_values()
    if isinstance(session, WorkspaceSession):
        ended = run_and_wait(session, name, chosen, display=RunDisplay, stop_after=bound, version=pipeline_version)
        end_with_result(*ended, as_json=as_json, workspace=given["workspace"])
    role = _stopping_role(session, stack, scheduler_role, needed=stop_after is not None)
    client = session.client("sagemaker")
    start.check_prefix(session, name, chosen, partial(echo, err=True), once=True)
    arn = start.start_run(client, name, chosen, once=True, version=pipeline_version)
    status = start.started_status(client, arn, values.run_label)
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


def _stopping_role(session: Session, stack: str | None, given: str | None, *, needed: bool) -> str | None:
    """The scheduler's role: what is given, else that of the stack."""
    if given is None and stack is None and needed:
        what = "a run on AWS is stopped by the scheduler, which needs a role."
        raise ConfigError(Problem("option", what, "--stop-after", "Give --stack, or --scheduler-role."))
    return given or read_stack(session, stack).get("SchedulerRoleArn")
