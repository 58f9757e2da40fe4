"""One weekly forecast, six ways of running it: hours, dollars, and how sure they are.

endpoint_sequential   an endpoint that is always on, one request after the other
endpoint_concurrent   the same endpoint, a client that keeps several requests in flight
endpoint_ephemeral    the same endpoint, created for the job and deleted after it
batch                 the pipeline: build shards, transform job, validate and publish
async                 an asynchronous endpoint that scales to zero instances, fed at the pace it can serve
hybrid                batch for the weekly run, a sleeping asynchronous endpoint for ad-hoc requests
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from batchcast.planner.arithmetic import async_queue, formula
from batchcast.planner.arithmetic.capacity import Capacity
from batchcast.planner.arithmetic.conditions import Conditions
from batchcast.planner.arithmetic.estimate import Drain, Estimate, Spread, drain_of, estimate, lognormal_spread
from batchcast.planner.arithmetic.formula import Costs, Scenario
from batchcast.planner.arithmetic.inputs import PlanInputs
from batchcast.planner.arithmetic.simulate import resample

# A processing step streams its data through one core; measured at 90 to 160 MB/s of JSON lines.
PROCESSING_MB_A_SECOND = 100.0
PROCESSING_STEPS = 2
# A shard is put and got once, and so is its output; data within a region is free.
REQUESTS_A_SHARD = 2
# Where fewer requests than this are lost a run, the closed form is as good as a game.
_LOST = 0.02
# So few requests of great spread that the longest of them decide.
_FEW = 200_000


def is_played(inputs: PlanInputs) -> bool:
    """Whether the job is played, because requests are lost or a few long ones decide; else the closed form is used."""
    few = inputs.workload.requests * inputs.instances < _FEW and inputs.workload.seconds_cv > 1
    return few or inputs.hanging_requests > _LOST


def transform_estimate(inputs: PlanInputs) -> Estimate:
    """The transform job alone, with its retry round where requests are lost."""
    if is_played(inputs):
        outcomes = resample(inputs.job, inputs.conditions, seed=0)
        return Estimate(wall=_spread_of(outcomes.wall), billed=_spread_of(outcomes.billed))
    return _estimate(inputs, inputs.instances, inputs.shards, shard_drain(inputs), inputs.conditions)


def _estimate(inputs: PlanInputs, instances: int, shards: int, drain: Drain, conditions: Conditions) -> Estimate:
    return estimate(
        items=inputs.workload.requests,
        seconds=inputs.workload.seconds,
        seconds_cv=inputs.workload.seconds_cv,
        instances=instances,
        shards=shards,
        capacity=inputs.speed(inputs.concurrency),
        drain=drain,
        conditions=conditions,
    )


def processing_hours(inputs: PlanInputs) -> tuple[float, float]:
    """Wall-clock and billed hours of BuildShards and ValidateAndPublish together."""
    megabytes = 1000 * (inputs.workload.gb_in + inputs.workload.gb_out)
    starting = PROCESSING_STEPS * inputs.conditions.start.median
    provisioning = PROCESSING_STEPS * inputs.conditions.provision.median
    billed = starting + megabytes / PROCESSING_MB_A_SECOND
    return (provisioning + billed) / 3600, billed / 3600


def endpoint_concurrent(inputs: PlanInputs) -> Scenario:
    return _always_on(inputs, "endpoint_concurrent", inputs.endpoint_requests)


def endpoint_ephemeral(inputs: PlanInputs) -> Scenario:
    """A real-time endpoint that lives as long as the job; its client hands out single requests, so nothing drains."""
    instances = min(inputs.endpoint_instances, inputs.workload.requests)
    even = replace(inputs.conditions, busiest_share=1.0)
    hours = _estimate(inputs, instances, instances, Drain(mean=0.0, sigma=0.0), even)
    instance_hours = instances * hours.billed.p50 / 3600
    costs = Costs(instances=instance_hours * inputs.rate.of("Host"), data=_endpoint_data(inputs))
    slots = instances * inputs.speed(inputs.concurrency)
    return _scenario("endpoint_ephemeral", inputs, slots, hours.wall.hours(), instance_hours, costs)


def batch(inputs: PlanInputs) -> Scenario:
    hours = transform_estimate(inputs)
    wall = hours.wall.hours(before=processing_hours(inputs)[0])
    slots, billed = inputs.instances * inputs.speed(inputs.concurrency), hours.billed.p50
    return _scenario("batch", inputs, slots, wall, inputs.instances * billed / 3600, batch_costs(inputs, billed))


def asynchronous(inputs: PlanInputs) -> Scenario:
    """Scaled from zero for the run and back; the submitter holds the queue so short that nothing expires."""
    workload, fees = inputs.workload, inputs.fees
    slots = inputs.instances * inputs.speed(inputs.concurrency)
    compute = workload.request_hours / slots
    ramp = async_queue.FULL_CAPACITY_MINUTES / 60
    wall = ramp + compute
    instance_hours = inputs.instances * (compute + async_queue.SCALE_IN_MINUTES / 60)
    doubt = math.hypot(inputs.conditions.speed_sigma * compute, inputs.conditions.provision.sigma * ramp)
    costs = Costs(
        instances=instance_hours * inputs.rate.of("AsyncInf"),
        data=_endpoint_data(inputs),
        # Each request is put by the client and read by the endpoint, each answer the other way round.
        requests=2 * workload.requests * (fees.s3_put_1k + fees.s3_get_1k) / 1000,
    )
    return _scenario("async", inputs, slots, lognormal_spread(wall, doubt), instance_hours, costs)


def hybrid(inputs: PlanInputs) -> Scenario:
    """The batch run, and an endpoint that each ad-hoc request scales out from zero: the most expensive case."""
    weekly = batch(inputs)
    each = (async_queue.AD_HOC_BILLED_MINUTES + inputs.workload.seconds / 60) / 60
    ad_hoc_hours = inputs.ad_hoc_requests * each
    costs = replace(
        weekly.costs,
        instances=weekly.costs.instances + ad_hoc_hours * inputs.rate.of("AsyncInf"),
        data=inputs.ad_hoc_requests / inputs.workload.items * _endpoint_data(inputs),
    )
    return replace(weekly, name="hybrid", instance_hours=weekly.instance_hours + ad_hoc_hours, costs=costs)


# In the order in which a reader compares them.
SCENARIOS: Mapping[str, Callable[[PlanInputs], Scenario]] = {
    "endpoint_sequential": lambda inputs: _always_on(inputs, "endpoint_sequential", 1),
    "endpoint_concurrent": endpoint_concurrent,
    "endpoint_ephemeral": endpoint_ephemeral,
    "batch": batch,
    "async": asynchronous,
    "hybrid": hybrid,
}


def title(name: str, inputs: PlanInputs) -> str:
    return {
        "endpoint_sequential": "Endpoint 24/7, one request at a time",
        "endpoint_concurrent": f"Endpoint 24/7, {inputs.endpoint_requests} requests in flight",
        "endpoint_ephemeral": f"Endpoint for the job, {inputs.endpoint_instances} x {inputs.concurrency} in flight",
        "batch": f"Batch Transform, {inputs.instances} x {inputs.concurrency} in flight",
        "async": f"Asynchronous endpoint, 0 to {inputs.instances} instances, paced",
        "hybrid": f"Batch Transform and {inputs.ad_hoc_requests} ad-hoc requests, asynchronous",
    }[name]


def _spread_of(seconds: npt.NDArray[np.float64]) -> Spread:
    p5, p50, p95 = np.quantile(seconds, (0.05, 0.5, 0.95)).tolist()
    return Spread(p5=p5, p50=p50, p95=p95)


def shard_drain(inputs: PlanInputs) -> Drain:
    records = inputs.workload.requests / inputs.shards
    return _drain(inputs.capacity, inputs.concurrency, inputs.workload.seconds_cv, round(records))


@lru_cache(4096)
def _drain(capacity: Capacity, concurrency: int, seconds_cv: float, records: int) -> Drain:
    # A search asks for few curves and many numbers of instances.
    return drain_of(capacity.table(concurrency), concurrency, seconds_cv, records)


def _always_on(inputs: PlanInputs, name: str, in_flight: int) -> Scenario:
    each = in_flight / inputs.endpoint_instances
    speed = inputs.endpoint_instances * inputs.speed(each) if each > 1 else in_flight
    hours = inputs.workload.request_hours / speed
    instance_hours = float(inputs.endpoint_instances * formula.HOURS_PER_WEEK)
    spread = lognormal_spread(hours, inputs.conditions.speed_sigma * hours)
    costs = Costs(instances=instance_hours * inputs.endpoint_usd_per_hour, data=_endpoint_data(inputs))
    return _scenario(name, inputs, speed, spread, instance_hours, costs)


def _scenario(
    name: str, inputs: PlanInputs, slots: float, wall: Spread, instance_hours: float, costs: Costs
) -> Scenario:
    """`slots` requests' worth of work are done at once; `wall` is in hours."""
    return Scenario(
        name=name,
        compute_hours=inputs.workload.request_hours / slots,
        wall_hours=wall.p50,
        instance_hours=instance_hours,
        costs=costs,
        p5=wall.p5,
        p95=wall.p95,
    )


def batch_costs(inputs: PlanInputs, billed_seconds: float) -> Costs:
    """Of a batch run whose transform jobs are billed for so many seconds on every instance."""
    fees = inputs.fees
    return Costs(
        instances=inputs.instances * billed_seconds / 3600 * inputs.rate.of("Tsform"),
        processing=processing_hours(inputs)[1] * inputs.processing_rate.of("Processing"),
        requests=REQUESTS_A_SHARD * inputs.shards * (fees.s3_put_1k + fees.s3_get_1k) / 1000,
    )


def _endpoint_data(inputs: PlanInputs) -> float:
    workload, fees = inputs.workload, inputs.fees
    return workload.gb_in * fees.endpoint_data_in_gb + workload.gb_out * fees.endpoint_data_out_gb
