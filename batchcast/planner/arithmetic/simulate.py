"""A transform job simulated, record by record: shards on instances, requests on slots, drains at a shard's end.

An instance works on one shard at a time, sends its records in order and keeps up to `concurrency` of them in flight.
With k requests in flight a server does C(k) seconds of work a second and shares it evenly, so every request advances at
C(k) / k. That makes the exact schedule cheap: in attained seconds all requests run at speed one and the m slots are a
plain list schedule; only the drain, when fewer than m are left, is converted back with its own C(k).
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from batchcast.engine.transform.data.input import instance_share
from batchcast.planner.arithmetic.conditions import Conditions, LogNormal

Array = npt.NDArray[np.float64]
# Runs are drawn together as long as their records fit this many numbers (8 bytes each).
_NUMBERS_AT_ONCE = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One transform job. `shards` holds, in key order, the expected seconds of each record alone on an instance.

    `seconds_cv` is what a record deviates from its expectation (coefficient of variation, lognormal);
    `capacity` is C(1) … C(concurrency).
    """

    shards: Sequence[Array]
    seconds_cv: float
    instances: int
    concurrency: int
    capacity: Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """One element a run: seconds from creation to the end, seconds billed on every instance, shards lost to timeouts.

    `occupancy` is the share of all slots that were busy while the job was billed.
    """

    wall: Array
    billed: Array
    lost_shards: Array
    occupancy: Array


def simulate(job: Job, conditions: Conditions, *, runs: int, seed: int) -> Outcomes:
    """Play the job `runs` times with other luck each time; the same seed gives the same luck."""
    rng = np.random.default_rng(seed)
    expected = _padded(job.shards)
    at_once = max(1, _NUMBERS_AT_ONCE // max(1, expected.size))
    parts = [_play(job, conditions, expected, min(at_once, runs - first), rng) for first in range(0, runs, at_once)]
    return Outcomes(
        **{each.name: np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(parts[0])}
    )


def shard_seconds(seconds: Array, concurrency: int, capacity: Sequence[float]) -> Array:
    """How long each shard takes. `seconds` is (shards, records), padded with zeros; the result is (shards,)."""
    attained = _list_schedule(seconds, concurrency)
    attained.sort(axis=1)
    gaps = np.diff(attained, axis=1, prepend=0.0)
    pace = np.array([k / capacity[k - 1] for k in range(concurrency, 0, -1)])
    total: Array = gaps @ pace
    return total


def _list_schedule(seconds: Array, concurrency: int) -> Array:
    """When each slot ends if the records, in order, always go to the slot that is free first: (shards, slots)."""
    if concurrency == 1:
        total: Array = seconds.sum(axis=1, keepdims=True)
        return total
    ends = np.zeros((len(seconds), concurrency))
    flat, first_slot = ends.ravel(), np.arange(len(seconds)) * concurrency
    for column in np.ascontiguousarray(seconds.T):
        flat[first_slot + ends.argmin(axis=1)] += column
    return ends


def _play(job: Job, conditions: Conditions, expected: Array, runs: int, rng: np.random.Generator) -> Outcomes:
    shards, records = expected.shape
    seconds = np.broadcast_to(expected, (runs, shards, records)) * _deviation(
        job.seconds_cv, (runs, shards, records), rng
    )
    seconds *= np.exp(conditions.speed_sigma * rng.standard_normal((runs, 1, 1)))
    slowdown = job.concurrency / job.capacity[job.concurrency - 1]
    held, lost = _attempts(seconds, slowdown, expected > 0, conditions, rng)
    took = shard_seconds(held.reshape(runs * shards, records), job.concurrency, job.capacity).reshape(runs, shards)
    took += conditions.shard_overhead
    mine = [instance_share(range(shards), instance, job.instances) for instance in range(job.instances)]
    work = np.stack([took[:, share].sum(axis=1) for share in mine], axis=1)
    work *= _shares(job.instances, conditions.busiest_share)
    work *= np.exp(conditions.instance_sigma * rng.standard_normal(work.shape))
    start = _draw(conditions.start, work.shape, rng)
    billed = (start + work).max(axis=1)
    slots = job.instances * job.concurrency
    return Outcomes(
        wall=_draw(conditions.provision, (runs,), rng) + billed,
        billed=billed,
        lost_shards=lost.any(axis=2).sum(axis=1).astype(np.float64),
        occupancy=held.sum(axis=(1, 2)) * slowdown / (slots * billed),
    )


def _shares(instances: int, busiest: float) -> Array:
    """What each instance does, in even shares: the busiest that much, all others what is left."""
    most = min(busiest, float(instances))
    rest = (instances - most) / max(1, instances - 1)
    return np.array([most] + [rest] * (instances - 1))


def _attempts(
    seconds: Array, slowdown: float, real: npt.NDArray[np.bool_], conditions: Conditions, rng: np.random.Generator
) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Seconds alone that all attempts at a record take, overhead included; and whether it is given up at last."""
    timeout = conditions.timeout / slowdown
    hangs = seconds > timeout
    held = np.where(hangs, timeout * (conditions.max_retries + 1), seconds)
    lost = hangs
    if conditions.failure_rate > 0:
        failures = rng.geometric(1 - conditions.failure_rate, seconds.shape) - 1
        held = np.where(hangs, held, seconds * (1 + np.minimum(failures, conditions.max_retries)))
        lost = (hangs | (failures > conditions.max_retries)) & real
    held += conditions.request_overhead * real
    return held, lost


def _padded(shards: Sequence[Array]) -> Array:
    padded = np.zeros((len(shards), max((len(shard) for shard in shards), default=0)))
    for row, shard in zip(padded, shards, strict=True):
        row[: len(shard)] = shard
    return padded


def _deviation(cv: float, shape: tuple[int, ...], rng: np.random.Generator) -> Array | float:
    """Lognormal factors of mean one."""
    if cv == 0:
        return 1.0
    variance = np.log1p(cv * cv)
    factors: Array = np.exp(np.sqrt(variance) * rng.standard_normal(shape) - variance / 2)
    return factors


def _draw(duration: LogNormal, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    seconds: Array = duration.median * np.exp(duration.sigma * rng.standard_normal(shape))
    return seconds
