"""The local engine is the oracle: where the plain formula is far off, the planner is near what really happens."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from batchcast.planner.arithmetic.conditions import PRIOR, LogNormal
from benchmarks.planner import Workload, measured_seconds, outcome, workloads

# What starting a server and asking it costs on this machine, roughly; benchmarks/planner.py measures it.
CONDITIONS = replace(
    PRIOR,
    provision=LogNormal(median=0.0, sigma=0.0),
    start=LogNormal(median=0.3, sigma=0.2),
    request_overhead=0.001,
    shard_overhead=0.003,
)
WORKLOADS = {one.name: one for one in workloads(160, np.random.default_rng(11))}


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
    found = outcome(workload, CONDITIONS, measured_seconds(workload))
    assert found.error == pytest.approx(0, abs=15)
    assert found.formula_error < -20
