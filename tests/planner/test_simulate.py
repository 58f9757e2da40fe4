from __future__ import annotations

import heapq
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planning import QUIET

from batchcast.planner.arithmetic.capacity import Capacity, ideal_capacity
from batchcast.planner.arithmetic.conditions import PRIOR, LogNormal
from batchcast.planner.arithmetic.simulate import Job, resample, shard_seconds, simulate
from batchcast.steps.shards.plan import plan_shards, shard_sizes


def job(files: int, *, cv: float = 0.0, items: int = 100_000, concurrency: int = 4, instances: int = 20) -> Job:
    return Job(
        shards=[np.full(len(part), 30.0) for part in np.array_split(np.arange(items), files)],
        seconds_cv=cv,
        instances=instances,
        concurrency=concurrency,
        capacity=ideal_capacity().table(concurrency),
    )


def played_with_events(seconds: list[float], concurrency: int, capacity: list[float]) -> float:
    """The same shard second by second: every request in flight advances at C(k) / k."""
    waiting, in_flight, now = list(seconds), [], 0.0
    while waiting or in_flight:
        while waiting and len(in_flight) < concurrency:
            in_flight.append(waiting.pop(0))
        pace = capacity[len(in_flight) - 1] / len(in_flight)
        step = min(in_flight)
        now += step / pace
        in_flight = [left - step for left in in_flight if left - step > 1e-9]
    return now


@given(
    seconds=st.lists(st.floats(0.1, 60), min_size=1, max_size=30),
    concurrency=st.integers(1, 6),
    knee=st.floats(1, 6),
)
def test_a_shard_takes_as_long_as_when_every_event_is_played(
    seconds: list[float], concurrency: int, knee: float
) -> None:
    capacity = Capacity(kind="knee", theta=(knee, 0.1)).table(concurrency)
    took = shard_seconds(np.array([seconds]), concurrency, capacity)[0]
    assert took == pytest.approx(played_with_events(seconds, concurrency, capacity), rel=1e-6)


@given(seconds=st.lists(st.floats(0.1, 60), min_size=1, max_size=40), concurrency=st.integers(1, 8))
def test_without_saturation_a_shard_is_a_list_schedule(seconds: list[float], concurrency: int) -> None:
    ends = [0.0] * concurrency
    for one in seconds:
        heapq.heappush(ends, heapq.heappop(ends) + one)
    took = shard_seconds(np.array([seconds]), concurrency, ideal_capacity().table(concurrency))[0]
    assert took == pytest.approx(max(ends))


# What an event-driven simulation of the same rules gave for a start of 6.5 minutes and nothing else.
@pytest.mark.parametrize(
    ("files", "cv", "hours"),
    [
        (20, 0, 10.53),
        (100, 0, 10.53),
        (100, 0.5, 10.66),
        (100, 1, 10.81),
        (50, 0, 12.6),
        (1, 0, 208.4),
        (2000, 1, 11.9),
    ],
)
def test_the_known_cases_are_met(files: int, cv: float, hours: float) -> None:
    conditions = replace(QUIET, start=LogNormal(median=390.0, sigma=0.0))
    outcomes = simulate(job(files, cv=cv), conditions, runs=1, seed=1)
    assert outcomes.wall[0] / 3600 == pytest.approx(hours, rel=0.01)


def test_files_sorted_by_size_leave_instances_idle() -> None:
    seconds = np.sort(30 * np.random.default_rng(1).lognormal(-0.35, 0.83, 100_000))
    spread = plan_shards(np.round(seconds * 1000).astype(np.int64), instances=20, concurrency=4)
    as_sorted = replace(job(1), shards=np.array_split(seconds, 20))
    dealt = replace(job(1), shards=np.split(seconds[spread.order], spread.starts[1:-1]))
    slow, fast = (simulate(one, QUIET, runs=1, seed=1).wall[0] for one in (as_sorted, dealt))
    assert slow > 3.5 * fast
    assert fast == pytest.approx(seconds.sum() / 80, rel=0.03)


def test_a_hundred_thousand_records_on_twenty_instances_take_less_than_two_seconds() -> None:
    sizes = shard_sizes(100_000, instances=20, concurrency=4)
    whole = replace(job(1, cv=0.5), shards=[np.full(size, 30.0) for size in sizes])
    began = time.process_time()
    outcomes = simulate(whole, PRIOR, runs=1, seed=1)
    assert time.process_time() - began < 2.0
    assert 9.5 < outcomes.wall[0] / 3600 < 12.5


def test_the_same_seed_gives_the_same_luck_and_another_seed_another() -> None:
    first, again, other = (simulate(job(40, cv=0.5, items=2000), PRIOR, runs=5, seed=seed) for seed in (1, 1, 2))
    assert first.wall.tolist() == again.wall.tolist()
    assert first.wall.tolist() != other.wall.tolist()


def test_provisioning_is_waited_for_but_not_billed() -> None:
    conditions = replace(QUIET, provision=LogNormal(median=600.0, sigma=0.0))
    outcomes = simulate(job(20, items=2000), conditions, runs=3, seed=1)
    assert (outcomes.wall - outcomes.billed).tolist() == [600.0] * 3


def test_a_record_over_the_timeout_holds_its_slot_for_every_try_and_loses_its_shard() -> None:
    one = Job(shards=[np.array([1.0, 50.0])], seconds_cv=0, instances=1, concurrency=1, capacity=[1.0])
    outcomes = simulate(one, replace(QUIET, timeout=10.0, max_retries=3), runs=1, seed=1)
    # The retry round sends both once more, each in a file of its own.
    assert outcomes.wall.tolist() == [41.0 + 41.0]
    assert outcomes.lost_shards.tolist() == [1.0]


def test_of_a_shard_nothing_more_is_sent_once_a_record_of_it_is_given_up() -> None:
    seconds = np.full(100, 1.0)
    seconds[10] = 50.0
    two = Job(shards=[seconds], seconds_cv=0, instances=1, concurrency=2, capacity=[1.0, 2.0])
    conditions = replace(QUIET, timeout=10.0, max_retries=0, retry_records=0)
    # Ten records in pairs, then the one that hangs until 15 s beside ten others.
    assert simulate(two, conditions, runs=1, seed=1).wall.tolist() == [15.0]


def worked_on_by_events(
    shards: list[list[float]], slots: int, capacity: list[float], timeout: float, tries: int
) -> tuple[float, int]:
    """Seconds of an instance and the shards it loses; its server goes on with what nobody waits for any more."""
    now, lost = 0.0, 0
    flying: list[list[float]] = []  # what is left of a request, when it is given up, what it is alone, its tries left
    for shard in shards:
        queue, failed = shard[::-1], False
        while True:
            waited_for = [request for request in flying if request[1] < np.inf]
            if len(waited_for) < slots and queue and not failed:
                alone = queue.pop()
                flying.append([alone, now + timeout, alone, tries - 1])
                continue
            if not waited_for:
                break
            pace = capacity[min(len(flying), len(capacity)) - 1] / len(flying)
            step = min(min(left / pace, until - now) for left, until, _, _ in flying)
            now += step
            flying = [[left - step * pace, *rest] for left, *rest in flying if left - step * pace > 1e-9]
            for request in [each for each in flying if each[1] <= now + 1e-9]:
                _, _, alone, more = request
                request[1] = np.inf
                if more:
                    flying.append([alone, now + timeout, alone, more - 1])
                failed = failed or not more
        lost += failed
    return now, lost


@pytest.mark.parametrize("seed", range(11))
def test_what_timed_out_slows_a_saturated_server_as_when_every_event_is_played(seed: int) -> None:
    rng = np.random.default_rng(seed)
    slots, retries = int(rng.integers(1, 6)), int(rng.integers(0, 3))
    shards = [rng.lognormal(0.0, 1.0, int(rng.integers(8, 30))) for _ in range(5)]
    capacity = Capacity(kind="knee", theta=(2.0, 0.05)).table(2 * slots)
    job = Job(shards=shards, seconds_cv=0, instances=1, concurrency=slots, capacity=capacity)
    conditions = replace(QUIET, timeout=6.0, max_retries=retries, retry_records=0)
    outcomes = simulate(job, conditions, runs=1, seed=1)
    took, lost = worked_on_by_events([each.tolist() for each in shards], slots, capacity, 6.0, retries + 1)
    assert outcomes.lost_shards[0] == lost > 0
    assert outcomes.wall[0] == pytest.approx(took, rel=1e-6)


def test_shards_of_unlike_size_are_resampled_as_often_as_there_are_of_each() -> None:
    uneven = Job(
        shards=[np.full(size, 1.0) for size in (30, 30, 30, 2)],
        seconds_cv=0.0,
        instances=1,
        concurrency=1,
        capacity=[1.0],
    )
    assert np.mean(resample(uneven, QUIET, seed=0).wall) == pytest.approx(92, rel=0.02)


@settings(max_examples=25)
@given(items=st.integers(1, 400), files=st.integers(1, 30), instances=st.integers(1, 8), concurrency=st.integers(1, 8))
def test_no_job_beats_the_work_it_has_to_do(items: int, files: int, instances: int, concurrency: int) -> None:
    whole = job(files, items=items, instances=instances, concurrency=concurrency)
    outcomes = simulate(whole, QUIET, runs=1, seed=1)
    assert outcomes.wall[0] >= items * 30 / (instances * concurrency) - 1e-6
    assert outcomes.wall[0] <= items * 30 + 1e-6
    assert 0 <= outcomes.occupancy[0] <= 1 + 1e-9
