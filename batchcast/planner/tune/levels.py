"""From the exchanges of a level to the work a server does at once.

Requests are kept in flight in a closed loop. What counts is the time in which all slots are busy, and in it the seconds
of work that were done: what a record took alone, in proportion to the part of its exchange that lies in that time. So a
level needs neither equal records nor a long run, and neither filling the slots nor draining them makes it look slow.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

# Seconds between two looks at what other programs take.
LOOK_EVERY = 0.5
_SPANS_A_BLOCK = 4
_TURNS, _TURN_WAVES, _MOST_IN_A_TURN = 4, 4, 2000


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request of the sample: record index, times in seconds of one clock, and what went wrong, if anything.

    It was `disturbed` where other programs wanted the machine before it ended.
    """

    record: int
    began: float
    ended: float
    failure: str | None = None
    disturbed: bool = False

    @property
    def seconds(self) -> float:
        """From the first byte sent to the last received."""
        return self.ended - self.began


class Usage(NamedTuple):
    """While a block ran: percent of one core that the server used, percent of the machine's memory that it held, and
    percent of all cores that programs with no part in the measurement took from it."""

    cpu_percent: float
    memory_percent: float
    others_percent: float = 0.0


class Reading(NamedTuple):
    """What other programs have taken so far, in seconds of all cores, when a target's clock showed `at`."""

    at: float
    taken: float

    def percent_until(self, later: "Reading") -> float:
        """What they took of all cores from this reading to a later one."""
        return 100 * max(0.0, later.taken - self.taken) / max(later.at - self.at, 1e-9)


def never() -> bool:
    return False


class LoadTarget(Protocol):
    """Something that answers requests: a server, an endpoint, or a double of one in virtual time."""

    def run(self, concurrency: int, records: Sequence[int], stop: Callable[[], bool] = never) -> Sequence[Exchange]:
        """Send these records of the sample in order, `concurrency` in flight, until all are answered.

        `stop` is asked every LOOK_EVERY; when it says so nothing more is sent.
        """
        ...

    def others(self) -> Reading | None:
        """Now; None where other programs are not seen."""
        ...

    def wait(self, seconds: float) -> None:
        """Do nothing for so long."""
        ...

    def usage(self) -> Usage | None:
        """Of the last `run`; None where it cannot be seen."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredLevel:
    """`work` is the speed with one request in flight taken as 1, `relative_error` its sigma. Latencies in seconds."""

    concurrency: int
    requests: int
    work: float = 0.0
    relative_error: float = 0.0
    p50: float = 0.0
    p99: float = 0.0
    failures: int = 0
    first_failure: str | None = None
    usage: Usage | None = None


def seconds_alone(blocks: Sequence[Sequence[Exchange]]) -> dict[int, float]:
    """The mean seconds of each record over blocks that had one request in flight."""
    seen: dict[int, list[float]] = {}
    exchanges = [exchange for block in blocks for exchange in block]
    alike = {one.record for one in exchanges if not one.disturbed}
    for exchange in exchanges:
        if not exchange.disturbed or exchange.record not in alike:
            seen.setdefault(exchange.record, []).append(exchange.seconds)
    return {record: sum(seconds) / len(seconds) for record, seconds in seen.items()}


def measured_level(
    concurrency: int,
    blocks: Sequence[Sequence[Exchange]],
    usages: Sequence[Usage | None],
    alone: Mapping[int, float],
) -> MeasuredLevel:
    """Pool the blocks of one level; `alone` is what each record took by itself."""
    whole = [block for block in blocks if _telling(block, concurrency)] or blocks
    rates = np.concatenate([_rates(block, concurrency, alone) for block in whole])
    exchanges = [exchange for block in blocks for exchange in block]
    failures = [exchange.failure for exchange in exchanges if exchange.failure]
    seen = [usage for usage in usages if usage]
    latencies = np.array([one.seconds for one in exchanges if not one.failure] or [float("nan")])
    return MeasuredLevel(
        concurrency=concurrency,
        work=float(rates.mean()),
        relative_error=float(rates.std(ddof=1) / rates.mean() / np.sqrt(len(rates))),
        p50=float(np.quantile(latencies, 0.5)),
        p99=float(np.quantile(latencies, 0.99)),
        requests=len(exchanges),
        failures=len(failures),
        first_failure=failures[0] if failures else None,
        usage=Usage(*map(max, zip(*seen, strict=True))) if seen else None,
    )


def _rates(block: Sequence[Exchange], concurrency: int, alone: Mapping[int, float]) -> npt.NDArray[np.float64]:
    """Work a second in equal spans of the time in which all slots were busy."""
    began = np.array([exchange.began for exchange in block])
    ended = np.array([exchange.ended for exchange in block])
    work = np.array([alone[exchange.record] for exchange in block])
    sound = np.array([not exchange.disturbed for exchange in block])
    first, last = _all_busy(began, ended, concurrency, sound if sound.any() else ~sound)
    marks = np.linspace(first, max(last, first + 1e-9), _SPANS_A_BLOCK + 1)
    density = work / np.maximum(ended - began, 1e-9)
    spans = []
    for low, high in pairwise(marks):
        inside = np.clip(np.minimum(ended, high) - np.maximum(began, low), 0.0, None)
        spans.append(float((inside * density).sum() / (high - low)))
    return np.array(spans)


def _all_busy(
    began: npt.NDArray[np.float64], ended: npt.NDArray[np.float64], concurrency: int, sound: npt.NDArray[np.bool_]
) -> tuple[float, float]:
    """From when to when all slots were busy, and other programs were not.

    The requests that were still in flight when the last one began ran faster at their end, as slots fell idle. The time
    before the earliest of them began knows none of them; it is used unless a single long request leaves too little.
    """
    if concurrency == 1:
        return float(began.min()), float(ended[sound].max())
    first = float(np.sort(began)[min(concurrency, len(began)) - 1])
    last = float(began.max()) if sound.all() else float(ended[sound].max())
    before_drain = float(began[(ended > last) | ~sound].min(initial=last))
    return first, before_drain if before_drain - first > (last - first) / 3 else last


def _telling(block: Sequence[Exchange], concurrency: int) -> bool:
    """Whether all slots were busy in it, for a while that nothing disturbed."""
    sound = sum(not exchange.disturbed for exchange in block)
    return sound > (concurrency if sound == len(block) else max(4, 1.5 * concurrency))


def rates_in_turns(targets: Sequence[tuple[LoadTarget, int, float]], records: int, block_seconds: float) -> list[float]:
    """Answers a second of each target, run one after the other again and again, forwards and backwards.

    A target comes with its concurrency and about how many answers a second it gives.
    """
    answered, seconds = [0] * len(targets), [0.0] * len(targets)
    for turn in range(_TURNS):
        order = range(len(targets)) if turn % 2 == 0 else range(len(targets) - 1, -1, -1)
        for place in order:
            target, concurrency, rate = targets[place]
            count = max(_TURN_WAVES * concurrency, min(_MOST_IN_A_TURN, int(rate * block_seconds)))
            block = target.run(concurrency, [number % records for number in range(count)])
            answered[place] += len(block)
            seconds[place] += max(one.ended for one in block) - min(one.began for one in block)
    return [count / spent for count, spent in zip(answered, seconds, strict=True)]
