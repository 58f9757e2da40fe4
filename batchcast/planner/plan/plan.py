"""The plan: all scenarios side by side, with the warnings and the formula."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from batchcast.planner.arithmetic import formula
from batchcast.planner.arithmetic.inputs import PlanInputs
from batchcast.planner.arithmetic.scenarios import SCENARIOS, Costs, Scenario
from batchcast.planner.plan.warnings import warnings_of
from batchcast.planner.prices.prices import PriceTable, price_warnings


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`warnings` by scenario name; those of the prices hold for all."""

    inputs: PlanInputs
    scenarios: Sequence[Scenario]
    warnings: Mapping[str, Sequence[str]]
    price_warnings: Sequence[str]

    def document(self) -> dict[str, Any]:
        """As `plan --json` prints it."""
        return {
            "inputs": self.inputs.document(),
            "scenarios": [self._scenario(scenario) for scenario in self.scenarios],
            "weeks_per_month": formula.WEEKS_PER_MONTH,
            "costs": {scenario.name: _costs(scenario.costs) for scenario in self.scenarios},
        }

    def _scenario(self, scenario: Scenario) -> dict[str, Any]:
        return {
            "name": scenario.name,
            "compute_hours": scenario.compute_hours,
            "wall_hours": scenario.wall_hours,
            "instance_hours": scenario.instance_hours,
            "cost_usd": scenario.cost_usd,
            "cost_usd_month": scenario.cost_usd_month,
            "p5": scenario.p5,
            "p95": scenario.p95,
            "warnings": [*self.warnings[scenario.name], *self.price_warnings],
        }


def plan(*, today: date | None = None, **options: Any) -> Plan:
    """Cost and duration of a weekly run and its alternatives; `options` are the fields of PlanOptions.

    `items` and `seconds` are needed, or `history` with `contract`, or `tuning`. Raises ConfigError for what is missing
    or impossible, and TypeError for an option that there is not.
    """
    from batchcast.planner.plan.options import PlanOptions, plan_inputs, price_table

    given, day = PlanOptions(**options), today or date.today()
    table = price_table(given)
    return make_plan(plan_inputs(given, table, day), table, day)


def make_plan(inputs: PlanInputs, table: PriceTable, today: date, *, plain: bool = False) -> Plan:
    """The plan of these inputs; `plain` is the formula alone: instances only, no spread, everything scales."""
    scenarios = plain_scenarios(inputs) if plain else [scenario(inputs) for scenario in SCENARIOS.values()]
    rates = {inputs.instance_type: inputs.rate, inputs.processing_type: inputs.processing_rate}
    return Plan(
        inputs=inputs,
        scenarios=scenarios,
        warnings={scenario.name: warnings_of(scenario, inputs) for scenario in scenarios},
        price_warnings=price_warnings(table, inputs.region, rates, today),
    )


def plain_scenarios(inputs: PlanInputs) -> list[Scenario]:
    """The six scenarios as the plain formula has them, the reference that estimates are held against."""
    hours = {
        "endpoint_sequential": _plain_endpoint(inputs, 1),
        "endpoint_concurrent": _plain_endpoint(inputs, inputs.endpoint_requests),
        "endpoint_ephemeral": _plain_job(inputs, inputs.endpoint_instances, inputs.rate.of("Host")),
        "batch": _plain_job(inputs, inputs.instances, inputs.rate.of("Tsform")),
        "async": _plain_job(inputs, inputs.instances, inputs.rate.of("AsyncInf")),
        "hybrid": _plain_job(inputs, inputs.instances, inputs.rate.of("Tsform")),
    }
    return [
        Scenario(
            name=name,
            compute_hours=of.compute_hours,
            wall_hours=of.wall_hours,
            instance_hours=of.instance_hours,
            costs=Costs(instances=of.cost_usd),
            p5=of.wall_hours,
            p95=of.wall_hours,
        )
        for name, of in hours.items()
    ]


def _plain_job(inputs: PlanInputs, instances: int, usd_per_hour: float) -> formula.PlainHours:
    return formula.for_the_job(
        items=inputs.workload.requests,
        seconds=inputs.workload.seconds,
        instances=instances,
        concurrency=inputs.concurrency,
        usd_per_hour=usd_per_hour,
    )


def _plain_endpoint(inputs: PlanInputs, in_flight: int) -> formula.PlainHours:
    return formula.always_on(
        items=inputs.workload.requests,
        seconds=inputs.workload.seconds,
        requests_in_flight=in_flight,
        instances=inputs.endpoint_instances,
        usd_per_hour=inputs.endpoint_usd_per_hour,
    )


def _costs(costs: Costs) -> dict[str, float]:
    return {
        "instances": costs.instances,
        "processing": costs.processing,
        "data": costs.data,
        "requests": costs.requests,
    }
