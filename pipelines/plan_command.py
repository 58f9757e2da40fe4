"""`plan`: what a run will cost and when it will end, beside the ways around it."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import click

from pipelines.plan_inputs import PlanOptions, plan_inputs, plan_options, price_table

__all__ = ["plan"]


@click.command()
@plan_options
@click.option("--deadline", type=click.FloatRange(0, min_open=True), metavar="HOURS", help="Find what ends in time.")
@click.option("--budget", type=click.FloatRange(0, min_open=True), metavar="USD", help="Find what costs no more.")
@click.option("--formula", "plain", is_flag=True, help="The plain formula alone: no start-up spread, no other costs.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.option(
    "--html", type=click.Path(path_type=Path, dir_okay=False), help="Write the page to explore the plan with."
)
def plan(
    deadline: float | None, budget: float | None, plain: bool, as_json: bool, html: Path | None, **given: Any
) -> None:
    """What the run costs and when it ends, beside the ways around it."""
    from planner.plan import make_plan

    today = date.today()
    options = PlanOptions(**given)
    table = price_table(options)
    inputs = plan_inputs(options, table, today)
    made = make_plan(inputs, table, today, plain=plain)
    document = made.document()
    found = _search(inputs, table, deadline, budget) if deadline or budget else None
    if found:
        document["search"] = {name: [_candidate(one) for one in rows] for name, rows in found.items()}
    if html:
        from planner.page import write_page

        write_page(made, dict(table.sources), html)
    if as_json:
        click.echo(json.dumps(document, indent=1))
        return
    from pipelines.console import stdout_console
    from planner.tables import candidates_table, print_plan

    console = stdout_console()
    print_plan(made, console, plain=plain)
    for name, rows in (found or {}).items():
        console.print(f"\n[bold]{name}[/]")
        console.print(candidates_table(rows) if rows else "Nothing does, with up to 100 instances of any priced type.")
    if html:
        console.print(f"\nPage: {html}")


def _search(inputs: Any, table: Any, deadline: float | None, budget: float | None) -> dict[str, list[Any]]:
    from pipelines import instance_types
    from planner import search

    choices = search.type_choices(inputs, table.rates.get(inputs.region, {}), instance_types.of_transform())
    found: dict[str, list[Any]] = {}
    if deadline:
        best = search.cheapest_within_deadline(choices, deadline)
        found[f"Cheapest that ends within {deadline:g} h with 95 %"] = [best] if best else []
    if budget:
        fastest = search.fastest_within_budget(choices, budget)
        found[f"Fastest within ${budget:,.2f}"] = [fastest] if fastest else []
    front = search.pareto(search.configurations(choices, (1, 2, 5, 10, 20, 40, 80)))
    found["Nothing is both faster and cheaper than these (the same seconds a record on every type)"] = front
    return found


def _candidate(one: Any) -> dict[str, Any]:
    run = one.scenario
    return {
        "instance_type": one.instance_type,
        "instances": one.instances,
        "concurrency": one.concurrency,
        "wall_hours": run.wall_hours,
        "p95": run.p95,
        "cost_usd": run.cost_usd,
    }
