from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from planning import QUIET

from batchcast.planner.arithmetic.capacity import Capacity, assumed_capacity, ideal_capacity
from batchcast.planner.arithmetic.conditions import PRIOR
from batchcast.planner.arithmetic.estimate import Drain, drain_of, estimate, late_by, late_variance
from batchcast.planner.arithmetic.formula import for_the_job
from batchcast.planner.arithmetic.simulate import Job, simulate

IDEAL = ideal_capacity()
CORES = assumed_capacity(8, 16)
KNEE = Capacity(kind="knee", theta=(4.0, 0.02))
PATIENT = replace(PRIOR, timeout=1e9)


# items, seconds, cv, instances, concurrency, files, curve, tolerance of P50
@pytest.mark.parametrize(
    ("items", "seconds", "cv", "instances", "m", "files", "curve", "within"),
    [
        (100_000, 30.0, 0.5, 20, 4, 200, IDEAL, 0.02),
        (100_000, 30.0, 0.5, 20, 4, 1580, IDEAL, 0.02),
        (100_000, 30.0, 1.0, 20, 4, 1580, IDEAL, 0.03),
        (100_000, 30.0, 0.0, 20, 4, 1580, IDEAL, 0.02),
        (100_000, 30.0, 0.5, 20, 16, 400, CORES, 0.02),
        (100_000, 30.0, 0.5, 20, 16, 400, KNEE, 0.02),
        (100_000, 30.0, 0.5, 20, 4, 50, IDEAL, 0.02),
        (100_000, 0.01, 0.5, 40, 4, 1600, IDEAL, 0.03),
        (100_000, 1.0, 0.5, 16, 8, 800, CORES, 0.03),
        (2_000, 30.0, 1.0, 3, 4, 30, IDEAL, 0.04),
    ],
)
def test_the_closed_form_agrees_with_the_job_played_through(
    items: int, seconds: float, cv: float, instances: int, m: int, files: int, curve: Capacity, within: float
) -> None:
    table = curve.table(m)
    job = Job(
        shards=[np.full(len(part), seconds) for part in np.array_split(np.arange(items), files)],
        seconds_cv=cv,
        instances=instances,
        concurrency=m,
        capacity=table,
    )
    p5, p50, p95 = np.quantile(simulate(job, PATIENT, runs=60, seed=3).wall, (0.05, 0.5, 0.95))
    found = estimate(
        items=items,
        seconds=seconds,
        seconds_cv=cv,
        instances=instances,
        shards=files,
        capacity=table[-1],
        drain=drain_of(table, m, cv),
        conditions=PATIENT,
    )
    assert found.wall.p50 == pytest.approx(p50, rel=within)
    assert found.wall.p5 == pytest.approx(p5, rel=0.04)
    assert found.wall.p95 == pytest.approx(p95, rel=0.04)


def test_with_nothing_in_the_way_it_is_the_plain_formula() -> None:
    found = estimate(
        items=100_000,
        seconds=30,
        seconds_cv=0,
        instances=20,
        shards=20,
        capacity=4,
        drain=Drain(mean=0, sigma=0),
        conditions=QUIET,
    )
    times = {"items": 100_000, "seconds": 30, "instances": 20, "concurrency": 4}
    plain = for_the_job("batch", **times, usd_per_hour=1, cold_start_minutes=0)
    assert found.wall.p50 / 3600 == pytest.approx(plain.compute_hours)
    assert found.wall.p5 == found.wall.p95 == found.wall.p50


def test_records_that_all_take_the_same_time_drain_together() -> None:
    assert drain_of(IDEAL.table(8), 8, 0.0).mean == 0
    assert drain_of(IDEAL.table(8), 1, 0.5).mean == 0


def test_the_more_records_differ_the_longer_the_drain() -> None:
    drains = [drain_of(IDEAL.table(8), 8, cv).mean for cv in (0.25, 0.5, 1.0)]
    assert drains == sorted(drains)
    assert drains[1] == pytest.approx(0.88, abs=0.1)


@pytest.mark.parametrize(("n", "expected"), [(1, 0.0), (2, 0.564), (10, 1.539), (100, 2.508)])
def test_the_slowest_of_n_is_behind_as_tables_of_order_statistics_say(n: int, expected: float) -> None:
    assert late_by(n) == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize(("n", "expected"), [(1, 1.0), (2, 0.682), (10, 0.344), (20, 0.276), (100, 0.184)])
def test_the_slowest_of_n_varies_less_than_one(n: int, expected: float) -> None:
    assert late_variance(n) == pytest.approx(expected, abs=0.07)
