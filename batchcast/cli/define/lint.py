"""`lint`: what SageMaker would refuse of a pipeline definition, or take and not do, before it runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from batchcast.steps.errors import ConfigError, Problem

if TYPE_CHECKING:
    from rich.console import Console

_REFUSED = ConfigError.exit_code


@click.command()
@click.argument("file", type=click.File("rb"), required=False)
@click.option("-p", "--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="Value of a parameter.")
@click.option(
    "--tuning",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Hold it against what `tune` measured of the model.",
)
@click.option("--json", "as_json", is_flag=True, help="The findings as JSON.")
def lint_command(file: BinaryIO | None, parameters: tuple[str, ...], tuning: Path | None, as_json: bool) -> None:
    """Check a pipeline definition without running it.

    FILE is any pipeline's definition, the answer of describe-pipeline, or a CloudFormation template (JSON or YAML)
    with pipelines and what starts them; `-` reads stdin; without FILE it is this pipeline's own. What could not be
    checked is listed as that. Exit code 2 when SageMaker would refuse it, 0 when it is
    clean or there is only advice.
    """
    from batchcast.pipelines.lint.lint import ADVICE
    from batchcast.pipelines.lint.lint import lint as findings_of
    from batchcast.pipelines.tuning import read_tuning

    found = findings_of(_definition(file), _values(parameters), read_tuning(tuning) if tuning else None)
    refused = [problem for problem in found if problem.code not in ADVICE]
    advice = [problem for problem in found if problem.code in ADVICE]
    if as_json:
        click.echo(json.dumps([*_rows("refused", refused), *_rows("advice", advice)], indent=1))
    else:
        _print(refused, advice)
    sys.exit(_REFUSED if refused else 0)


def _definition(file: BinaryIO | None) -> Any:
    from batchcast.pipelines.definition import DEFINITION_FILE
    from batchcast.pipelines.lint.template_text import parse_template_text

    if file is None:
        return json.loads(DEFINITION_FILE.read_bytes())
    return parse_template_text(file.read(), getattr(file, "name", "standard input"))


def _values(pairs: Iterable[str]) -> dict[str, str]:
    """The parameters belong to the definition, which need not be ours: lint itself says which do not fit."""
    without = [pair for pair in pairs if "=" not in pair]
    if without:
        raise ConfigError(
            *(Problem("parameter", f"{pair!r} has no '='.", "-p", "Write -p Name=Value.") for pair in without)
        )
    return dict(pair.split("=", 1) for pair in pairs)


def _rows(kind: str, problems: Iterable[Problem]) -> list[dict[str, str]]:
    return [
        {"kind": kind, "code": one.code, "where": one.where, "what": one.what, "remedy": one.remedy} for one in problems
    ]


def _print(refused: Sequence[Problem], advice: Sequence[Problem]) -> None:
    from batchcast.cli.console import stdout_console

    console = stdout_console()
    _print_findings(console, "SageMaker would refuse", refused)
    _print_findings(console, "SageMaker takes, and it may not do what it seems to", advice)
    if not refused and not advice:
        console.print("Nothing found.")


def _print_findings(console: Console, title: str, problems: Sequence[Problem]) -> None:
    if problems:
        console.print(f"[bold]{title}[/] ({len(problems)})")
    for problem in problems:
        click.echo(f"  {problem}")
