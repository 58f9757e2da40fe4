"""Which way is chosen, and that the rule it names is the one that decided."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from batchcast.cli.main import root
from batchcast.planner.arithmetic.inputs import PlanInputs
from batchcast.planner.plan.options import PlanOptions
from batchcast.planner.plan.prepare import plan_inputs, price_table
from batchcast.serving.choice import WAYS, Choice, Needs, choose_way
from batchcast.steps.errors import ConfigError


def inputs(**changes: Any) -> PlanInputs:
    """100,000 records of 30 s on 20 x ml.m5.4xlarge, and 10 ad-hoc requests a week."""
    from datetime import date

    options = PlanOptions(**{"items": 100_000, "seconds": 30.0, **changes})
    return plan_inputs(options, price_table(options), date(2026, 5, 1))


def chosen(needs: Needs | None = None, **changes: Any) -> Choice:
    return choose_way(inputs(**changes), needs or Needs())


def reasons(choice: Choice, name: str) -> str:
    return "; ".join(next(way for way in choice.ways if way.name == name).reasons)


def test_the_weekly_sunday_with_some_ad_hoc_requests_is_hybrid() -> None:
    choice = chosen()
    assert choice.name == "hybrid"
    assert "none of 10 ad-hoc requests" in reasons(choice, "batch")


def test_without_ad_hoc_requests_it_is_batch_alone() -> None:
    choice = chosen(ad_hoc=0)
    assert choice.name == "batch"
    assert "async costs" in choice.rule
    assert "about the same (within 5%), and leaves more to run and to watch" in choice.rule


def test_of_ways_that_cost_the_same_the_rule_says_so() -> None:
    choice = chosen(items=500, seconds=1.0, ad_hoc=0)
    assert choice.name == "batch"
    assert choice.rule == "hybrid costs the same, and leaves more to run and to watch."


def test_an_answer_within_a_minute_needs_an_instance_that_is_awake() -> None:
    choice = chosen(Needs(answer_minutes=1))
    assert choice.name == "hybrid-real-time"
    assert choice.rule.startswith("It is the cheapest of 2 ways")
    assert "10.5 min, 1 min are allowed" in reasons(choice, "hybrid")


def test_real_time_is_out_for_a_model_of_more_than_a_minute() -> None:
    choice = chosen(seconds=61.0)
    assert "61 s, real-time allows 60 s" in reasons(choice, "real-time")
    assert choice.name == "hybrid"


def test_a_deadline_puts_out_what_is_too_slow_and_nothing_else() -> None:
    choice = chosen(Needs(deadline_hours=13))
    assert "13 h are allowed" in reasons(choice, "real-time")
    assert reasons(choice, "hybrid") == ""


def test_where_only_one_way_is_left_that_is_the_rule() -> None:
    choice = chosen(Needs(deadline_hours=12))
    assert choice.name == "async"
    assert choice.rule.startswith("It is the only way")


def test_nothing_that_fits_says_what_is_against_each_way() -> None:
    with pytest.raises(ConfigError) as refused:
        chosen(Needs(deadline_hours=0.1))
    *ways, last = refused.value.problems
    assert [problem.where for problem in ways] == list(WAYS)
    assert "`plan --deadline 0.1` finds how many" in last.remedy


@given(
    seconds=st.floats(0.01, 4000),
    ad_hoc=st.integers(0, 500),
    deadline=st.none() | st.floats(1, 200),
    within=st.none() | st.floats(0.1, 60),
    endpoints=st.integers(1, 40),
)
def test_what_is_chosen_meets_the_needs_and_nothing_else_that_does_is_much_cheaper(
    seconds: float, ad_hoc: int, deadline: float | None, within: float | None, endpoints: int
) -> None:
    base = REFERENCE
    changed = replace(
        base,
        workload=replace(base.workload, seconds=seconds),
        ad_hoc_requests=ad_hoc,
        endpoint_instances=endpoints,
    )
    try:
        choice = choose_way(changed, Needs(deadline_hours=deadline, answer_minutes=within))
    except ConfigError:
        return
    way = next(each for each in choice.ways if each.name == choice.name)
    assert way.reasons == ()
    assert deadline is None or way.weekly_hours <= deadline
    assert not ad_hoc or way.ad_hoc_minutes is not None
    assert all(way.usd_a_week <= 1.05 * other.usd_a_week + 1e-9 for other in choice.ways if not other.reasons)


def test_the_command_shows_every_way_and_the_rule() -> None:
    arguments = ["plan", "--items", "100000", "--seconds", "30"]
    told = CliRunner().invoke(root, arguments, catch_exceptions=False).stdout
    assert all(name in told for name in WAYS)
    assert "hybrid: Batch Transform, ad-hoc requests" in told
    assert "The rule that decided: async costs $" in told
    document = json.loads(CliRunner().invoke(root, [*arguments, "--json"], catch_exceptions=False).stdout)
    assert document["choice"]["name"] == "hybrid"


REFERENCE = inputs()
