from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchcast.planner.arithmetic.formula import HOURS_PER_WEEK, Scenario, always_on, for_the_job

REFERENCE = json.loads((Path(__file__).parent / "reference-cases.json").read_text())
CONSTANTS = REFERENCE["constants"]


def job(instances: int, concurrency: float, seconds: float | None = None) -> Scenario:
    return for_the_job(
        "batch",
        items=CONSTANTS["items"],
        seconds=CONSTANTS["sec"] if seconds is None else seconds,
        instances=instances,
        concurrency=concurrency,
        usd_per_hour=CONSTANTS["price"],
        cold_start_minutes=CONSTANTS["cold_min"],
    )


def endpoint(requests_in_flight: int) -> Scenario:
    return always_on(
        "endpoint",
        items=CONSTANTS["items"],
        seconds=CONSTANTS["sec"],
        requests_in_flight=requests_in_flight,
        instances=CONSTANTS["rt_instances"],
        usd_per_hour=CONSTANTS["price"],
    )


def assert_same(hours: Scenario, expected: Mapping[str, Any]) -> None:
    assert hours.compute_hours == pytest.approx(expected["compute_h"], abs=0.01)
    assert hours.wall_hours == pytest.approx(expected["wall_h"], abs=0.01)
    assert hours.instance_hours == pytest.approx(expected["inst_h"], abs=0.01)
    assert hours.cost_usd == pytest.approx(expected["cost"], abs=0.01)


@pytest.mark.parametrize("cell", REFERENCE["cells"], ids=lambda cell: f"{cell['sec']}s-{cell['mct']}x{cell['inst']}")
def test_every_cell_of_the_reference_grid_is_reproduced(cell: Mapping[str, Any]) -> None:
    assert_same(job(cell["inst"], cell["mct"], cell["sec"]), cell)


@pytest.mark.parametrize(("name", "instances"), [("20x4", 20), ("40x4", 40)])
def test_the_reference_jobs_are_reproduced(name: str, instances: int) -> None:
    assert_same(job(instances, 4), REFERENCE["batch"][name])


def test_the_reference_endpoint_is_reproduced() -> None:
    expected = REFERENCE["endpoint"]
    sequential, concurrent = endpoint(1), endpoint(CONSTANTS["rt_concurrency"])
    assert sequential.compute_hours == pytest.approx(expected["seq_h"], abs=0.01)
    assert sequential.compute_hours / 24 == pytest.approx(expected["seq_days"], abs=0.01)
    assert concurrent.compute_hours == pytest.approx(expected["conc_h"], abs=0.01)
    assert concurrent.instance_hours == expected["inst_h_week"]
    assert concurrent.cost_usd == pytest.approx(expected["week"], abs=0.01)
    assert concurrent.cost_usd_month == pytest.approx(expected["month"], abs=0.01)
    assert HOURS_PER_WEEK - concurrent.wall_hours == pytest.approx(expected["idle_h"], abs=0.01)


@pytest.mark.parametrize(("concurrency", "seconds"), [(1, 18.0), (2, 36.1), (4, 72.2), (8, 144), (16, 289)])
def test_a_slow_model_at_low_concurrency_costs_more_than_the_endpoint(concurrency: int, seconds: float) -> None:
    assert job(16, concurrency, seconds).cost_usd == pytest.approx(endpoint(20).cost_usd, rel=0.005)


@given(
    instances=st.integers(1, 40),
    concurrency=st.integers(1, 64),
    seconds=st.floats(0.01, 30),
)
def test_instance_hours_are_the_request_hours_divided_by_concurrency_plus_the_starts(
    instances: int, concurrency: int, seconds: float
) -> None:
    hours = job(instances, concurrency, seconds)
    request_hours = CONSTANTS["items"] * seconds / 3600
    assert hours.instance_hours == pytest.approx(request_hours / concurrency + instances * CONSTANTS["cold_min"] / 60)
    assert hours.cost_usd == pytest.approx(hours.instance_hours * CONSTANTS["price"])
