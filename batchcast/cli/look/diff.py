from collections.abc import Mapping
from typing import Any

import click
from rich.console import Console

from batchcast.cli.echo import echo, echo_json
from batchcast.cli.options import JSON_OPTION, NAME_OPTION
from batchcast.cli.terminal import cell, plain_table, stdout_console, working
from batchcast.session.session import open_session, session_options

_MOVERS = 10
_SHOWN_ITEMS = 5
_SIDES = ("before", "after")


@click.command()
@click.argument("run_a")
@click.argument("run_b")
@NAME_OPTION
@session_options
@JSON_OPTION
def diff_command(run_a: str, run_b: str, name: str, as_json: bool, **where: Any) -> None:
    """Compare two runs: parameters, inputs, counts, forecasts."""
    from batchcast.runs.compare import compare_runs
    from batchcast.runs.run_record import find_run

    session = open_session(**where)
    with working("Comparing the runs"):
        document = compare_runs(find_run(session, name, run_a), find_run(session, name, run_b))
    if as_json:
        echo_json(document)
    else:
        _print(document)


def _print(document: Mapping[str, Any]) -> None:
    console = stdout_console()
    before, after = document["runs"]
    console.print(f"Run [bold]{before}[/] -> run [bold]{after}[/]")
    for title in ("parameters", "build", "counts"):
        _print_values(console, title, document[title])
    _print_inputs(console, document["inputs"])
    if document["items"]:
        for what in ("lost_forecast", "gained_forecast"):
            _print_items(what.replace("_", " "), document["items"][what])
    _print_forecasts(console, document["forecasts"])


def _print_values(console: Console, title: str, rows: list[Mapping[str, Any]]) -> None:
    if not rows:
        echo(f"\n{title}: the same")
        return
    texts = [[row["name"], *("" if row[side] is None else cell(str(row[side])) for side in _SIDES)] for row in rows]
    console.print("", plain_table(title, *_SIDES, rows=texts))


def _print_inputs(console: Console, inputs: Mapping[str, Any]) -> None:
    console.print("\ninputs")
    for what in ("items", "rows", "bytes"):
        before, after = inputs[what]
        echo(f"  {what}: {before:,} -> {after:,}")
    for what in ("added", "removed"):
        _print_items(f"items {what}", inputs[what])
    echo(f"  records that both sent: {inputs['records_same']:,} the same")
    _print_items("records changed", inputs["records_changed"])


def _print_items(what: str, listed: Mapping[str, Any]) -> None:
    if listed["number"]:
        first = ", ".join(listed["first"][:_SHOWN_ITEMS])
        echo(f"  {what}: {listed['number']:,} ({first}{', …' if listed['number'] > _SHOWN_ITEMS else ''})")


def _print_forecasts(console: Console, forecasts: Mapping[str, Any] | None) -> None:
    if forecasts is None:
        echo("\nforecasts: not both runs are published")
        return
    echo(f"\nforecasts of {forecasts['items']:,} items on {forecasts['days']} days that both have")
    for target, found in forecasts["targets"].items():
        wape = "" if found["wape"] is None else f", {found['wape']:.1%} apart (WAPE)"
        before, after = found["sum"]
        echo(f"  {target}: sum {before:,.1f} -> {after:,.1f}{wape}")
        if found["movers"]:
            movers = found["movers"][:_MOVERS]
            texts = [[cell(row["item_id"]), *(f"{row[side]:,.1f}" for side in _SIDES)] for row in movers]
            console.print(plain_table("largest movers", *_SIDES, rows=texts))
