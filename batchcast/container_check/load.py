"""Several requests at once: how many are useful, and are the answers still those of the records?"""

import itertools
import math
import os
import statistics
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from batchcast.container_check.container import Container
from batchcast.container_check.report import AnsweredRecords, CheckFinding, LoadLevel, compare_answers, found
from batchcast.engine.server.http_exchange import Connection

LEVELS = (1, 2, 4, 8)
# A server with several worker processes gives a connection to one of them for good: how the connections of one set
# happen to lie says little of the next, and a job has a set of its own.
_SETS_OF_CONNECTIONS = 5
_MARGIN = 2
"""How many times a useful level has to lie below the first that failed: the next set of connections may lie worse."""
_NEAR_BEST = 0.8
_SPEED_UP = 1.25
_PAIRS = 5
# Of two requests sent together, the first answer comes after half the time of the second when they are worked on in
# turn, and about with it when they are not, however busy the machine is.
_IN_TURN = 0.65


@dataclass(frozen=True, slots=True)
class _Exchange:
    seconds: float
    failure: str
    wrong: bool


def measure_level(container: Container, sample: AnsweredRecords, in_flight: int, *, deterministic: bool) -> LoadLevel:
    """Keep so many requests in flight for `limits.level` seconds, over several sets of connections, each of them at
    least once, and compare every answer.

    The answers of a model that is not deterministic are judged alone.
    """
    exchanges: list[_Exchange] = []
    began = time.monotonic()
    with ThreadPoolExecutor(in_flight, thread_name_prefix="container-check") as threads:
        for each in range(_SETS_OF_CONNECTIONS):
            end = began + container.limits.level * (each + 1) / _SETS_OF_CONNECTIONS

            def slot(number: int, end: float = end) -> list[_Exchange]:
                own = []
                with closing(container.connect()) as connection:
                    for place in itertools.count(number, in_flight):
                        own.append(_exchange(container, sample, place % len(sample.records), connection, deterministic))
                        if time.monotonic() >= end:
                            break
                return own

            exchanges += itertools.chain.from_iterable(threads.map(slot, range(in_flight)))
    last = time.monotonic()
    failures = [exchange.failure for exchange in exchanges if exchange.failure]
    return LoadLevel(
        in_flight=in_flight,
        requests=len(exchanges),
        seconds=last - began,
        slowest_seconds=max(exchange.seconds for exchange in exchanges),
        failed=sum(1 for exchange in exchanges if exchange.failure and not exchange.wrong),
        wrong=sum(exchange.wrong for exchange in exchanges),
        failure=failures[0] if failures else "",
    )


def _exchange(
    container: Container, sample: AnsweredRecords, place: int, connection: Connection, deterministic: bool
) -> _Exchange:
    record, answer = sample.records[place], sample.answers[place]
    outcome = container.ask(record, connection=connection)
    if not outcome.answered:
        return _Exchange(outcome.seconds, str(outcome), wrong=False)
    if deterministic and compare_answers(answer, outcome.body) == "different":
        others = (other for number, other in enumerate(sample.answers) if number != place)
        swapped = any(compare_answers(other, outcome.body) != "different" for other in others)
        why = "the answer of another record" if swapped else "another answer than the record had alone"
        return _Exchange(outcome.seconds, why, wrong=True)
    wrong = sample.judge(record, outcome.body)
    return _Exchange(outcome.seconds, wrong or "", wrong=wrong is not None)


def answers_in_turn(container: Container, sample: AnsweredRecords) -> bool:
    """Whether the container works on one request at a time."""
    connections = [container.connect(), container.connect()]
    began = time.monotonic()
    ratios: list[float] = []
    with ThreadPoolExecutor(len(connections), thread_name_prefix="container-check") as threads:
        while len(ratios) < _PAIRS and (not ratios or time.monotonic() - began < container.limits.level):
            pair = threads.map(lambda connection: container.ask(sample.record, connection=connection), connections)
            first, second = sorted(outcome.seconds for outcome in pair)
            ratios.append(first / second)
    for connection in connections:
        connection.close()
    return statistics.median(ratios) < _IN_TURN


def useful_level(levels: Sequence[LoadLevel]) -> LoadLevel:
    """The fewest requests in flight that come near the best throughput, among the levels before the first failure.

    A level that failed has to be twice as high, or more: close below it nothing is safe.
    """
    failed = next((level.in_flight for level in levels if level.failed or level.wrong), math.inf)
    sound = [level for level in levels if level.in_flight * _MARGIN <= failed]
    if not sound:
        return levels[0]
    best = max(level.per_second for level in sound)
    return next(level for level in sound if level.per_second >= _NEAR_BEST * best)


def check_concurrency(levels: Sequence[LoadLevel], says: Mapping[str, Any], *, in_turn: bool) -> list[CheckFinding]:
    """What the levels show, beside what the container says of itself."""
    claimed = says.get("max_concurrent_transforms")
    wrong = [found("concurrency", "wrong", first=level) for level in levels if level.wrong]
    return [*_failures(levels, claimed), *wrong[:1], *_throughput(levels, claimed, in_turn)]


def _failures(levels: Sequence[LoadLevel], claimed: int | None) -> list[CheckFinding]:
    failing = [level for level in levels if level.failed]
    if not failing:
        return []
    first = failing[0]
    relied_upon = first.in_flight == 1 or (claimed is not None and claimed >= first.in_flight)
    most = useful_level(levels).in_flight
    remedy = f"Set MaxConcurrentTransforms to {most} at most." if first.in_flight > 1 else "See its log."
    if claimed is not None and relied_upon:
        remedy += f" The container itself says {claimed}, which a job uses that is told nothing."
    return [found("concurrency", "failed", "breaks" if relied_upon else "risk", first=first, remedy=remedy)]


def _throughput(levels: Sequence[LoadLevel], claimed: int | None, in_turn: bool) -> list[CheckFinding]:
    useful, alone = useful_level(levels), levels[0]
    if not alone.per_second:
        return []
    rates = ", ".join(f"{level.per_second:,.1f}/s at {level.in_flight}" for level in levels)
    speed_up = useful.per_second / alone.per_second
    if in_turn and speed_up < _SPEED_UP:
        kind = "in_turn" if claimed in (None, 1) else "in_turn_and_claims_more"
    elif speed_up < _SPEED_UP:
        kind = "hardly_faster"
    else:
        kind = "claims_more" if claimed is not None and claimed > useful.in_flight else "faster"
    of = found(
        "concurrency",
        kind,
        rates=rates,
        speed_up=speed_up,
        useful=useful.in_flight,
        claimed=claimed,
        cores=os.cpu_count(),
    )
    return [of]
