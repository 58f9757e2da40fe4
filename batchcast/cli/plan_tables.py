"""A plan as a person reads it in a terminal."""

from collections.abc import Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from batchcast.cli.terminal import plain_table
from batchcast.planner.arithmetic import formula
from batchcast.planner.arithmetic.actual import PlanComparison
from batchcast.planner.arithmetic.formula import Scenario
from batchcast.planner.arithmetic.inputs import PlanInputs
from batchcast.planner.arithmetic.scenarios import processing_hours, title
from batchcast.planner.arithmetic.search import Candidate
from batchcast.planner.plan.plan import Plan, plain_job
from batchcast.serving.choice import WAYS, Choice


def print_plan(plan: Plan, console: Console, *, plain: bool) -> None:
    """Scenarios, what the batch run is made of, warnings, formula and price."""
    inputs, rate = plan.inputs, plan.inputs.rate
    workload = inputs.workload
    several = workload.items_per_request > 1
    together = f" in {workload.requests:,} requests of {workload.items_per_request}" if several else ""
    console.print(
        f"\n{workload.items:,} records{together} of {workload.seconds:g} s"
        + ("" if plain else f" (± {100 * workload.seconds_cv:.0f} %), {workload.record_mb:.3g} MB each")
        + f", {inputs.instances} x {inputs.instance_type}, {inputs.concurrency} in flight each\n"
    )
    console.print(_scenarios_table(plan, plain))
    if not plain:
        console.print(_parts(next(one for one in plan.scenarios if one.name == "batch"), inputs))
        if warnings := list(_warnings(plan)):
            console.print("[bold yellow]Warnings[/]")
            console.print(Group(*(Padding(f"- {text}", (0, 0, 0, 1)) for text in warnings)))
            console.print()
    console.print(_formula(inputs))
    price = f"{inputs.instance_type}, {inputs.region}, ${rate.usd:g} an hour, {rate.confidence}, as of {rate.as_of}."
    console.print(f"Price: {price}", style="dim")


def candidates_table(candidates: Sequence[Candidate]) -> Table:
    heads = ("Type", "Instances", "In flight", "Wall P50", "Wall P95", "Cost a run")
    table = plain_table(*heads, numbers=range(1, 6))
    for one in candidates:
        run = one.scenario
        cells = (str(one.instances), str(one.concurrency), hours_text(run.wall_hours), hours_text(run.p95))
        table.add_row(one.instance_type, *cells, _dollars(run.cost_usd))
    return table


def comparison_table(compared: Sequence[PlanComparison]) -> Table:
    table = plain_table("", "Planned", "P5 to P95", "Actual", "Plan off by", "In range", numbers=range(1, 6))
    for one in compared:
        text = hours_text if one.unit == "h" else _dollars
        planned = (text(one.planned), f"{text(one.p5)} to {text(one.p95)}", text(one.actual))
        table.add_row(one.name, *planned, f"{one.error_percent:+.1f} %", "yes" if one.within else "no")
    return table


def print_choice(console: Console, choice: Choice, ad_hoc_requests: int) -> None:
    """What each way costs and takes, what is against it, and which rule decided."""
    table = plain_table("Way", "Weekly run, P95", "Ad hoc", "A week", "", numbers=range(1, 4))
    for way in choice.ways:
        minutes = "none" if way.ad_hoc_minutes is None else f"{way.ad_hoc_minutes:.1f} min"
        style = "bold green" if way.name == choice.name else "dim" if way.reasons else ""
        row = (way.name, f"{way.weekly_hours:.1f} h", minutes, _dollars(way.usd_a_week))
        table.add_row(*row, "; ".join(way.reasons) or WAYS[way.name], style=style)
    console.print()
    console.print(table)
    console.print(f"\n[bold]{choice.name}[/]: {WAYS[choice.name]}.")
    requests = f"{ad_hoc_requests} ad-hoc request{'' if ad_hoc_requests == 1 else 's'} a week"
    console.print(f"The rule that decided: {choice.rule} Counted with {requests}.")


def hours_text(hours: float) -> str:
    """`10 h 35 m`, `14 m`, `12 s`, `34.7 d`."""
    if hours >= formula.HOURS_PER_WEEK:
        return f"{hours / 24:.1f} d"
    if hours < 1 / 30:
        return f"{hours * 3600:.3g} s"
    minutes = round(hours * 60)
    return f"{minutes // 60} h {minutes % 60:02d} m" if minutes >= 60 else f"{minutes} m"


def _dollars(usd: float) -> str:
    return f"${usd:,.2f}"


def _scenarios_table(plan: Plan, plain: bool) -> Table:
    names = ("Compute", "Wall-clock", *([] if plain else ["P5 to P95"]), "Instance h", "A week", "A month")
    table = plain_table("Way to run the week", *names, numbers=range(1, 7), whole=range(1, 7))
    cheapest = min(one.cost_usd for one in plan.scenarios)
    for one in plan.scenarios:
        cost = Text(f"${one.cost_usd:,.2f}", style="bold green" if one.cost_usd == cheapest else "")
        spread = [] if plain else [f"{hours_text(one.p5)} to {hours_text(one.p95)}"]
        table.add_row(
            Text(title(one.name, plan.inputs), style="bold" if one.name == "batch" else ""),
            hours_text(one.compute_hours),
            hours_text(one.wall_hours),
            *spread,
            f"{one.instance_hours:,.2f}",
            cost,
            f"${one.cost_usd_month:,.2f}",
        )
    return table


def _parts(run: Scenario, inputs: PlanInputs) -> RenderableType:
    costs = run.costs
    text = (
        f"Batch: {hours_text(run.wall_hours - processing_hours(inputs)[0])} transform, the rest building and "
        f"validating; ${costs.instances:,.2f} transform + ${costs.processing:,.2f} processing + ${costs.requests:,.2f} "
        f"requests, {inputs.shards:,} shard{'s' * (inputs.shards > 1)}. A month is {formula.WEEKS_PER_MONTH} weeks."
    )
    return Padding(Text(text, style="dim"), (0, 0, 1, 0))


def _warnings(plan: Plan) -> Iterator[str]:
    """Each once, with the scenarios that have it."""
    named: dict[str, list[str]] = {}
    for name, texts in plan.warnings.items():
        for text in texts:
            named.setdefault(text, []).append(name)
    for text, names in named.items():
        yield f"[bold]{', '.join(names)}[/]: {text}"
    for text in plan.price_warnings:
        yield f"[bold]prices[/]: {text}"


def _formula(inputs: PlanInputs) -> str:
    workload = inputs.workload
    hours = plain_job(inputs, "batch", inputs.instances, "Tsform")
    return (
        f"Formula: {workload.requests:,} x {workload.seconds:g} s / ({inputs.instances} x {inputs.concurrency}) / 3600 "
        f"= {hours.compute_hours:.4f} h; + {formula.COLD_START_MINUTES:g} min = {hours.wall_hours:.4f} h; "
        f"x {inputs.instances} x ${inputs.rate.of('Tsform'):g} = ${hours.cost_usd:,.2f} a week; "
        f"x {formula.WEEKS_PER_MONTH} = ${hours.cost_usd_month:,.2f} a month."
    )
