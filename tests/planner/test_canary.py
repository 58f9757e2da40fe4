from __future__ import annotations

import numpy as np
import pytest

from batchcast.planner.arithmetic.capacity import Capacity
from batchcast.planner.arithmetic.simulate import shard_seconds
from batchcast.planner.tune.canary import SHARDS, canary_level, records_a_shard, seconds_a_record


def outputs(concurrency: int, sample: int, curve: Capacity, seed: int = 1) -> list[float]:
    """When the outputs of a job's shards appear: some minutes of starting, then one shard after the other."""
    alone = 30 * np.random.default_rng(seed).lognormal(-0.111, 0.472, sample)
    rounds = records_a_shard(sample, concurrency) // sample
    each = shard_seconds(np.tile(alone, rounds)[None, :], concurrency, curve.table(concurrency))[0]
    return [417.0 + each * (number + 1) for number in range(SHARDS)]


@pytest.mark.parametrize(
    "curve", [Capacity(kind="knee", theta=(4.0, 0.0)), Capacity(kind="usl", theta=(0.05, 0.01))], ids=str
)
@pytest.mark.parametrize("m", [2, 4, 8, 16])
def test_the_work_done_at_once_is_read_off_the_times_of_the_outputs(curve: Capacity, m: int) -> None:
    mean = seconds_a_record(24, outputs(1, 24, curve))
    level = canary_level(m, 24, outputs(m, 24, curve), mean)
    assert level.work == pytest.approx(curve.at(m), rel=0.12)
    assert level.requests == SHARDS * records_a_shard(24, m)


def test_every_shard_holds_whole_rounds_of_the_sample_and_four_waves() -> None:
    for m in (1, 2, 6, 7, 16):
        count = records_a_shard(24, m)
        assert count % 24 == 0
        assert count >= 4 * m
