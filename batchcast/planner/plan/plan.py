"""The plan: all scenarios side by side, with the warnings and the formula."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from batchcast.planner.arithmetic import formula
from batchcast.planner.arithmetic.formula import Scenario
from batchcast.planner.arithmetic.inputs import PlanInputs
from batchcast.planner.arithmetic.scenarios import SCENARIOS
from batchcast.planner.plan.options import PlanOptions
from batchcast.planner.plan.prepare import plan_inputs, price_table
from batchcast.planner.plan.warnings import warnings_of
from batchcast.planner.prices.prices import Component, PriceTable, price_warnings


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
            "costs": {scenario.name: asdict(scenario.costs) for scenario in self.scenarios},
        }

    def _scenario(self, scenario: Scenario) -> dict[str, Any]:
        shown = ("name", "compute_hours", "wall_hours", "instance_hours", "cost_usd", "cost_usd_month", "p5", "p95")
        warnings = [*self.warnings[scenario.name], *self.price_warnings]
        return {**{name: getattr(scenario, name) for name in shown}, "warnings": warnings}


def plan(*, today: date | None = None, **options: Any) -> Plan:
    """Cost and duration of a weekly run and its alternatives; `options` are the fields of PlanOptions.

    `items` and `seconds` are needed, or `history` with `contract`, or `tuning`. Raises ConfigError for what is missing
    or impossible, and TypeError for an option that there is not.
    """
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
    return [
        _plain_endpoint(inputs, "endpoint_sequential", 1),
        _plain_endpoint(inputs, "endpoint_concurrent", inputs.endpoint_requests),
        plain_job(inputs, "endpoint_ephemeral", inputs.endpoint_instances, "Host"),
        plain_job(inputs, "batch", inputs.instances, "Tsform"),
        plain_job(inputs, "async", inputs.instances, "AsyncInf"),
        plain_job(inputs, "hybrid", inputs.instances, "Tsform"),
    ]


def plain_job(inputs: PlanInputs, name: str, instances: int, component: Component) -> Scenario:
    """The plain formula for instances that exist for the job alone, at the rate of `component`."""
    return formula.for_the_job(
        name,
        items=inputs.workload.requests,
        seconds=inputs.workload.seconds,
        instances=instances,
        concurrency=inputs.concurrency,
        usd_per_hour=inputs.rate.of(component),
    )


def _plain_endpoint(inputs: PlanInputs, name: str, in_flight: int) -> Scenario:
    return formula.always_on(
        name,
        items=inputs.workload.requests,
        seconds=inputs.workload.seconds,
        requests_in_flight=in_flight,
        instances=inputs.endpoint_instances,
        usd_per_hour=inputs.endpoint_usd_per_hour,
    )
