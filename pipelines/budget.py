"""The guard of `start --budget`: refuse a run that would cost more than was allowed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING

from pipelines.plan_inputs import PlanOptions, plan_inputs, price_table
from steps.errors import ConfigError, Problem

if TYPE_CHECKING:
    from planner.scenarios import Scenario

__all__ = ["check_budget"]


def check_budget(usd: float, parameters: Mapping[str, str], options: PlanOptions, today: date) -> Scenario:
    """The batch run that these pipeline parameters plan. Raises ConfigError when its P95 cost is above `usd`.

    `options` bring what parameters do not say: items or a history, seconds or a tuning file, region, price.
    """
    from dataclasses import replace

    from planner.scenarios import batch, batch_cost_p95

    filled = replace(
        options,
        instance_type=parameters["TransformInstanceType"],
        instances=int(parameters["TransformInstanceCount"]),
        concurrency=int(parameters["MaxConcurrentTransforms"]),
        max_payload=int(parameters["MaxPayloadInMB"]),
        records_per_shard=int(parameters["RecordsPerShard"]),
    )
    inputs = plan_inputs(filled, price_table(options), today)
    planned, most = batch(inputs), batch_cost_p95(inputs)
    if most > usd:
        what = (
            f"the run is planned at ${planned.cost_usd:,.2f} and, with 95 %, at most ${most:,.2f}; the budget is "
            f"${usd:,.2f}."
        )
        remedy = f"Allow ${most:,.2f}, or let `plan --budget {usd:g}` find a configuration that keeps it."
        raise ConfigError(Problem("budget", what, "--budget", remedy))
    return planned
