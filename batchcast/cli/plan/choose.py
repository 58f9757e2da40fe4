"""`choose`: batch, asynchronous, hybrid or real-time."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Any

import click

from batchcast.planner.plan.options import PlanOptions, plan_inputs, plan_options, price_table

if TYPE_CHECKING:
    from batchcast.serving.choice import Choice

__all__ = ["choose"]


@click.command()
@plan_options
@click.option("--deadline", type=click.FloatRange(0, min_open=True), metavar="HOURS", help="Of the weekly run.")
@click.option(
    "--answer-within", type=click.FloatRange(0, min_open=True), metavar="MINUTES", help="Of an ad-hoc request."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def choose(deadline: float | None, answer_within: float | None, as_json: bool, **given: Any) -> None:
    """Choose between batch, an asynchronous endpoint, both, and real time.

    Says what each costs and takes, what is against it, and which rule decided. --ad-hoc 0: no ad-hoc requests at all.
    """
    from batchcast.serving.choice import Needs, choose_way

    options = PlanOptions(**given)
    inputs = plan_inputs(options, price_table(options), date.today())
    choice = choose_way(inputs, Needs(deadline_hours=deadline, answer_minutes=answer_within))
    if as_json:
        click.echo(json.dumps(asdict(choice), indent=1))
    else:
        _print(choice, inputs.ad_hoc_requests)


def _print(choice: Choice, ad_hoc_requests: int) -> None:
    from rich.table import Table

    from batchcast.cli.console import stdout_console
    from batchcast.serving.choice import WAYS

    table = Table("Way", "Weekly run, P95", "Ad hoc", "A week", "", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in table.columns[1:4]:
        column.justify = "right"
    for way in choice.ways:
        minutes = "none" if way.ad_hoc_minutes is None else f"{way.ad_hoc_minutes:.1f} min"
        style = "bold green" if way.name == choice.name else "dim" if way.reasons else ""
        row = (way.name, f"{way.weekly_hours:.1f} h", minutes, f"${way.usd_a_week:,.2f}")
        table.add_row(*row, "; ".join(way.reasons) or WAYS[way.name], style=style)
    console = stdout_console()
    console.print(table)
    console.print(f"\n[bold]{choice.name}[/]: {WAYS[choice.name]}.")
    requests = f"{ad_hoc_requests} ad-hoc request{'' if ad_hoc_requests == 1 else 's'} a week"
    console.print(f"The rule that decided: {choice.rule} Counted with {requests}.")
