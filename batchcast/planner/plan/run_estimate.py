"""What one run will cost and take, by the planner, from the parameters it will have."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from batchcast.pipelines.parameters import Parameters
from batchcast.session.session import LOCAL_REGION
from batchcast.steps.errors import ConfigError, Problem

if TYPE_CHECKING:
    from batchcast.planner.arithmetic.scenarios import Scenario


def estimate_run(values: Parameters, *, region: str, **workload: Any) -> Scenario:
    """The planner's estimate of the batch run; `workload` are fields of `PlanOptions`, None where not known.

    Raises ConfigError for what the planner lacks, or has no price of: a workspace has none of its own.
    """
    from batchcast.planner.arithmetic.scenarios import SCENARIOS
    from batchcast.planner.plan.options import PlanOptions, plan_inputs, price_table

    on_this_machine = region == LOCAL_REGION
    if on_this_machine and workload.get("price_per_hour") is None:
        what = "an instance of a workspace is this machine, which has no price."
        remedy = "Give --price-per-hour: what an hour of an instance would cost in US dollars."
        raise ConfigError(Problem("price", what, "--workspace", remedy))
    options = PlanOptions(
        instance_type=values.transform_instance_type,
        instances=values.transform_instance_count,
        concurrency=values.max_concurrent_transforms,
        max_payload=values.max_payload_in_mb,
        records_per_shard=values.records_per_shard,
        region=region,
        on_this_machine=on_this_machine,
        **workload,
    )
    return SCENARIOS["batch"](plan_inputs(options, price_table(options), date.today()))


def default_bound(values: Parameters, *, region: str, **workload: Any) -> timedelta | None:
    """After how long a run must be hanging: twice the plan's P95, which one sound run in twenty takes longer than.

    None where what is known of the workload, as in `estimate_run`, is too little for a plan. It needs no price.
    """
    try:
        found = estimate_run(values, region=region, **{**workload, "price_per_hour": 1.0})
    except ConfigError:
        return None
    return timedelta(hours=2 * found.p95)


def check_budget(values: Parameters, budget: float, *, region: str, **workload: Any) -> None:
    """Raises ConfigError when the estimate is above the budget, in US dollars; `workload` as in `estimate_run`."""
    found = estimate_run(values, region=region, **workload)
    if found.cost_usd > budget:
        what = f"the run is estimated at {found.cost_usd:,.2f} USD and {found.wall_hours:.1f} h; "
        what += f"the budget is {budget:,.2f} USD."
        remedy = "`plan --budget` finds settings that cost less; else raise the budget."
        raise ConfigError(Problem("budget", what, "--budget", remedy))
