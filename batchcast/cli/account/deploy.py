from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from batchcast.account.deploy_settings import account_settings, deploy_options
from batchcast.cli.echo import echo, echo_json
from batchcast.cli.terminal import working
from batchcast.session.session import open_session, session_options


@click.command()
@deploy_options
@session_options
@click.option("--no-pipeline", is_flag=True, help="Write code and contract alone: a template has the pipeline.")
@click.option("--dry-run", is_flag=True, help="Print the exact requests as JSON and write nothing.")
def deploy_command(
    settings_file: Path | None, stack: str | None, no_pipeline: bool, dry_run: bool, **given: Any
) -> None:
    """Create the pipeline, or update what has changed.

    What is sent is the committed definition with these settings in it; the SageMaker SDK is not needed.
    Code and contract file go to S3 under the digest of their content; running executions keep theirs.
    """
    from batchcast.account.deploy import apply, package, plan_deployment

    session = open_session(**{name: given.pop(name) for name in ("workspace", "region", "profile")})
    settings = account_settings(session, settings_file, given, stack)
    packed = package(settings)
    for problem in packed.advice:
        echo(f"Note: {problem}", err=True)
    with working("Comparing with the account"):
        plan = plan_deployment(session, settings, packed)
    if no_pipeline:
        plan = replace(plan, calls=plan.uploads)
    if dry_run:
        echo_json([call.document() for call in plan.calls])
        return
    with working("Deploying"):
        version = apply(session, plan)
    echo(plan.describe_objects(packed) if no_pipeline else plan.describe(session.region, packed, version))
