"""The local engine is the oracle: where the plain formula is far off, the planner is near what really happens."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from batchcast.planner.arithmetic.conditions import PRIOR, LogNormal
from benchmarks.jobs.engine_jobs import Workload, measured_seconds
from benchmarks.jobs.random_jobs import printed_seconds, random_job
from benchmarks.planner import Outcome, outcome, workloads

pytestmark = pytest.mark.timed

# What starting a server and asking it costs on this machine, roughly; benchmarks/planner.py measures it.
CONDITIONS = replace(
    PRIOR,
    provision=LogNormal(median=0.0, sigma=0.0),
    start=LogNormal(median=0.3, sigma=0.2),
    request_overhead=0.001,
    shard_overhead=0.003,
)
# Requests that hang, in a job of some seconds: the tenth of each file of forty is never answered in time.
HANGING = [np.where(np.arange(40) == 10, 30.0, 0.05) for _ in range(4)]
WORKLOADS = {one.name: one for one in workloads(160, np.random.default_rng(11))}


def measured(workload: Workload) -> Outcome:
    """The nearest of three tries: a busy machine only ever makes the engine slower."""
    for _ in range(3):
        found = outcome(workload, CONDITIONS, measured_seconds(workload))
        if abs(found.error) < 15:
            break
    return found


@pytest.mark.parametrize(
    "workload",
    [
        WORKLOADS["sorted by size, 6 files"],
        WORKLOADS["one file"],
        WORKLOADS["declining: 8 in flight do less than 3"],
    ],
    ids=lambda one: one.name,
)
def test_the_engine_takes_what_the_planner_said_and_not_what_the_formula_says(workload: Workload) -> None:
    found = measured(workload)
    assert found.error == pytest.approx(0, abs=15)
    assert found.formula_error < -20


@pytest.mark.parametrize("retries", [0, 1])
def test_a_timeout_holds_its_slot_for_every_try_and_loses_the_rest_of_its_file(retries: int) -> None:
    workload = Workload(
        name="hanging", shards=HANGING, expected=HANGING, cv=0.0, concurrency=2, timeout=100, retries=retries
    )
    found = measured(workload)
    assert found.error == pytest.approx(0, abs=15)


def test_what_plan_prints_of_a_random_job_is_what_the_engine_takes() -> None:
    job = random_job(3)
    inputs = job.inputs(CONDITIONS)
    workload = job.workload(inputs, 3)
    for _ in range(3):
        took = measured_seconds(workload)
        if took == pytest.approx(printed_seconds(inputs), rel=0.15):
            break
    assert took == pytest.approx(printed_seconds(inputs), rel=0.15)
