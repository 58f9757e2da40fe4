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

from dataclasses import dataclass

HOURS_PER_WEEK = 168
# 4.33 is the usual shorthand for 52 / 12; with 52 / 12 itself a month costs 0.08 % more.
WEEKS_PER_MONTH = 4.33
# The allowance for a job's start that popular estimates use; measured starts are shorter (planner.estimate).
COLD_START_MINUTES = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainHours:
    """Hours and US dollars of one run, as the formula has them."""

    compute_hours: float
    wall_hours: float
    instance_hours: float
    cost_usd: float

    @property
    def cost_usd_month(self) -> float:
        """One run a week."""
        return self.cost_usd * WEEKS_PER_MONTH


def for_the_job(
    *,
    items: int,
    seconds: float,
    instances: int,
    concurrency: float,
    usd_per_hour: float,
    cold_start_minutes: float = COLD_START_MINUTES,
) -> PlainHours:
    """Instances that exist for the job alone: a transform job, or an endpoint created and deleted around it."""
    compute_hours = items * seconds / (instances * concurrency) / 3600
    wall_hours = compute_hours + cold_start_minutes / 60
    return PlainHours(
        compute_hours=compute_hours,
        wall_hours=wall_hours,
        instance_hours=instances * wall_hours,
        cost_usd=instances * wall_hours * usd_per_hour,
    )


def always_on(
    *, items: int, seconds: float, requests_in_flight: int, instances: int, usd_per_hour: float
) -> PlainHours:
    """A real-time endpoint that is there the whole week; a client keeps `requests_in_flight` of them going."""
    compute_hours = items * seconds / requests_in_flight / 3600
    instance_hours = float(instances * HOURS_PER_WEEK)
    return PlainHours(
        compute_hours=compute_hours,
        wall_hours=compute_hours,
        instance_hours=instance_hours,
        cost_usd=instance_hours * usd_per_hour,
    )
