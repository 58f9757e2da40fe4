"""`simulate`: simulate the batch run, record by record."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING, Any

import click

from batchcast.cli.echo import echo
from batchcast.cli.options import JSON_OPTION
from batchcast.cli.terminal import working
from batchcast.planner.plan.options import PlanOptions, plan_options

if TYPE_CHECKING:
    from batchcast.planner.arithmetic.inputs import PlanInputs


@click.command()
@plan_options
@click.option("--runs", type=click.IntRange(1, 10_000), default=200, help="How often it is played.")
@click.option("--seed", type=int, default=0, help="The same seed, the same luck.")
@JSON_OPTION
def simulate_command(runs: int, seed: int, as_json: bool, **given: Any) -> None:
    """Simulate the batch run: its transform job record by record, and the retry round of what is lost."""
    from batchcast.planner.plan.prepare import plan_inputs, price_table

    options = PlanOptions(**given)
    inputs = plan_inputs(options, price_table(options), date.today())
    with working(f"Playing the run {runs} times"):
        document = _played(inputs, runs, seed)
    echo(json.dumps(document, indent=1) if as_json else _text(document))


def _played(inputs: PlanInputs, runs: int, seed: int) -> dict[str, Any]:
    import numpy as np

    from batchcast.planner.arithmetic.scenarios import batch, batch_costs, processing_hours
    from batchcast.planner.arithmetic.simulate import simulate as play

    outcomes = play(inputs.job, inputs.conditions, runs=runs, seed=seed)
    shares = (0.05, 0.5, 0.95)
    wall, billed = (np.quantile(seconds, shares) for seconds in (outcomes.wall, outcomes.billed))
    return {
        "inputs": inputs.document(),
        "runs": runs,
        "seed": seed,
        "wall_hours": _named(processing_hours(inputs)[0] + wall / 3600),
        "billed_hours": _named(billed / 3600),
        "cost_usd": _named([batch_costs(inputs, seconds).usd for seconds in billed]),
        "occupancy": float(np.median(outcomes.occupancy)),
        "lost_shards_mean": float(outcomes.lost_shards.mean()),
        "plan_wall_hours": batch(inputs).wall_hours,
    }


def _named(values: Iterable[float]) -> dict[str, float]:
    return dict(zip(("p5", "p50", "p95"), map(float, values), strict=True))


def _text(document: dict[str, Any]) -> str:
    inputs, wall, cost = document["inputs"], document["wall_hours"], document["cost_usd"]
    return "\n".join(
        [
            f"{inputs['items']:,} records in {inputs['shards']:,} shards on {inputs['instances']} x "
            f"{inputs['instance_type']}, {inputs['concurrency']} in flight each, played {document['runs']} times",
            f"wall-clock   P5 {wall['p5']:.2f} h   P50 {wall['p50']:.2f} h   P95 {wall['p95']:.2f} h   "
            f"(`plan`: {document['plan_wall_hours']:.2f} h)",
            f"cost         P5 ${cost['p5']:,.2f}   P50 ${cost['p50']:,.2f}   P95 ${cost['p95']:,.2f}",
            f"slots busy   {100 * document['occupancy']:.1f} %; shards that are lost and sent again: "
            f"{document['lost_shards_mean']:.2f} a run",
        ]
    )
