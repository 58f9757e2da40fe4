"""The plain formula: what everybody computes on the back of an envelope.

    compute hours  = items x seconds / (instances x concurrency) / 3600
    wall hours     = compute hours + cold start
    instance hours = instances x wall hours
    cost           = instance hours x price
    cost a month   = cost x 4.33 weeks

It assumes that a model answers `concurrency` requests at once as fast as one, that the work divides evenly over the
instances and that the last record ends with the first. `arithmetic.estimate` takes those assumptions back; this module
stays the yardstick that both are compared with.
"""

from dataclasses import astuple, dataclass

HOURS_PER_WEEK = 168
# 4.33 is the usual shorthand for 52 / 12; with 52 / 12 itself a month costs 0.08 % more.
WEEKS_PER_MONTH = 4.33
# The allowance for a job's start that popular estimates use; measured starts are shorter (planner.estimate).
COLD_START_MINUTES = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """US dollars of one week."""

    instances: float
    processing: float = 0.0
    data: float = 0.0
    requests: float = 0.0

    @property
    def usd(self) -> float:
        return float(sum(astuple(self)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One way of running the week. Hours; `p5` and `p95` are of the wall-clock; costs are those of the middle case."""

    name: str
    compute_hours: float
    wall_hours: float
    instance_hours: float
    costs: Costs
    p5: float
    p95: float

    @property
    def cost_usd(self) -> float:
        return self.costs.usd

    @property
    def cost_usd_month(self) -> float:
        return self.cost_usd * WEEKS_PER_MONTH


def for_the_job(
    name: str,
    *,
    items: int,
    seconds: float,
    instances: int,
    concurrency: float,
    usd_per_hour: float,
    cold_start_minutes: float = COLD_START_MINUTES,
) -> Scenario:
    """Instances that exist for the job alone: a transform job, or an endpoint created and deleted around it."""
    compute_hours = items * seconds / (instances * concurrency) / 3600
    wall_hours = compute_hours + cold_start_minutes / 60
    return _without_spread(name, compute_hours, wall_hours, instances * wall_hours, usd_per_hour)


def always_on(
    name: str, *, items: int, seconds: float, requests_in_flight: int, instances: int, usd_per_hour: float
) -> Scenario:
    """A real-time endpoint that is there the whole week; a client keeps `requests_in_flight` of them going."""
    hours = items * seconds / requests_in_flight / 3600
    return _without_spread(name, hours, hours, float(instances * HOURS_PER_WEEK), usd_per_hour)


def _without_spread(name: str, compute: float, wall: float, instance_hours: float, usd_per_hour: float) -> Scenario:
    costs = Costs(instances=instance_hours * usd_per_hour)
    return Scenario(
        name=name, compute_hours=compute, wall_hours=wall, instance_hours=instance_hours, costs=costs, p5=wall, p95=wall
    )
