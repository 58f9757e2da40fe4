from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from virtual_server import VirtualServer

from batchcast.planner.tune.levels import Exchange, Reading, measured_level, rates_in_turns, seconds_alone
from batchcast.planner.tune.search import Limits, chosen_concurrency, fitted, measure, not_told_apart
from batchcast.steps.errors import ModelError

LEVELS = (1, 2, 4, 8, 16, 32)
CAP = 50


def knee(k: float, decline: float = 0.0) -> Callable[[int], float]:
    return lambda m: min(m, k) / (1 + decline * max(0.0, m - k))


def usl(contention: float, coherence: float) -> Callable[[int], float]:
    return lambda m: m / (1 + contention * (m - 1) + coherence * m * (m - 1))


def hyper_threads(m: int) -> float:
    return min(m, 8) + 0.25 * max(0, min(m, 16) - 8)


# Curve, what else is special, the concurrencies a job could be given.
SERVERS: dict[str, tuple[Callable[[int], float], dict[str, Any], int]] = {
    "knee at 4": (knee(4), {}, 32),
    "peak at 9": (usl(0.02, 0.012), {}, 32),
    "peak at 31": (usl(0.01, 0.001), {}, 32),
    "one worker": (knee(1), {}, 32),
    "four workers that wait for each other": (knee(4, 0.01), {}, 32),
    "bound by one lock": (usl(0.7, 0.0), {}, 32),
    "bound by memory": (knee(40), {"memory_base": 10.0, "memory_each": 7.0}, 10),
    "fails above 6": (knee(16), {"sound": 6}, 5),
    "cores and hyper-threads": (hyper_threads, {}, 32),
    "knee at 12, then decline": (knee(12, 0.05), {}, 32),
}


def tuned(name: str, seed: int) -> tuple[float, int]:
    """The regret of the choice, and the requests it took."""
    curve, special, usable = SERVERS[name]
    server = VirtualServer(work=curve, seed=seed, **special)
    found = measure(server, 48, Limits(levels=LEVELS, cap=CAP, timeout=1e9))
    chosen = chosen_concurrency(found, fitted(found), CAP)
    assert chosen <= usable, f"{name}: {chosen} breaks the job"
    best = max(curve(m) for m in range(1, usable + 1))
    return 1 - curve(chosen) / best, sum(level.requests for level in found.levels)


# Curve, what else is special, the most that may be recommended: one below the last sound level, where some fail.
EIGHT: dict[str, tuple[Callable[[int], float], dict[str, Any], int]] = {
    "saturating": (lambda m: 8 * (1 - math.exp(-m / 4)), {}, 32),
    "collapse": (knee(8, 0.2), {}, 32),
    "429 above 10": (knee(6), {"sound": 10, "failure": "HTTP 429"}, 9),
    "noisy": (knee(4), {"noise": 0.4}, 32),
    "bimodal": (knee(5), {"long": 10.0}, 32),
    "slow start": (knee(4), {"cold": 40}, 32),
    "flat": (knee(1), {}, 32),
    "out of memory above 12": (knee(8), {"sound": 12, "memory_base": 10.0, "memory_each": 2.0}, 11),
}


@pytest.mark.parametrize("name", EIGHT)
@pytest.mark.parametrize("busy", [0.0, 0.3], ids=["quiet", "busy"])
def test_no_kind_of_server_costs_three_percent_a_failing_level_or_a_thousand_requests(name: str, busy: float) -> None:
    curve, special, usable = EIGHT[name]
    found = measure(
        VirtualServer(work=curve, seed=2, busy=busy, **special), 48, Limits(levels=LEVELS, cap=CAP, timeout=1e9)
    )
    chosen = chosen_concurrency(found, fitted(found), CAP)
    assert chosen <= usable
    assert curve(chosen) >= 0.97 * max(curve(m) for m in range(1, usable + 1))
    assert found.requests == sum(level.requests for level in found.levels) <= 1000
    assert found.others_percent is not None
    assert bool(found.others_percent) == bool(busy)


class BusyMachine(VirtualServer):
    """Other programs take 30 % of it all the time, or nobody sees what they take."""

    seen = True

    def others(self) -> Reading | None:
        return Reading(self.clock, 0.3 * self.clock) if self.seen else None


class RemoteMachine(BusyMachine):
    seen = False


def told(server: VirtualServer, patience: float = 30.0) -> tuple[list[str], float]:
    """What is said of other programs, and the seconds that it takes."""
    said: list[str] = []
    measure(server, 48, Limits(levels=(1, 2, 4), cap=CAP, timeout=1e9, patience=patience), say=said.append)
    return said, server.clock


def test_other_programs_are_waited_for_in_words_and_nobody_waits_for_what_is_always_there() -> None:
    said, _ = told(VirtualServer(work=knee(4), busy=0.3))
    assert said[0].startswith("waiting for other programs, which take ")
    assert not any("beside them" in line for line in said)
    plain, unwatched = told(VirtualServer(work=knee(4)), patience=0.0)
    assert plain == []
    said, seconds = told(BusyMachine(work=knee(4)))
    assert said[:2] == [
        "waiting for other programs, which take 30 % of this machine's processors",
        "waited 30 s, 30 in all: measuring beside them",
    ]
    assert seconds == pytest.approx(unwatched + 60, abs=5)
    assert told(RemoteMachine(work=knee(4))) == ([], unwatched)


def test_what_the_errors_do_not_tell_apart_is_said_and_the_smallest_of_it_wins() -> None:
    found = measure(VirtualServer(work=knee(4), noise=0.4, seed=2), 48, Limits(levels=LEVELS, cap=CAP, timeout=1e9))
    chosen, same = chosen_concurrency(found, fitted(found), CAP), not_told_apart(found)
    assert len(same) > 1
    assert chosen <= min(same)


def test_the_choice_is_within_three_percent_of_the_best_on_nine_of_ten_servers() -> None:
    results = {name: tuned(name, seed) for seed, name in enumerate(SERVERS)}
    good = [name for name, (regret, _) in results.items() if regret <= 0.03]
    assert len(good) >= 9, results
    assert max(requests for _, requests in results.values()) <= 1500


@pytest.mark.parametrize("seed", range(5))
def test_no_more_slots_are_asked_for_than_do_work(seed: int) -> None:
    server = VirtualServer(work=knee(4), seed=seed)
    found = measure(server, 48, Limits(levels=LEVELS, cap=CAP, timeout=1e9))
    assert chosen_concurrency(found, fitted(found), CAP) == 4


def reason(server: VirtualServer, **limits: Any) -> str:
    return measure(server, 48, Limits(**{"levels": LEVELS, "cap": CAP, "timeout": 1e9, **limits})).stop_reason


def test_every_rule_stops_by_its_name() -> None:
    assert "two doublings up to 4 bring less than 5 %" in reason(VirtualServer(work=knee(1), noise=0.0))
    assert "falls by more than 10 % at 16" in reason(VirtualServer(work=usl(0.02, 0.03)))
    assert "requests failed at 8: HTTP 500" in reason(VirtualServer(work=knee(16), sound=6))
    assert "% of the memory is used at 16" in reason(VirtualServer(work=knee(40), memory_each=7.0))
    assert "more than half the timeout of 8 s" in reason(VirtualServer(work=knee(2)), timeout=8.0)
    assert "6 is the most that the payload allows" in reason(VirtualServer(work=knee(40)), cap=6)
    assert "4 is the largest level asked for" in reason(VirtualServer(work=knee(40)), levels=(1, 2, 4))


def test_a_machine_that_slows_down_does_not_favour_the_levels_that_came_first() -> None:
    server = VirtualServer(work=knee(4), slowing=0.0002)
    found = measure(server, 48, Limits(levels=LEVELS, cap=CAP, timeout=1e9))
    assert 4 <= chosen_concurrency(found, fitted(found), CAP) <= 8


def test_a_model_that_fails_one_at_a_time_is_an_error() -> None:
    with pytest.raises(ModelError, match=r"one at a time: HTTP 500.*check-container"):
        measure(VirtualServer(work=knee(4), sound=0), 48, Limits(levels=LEVELS, cap=CAP, timeout=1e9))


def test_the_sample_s_seconds_are_those_with_one_request_in_flight() -> None:
    server = VirtualServer(work=knee(4), noise=0.0)
    found = measure(server, 48, Limits(levels=(1, 2), cap=CAP, timeout=1e9))
    seconds = [server.seconds_of(record) for record in range(48)]
    assert found.seconds_mean == pytest.approx(sum(seconds) / 48)
    [one, two] = found.levels
    assert found.items_per_second(two) == pytest.approx(2 * found.items_per_second(one), rel=0.02)
    assert two.p99 == pytest.approx(max(seconds), rel=0.1)


@pytest.mark.parametrize("cv", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("m", [1, 4, 16])
def test_filling_and_draining_do_not_make_a_level_look_slow(m: int, cv: float) -> None:
    server = VirtualServer(work=lambda k: k, cv=cv, noise=0.0)
    alone = seconds_alone([server.run(1, range(64))])
    level = measured_level(m, [server.run(m, range(64))], [None], alone)
    assert level.work == pytest.approx(m, rel=1e-6)
    assert level.relative_error == pytest.approx(0, abs=1e-6)


def test_failures_are_counted_with_the_first_reason() -> None:
    block = [Exchange(0, 0.0, 1.0), Exchange(0, 0.0, 1.5, "reset"), Exchange(0, 1.0, 2.0, "HTTP 503")]
    level = measured_level(2, [block], [None], {0: 1.0})
    assert (level.requests, level.failures, level.first_failure) == (3, 2, "reset")
    assert level.p50 == 1.0


def test_rigs_run_in_turns_are_told_apart() -> None:
    fast, slow = VirtualServer(work=knee(4), cv=0.0), VirtualServer(work=knee(4), seconds=3.0, cv=0.0)
    rates = rates_in_turns([(slow, 4, 1.3), (fast, 4, 4.0)], 16, block_seconds=10.0)
    assert rates[1] / rates[0] == pytest.approx(3, rel=0.1)
