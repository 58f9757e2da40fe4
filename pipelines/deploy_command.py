"""`deploy`: create or update the pipeline in an account, or say what that would do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.deploy_settings import deploy_options
from pipelines.session import session_options

if TYPE_CHECKING:
    from pipelines.deploy import Deployment

__all__ = ["deploy"]


@click.command()
@deploy_options
@session_options
@click.option("--dry-run", is_flag=True, help="Print the exact requests as JSON and write nothing.")
def deploy(
    settings_file: Path | None,
    workspace: Path | None,
    region: str | None,
    profile: str | None,
    dry_run: bool,
    **given: Any,
) -> None:
    """Create the pipeline, or update what has changed.

    Code and payload file go to S3 under the digest of their content; running executions keep theirs.
    """
    from pipelines.deploy import apply, package, plan_deployment
    from pipelines.deploy_settings import read_deploy_settings
    from pipelines.session import open_session

    session = open_session(workspace, region=region, profile=profile)
    settings = read_deploy_settings(settings_file, given, region=session.region)
    packed = package(settings)
    for problem in packed.advice:
        click.echo(f"Note: {problem}", err=True)
    plan = plan_deployment(session, settings, packed)
    if dry_run:
        click.echo(json.dumps([call.document() for call in plan.calls], indent=1))
        return
    apply(session, plan)
    click.echo(_told(plan, session.region, len(packed.objects)))


def _told(plan: Deployment, region: str, objects: int) -> str:
    written = sum(call.service == "s3" for call in plan.calls)
    done = "is as it should be; nothing changed"
    if not plan.exists:
        done = "created"
    elif len(plan.calls) > written:
        done = "updated"
    lines = [f"Pipeline {plan.pipeline_name} in {region}: {done}."]
    lines += [f"  {change}" for change in plan.changes]
    lines.append(f"Objects: {written} written, {objects - written} there already.")
    return "\n".join(lines)
