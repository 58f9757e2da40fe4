"""The plan turned round: from a deadline or a budget to the configuration.

For a type and a concurrency the cost hardly moves with the number of instances while the time falls, so the deadline
chooses the instances; the concurrency with the most work done at once is the one big lever on the cost.
Types other than the measured one are compared under one assumption, said in the result: the same seconds a record.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from batchcast.engine.limits import MAX_INSTANCE_COUNT, MAX_PAYLOAD_IN_MB
from batchcast.planner.arithmetic.capacity import Capacity, assumed_capacity, ideal_capacity
from batchcast.planner.arithmetic.formula import Scenario
from batchcast.planner.arithmetic.inputs import PlanInputs
from batchcast.planner.arithmetic.scenarios import batch
from batchcast.planner.prices.instance_types import physical_cores, vcpus
from batchcast.planner.prices.prices import Rate

_LEVELS = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    instance_type: str
    instances: int
    concurrency: int
    scenario: Scenario

    def paste(self) -> str:
        """The parameters of the pipeline, as `start` takes them."""
        settings = {
            "TransformInstanceType": self.instance_type,
            "TransformInstanceCount": self.instances,
            "MaxConcurrentTransforms": self.concurrency,
        }
        return " ".join(f"-p {name}={value}" for name, value in settings.items())

    def document(self) -> dict[str, Any]:
        """As `plan --json` prints it under `search`."""
        run = {name: getattr(self.scenario, name) for name in ("wall_hours", "p95", "cost_usd")}
        own = {name: getattr(self, name) for name in ("instance_type", "instances", "concurrency")}
        return own | run


def concurrency_cap(inputs: PlanInputs) -> int:
    """The most requests in flight on an instance that the payload product and the measurements allow."""
    payload = MAX_PAYLOAD_IN_MB // inputs.max_payload_mb
    tested = inputs.capacity.max_tested
    return payload if tested is None else min(payload, tested)


def type_choices(inputs: PlanInputs, rates: Mapping[str, Rate], transform_types: Iterable[str]) -> list[PlanInputs]:
    """The inputs on every type that can be compared: the asked one, and, where nothing was measured, all CPU types.

    A type is left out when it has no price, when Batch Transform does not take it, or when one of the two computes on a
    GPU: nobody knows how fast the model would be on the other.
    """
    if inputs.capacity.kind not in ("assumed", "ideal") or not _on_cpu(inputs.instance_type):
        return [inputs]
    others = sorted(name for name in set(transform_types) & rates.keys() if _on_cpu(name) and physical_cores(name))
    choices = [
        replace(inputs, instance_type=name, rate=rates[name], capacity=assumed_on(name))
        for name in others
        if name != inputs.instance_type
    ]
    return [inputs, *choices]


def configurations(choices: Sequence[PlanInputs], counts: Sequence[int] | None = None) -> Iterator[Candidate]:
    """Every sensible concurrency and number of instances (`counts`, else 1 to the quota) of the `_cheapest_of_each`."""
    for inputs, concurrency in _cheapest_of_each(choices):
        for instances in counts or _counts(inputs):
            yield _candidate(inputs, instances, concurrency)


def cheapest_within_deadline(choices: Sequence[PlanInputs], hours: float) -> Candidate | None:
    """The cheapest configuration that ends within `hours` with 95 % probability; None when there is none."""
    found = (_fewest(inputs, concurrency, hours) for inputs, concurrency in _cheapest_of_each(choices))
    feasible = [candidate for candidate in found if candidate is not None]
    return min(feasible, key=lambda one: (round(one.scenario.cost_usd, 2), one.instances), default=None)


def fastest_within_budget(choices: Sequence[PlanInputs], usd: float) -> Candidate | None:
    """The configuration with the smallest P95 whose run costs at most `usd`; None when there is none."""
    affordable = (one for one in configurations(choices) if one.scenario.cost_usd <= usd)
    return min(affordable, key=lambda one: (round(one.scenario.p95, 4), one.scenario.cost_usd), default=None)


def pareto(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Those that no other beats in both cost and P95, fastest first."""
    front: list[Candidate] = []
    for one in sorted(candidates, key=lambda one: (one.scenario.p95, one.scenario.cost_usd)):
        if not front or round(one.scenario.cost_usd, 2) < round(front[-1].scenario.cost_usd, 2):
            front.append(one)
    return front


def assumed_on(instance_type: str) -> Capacity:
    """The capacity of a type on which nobody measured the model; ideal where its name does not tell its cores."""
    cores, threads = physical_cores(instance_type), vcpus(instance_type)
    return assumed_capacity(cores, threads) if cores and threads else ideal_capacity()


def _candidate(inputs: PlanInputs, instances: int, concurrency: int) -> Candidate:
    changed = replace(inputs, instances=instances, concurrency=concurrency)
    return Candidate(
        instance_type=inputs.instance_type, instances=instances, concurrency=concurrency, scenario=batch(changed)
    )


def _on_cpu(instance_type: str) -> bool:
    return instance_type.removeprefix("ml.")[0] in "cmr"


def _concurrencies(inputs: PlanInputs) -> list[int]:
    cap = concurrency_cap(inputs)
    corners = {physical_cores(inputs.instance_type) or 1, vcpus(inputs.instance_type) or 1, inputs.concurrency, cap}
    useful = sorted(m for m in {*_LEVELS, *corners} if m <= cap)
    # More requests in flight that bring no more work only lengthen the drains.
    return [m for m in useful if m == 1 or inputs.speed(m) > 1.01 * inputs.speed(max(k for k in useful if k < m))]


def _cheapest_of_each(choices: Sequence[PlanInputs]) -> list[tuple[PlanInputs, int]]:
    """Types with a concurrency. Of those that do the same work at once all but the cheapest are left out.

    They take the same time with any number of instances, and a job that loses requests takes long to play.
    """
    cheapest: dict[tuple[int, tuple[float, ...]], PlanInputs] = {}
    for inputs in choices:
        for concurrency in _concurrencies(inputs):
            # Requests that nobody waits for any more are in flight beside the others.
            speed = concurrency, tuple(inputs.capacity.table(2 * concurrency))
            known = cheapest.setdefault(speed, inputs)
            if inputs.rate.of("Tsform") < known.rate.of("Tsform"):
                cheapest[speed] = inputs
    return [(inputs, concurrency) for (concurrency, _), inputs in cheapest.items()]


def _counts(inputs: PlanInputs) -> range:
    return range(1, min(MAX_INSTANCE_COUNT, inputs.quota or MAX_INSTANCE_COUNT) + 1)


def _fewest(inputs: PlanInputs, concurrency: int, hours: float) -> Candidate | None:
    """That with the fewest instances that ends in time, by bisection: more are never slower by more than a start."""
    made = partial(_candidate, inputs, concurrency=concurrency)
    counts = _counts(inputs)
    at = bisect_left(counts, True, key=lambda count: made(count).scenario.p95 <= hours)
    return made(counts[at]) if at < len(counts) else None
