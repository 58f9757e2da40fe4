from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning import QUIET

from batchcast.planner.arithmetic.actual import TransformRun, calibrate, compare_with_plan, recalibrated
from batchcast.planner.arithmetic.capacity import Capacity
from batchcast.planner.arithmetic.conditions import PRIOR
from batchcast.planner.arithmetic.estimate import Drain, drain_of, estimate
from batchcast.planner.arithmetic.simulate import Job, shard_seconds, simulate

KNEE = Capacity(kind="knee", theta=(4.0, 0.0))


def run_of(*, shards: int = 50, instances: int = 5, records: int = 64, m: int = 8) -> TransformRun:
    """A job of equal shards of records of 30 s ± 50 %, each instance with a start of its own."""
    rng = np.random.default_rng(4)
    seconds = 30 * rng.lognormal(-0.1116, 0.4724, (shards, records))
    took = shard_seconds(seconds, m, KNEE.table(m)) + PRIOR.shard_overhead
    starts = 200.0 * rng.lognormal(0, 0.1, instances)
    outputs = np.concatenate([starts[i] + np.cumsum(took[i::instances]) for i in range(instances)])
    return TransformRun(
        requests=shards * records,
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
        items=run.requests,
        seconds=found.seconds,
        seconds_cv=0.5,
        instances=run.instances,
        shards=run.shards,
        capacity=KNEE.at(8),
        drain=drain,
        conditions=recalibrated(PRIOR, found),
    )
    [wall, billed, cost] = compare_with_plan(planned, 0.01, run)
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
        requests=400, instances=1, shards=4, provision=0.0, billed=40.0, outputs=[10.0, 20.0, 30.0, 40.0]
    )
    found = calibrate(even, capacity=1.0, drain=Drain(mean=0, sigma=0), conditions=QUIET)
    assert found.start == pytest.approx(0, abs=1e-6)
    assert found.seconds == pytest.approx(0.1)


def test_overheads_are_taken_off() -> None:
    outputs = [10.0, 20.0, 30.0, 40.0]
    run = TransformRun(requests=400, instances=1, shards=4, provision=0.0, billed=40.0, outputs=outputs)
    conditions = replace(QUIET, shard_overhead=2.0, request_overhead=0.01)
    found = calibrate(run, capacity=1.0, drain=Drain(mean=0, sigma=0), conditions=conditions)
    assert found.seconds == pytest.approx(8.0 / 100 - 0.01)


def test_a_run_quicker_than_the_assumed_overheads_has_none_of_them() -> None:
    outputs = [0.2, 0.4, 0.6, 0.8]
    run = TransformRun(requests=400, instances=1, shards=4, provision=0.0, billed=0.8, outputs=outputs)
    conditions = replace(QUIET, shard_overhead=0.5, request_overhead=0.002)
    found = calibrate(run, capacity=1.0, drain=Drain(mean=0, sigma=0), conditions=conditions)
    assert found.seconds == pytest.approx(0.002)
    learnt = recalibrated(conditions, found)
    assert (learnt.shard_overhead, learnt.request_overhead) == (0.0, 0.0)
    slower = replace(run, outputs=[10 * each for each in outputs])
    kept = recalibrated(
        conditions, calibrate(slower, capacity=1.0, drain=Drain(mean=0, sigma=0), conditions=conditions)
    )
    assert (kept.shard_overhead, kept.request_overhead) == (0.5, 0.002)


def test_outputs_that_appear_at_once_tell_nothing() -> None:
    run = TransformRun(requests=400, instances=1, shards=4, provision=0.0, billed=5.0, outputs=[5.0] * 4)
    found = calibrate(run, capacity=1.0, drain=Drain(mean=0, sigma=0), conditions=QUIET)
    assert (found.start, found.seconds) == (None, None)
    assert "4 outputs that appeared at once" in found.evidence


@given(
    outputs=st.lists(st.floats(0, 1e5), min_size=1, max_size=60),
    instances=st.integers(1, 10),
    records=st.integers(1, 10_000),
)
def test_whatever_the_outputs_a_record_takes_time_or_nothing_is_said(
    outputs: list[float], instances: int, records: int
) -> None:
    run = TransformRun(
        requests=records, instances=instances, shards=len(outputs), provision=1.0, billed=1e5, outputs=outputs
    )
    found = calibrate(run, capacity=4.0, drain=Drain(mean=0.5, sigma=0.1), conditions=PRIOR)
    assert found.seconds is None or found.seconds > 0
    assert (found.start is None) == (found.seconds is None)


def uneven_run(instances: int, shards: int, most: int) -> TransformRun:
    """The first instance gets `most` of the shards of 64 records of 30 s, the others what is left, in turn."""
    rng = np.random.default_rng(7)
    others = [1 + place % (instances - 1) for place in range(shards - most)]
    of_instance = np.array([0] * most + others)
    took = rng.normal(480, 10, shards)
    starts = 200.0 * rng.lognormal(0, 0.1, instances)
    outputs = np.concatenate([starts[i] + np.cumsum(took[of_instance == i]) for i in range(instances)])
    return TransformRun(
        requests=shards * 64,
        instances=instances,
        shards=shards,
        provision=240.0,
        billed=float(outputs.max()),
        outputs=outputs.tolist(),
    )


@pytest.mark.parametrize(("most", "share"), [(10, 1.0), (15, 1.5), (28, 2.8)])
def test_the_last_output_tells_what_the_busiest_instance_had_and_the_next_plan_counts_with_it(
    most: int, share: float
) -> None:
    run, nothing = uneven_run(20, 200, most), Drain(mean=0.0, sigma=0.0)
    found = calibrate(run, capacity=4.0, drain=nothing, conditions=QUIET)
    assert found.busiest_share == pytest.approx(share, rel=0.03)
    assert found.seconds == pytest.approx(30, rel=0.03)
    learnt = replace(recalibrated(PRIOR, found), shard_overhead=0.0)
    planned = estimate(
        items=run.requests,
        seconds=30.0,
        seconds_cv=0.0,
        instances=20,
        shards=200,
        capacity=4.0,
        drain=nothing,
        conditions=learnt,
    )
    assert compare_with_plan(planned, 0.01, run)[0].error_percent == pytest.approx(0, abs=4)
    job = Job(shards=[np.full(64, 30.0)] * 200, seconds_cv=0.0, instances=20, concurrency=4, capacity=[1, 2, 3, 4])
    played = np.quantile(simulate(job, learnt, runs=50, seed=1).wall, 0.5)
    assert played == pytest.approx(run.wall, rel=0.04)


def test_a_late_start_is_no_busy_instance_and_a_single_one_has_no_share() -> None:
    outputs = [*np.arange(10.0, 60.0, 1.0), *np.arange(13.0, 63.0, 1.0)]
    run = TransformRun(requests=100, instances=2, shards=100, provision=0.0, billed=63.0, outputs=outputs)
    nothing = Drain(mean=0.0, sigma=0.0)
    assert calibrate(run, capacity=1.0, drain=nothing, conditions=PRIOR).busiest_share == 1.0
    alone = replace(run, instances=1, outputs=list(np.arange(1.0, 101.0)))
    assert calibrate(alone, capacity=1.0, drain=nothing, conditions=PRIOR).busiest_share is None
