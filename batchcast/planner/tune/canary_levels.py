"""Levels measured by short transform jobs, where nobody sees a single request.

A job of one instance works through a few shards that hold the same records, and what is seen is when each shard's
output appeared. The time between two outputs is one shard's; what comes before the first, starting and loading, is left
out. Every shard ends with a drain, which is taken off as `batchcast.planner.arithmetic.estimate` expects it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from batchcast.planner.arithmetic.capacity import ideal_capacity
from batchcast.planner.arithmetic.estimate import drain_of
from batchcast.planner.arithmetic.workload import ASSUMED_SECONDS_CV
from batchcast.planner.tune.levels import MeasuredLevel

SHARDS = 4
_WAVES = 4
_Z99 = 2.326


def records_a_shard(sample: int, concurrency: int) -> int:
    """Whole rounds of the sample, so that every shard of every level holds the same mix, and at least four waves."""
    return sample * math.ceil(max(1, _WAVES * concurrency / sample))


def seconds_a_record(sample: int, outputs: Sequence[float]) -> float:
    """The mean seconds of a record, from the outputs of the level with one request in flight."""
    return float(np.diff(np.sort(np.array(outputs, dtype=np.float64))).mean()) / records_a_shard(sample, 1)


def canary_level(concurrency: int, sample: int, outputs: Sequence[float], mean: float) -> MeasuredLevel:
    """`outputs` are the times in seconds at which the shards' outputs appeared; `mean` is `seconds_a_record`."""
    records = records_a_shard(sample, concurrency)
    seconds = np.diff(np.sort(np.array(outputs, dtype=np.float64)))
    drain = drain_of(ideal_capacity().table(concurrency), concurrency, ASSUMED_SECONDS_CV).mean
    # The drain that is expected cannot be more than a part of what was seen.
    rates = records * mean / np.maximum(seconds - drain * mean, 0.5 * seconds)
    latency = concurrency * mean / float(rates.mean())
    sigma = math.sqrt(math.log1p(ASSUMED_SECONDS_CV**2))
    return MeasuredLevel(
        concurrency=concurrency,
        work=float(rates.mean()),
        relative_error=float(rates.std(ddof=1) / rates.mean() / math.sqrt(len(rates))),
        p50=latency * math.exp(-(sigma**2) / 2),
        p99=latency * math.exp(_Z99 * sigma - sigma**2 / 2),
        requests=records * len(outputs),
        failures=0,
        first_failure=None,
        usage=None,
    )


def failed_level(concurrency: int, sample: int, reason: str) -> MeasuredLevel:
    """A level whose job failed."""
    records = records_a_shard(sample, concurrency) * SHARDS
    return MeasuredLevel(
        concurrency=concurrency,
        work=0.0,
        relative_error=0.0,
        p50=0.0,
        p99=0.0,
        requests=records,
        failures=records,
        first_failure=reason,
        usage=None,
    )
