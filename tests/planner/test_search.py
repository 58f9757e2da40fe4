from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planning import reference_inputs

from batchcast.planner.arithmetic.capacity import Capacity
from batchcast.planner.arithmetic.inputs import PlanInputs
from batchcast.planner.arithmetic.scenarios import processing_hours
from batchcast.planner.arithmetic.search import (
    Candidate,
    cheapest_within_deadline,
    concurrency_cap,
    configurations,
    fastest_within_budget,
    pareto,
    type_choices,
)
from batchcast.planner.arithmetic.simulate import Job, simulate
from batchcast.planner.prices.prices import load_prices

RATES = load_prices().rates["us-east-1"]
TAKEN = {"ml.m5.4xlarge", "ml.c5.4xlarge", "ml.c5.xlarge", "ml.g5.xlarge", "ml.r6i.xlarge"}
MEASURED = Capacity(kind="knee", theta=(4.0, 0.0), max_tested=8)


def every_configuration(choices: list[PlanInputs]) -> list[Candidate]:
    """Each type alone, so that none is left out for another."""
    return [one for inputs in choices for one in configurations([inputs])]


def test_only_types_that_can_be_compared_are_searched() -> None:
    names = [one.instance_type for one in type_choices(reference_inputs(), RATES, TAKEN)]
    assert names == ["ml.m5.4xlarge", "ml.c5.4xlarge", "ml.c5.xlarge"]
    measured = type_choices(reference_inputs(capacity=MEASURED), RATES, TAKEN)
    assert [one.instance_type for one in measured] == ["ml.m5.4xlarge"]
    on_gpu = type_choices(reference_inputs(instance_type="ml.g5.xlarge"), RATES, TAKEN)
    assert [one.instance_type for one in on_gpu] == ["ml.g5.xlarge"]


def test_the_cheapest_within_a_deadline_is_the_fewest_instances_that_make_it() -> None:
    inputs = reference_inputs(capacity=MEASURED)
    found = cheapest_within_deadline([inputs], 12.0)
    assert found is not None
    assert found.concurrency == 4
    assert found.scenario.p95 <= 12.0
    fewer = replace(inputs, instances=found.instances - 1)
    [before] = [one for one in configurations([fewer], [found.instances - 1]) if one.concurrency == 4]
    assert before.scenario.p95 > 12.0


def test_no_configuration_of_the_search_is_cheaper_and_in_time() -> None:
    choices = type_choices(reference_inputs(), RATES, TAKEN)
    found = cheapest_within_deadline(choices, 6.0)
    assert found is not None
    others = [one for one in configurations(choices, range(5, 101, 5)) if one.scenario.p95 <= 6.0]
    assert others
    assert found.scenario.cost_usd <= min(one.scenario.cost_usd for one in others) + 0.01


@settings(max_examples=5, deadline=None)
@given(
    items=st.sampled_from([20, 150]),
    seconds=st.sampled_from([2.0, 30.0, 120.0]),
    seconds_cv=st.sampled_from([0.5, 2.0]),
    usd=st.sampled_from([0.5, 2.0, 10.0]),
)
def test_types_that_are_left_out_change_no_answer(items: int, seconds: float, seconds_cv: float, usd: float) -> None:
    inputs = reference_inputs(items=items, seconds=seconds, seconds_cv=seconds_cv, quota=2)
    choices = type_choices(inputs, RATES, TAKEN)
    known = every_configuration(choices)
    affordable = [one for one in known if one.scenario.cost_usd <= usd]
    assert fastest_within_budget(choices, usd) == min(
        affordable, key=lambda one: (round(one.scenario.p95, 4), one.scenario.cost_usd), default=None
    )
    assert pareto(configurations(choices)) == pareto(known)


def test_of_types_that_do_the_same_work_only_the_cheapest_is_played() -> None:
    choices = type_choices(reference_inputs(), RATES, TAKEN)
    types = {(one.concurrency, one.instance_type) for one in configurations(choices, [20])}
    assert (4, "ml.c5.4xlarge") in types
    assert (4, "ml.m5.4xlarge") not in types


def test_an_impossible_deadline_or_budget_finds_nothing() -> None:
    inputs = reference_inputs(capacity=MEASURED, quota=20)
    assert cheapest_within_deadline([inputs], 0.5) is None
    assert fastest_within_budget([inputs], 1.0) is None


def test_the_quota_bounds_the_instances() -> None:
    found = fastest_within_budget([reference_inputs(capacity=MEASURED, quota=7)], 1000.0)
    assert found is not None
    assert found.instances == 7


def test_the_fastest_within_a_budget_costs_no_more() -> None:
    found = fastest_within_budget([reference_inputs(capacity=MEASURED)], 215.0)
    assert found is not None
    assert found.scenario.cost_usd <= 215.0


def test_concurrency_is_bounded_by_payload_and_by_what_was_measured() -> None:
    assert concurrency_cap(reference_inputs()) == 16
    assert concurrency_cap(reference_inputs(max_payload_mb=30)) == 3
    assert concurrency_cap(reference_inputs(capacity=MEASURED)) == 8


def test_the_front_is_sorted_and_nothing_on_it_beats_another() -> None:
    front = pareto(configurations(type_choices(reference_inputs(), RATES, TAKEN), (1, 5, 20, 80)))
    assert len(front) > 3
    assert [one.scenario.p95 for one in front] == sorted(one.scenario.p95 for one in front)
    costs = [one.scenario.cost_usd for one in front]
    assert costs == sorted(costs, reverse=True)


def test_more_requests_in_flight_is_the_lever_on_the_cost() -> None:
    [four, sixteen] = [one for one in configurations([reference_inputs()], [20]) if one.concurrency in (4, 16)]
    assert four.scenario.cost_usd / sixteen.scenario.cost_usd == pytest.approx(2.4, abs=0.15)


def test_the_configuration_for_a_deadline_meets_it_when_played_through() -> None:
    found = cheapest_within_deadline([reference_inputs(capacity=MEASURED)], 12.0)
    assert found is not None
    inputs = reference_inputs(capacity=MEASURED, instances=found.instances, concurrency=found.concurrency)
    job = Job(
        shards=inputs.shard_seconds,
        seconds_cv=inputs.workload.seconds_cv,
        instances=inputs.instances,
        concurrency=inputs.concurrency,
        capacity=inputs.capacity.table(inputs.concurrency),
    )
    hours = simulate(job, inputs.conditions, runs=60, seed=2).wall / 3600 + processing_hours(inputs)[0]
    assert float((hours <= 12.0).mean()) >= 0.9
