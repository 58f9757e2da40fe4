from pathlib import Path
from typing import Any

import click

from batchcast.account.deploy_settings import read_stack, stack_option
from batchcast.cli.echo import end_with_findings
from batchcast.cli.options import JSON_OPTION, PARAMETER_OPTION, PIPELINE_NAME, WORKLOAD, WORKLOAD_OPTIONS
from batchcast.cli.terminal import working
from batchcast.pipelines.parameters import Parameters, parse_overrides
from batchcast.pipelines.tuning import read_tuning
from batchcast.session.session import LOCAL_REGION, open_session, session_options
from batchcast.steps.errors import ConfigError, Problem


@click.command()
@PARAMETER_OPTION
@click.option("--name", help="Name of the pipeline.  [default: that of --stack, or batchcast]")
@stack_option
@WORKLOAD_OPTIONS
@session_options
@JSON_OPTION
def preflight_command(
    parameters: tuple[str, ...], name: str | None, stack: str | None, tuning: Path | None, as_json: bool, **given: Any
) -> None:
    """Look for what would stop a run, and change nothing.

    Ends with 2 when something would. What this identity may not look at is a warning.
    """
    from batchcast.account.preflight import preflight as check
    from batchcast.runs.start import required_pipeline, run_parameters

    workload = {each: given.pop(each) for each in WORKLOAD}
    session = open_session(**given)
    if session.region == LOCAL_REGION:
        what = "a workspace has no roles, keys or quotas to check."
        raise ConfigError(Problem("not_local", what, "--workspace", "Leave it out to check an account."))
    name = name or read_stack(session, stack).get("PipelineName", PIPELINE_NAME)
    pipeline = required_pipeline(session, name)
    tuned = read_tuning(tuning).pipeline_parameters() if tuning else {}
    values = run_parameters(pipeline, {**tuned, **parse_overrides(parameters)})

    def estimate(values: Parameters) -> str:
        from batchcast.planner.plan.prepare import estimate_run

        found = estimate_run(values, region=session.region, tuning=tuning, **workload)
        return f"about {found.wall_hours:.1f} h (at worst {found.p95:.1f} h) and {found.cost_usd:,.2f} USD."

    with working("Looking at the account"):
        found = list(check(session, pipeline, values, estimate, workload["items"]))
    end_with_findings(found, as_json=as_json)
