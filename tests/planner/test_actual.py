from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from planning import QUIET

from planner.actual import TransformRun, calibrate, compare, recalibrated
from planner.capacity import Capacity
from planner.conditions import PRIOR
from planner.estimate import Drain, drain_of, estimate
from planner.simulate import shard_seconds

KNEE = Capacity(kind="knee", theta=(4.0, 0.0))


def run_of(*, shards: int = 50, instances: int = 5, records: int = 64, m: int = 8) -> TransformRun:
    """A job of equal shards of records of 30 s ± 50 %, each instance with a start of its own."""
    rng = np.random.default_rng(4)
    seconds = 30 * rng.lognormal(-0.1116, 0.4724, (shards, records))
    took = shard_seconds(seconds, m, KNEE.table(m)) + PRIOR.shard_overhead
    starts = 200.0 * rng.lognormal(0, 0.1, instances)
    outputs = np.concatenate([starts[i] + np.cumsum(took[i::instances]) for i in range(instances)])
    return TransformRun(
        records=shards * records,
        instances=instances,
        shards=shards,
        provision=240.0,
        billed=float(outputs.max()),
        outputs=outputs.tolist(),
    )


def test_start_and_seconds_a_record_are_read_off_the_outputs() -> None:
    found = calibrate(run_of(), capacity=KNEE.at(8), drain=drain_of(KNEE.table(8), 8, 0.5), conditions=PRIOR)
    assert found.seconds == pytest.approx(30, rel=0.03)
    assert found.start == pytest.approx(200, rel=0.3)
    assert found.provision == 240.0
    assert "50 outputs of 5 instances" in found.evidence


def test_the_next_plan_is_right_with_what_the_run_taught() -> None:
    run, drain = run_of(), drain_of(KNEE.table(8), 8, 0.5)
    found = calibrate(run, capacity=KNEE.at(8), drain=drain, conditions=PRIOR)
    assert found.seconds is not None
    planned = estimate(
        items=run.records,
        seconds=found.seconds,
        seconds_cv=0.5,
        instances=run.instances,
        shards=run.shards,
        capacity=KNEE.at(8),
        drain=drain,
        conditions=recalibrated(PRIOR, found),
    )
    [wall, billed, cost] = compare(planned, 0.01, run)
    assert wall.within
    assert billed.within
    assert wall.error_percent == pytest.approx(0, abs=3)
    assert cost.actual == pytest.approx(run.billed * 0.01)


def test_one_shard_an_instance_cannot_tell_the_start_from_the_work() -> None:
    run = run_of(shards=5)
    found = calibrate(run, capacity=4.0, drain=Drain(mean=0, sigma=0), conditions=PRIOR)
    assert (found.start, found.seconds, found.provision) == (None, None, 240.0)
    assert "at least two each" in found.evidence
    assert recalibrated(PRIOR, found).start == PRIOR.start


def test_a_server_that_is_there_at_once_has_no_start() -> None:
    even = TransformRun(
        records=400, instances=1, shards=4, provision=0.0, billed=40.0, outputs=[10.0, 20.0, 30.0, 40.0]
    )
    found = calibrate(even, capacity=1.0, drain=Drain(mean=0, sigma=0), conditions=QUIET)
    assert found.start == pytest.approx(0, abs=1e-6)
    assert found.seconds == pytest.approx(0.1)


def test_retried_attempts_and_overheads_are_taken_off() -> None:
    outputs = [10.0, 20.0, 30.0, 40.0]
    run = TransformRun(records=400, instances=1, shards=4, provision=0.0, billed=40.0, outputs=outputs)
    conditions = replace(QUIET, shard_overhead=2.0, request_overhead=0.01, failure_rate=0.5, max_retries=1)
    found = calibrate(run, capacity=1.0, drain=Drain(mean=0, sigma=0), conditions=conditions)
    assert found.seconds == pytest.approx((8.0 / 100 - 0.01) / 1.5)
