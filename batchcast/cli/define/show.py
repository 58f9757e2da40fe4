"""`show` and `parameters`: what would run, before anything does."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from batchcast.cli.echo import echo
from batchcast.cli.terminal import plain_table, stdout_console
from batchcast.session.session import Session, open_session, session_options
from batchcast.steps.errors import ConfigError, Problem

# Stands for the execution id in resolved requests, which only the service can give.
EXAMPLE_RUN_ID = "runid0000000"


@click.command()
@click.option("-p", "--parameter", "overrides", multiple=True, metavar="NAME=VALUE", help="Override a parameter.")
@click.option("--requests", is_flag=True, help="The job requests of a run with these parameters, resolved.")
@click.option("--diff", is_flag=True, help="What `deploy` with these settings would change.")
@click.option(
    "--settings", "settings_file", type=click.Path(path_type=Path, dir_okay=False), help="The file of `deploy`."
)
@session_options
def show_command(
    overrides: tuple[str, ...], requests: bool, diff: bool, settings_file: Path | None, **where: Any
) -> None:
    """Print the pipeline definition, or the job requests it resolves to.

    With -p and without --requests the definition is printed with these values as its defaults.
    --diff compares with what is deployed and needs the account; the others need nothing.
    """
    from batchcast.pipelines.definition import DEFINITION_FILE, with_defaults
    from batchcast.pipelines.parameters import check_parameters, parse_overrides
    from batchcast.pipelines.requests import resolve_requests

    _check_options(requests, diff, settings_file, where)
    if diff:
        session = open_session(**where)
        echo("\n".join(_changes(session, settings_file, overrides)))
        return
    values = parse_overrides(overrides)
    definition = json.loads(DEFINITION_FILE.read_text())
    if requests:
        check_parameters(values)
        found = resolve_requests(definition, values, EXAMPLE_RUN_ID)
        printed: object = [{"step": one.step, "operation": one.operation, "request": one.request} for one in found]
    else:
        printed = with_defaults(definition, values)
    echo(json.dumps(printed, indent=1))


def _check_options(requests: bool, diff: bool, settings_file: Path | None, where: Mapping[str, Any]) -> None:
    """Raises ConfigError for an option that would do nothing, and for --diff without what it compares with."""
    problems = []
    if diff and settings_file is None:
        problems.append(("--settings", "--diff compares what these settings make.", "Name the file of `deploy`."))
    if diff and requests:
        problems.append(("--requests", "--diff compares definitions.", "Leave one of the two out."))
    if not diff:
        given = {"settings": settings_file, **where}
        said = [f"--{name}" for name, value in given.items() if value is not None]
        problems += [(name, "only --diff looks at it.", "Leave it out, or add --diff.") for name in said]
    if problems:
        raise ConfigError(*(Problem("option", what, name, remedy) for name, what, remedy in problems))


def _changes(session: Session, settings_file: Path | None, defaults: tuple[str, ...]) -> list[str]:
    from batchcast.account.deploy import deployment_changes
    from batchcast.account.deploy_settings import read_deploy_settings

    settings = read_deploy_settings(settings_file, {"defaults": defaults}, region=session.region)
    changes = deployment_changes(session, settings)
    name = settings.build.pipeline_name
    if changes is None:
        return [f"There is no pipeline {name} in {session.region}; `deploy` would create it."]
    return [str(change) for change in changes] or [
        f"Pipeline {name} in {session.region} is what `deploy` would make it."
    ]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="The table as JSON.")
def parameters_command(as_json: bool) -> None:
    """Print the table of pipeline parameters."""
    from batchcast.pipelines.parameters import declared_parameters

    declared = declared_parameters()
    if as_json:
        echo(json.dumps([asdict(one) for one in declared], indent=1))
        return
    table = plain_table("Parameter", "Type", "Default", "Bounds", "Meaning", whole=[0, 2])
    for one in declared:
        default = "required" if one.default is None else f"{one.default:g}" if one.type == "Float" else str(one.default)
        bounds = "" if one.minimum is None else f"{one.minimum:,.0f} to {one.maximum:,.0f} {one.unit}"
        table.add_row(one.name, one.type, default, bounds, one.help)
    stdout_console().print(table)
