"""The report of `check-container`: for people, and as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from batchcast.cli.echo import echo

if TYPE_CHECKING:
    from batchcast.container_check.report import ContainerReport

_MARKS = {"works": "[green]✓[/]", "note": "[dim]·[/]", "risk": "[yellow]![/]", "breaks": "[red]✗[/]"}


def container_document(report: ContainerReport, container: str) -> dict[str, Any]:
    """The whole report; `parameters` are the settings by the names of the pipeline's parameters."""
    return {
        "schema": 1,
        "container": container,
        "fit": report.compatible,
        "findings": [dataclasses.asdict(finding) for finding in report.findings],
        "levels": [{**dataclasses.asdict(level), "per_second": level.per_second} for level in report.levels],
        "parameters": _parameters(report),
    }


def print_container_report(report: ContainerReport, container: str, origin: str) -> None:
    """What works, what does not and what to do, then the verdict with the job's settings; `origin` of the records."""
    from rich.table import Table
    from rich.text import Text

    from batchcast.cli.console import stdout_console

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
    from batchcast.pipelines.parameters import service_name

    values = dataclasses.asdict(report.settings) if report.settings else {}
    return {service_name(field): value for field, value in values.items()}
