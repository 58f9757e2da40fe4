"""The wall-clock of a transform job in closed form: what the plan, the search and the page compute.

    instance  = files on the busiest instance x (records x seconds / C(m) + drain + transfer)
    billed    = start + instance + what the slowest of n instances is behind the middle one
    wall      = provisioning (not billed) + billed
    cost      = instances x billed x price

P5 and P95 treat the wall-clock as lognormal around P50. `simulate` plays the same job through and is what this
is held against: within 2 % at P50 on the jobs of tests/planner/test_estimate.py. Jobs that lose requests, or in which
a few long ones decide, are played instead (`scenarios.is_played`).
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from statistics import NormalDist
from typing import Self

import numpy as np

from batchcast.planner.arithmetic.conditions import Conditions
from batchcast.planner.arithmetic.simulate import shard_seconds

_Z95 = NormalDist().inv_cdf(0.95)
_DRAIN_SHARDS = 150
_DRAIN_WAVES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Seconds at P5, P50 and P95."""

    p5: float
    p50: float
    p95: float

    def hours(self, before: float = 0.0) -> Self:
        """In hours, after so many others."""
        return replace(self, **{name: before + value / 3600 for name, value in asdict(self).items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """From creation to the end, and what of that is billed on every instance."""

    wall: Spread
    billed: Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """What the end of a shard costs, in mean seconds of a record: expected, and its standard deviation."""

    mean: float
    sigma: float


def estimate(
    *,
    items: int,
    seconds: float,
    seconds_cv: float,
    instances: int,
    shards: int,
    capacity: float,
    drain: Drain,
    conditions: Conditions,
) -> Estimate:
    """`capacity` is C(m) and `drain` is `drain_of` at the job's concurrency; `shards` are of equal size."""
    a_record = seconds + conditions.request_overhead

    def last_of(at_work: int, files: float) -> tuple[float, float]:
        """When the slowest of some instances with so many files each ends, and its standard deviation."""
        records = files * items / shards
        work = records * a_record / capacity + files * (drain.mean * a_record + conditions.shard_overhead)
        differ = math.hypot(
            a_record * seconds_cv * math.sqrt(records) / capacity,
            a_record * drain.sigma * math.sqrt(files),
            work * conditions.instance_sigma,
        )
        late_start = start.median * math.expm1(start.sigma * late_by(at_work))
        ends = start.median + work + math.hypot(late_start, late_by(at_work) * differ)
        sigma = math.hypot(differ, (start.median + late_start) * start.sigma) * math.sqrt(late_variance(at_work))
        return ends, math.hypot(work * conditions.speed_sigma, sigma)

    start = conditions.start
    each, more = divmod(shards, instances)
    # Few instances with a file more, and all with the others.
    groups = [(more, each + 1)] if more else []
    groups += [(instances, each)] if each else []
    billed, sigma_billed = max(
        last_of(at_work, min(float(shards), files * conditions.busiest_share)) for at_work, files in groups
    )
    wall = conditions.provision.median + billed
    sigma_wall = math.hypot(sigma_billed, conditions.provision.median * conditions.provision.sigma)
    return Estimate(wall=lognormal_spread(wall, sigma_wall), billed=lognormal_spread(billed, sigma_billed))


def lognormal_spread(median: float, sigma: float) -> Spread:
    """Around a median; `sigma` is in seconds, as the median is."""
    factor = math.exp(_Z95 * sigma / median)
    return Spread(p5=median / factor, p50=median, p95=median * factor)


def drain_of(capacity: Sequence[float], concurrency: int, seconds_cv: float, records: float = math.inf) -> Drain:
    """The drain at a concurrency. Slots run dry while the last of a shard's records are answered.

    Simulated on sampled shards (`simulate.shard_seconds`), so it holds for any curve; `capacity` is
    C(1) … C(concurrency). A shard of many records drains as one of eight waves does, and what is left of a wave.
    """
    sent = _DRAIN_WAVES * concurrency
    if math.isfinite(records):
        sent = min(round(records), sent + round(records) % concurrency)
    if concurrency == 1 or (seconds_cv == 0 and sent % concurrency == 0):
        return Drain(mean=0.0, sigma=0.0)
    rng = np.random.default_rng(concurrency)
    variance = math.log1p(seconds_cv**2)
    shape = (_DRAIN_SHARDS, max(1, sent))
    seconds = np.exp(math.sqrt(variance) * rng.standard_normal(shape) - variance / 2)
    ideal = seconds.sum(axis=1) / capacity[concurrency - 1]
    lost = shard_seconds(seconds, concurrency, capacity) - ideal
    return Drain(mean=float(lost.mean()), sigma=float(lost.std()))


def late_by(instances: int) -> float:
    """How far the slowest of n is behind the middle one, in standard deviations (Blom 1958)."""
    return 0.0 if instances <= 1 else NormalDist().inv_cdf((instances - 0.375) / (instances + 0.25))


def late_variance(instances: int) -> float:
    """The variance of the slowest of n, as a share of one's own; within 0.03 of the exact values up to 100."""
    return 1 / (1 + 0.9 * math.log(max(1, instances)))
