from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from batchcast.account.deploy_settings import DeploySettings, account_settings, stack_option
from batchcast.cli.echo import echo, echo_json
from batchcast.cli.options import FILE, POSITIVE
from batchcast.pipelines.parameters import check_parameters, parse_overrides
from batchcast.pipelines.requests import resolve_requests
from batchcast.pipelines.state_machine import state_machine
from batchcast.session.session import Session, open_session, session_options, together
from batchcast.steps.errors import ConfigError, Problem

# Stands for the execution id in resolved requests, which only the service can give.
EXAMPLE_RUN_ID = "runid0000000"
_STOP_AFTER_HOURS = 24  # LongestRunHours of infra/batchcast.yaml


_FORMS = {
    "requests": "The job requests of a run, resolved.",
    "diff": "What `deploy` with these settings would change.",
    "asl": "As a state machine of Step Functions, in its language.",
    "cloudformation": "As a template of CloudFormation.",
}


@click.command()
@click.option("-p", "--parameter", "overrides", multiple=True, metavar="NAME=VALUE", help="Override a parameter.")
@together(*(click.option(f"--{one}", "forms", flag_value=one, multiple=True, help=_FORMS[one]) for one in _FORMS))
@click.option(
    "--stop-after", type=POSITIVE, metavar="HOURS", help=f"With --asl: limit of a job.  [default: {_STOP_AFTER_HOURS}]"
)
@click.option("--settings", "settings_file", type=FILE, help="The file of `deploy`.")
@stack_option
@session_options
def show_command(
    overrides: tuple[str, ...],
    forms: tuple[str, ...],
    stop_after: float | None,
    settings_file: Path | None,
    stack: str | None,
    **where: Any,
) -> None:
    """Print the pipeline: its definition, its job requests, or a state machine.

    With --settings or --stack it is what `deploy` would send, else the committed one. With -p, except for --requests,
    the values are its defaults. --diff and --stack need the account; the others need nothing.
    """
    form = forms[0] if forms else None
    from batchcast.account.deploy import package, pipeline_template
    from batchcast.pipelines.definition import define

    _check_options(forms, stop_after, settings_file or stack, where)
    session = open_session(**where) if settings_file or stack else None
    settings = account_settings(session, settings_file, {"defaults": overrides}, stack) if session else None
    if form == "diff" and session and settings:
        echo("\n".join(_changes(session, settings)))
        return
    packed = package(settings) if settings else None
    definition = packed.definition if packed else define(defaults=parse_overrides(overrides))
    printed: object = definition
    if settings and packed and form == "cloudformation":
        printed = pipeline_template(settings, packed)
    elif form == "requests":
        printed = _requests(definition, overrides)
    elif form == "asl":
        bound = timedelta(hours=stop_after or _STOP_AFTER_HOURS)
        printed = state_machine(definition, bound, session.region) if session else state_machine(definition, bound)
    echo_json(printed)


def _check_options(
    forms: tuple[str, ...], stop_after: float | None, settings: Path | str | None, where: Mapping[str, Any]
) -> None:
    """Raises ConfigError for an option that would do nothing, and for --diff without what it compares with."""
    problems = []
    if len(forms) > 1:
        problems.append((f"--{forms[1]}", f"--{forms[0]} prints something else.", "Leave one of the two out."))
    for form, does in (("diff", "compares"), ("cloudformation", "prints")):
        if form in forms and not settings:
            what = f"--{form} {does} what these settings make."
            problems.append(("--settings", what, "Name the file of `deploy`."))
    if stop_after and "asl" not in forms:
        problems.append(("--stop-after", "only --asl looks at it.", "Leave it out, or add --asl."))
    if not settings:
        said = [f"--{name}" for name, value in where.items() if value is not None]
        problems += [(name, "only --settings and --stack look at it.", "Leave it out, or add one.") for name in said]
    ConfigError.raise_any(Problem("option", what, name, remedy) for name, what, remedy in problems)


def _requests(definition: Mapping[str, Any], overrides: tuple[str, ...]) -> list[dict[str, Any]]:
    from batchcast.pipelines.definition import defaults_of

    values = parse_overrides(overrides)
    check_parameters({**defaults_of(definition), **values})
    found = resolve_requests(definition, values, EXAMPLE_RUN_ID)
    return [{"step": one.step, "operation": one.operation, "request": one.request} for one in found]


def _changes(session: Session, settings: DeploySettings) -> list[str]:
    from batchcast.account.deploy import package, plan_deployment

    plan = plan_deployment(session, settings, package(settings))
    place = f"{plan.pipeline_name} in {session.region}"
    if not plan.exists:
        return [f"There is no pipeline {place}; `deploy` would create it."]
    return [str(change) for change in plan.changes] or [f"Pipeline {place} is what `deploy` would make it."]
