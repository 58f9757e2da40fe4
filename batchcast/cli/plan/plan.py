"""`plan`: what a run will cost and when it will end, beside the ways around it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchcast.cli.echo import echo, echo_json
from batchcast.cli.options import FILE, FOLDER, JSON_OPTION, POSITIVE
from batchcast.cli.terminal import stdout_console, working
from batchcast.pipelines.parameter_rules import instance_types
from batchcast.pipelines.settings import BuildSettings
from batchcast.planner.plan.options import PlanOptions, plan_options
from batchcast.planner.prices.prices import PriceTable
from batchcast.session.session import open_session
from batchcast.steps.errors import ConfigError, Problem
from batchcast.steps.store.objects import write_file

if TYPE_CHECKING:
    from batchcast.planner.arithmetic.inputs import PlanInputs
    from batchcast.planner.arithmetic.search import Candidate
    from batchcast.planner.plan.measured_run import PastPlan
    from batchcast.serving.choice import Choice

# Where `local` runs unless it is told.
_WORKSPACE = Path("workspace")
_FRONT = "Nothing is both faster and cheaper than these (the same seconds a record on every type)"


@click.command()
@plan_options
@click.option("--run", "run_id", metavar="RUN_ID", help="Hold this run against its plan, and learn from it.")
@click.option("--calibrate", is_flag=True, help="With --run and --tuning: write what the run measured into the file.")
@click.option("--name", help="Name of the pipeline.")
@click.option("--workspace", type=FOLDER, help="Of the local engine, to learn from its last run.")
@click.option("--profile", help="A profile of ~/.aws/config, to learn from the last run.")
@click.option("--deadline", type=POSITIVE, metavar="HOURS", help="Find what ends in time.")
@click.option("--answer-within", type=POSITIVE, metavar="MINUTES", help="Of an ad-hoc request.")
@click.option("--budget", type=POSITIVE, metavar="USD", help="Find what costs no more.")
@click.option("--formula", "plain", is_flag=True, help="The plain formula alone: no start-up spread, no other costs.")
@JSON_OPTION
@click.option("--html", type=FILE, help="Write the page to explore the plan with.")
def plan_command(
    deadline: float | None,
    answer_within: float | None,
    budget: float | None,
    plain: bool,
    as_json: bool,
    html: Path | None,
    **given: Any,
) -> None:
    """Estimate cost and duration of a run, and compare alternatives.

    Without --seconds and --tuning it counts with what the last run that ended well has measured: of --workspace
    (default: ./workspace), or of the account where --profile or --name is given.
    The first line answers --deadline and --budget; where nothing does, the exit code is 2. The last lines choose
    between batch, an asynchronous endpoint, both, and real time, and say which rule decided.
    --ad-hoc 0: no ad-hoc requests at all.
    """
    from batchcast.cli.plan_tables import candidates_table, comparison_table, print_choice, print_plan
    from batchcast.planner.plan.page import render_page
    from batchcast.planner.plan.plan import make_plan
    from batchcast.planner.plan.prepare import plan_inputs, price_table

    run = {name: given.pop(name) for name in ("run_id", "calibrate", "name", "workspace", "profile")}
    told = run["run_id"] or run["name"] or run["profile"] or given["seconds"] is not None or given["tuning"]
    if not told and run["workspace"] is None and _WORKSPACE.is_dir():
        run["workspace"] = _WORKSPACE
    today, options = date.today(), PlanOptions(**given, on_this_machine=run["workspace"] is not None)
    table = price_table(options)
    with working("Planning"):
        past = _past(options, table, today, **run)
        inputs = past.learnt if past else plan_inputs(options, table, today)
        made = make_plan(inputs, table, today, plain=plain)
        found = _search(inputs, table, deadline, budget) if deadline or budget else {}
        choice = None if plain else _choose(inputs, deadline, answer_within)
    exit_code = 0 if all(found.values()) else ConfigError.exit_code
    if html:
        write_file(html, render_page(made, dict(table.sources)).encode())
    if as_json:
        document = made.document() | ({"run": past.document()} if past else {})
        if found:
            document["search"] = {title: [one.document() for one in rows] for title, rows in found.items()}
        if choice:
            document["choice"] = choice if isinstance(choice, str) else asdict(choice)
        echo_json(document)
        sys.exit(exit_code)
    console = stdout_console()
    for title, rows in found.items():
        if title != _FRONT:
            echo(_answer(title, rows))
    if past:
        if not run["run_id"]:
            console.print("\nWithout --seconds and --tuning the last run that ended well is counted with.")
        console.print(f"\nRun [bold]{past.facts.run_id}[/] against its plan")
        console.print(comparison_table(past.compared))
        console.print(past.describe(), highlight=False)
        console.print(past.propose(), highlight=False, soft_wrap=True)
        console.print("\n[bold]The next run, with that[/]")
    print_plan(made, console, plain=plain)
    if found:
        console.print(f"\n[bold]{_FRONT}[/]")
        console.print(candidates_table(found[_FRONT]))
    if html:
        console.print(f"\nPage: {html}")
    if isinstance(choice, str):
        echo(choice)
    elif choice:
        print_choice(console, choice, inputs.ad_hoc_requests)
    sys.exit(exit_code)


def _answer(title: str, rows: Sequence[Candidate]) -> str:
    """What was asked for in one line, with the parameters to paste; or that there is nothing."""
    if not rows:
        return f"{title}: nothing does, with up to 100 instances of any priced type."
    best = rows[0]
    return f"{title}: {best.scenario.p95:.2f} h, ${best.scenario.cost_usd:,.2f}, with {best.paste()}"


def _choose(inputs: PlanInputs, deadline: float | None, answer_within: float | None) -> Choice | str:
    """The way that is the cheapest of those that do what is asked for, or why there is none."""
    from batchcast.serving.choice import Needs, choose_way

    try:
        return choose_way(inputs, Needs(deadline_hours=deadline, answer_minutes=answer_within))
    except ConfigError as error:
        return str(error)


def _past(
    options: PlanOptions, table: PriceTable, today: date, *, run_id: str | None, calibrate: bool, **where: Any
) -> PastPlan | None:
    """The run that was named, or the last that ended well, beside its plan; None where nothing is to be learnt from it.

    What it measured is written where --calibrate asks for it.
    """
    from batchcast.planner.plan.measured_run import last_good_run, past_plan, run_facts, write_calibration
    from batchcast.planner.plan.prepare import plan_inputs

    if calibrate and not run_id:
        raise ConfigError(Problem("plan", "goes with --run.", "--calibrate"))
    named = any(where.values())
    if not run_id and (options.seconds is not None or options.tuning is not None):
        if named:
            what = "--name, --workspace and --profile go with --run, or without --seconds and --tuning."
            raise ConfigError(Problem("plan", what, "--run"))
        return None
    if not (run_id or named):
        return None
    name = where.pop("name") or BuildSettings().pipeline_name
    session = open_session(region=options.region, **where)
    run_id = run_id or last_good_run(session, name)
    if run_id is None:
        return None
    facts = run_facts(session, name, run_id)
    past = past_plan(facts, options, lambda filled: plan_inputs(filled, table, today))
    if calibrate:
        if options.tuning is None:
            what = "needs the file that it writes to."
            raise ConfigError(Problem("plan", what, "--calibrate", "Name it with --tuning."))
        write_calibration(options.tuning, past.calibration, run_id)
    return past


def _search(
    inputs: PlanInputs, table: PriceTable, deadline: float | None, budget: float | None
) -> dict[str, list[Candidate]]:
    from batchcast.planner.arithmetic import search

    choices = search.type_choices(inputs, table.rates.get(inputs.region, {}), instance_types("Transform"))
    found: dict[str, list[Candidate]] = {}
    if deadline:
        best = search.cheapest_within_deadline(choices, deadline)
        found[f"Cheapest that ends within {deadline:g} h with 95 %"] = [best] if best else []
    if budget:
        fastest = search.fastest_within_budget(choices, budget)
        found[f"Fastest within ${budget:,.2f}"] = [fastest] if fastest else []
    found[_FRONT] = search.pareto(search.configurations(choices, (1, 2, 5, 10, 20, 40, 80)))
    return found
