from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planning import TODAY, reference_inputs

from batchcast.planner.arithmetic.async_queue import expired_requests, instances_to_finish
from batchcast.planner.arithmetic.capacity import Capacity
from batchcast.planner.arithmetic.conditions import PRIOR
from batchcast.planner.arithmetic.formula import Scenario
from batchcast.planner.arithmetic.inputs import PlanInputs
from batchcast.planner.arithmetic.scenarios import SCENARIOS
from batchcast.planner.plan.plan import Plan, make_plan
from batchcast.planner.prices.prices import Rate, load_prices
from batchcast.steps.errors import ConfigError

NAMES = ["endpoint_sequential", "endpoint_concurrent", "endpoint_ephemeral", "batch", "async", "hybrid"]


def made(inputs: PlanInputs, *, plain: bool = False, today: date = TODAY) -> Plan:
    return make_plan(inputs, load_prices(), today, plain=plain)


def row(plan: Plan, name: str) -> Scenario:
    return next(one for one in plan.scenarios if one.name == name)


def warned(name: str, **changes: Any) -> str:
    return "\n".join(made(reference_inputs(**changes)).warnings[name])


def test_the_plan_has_the_six_ways_in_order_with_every_number() -> None:
    document = made(reference_inputs()).document()
    assert [one["name"] for one in document["scenarios"]] == NAMES
    keys = {
        "name",
        "compute_hours",
        "wall_hours",
        "instance_hours",
        "cost_usd",
        "cost_usd_month",
        "p5",
        "p95",
        "warnings",
    }
    for one in document["scenarios"]:
        assert one.keys() == keys
        assert one["p5"] <= one["wall_hours"] <= one["p95"]
        assert one["cost_usd_month"] == pytest.approx(4.33 * one["cost_usd"])
        assert sum(document["costs"][one["name"]].values()) == pytest.approx(one["cost_usd"])


def test_requests_of_several_records_take_what_as_many_requests_of_one_do() -> None:
    several = reference_inputs(items_per_request=64, records_per_shard=640)
    alone = reference_inputs(items=-(-100_000 // 64), record_mb=64.0, answer_mb=0.128, records_per_shard=10)
    assert several.shards == alone.shards == 160
    for plain in (True, False):
        for one, other in zip(made(several, plain=plain).scenarios, made(alone, plain=plain).scenarios, strict=True):
            # The last request of 100,000 is half full.
            assert (one.compute_hours, one.p95) == pytest.approx((other.compute_hours, other.p95), rel=1e-3)
            assert one.cost_usd == pytest.approx(other.cost_usd, rel=2e-3)


def test_the_seconds_of_a_request_are_those_of_the_records_in_it() -> None:
    rows = np.arange(1, 1001)
    inputs = reference_inputs(items=1000, items_per_request=64, rows=rows)
    seconds = inputs.shard_seconds
    assert sum(map(len, seconds)) == inputs.workload.requests == 16
    assert sum(shard.sum() for shard in seconds) == pytest.approx(30.0 * 1000 / 64)


def test_the_formula_alone_gives_the_reference_job() -> None:
    plan = made(reference_inputs(), plain=True)
    assert row(plan, "endpoint_sequential").compute_hours == pytest.approx(833.33, abs=0.01)
    assert row(plan, "endpoint_concurrent").cost_usd == pytest.approx(464.688, abs=0.01)
    assert row(plan, "endpoint_concurrent").cost_usd_month == pytest.approx(2012.10, abs=0.01)
    assert row(plan, "endpoint_ephemeral").wall_hours == pytest.approx(69.61, abs=0.01)
    assert row(plan, "endpoint_ephemeral").cost_usd == pytest.approx(192.54, abs=0.01)
    batch = row(plan, "batch")
    assert (batch.wall_hours, batch.instance_hours) == (
        pytest.approx(10.5833, abs=0.01),
        pytest.approx(211.667, abs=0.01),
    )
    assert batch.cost_usd == pytest.approx(195.157, abs=0.01)
    assert batch.cost_usd_month == pytest.approx(845.03, abs=0.01)


def test_batch_counts_what_the_formula_leaves_out() -> None:
    batch = row(made(reference_inputs()), "batch")
    assert 0.2 < batch.costs.processing < 0.6
    assert 0 < batch.costs.requests < 0.05
    assert batch.costs.data == 0
    assert row(made(reference_inputs()), "async").costs.data == pytest.approx(1.603, abs=0.001)
    assert row(made(reference_inputs()), "async").costs.requests == pytest.approx(1.08, abs=0.001)


# What a simulation of the queue, its alarms and its scaling gave: 214.2 instance hours and $200.1, 10.76 h.
def test_the_paced_asynchronous_run_costs_about_what_its_simulation_said() -> None:
    paced = row(made(reference_inputs()), "async")
    assert paced.instance_hours == pytest.approx(214.2, rel=0.005)
    assert paced.cost_usd == pytest.approx(200.1, rel=0.005)
    assert paced.wall_hours == pytest.approx(10.76, rel=0.005)


def test_submitted_at_once_forty_percent_of_the_requests_expire() -> None:
    assert expired_requests(100_000, 30, 80) == pytest.approx(40_258, rel=0.005)
    assert "6-hour queue" in warned("async")
    assert "40 %" in warned("async")
    enough = instances_to_finish(100_000, 30, 4)
    assert expired_requests(100_000, 30, 4 * enough) == 0 < expired_requests(100_000, 30, 4 * (enough - 1))
    assert "6-hour" not in warned("async", instances=enough)


def test_one_file_warns_with_the_hours_and_the_bill() -> None:
    text = warned("batch", files=1)
    assert "one file" in text
    assert "19 idle" in text
    assert row(made(reference_inputs(files=1)), "batch").costs.instances == pytest.approx(3842, rel=0.01)


def test_fewer_files_than_instances_and_an_uneven_number_of_them_warn() -> None:
    assert "12 files on 20 instances: 8 idle" in warned("batch", files=12)
    assert "50 files on 20 instances" in warned("batch", files=50)
    assert "20 % longer" in warned("batch", files=50)
    assert "files on" not in warned("batch", files=60)


def test_the_payload_product_is_shown_with_its_arithmetic_and_the_way_out() -> None:
    text = warned("batch", concurrency=20)
    assert "20 requests x 6 MB = 120 MB" in text
    assert "16 requests or 5 MB" in text
    assert "in flight; SageMaker refuses" not in warned("batch", concurrency=16)
    assert "leaves less than 5 %" in warned("batch", record_mb=5.9)


def test_the_quota_warns_when_unknown_or_too_small_and_not_when_it_suffices() -> None:
    assert "was not asked for" in warned("batch")
    assert "is 8" in warned("batch", quota=8)
    assert "quota" not in warned("batch", quota=20)


def test_untested_and_saturated_concurrency_warn() -> None:
    knee = Capacity(kind="knee", theta=(4.0, 0.0), max_tested=8)
    assert "never measured" in warned("batch")
    assert "measured" not in warned("batch", capacity=knee)
    beyond = warned("batch", capacity=knee, concurrency=16)
    assert "16 requests in flight were not measured; the plan has the speed at 8" in beyond
    assert "saturated: 16 requests in flight do the work of 4.0" in beyond


def test_more_requests_than_a_server_bears_make_nothing_faster() -> None:
    knee = Capacity(kind="knee", theta=(4.0, 0.0), max_tested=8)
    at_knee, beyond = (row(made(reference_inputs(capacity=knee, concurrency=m)), "batch") for m in (4, 8))
    assert beyond.compute_hours == at_knee.compute_hours
    # Waiting requests fill the drains, no more.
    assert beyond.wall_hours == pytest.approx(at_knee.wall_hours, rel=0.03)


def test_hanging_records_warn_with_the_time_they_hold_a_slot() -> None:
    text = warned("batch", conditions=replace(PRIOR, timeout=60.0))
    assert "timeout of 60 s" in text
    assert "240 s" in text


def test_a_savings_plan_cheapens_the_endpoint_alone() -> None:
    full, cheaper = (made(reference_inputs(endpoint_discount_percent=p)) for p in (0.0, 64.0))
    saved = row(full, "endpoint_concurrent").costs.instances * 0.36
    assert row(cheaper, "endpoint_concurrent").costs.instances == pytest.approx(saved)
    assert row(cheaper, "batch").cost_usd == row(full, "batch").cost_usd


def test_a_component_with_a_rate_of_its_own_is_paid_at_it() -> None:
    rate = Rate(usd=1.0, as_of=TODAY, source="given", confidence="given", components={"AsyncInf": 3.0})
    plan = made(reference_inputs(rate=rate))
    assert row(plan, "async").costs.instances == pytest.approx(3 * row(plan, "async").instance_hours)
    assert row(plan, "batch").costs.instances == pytest.approx(row(plan, "batch").instance_hours)


def test_an_uneven_assignment_is_counted_with_and_said() -> None:
    even, uneven = (
        made(reference_inputs(conditions=replace(PRIOR, busiest_share=share), files=200)) for share in (1.0, 1.4)
    )
    assert row(uneven, "batch").wall_hours == pytest.approx(1.4 * row(even, "batch").wall_hours, rel=0.05)
    assert row(uneven, "endpoint_ephemeral") == row(even, "endpoint_ephemeral")
    assert any("1.4 times an even share" in text for text in uneven.warnings["batch"])


def test_an_old_price_warns_under_every_scenario() -> None:
    document = made(reference_inputs(), today=date(2027, 1, 1)).document()
    assert all(any("days old" in text for text in one["warnings"]) for one in document["scenarios"])


@settings(max_examples=30)
@given(
    items=st.integers(1, 200_000),
    seconds=st.floats(0.01, 300),
    instances=st.integers(1, 40),
    concurrency=st.integers(1, 16),
)
def test_any_workload_has_a_finite_plan(items: int, seconds: float, instances: int, concurrency: int) -> None:
    inputs = reference_inputs(items=items, seconds=seconds, instances=instances, concurrency=concurrency)
    for scenario in SCENARIOS.values():
        one = scenario(inputs)
        assert 0 < one.p5 <= one.wall_hours <= one.p95 < float("inf")
        assert 0 < one.cost_usd < float("inf")


def test_a_workload_that_cannot_be_names_every_field_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        reference_inputs(items=0, seconds=-1.0, record_mb=200.0)
    assert [problem.where for problem in caught.value.problems] == ["items", "seconds", "record-mb"]


@pytest.mark.parametrize(
    ("gb", "said"),
    [
        (140, None),
        (200, "269 (0.6 h, $0.55) or --build-engine spark --build-instance-count 2 (0.68 h, $1.25)."),
        (1000, "1343 (2.8 h, $2.60) or --build-engine spark --build-instance-count 21 (0.35 h, $6.70)."),
        (2000, "--volume-size-in-gb 2686 (5.6 h, $5.16)."),
        (20_000, "Shorten it with max_history"),
    ],
)
def test_a_build_that_fills_its_volume_is_told_with_the_price_of_a_larger_one_and_of_spark(
    gb: int, said: str | None
) -> None:
    warnings = made(reference_inputs(items=10 * gb, record_mb=100.0)).warnings["batch"]
    told = [text for text in warnings if text.startswith("BuildShards")]
    assert len(told) == (said is not None)
    assert said is None or said in told[0]
