import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

import click

from batchcast.cli.echo import echo, echo_json
from batchcast.cli.options import FILE
from batchcast.cli.terminal import stdout_console
from batchcast.pipelines.lint.lint import advice_codes
from batchcast.pipelines.lint.lint import lint as findings_of
from batchcast.pipelines.lint.template_rules import parse_template_text
from batchcast.pipelines.parameters import split_pairs
from batchcast.pipelines.tuning import read_tuning
from batchcast.steps.errors import ConfigError, Problem

_REFUSED = ConfigError.exit_code
_Finding = tuple[str, Problem]


@click.command()
@click.argument("files", metavar="[FILE]...", type=click.File("rb"), nargs=-1)
@click.option("-p", "--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="Value of a parameter.")
@click.option("--tuning", type=FILE, help="Hold it against what `tune` measured of the model.")
@click.option("--json", "as_json", is_flag=True, help="The findings as JSON.")
def lint_command(files: tuple[BinaryIO, ...], parameters: tuple[str, ...], tuning: Path | None, as_json: bool) -> None:
    """Check pipeline definitions without running them.

    A FILE is any pipeline's definition, the answer of describe-pipeline, or a CloudFormation template (JSON or YAML)
    with pipelines and what starts them; `-` reads stdin; without FILE it is this pipeline's own. What could not be
    checked is listed as that. Exit code 2 when SageMaker would refuse it, 0 when it is
    clean or there is only advice.
    """
    from batchcast.pipelines.definition import DEFINITION_FILE

    # The parameters belong to the definition, which need not be ours: lint itself says which do not fit.
    values = split_pairs(parameters, "parameter", "-p", "Write -p Name=Value.")
    measured = read_tuning(tuning) if tuning else None
    texts = {getattr(file, "name", "standard input"): file.read() for file in files} or {
        DEFINITION_FILE.name: DEFINITION_FILE.read_bytes()
    }
    found = [
        (name, problem)
        for name, text in texts.items()
        for problem in findings_of(parse_template_text(text, name), values, measured)
    ]
    refused = [one for one in found if one[1].code not in advice_codes()]
    advice = [one for one in found if one[1].code in advice_codes()]
    if as_json:
        kinds = {"refused": refused, "advice": advice}
        rows = [{"file": name, "kind": kind, **asdict(one)} for kind, found in kinds.items() for name, one in found]
        echo_json(rows)
    else:
        _print(refused, advice, named=len(texts) > 1)
    sys.exit(_REFUSED if refused else 0)


def _print(refused: Sequence[_Finding], advice: Sequence[_Finding], *, named: bool) -> None:
    console = stdout_console()
    kinds = {"SageMaker would refuse": refused, "SageMaker takes, and it may not do what it seems to": advice}
    for title, found in kinds.items():
        if found:
            console.print(f"[bold]{title}[/] ({len(found)})")
        for name, problem in found:
            echo(f"  {name}: {problem}" if named else f"  {problem}")
    if not refused and not advice:
        console.print("Nothing found.")
