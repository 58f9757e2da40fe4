"""A transform job simulated, record by record: shards on instances, requests on slots, drains at a shard's end.

An instance works on one shard at a time, sends its records in order and keeps up to `concurrency` of them in flight.
With k requests in flight a server does C(k) seconds of work a second and shares it evenly, so every request advances at
C(k) / k. That makes the exact schedule cheap: in attained seconds all requests run at speed one and the m slots are a
plain list schedule; only the drain, when fewer than m are left, is converted back with its own C(k). A record that is
given up loses its shard, of which nothing more is sent; the retry round sends each record of it in a file of its own.
A server goes on with a request that nobody waits for any more. Where it is saturated that slows the others, of this
shard and the next, so that more of them time out: such jobs are played event by event (`abandoned`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from batchcast.pipelines.tuning import LogNormal
from batchcast.planner.arithmetic.abandoned import Lanes
from batchcast.planner.arithmetic.conditions import Conditions

Array = npt.NDArray[np.float64]
# Runs are drawn together as long as their records fit this many numbers (8 bytes each).
_NUMBERS_AT_ONCE = 4_000_000
# Records that are played, and shards that are dealt, where a job is resampled.
_RESAMPLED = 500_000
# So many records in a row are played event by event; what was abandoned before them is forgotten.
_IN_A_ROW = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One transform job. `shards` holds, in key order, the expected seconds of each record alone on an instance.

    `seconds_cv` is what a record deviates from its expectation (coefficient of variation, lognormal);
    `capacity` is C(1) … C(concurrency), or further; beyond it the last of them holds.
    """

    shards: Sequence[Array]
    seconds_cv: float
    instances: int
    concurrency: int
    capacity: Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """One element a run: seconds from creation to the end, seconds billed on every instance, shards that were lost.

    The retry round of the lost is part of the seconds. `occupancy` is the share of all slots that were busy while the
    first job was billed.
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


def resample(job: Job, conditions: Conditions, *, seed: int) -> Outcomes:
    """Play some shards of the job and deal these to many runs: nearly what `simulate` finds, and at once."""
    rng = np.random.default_rng(seed)
    shards = len(job.shards)
    played = int(np.clip(_RESAMPLED // max(map(len, job.shards)), 24, 4000))
    expected = _padded([job.shards[at] for at in (np.arange(played) * shards // played).tolist()])
    seconds = expected * _deviation(job.seconds_cv, expected.shape, rng)
    pool = _Shards.play(seconds, expected > 0, job, conditions)
    runs = int(np.clip(_RESAMPLED // shards, 40, 1000))
    speed = np.exp(conditions.speed_sigma * rng.standard_normal((runs, 1)))
    return pool.deal(rng.integers(0, played, (runs, shards)), speed, job, conditions, rng)


def shard_seconds(seconds: Array, concurrency: int, capacity: Sequence[float]) -> Array:
    """How long each shard takes. `seconds` is (shards, records), padded with zeros; the result is (shards,)."""
    return _drained(_list_schedule(seconds, concurrency), concurrency, capacity)


def _drained(attained: Array, concurrency: int, capacity: Sequence[float]) -> Array:
    gaps = np.diff(np.sort(attained, axis=1), axis=1, prepend=0.0)
    pace = np.array([k / capacity[k - 1] for k in range(concurrency, 0, -1)])
    total: Array = gaps @ pace
    return total


def _list_schedule(seconds: Array, concurrency: int, lost: npt.NDArray[np.bool_] | None = None) -> Array:
    """When each slot ends if the records, in order, always go to the slot that is free first: (shards, slots).

    After a lost record has been given up no other of its shard is sent.
    """
    losing = lost is not None and bool(lost.any())
    if concurrency == 1 and not losing:
        total: Array = seconds.sum(axis=1, keepdims=True)
        return total
    ends = np.zeros((len(seconds), concurrency))
    flat, first_slot = ends.ravel(), np.arange(len(seconds)) * concurrency
    given_up = np.full(len(seconds), np.inf)
    for number, column in enumerate(np.ascontiguousarray(seconds.T)):
        slot = first_slot + ends.argmin(axis=1)
        if losing and lost is not None:
            sent = flat[slot] < given_up
            flat[slot] += column * sent
            np.minimum(given_up, flat[slot], out=given_up, where=lost[:, number] & sent)
        else:
            flat[slot] += column
    return ends


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shards:
    """Shards that were played: one element, or row of records, a shard. `busy` are seconds of all slots."""

    took: Array
    busy: Array
    lost: npt.NDArray[np.bool_]
    seconds: Array
    real: npt.NDArray[np.bool_]

    @staticmethod
    def play(seconds: Array, real: npt.NDArray[np.bool_], job: Job, conditions: Conditions) -> "_Shards":
        """An instance works on so many of them in a row as it has in the job."""
        hangs = seconds > conditions.timeout / _slowdown(job)
        gone: npt.NDArray[np.bool_] = np.any(hangs, axis=1)
        attained = _list_schedule(_held(seconds, real, conditions, _slowdown(job)), job.concurrency, hangs)
        took, busy = _drained(attained, job.concurrency, job.capacity), attained.sum(axis=1) * _slowdown(job)
        if gone.any() and job.capacity[-1] < len(job.capacity):
            in_a_row = int(np.clip(_IN_A_ROW // seconds.shape[1], 1, -(-len(job.shards) // job.instances)))
            slowed = np.repeat(np.add.reduceat(gone, np.arange(0, len(gone), in_a_row)) > 0, in_a_row)[: len(gone)]
            took[slowed], busy[slowed], gone[slowed] = _by_events(seconds[slowed], in_a_row, job, conditions)
        return _Shards(took=took + conditions.shard_overhead, busy=busy, lost=gone, seconds=seconds, real=real)

    def deal(
        self,
        dealt: npt.NDArray[np.int64],
        speed: Array | float,
        job: Job,
        conditions: Conditions,
        rng: np.random.Generator,
    ) -> Outcomes:
        """Runs of these shards: `dealt` is (runs, shards)."""
        took = self.took[dealt] * speed
        work = _by_instance(took, job.instances)
        work *= _shares(job.instances, conditions.busiest_share)
        work *= np.exp(conditions.instance_sigma * rng.standard_normal(work.shape))
        billed = (_draw(conditions.start, work.shape, rng) + work).max(axis=1)
        occupancy = self.busy[dealt].sum(axis=1) / (job.instances * job.concurrency * billed)
        lost = self.lost[dealt]
        held = _held(self.seconds, self.real, conditions)
        again = np.array(
            [self._again(held, row[gone], job, conditions, rng) for row, gone in zip(dealt, lost, strict=True)]
        )
        return Outcomes(
            wall=_draw(conditions.provision, (len(dealt),), rng) + billed + again.sum(axis=1),
            billed=billed + again[:, 1],
            lost_shards=lost.sum(axis=1).astype(np.float64),
            occupancy=occupancy,
        )

    def _again(
        self, held: Array, shards: npt.NDArray[np.int64], job: Job, conditions: Conditions, rng: np.random.Generator
    ) -> tuple[float, float]:
        """Seconds not billed and billed of the retry round: each record of a lost shard is a file of its own.

        ValidateAndPublish starts once more, which is not the transform's bill.
        """
        if not 0 < self.real[shards].sum() <= conditions.retry_records:
            return 0.0, 0.0
        files = held[shards][self.real[shards]] + conditions.shard_overhead
        work = _by_instance(files, job.instances)
        billed = (_draw(conditions.start, work.shape, rng) + work).max()
        waits = _draw(conditions.provision, (2,), rng).sum() + _draw(conditions.start, (1,), rng)[0]
        return float(waits), float(billed)


def _by_instance(seconds: Array, instances: int) -> Array:
    """What each instance has to do of objects in a row, or several rows, that are dealt in turn (`instance_share`)."""
    *rows, objects = seconds.shape
    padded = np.zeros((*rows, -(-objects // instances), instances))
    padded.reshape(*rows, -1)[..., :objects] = seconds
    work: Array = padded.sum(axis=-2)
    return work


def _by_events(
    seconds: Array, in_a_row: int, job: Job, conditions: Conditions
) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
    """What each shard takes, what its slots are busy, and whether it is lost; an instance has so many in a row."""
    count, records = seconds.shape
    rows = np.zeros((-(-count // in_a_row) * in_a_row, records))
    rows[:count] = seconds + conditions.request_overhead * (seconds > 0)
    lanes = Lanes(
        rows.reshape(-1, in_a_row, records), job.concurrency, job.capacity, conditions.timeout, conditions.max_retries
    )
    while lanes.advance():
        pass
    took, busy, lost = (each.reshape(-1)[:count] for each in (lanes.took, lanes.busy, lanes.lost))
    return took, busy, lost


def _slowdown(job: Job) -> float:
    return job.concurrency / job.capacity[job.concurrency - 1]


def _play(job: Job, conditions: Conditions, expected: Array, runs: int, rng: np.random.Generator) -> Outcomes:
    shards, records = expected.shape
    seconds = np.broadcast_to(expected, (runs, shards, records)) * _deviation(
        job.seconds_cv, (runs, shards, records), rng
    )
    seconds *= np.exp(conditions.speed_sigma * rng.standard_normal((runs, 1, 1)))
    # Those of one instance stand together.
    order = np.argsort(np.arange(shards) % job.instances, kind="stable")
    real = np.broadcast_to(expected[order] > 0, seconds.shape).reshape(-1, records)
    played = _Shards.play(seconds[:, order].reshape(-1, records), real, job, conditions)
    dealt = np.arange(runs)[:, np.newaxis] * shards + np.argsort(order)
    return played.deal(dealt, 1.0, job, conditions, rng)


def _shares(instances: int, busiest: float) -> Array:
    """What each instance does, in even shares: the busiest that much, all others what is left."""
    most = min(busiest, float(instances))
    rest = (instances - most) / max(1, instances - 1)
    return np.array([most] + [rest] * (instances - 1))


def _held(seconds: Array, real: npt.NDArray[np.bool_], conditions: Conditions, slowdown: float = 1.0) -> Array:
    """Seconds alone that all tries of a record take, overhead included."""
    timeout = conditions.timeout / slowdown
    tried = np.where(seconds > timeout, timeout * (conditions.max_retries + 1), seconds)
    held: Array = tried + conditions.request_overhead * real
    return held


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
