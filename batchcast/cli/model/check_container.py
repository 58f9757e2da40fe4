"""`check-container`: is this model container compatible with Batch Transform, and with which settings?"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

from batchcast.cli.echo import echo, echo_json
from batchcast.cli.options import JSON_OPTION, PATH, POSITIVE, SERVER_OPTION, URL_OPTION
from batchcast.cli.terminal import stdout_console, working
from batchcast.container_check.container import CheckLimits
from batchcast.pipelines.parameters import service_name
from batchcast.session.workspace_models import model_server
from batchcast.steps.errors import ModelError

if TYPE_CHECKING:
    from batchcast.container_check.report import ContainerReport

RECORDS = 8
"""Records that are sent, of those there are: from the first to the last, evenly spread."""
_MARKS = {"works": "[green]✓[/]", "note": "[dim]·[/]", "risk": "[yellow]![/]", "breaks": "[red]✗[/]"}


@click.command("check-container")
@URL_OPTION
@SERVER_OPTION
@click.option("--sample", type=PATH, help="Records of the model, a JSON document a line; else the bakery sample's.")
@click.option("--contract", type=PATH, help="The model.toml of these records, to judge the answers by.")
@click.option("--start-timeout", type=POSITIVE, default=120.0, metavar="SECONDS", help="To wait for /ping to answer.")
@JSON_OPTION
def check_container_command(
    model_url: str | None,
    model_command: str | None,
    sample: Path | None,
    contract: Path | None,
    start_timeout: float,
    as_json: bool,
) -> None:
    """Check whether a model container is compatible with Batch Transform.

    Sends it good, bad, large, empty and many records, and says what works, what would break a job, and which
    settings to give the job. Exit code 0: fit, 4: unfit.
    """
    from batchcast.container_check.check import check_container as examine
    from batchcast.container_check.report import forecast_judge, judge_json
    from batchcast.local.sample import evenly_spread, records_and_contract

    source = model_server(model_command, model_url)
    sent, declared = records_and_contract(sample, contract)
    records = evenly_spread(sent, RECORDS)
    judge = judge_json if declared is None else forecast_judge(declared)
    limits = CheckLimits(start=start_timeout)
    checks = ["start"]
    with working(lambda: f"Check {checks[-1]}"):
        report = examine(source, records, judge=judge, limits=limits, on_check=checks.append)
    container = model_url or model_command or ""
    if as_json:
        echo_json(container_document(report, container))
    else:
        print_container_report(report, container, _origin(len(records), sample, contract))
    sys.exit(0 if report.compatible else ModelError.exit_code)


def _origin(count: int, sample: Path | None, contract: Path | None) -> str:
    if sample is None:
        return f"{count} records of the bakery sample; give --sample FILE for those of your own model."
    judged = f"judged by {contract}" if contract else "only known to be JSON; give --contract to have forecasts judged"
    return f"{count} records of {sample}, the answers {judged}."


def container_document(report: ContainerReport, container: str) -> dict[str, Any]:
    """The whole report; `parameters` are the settings by the names of the pipeline's parameters."""
    return {
        "schema": 1,
        "container": container,
        "fit": report.compatible,
        "findings": [asdict(finding) for finding in report.findings],
        "levels": [{**asdict(level), "per_second": level.per_second} for level in report.levels],
        "parameters": _parameters(report),
    }


def print_container_report(report: ContainerReport, container: str, origin: str) -> None:
    """What works, what does not and what to do, then the verdict with the job's settings; `origin` of the records."""
    console = stdout_console()
    console.print(Text(container, style="bold"))
    console.print(Text(origin, style="dim"))
    table = Table.grid(padding=(0, 1))
    for finding in report.findings:
        what = Text(finding.what)
        if finding.remedy:
            what.append(f"\n{finding.remedy}", style="italic")
        table.add_row(_MARKS[finding.verdict], _words(finding.check), what)
    console.print(table)
    if report.compatible:
        console.print("\n[bold green]Compatible with Batch Transform.[/] Give the job:")
        for name, value in _parameters(report).items():
            echo(f"  -p {name}={value}")
        return
    reasons = dict.fromkeys(_words(finding.check) for finding in report.findings if finding.verdict == "breaks")
    console.print(f"\n[bold red]Not compatible with Batch Transform:[/] {', '.join(reasons)}.")


def _words(check: str) -> str:
    return check.replace("_", " ")


def _parameters(report: ContainerReport) -> Mapping[str, int]:
    values = asdict(report.settings) if report.settings else {}
    return {service_name(field): value for field, value in values.items()}
