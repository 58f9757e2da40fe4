from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchcast.steps.shards.plan import plan_shards, shard_name, shard_sizes
from batchcast.steps.shards.request_text import PLAIN_TEXT

counts = st.integers(1, 5_000)
instances = st.integers(1, 30)
concurrency = st.integers(1, 16)


@given(counts, instances, concurrency, st.integers(0, 300))
def test_every_record_is_in_exactly_one_shard(
    records: int, instances: int, concurrency: int, records_per_shard: int
) -> None:
    rows = np.arange(records, dtype=np.int64) % 97
    plan = plan_shards(rows, instances=instances, concurrency=concurrency, records_per_shard=records_per_shard)
    assert sorted(plan.order.tolist()) == list(range(records))
    assert plan.starts[0] == 0
    assert plan.starts[-1] == records
    assert (np.diff(plan.starts) > 0).all()


@given(counts, instances, concurrency)
def test_by_rule_all_shards_but_one_hold_whole_waves_and_no_instance_is_left_out(
    records: int, instances: int, concurrency: int
) -> None:
    sizes = shard_sizes(records, instances=instances, concurrency=concurrency)
    if records < instances:
        assert sizes.tolist() == [1] * records
        return
    assert len(sizes) % instances == 0
    if records >= len(sizes) * concurrency:
        assert np.count_nonzero(sizes % concurrency) <= 1
        assert sizes.max() - sizes.min() < 2 * concurrency
    else:
        assert sizes.max() - sizes.min() <= 1
    assert sizes.max() <= 16 * concurrency + concurrency
    if records >= 4 * concurrency * instances:
        assert sizes.min() >= 4 * concurrency


@given(counts, instances, concurrency, st.integers(1, 300))
def test_a_given_size_is_never_exceeded(records: int, instances: int, concurrency: int, most: int) -> None:
    sizes = shard_sizes(records, instances=instances, concurrency=concurrency, records_per_shard=most)
    assert sizes.max() <= most
    assert sizes.max() - sizes.min() <= 1
    assert len(sizes) % instances == 0 or len(sizes) == records


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=500), instances, concurrency)
def test_inside_a_shard_the_longest_comes_first_and_ties_keep_their_order(
    rows: list[int], instances: int, concurrency: int
) -> None:
    plan = plan_shards(np.array(rows), instances=instances, concurrency=concurrency)
    for first, end in zip(plan.starts, plan.starts[1:], strict=False):
        members = plan.order[first:end].tolist()
        assert members == sorted(members, key=lambda record: (-rows[record], record))


@pytest.mark.parametrize("law", ["even", "random", "steep"])
def test_records_and_rows_are_even_over_shards_and_instances(law: str) -> None:
    rng = np.random.default_rng(7)
    rows = {
        "even": np.full(100_000, 1_000),
        "random": rng.integers(28, 10_000, 100_000),
        "steep": (rng.pareto(2.5, 100_000) * 1_000).astype(np.int64) + 28,
    }[law]
    plan = plan_shards(rows, instances=20, concurrency=4)
    of_shard = np.add.reduceat(rows[plan.order], plan.starts[:-1])
    of_instance = np.array([of_shard[n::20].sum() for n in range(20)])
    assert np.diff(plan.starts).max() / np.diff(plan.starts).mean() < 1.02
    assert of_instance.max() / of_instance.mean() < 1.02
    if law != "steep":  # A few items are longer than a whole shard on average.
        assert of_shard.max() / of_shard.mean() < 1.02


def test_the_sizes_of_a_large_and_of_a_small_run() -> None:
    large = shard_sizes(100_000, instances=20, concurrency=4)
    assert len(large) == 1_580
    assert set(large.tolist()) == {60, 64}
    assert shard_sizes(105, instances=2, concurrency=4).tolist() == [20, 20, 17, 16, 16, 16]
    assert shard_sizes(10, instances=4, concurrency=4).tolist() == [3, 3, 2, 2]
    assert shard_sizes(0, instances=4, concurrency=4).tolist() == []


def test_names_sort_as_numbers_do() -> None:
    assert shard_name(0, 1, PLAIN_TEXT) == "part-00000.jsonl"
    names = [shard_name(number, 123_456, PLAIN_TEXT) for number in (0, 9, 99_999, 100_000, 123_455)]
    assert names == sorted(names)
