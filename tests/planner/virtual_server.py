"""A model server in virtual time: a known capacity curve, shared evenly by the requests in flight."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from batchcast.planner.tune.levels import LOOK_EVERY, Exchange, Reading, Usage, never


@dataclass
class VirtualServer:
    """`work` is C(m). A record takes lognormal seconds, each time a little different (`noise`).

    Above `sound` requests in flight some fail; memory grows with them; `slowing` is what each request slows it. One of
    twenty records is `long` times the others; the first `cold` requests take five times as long. A machine that is
    `busy` takes that share of the server's time, in spells of ten seconds every twenty, which began at any time before.
    """

    work: Callable[[int], float]
    seconds: float = 1.0
    cv: float = 0.5
    noise: float = 0.05
    sound: int = 10_000
    memory_base: float = 5.0
    memory_each: float = 0.5
    slowing: float = 0.0
    long: float = 1.0
    cold: int = 0
    busy: float = 0.0
    failure: str = "HTTP 500"
    seed: int = 1
    clock: float = 0.0
    sent: int = 0
    last: Usage | None = None
    rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.phase = float(np.random.default_rng([self.seed, 20]).uniform(0, 20))
        self.needs: dict[int, float] = {}

    def run(self, concurrency: int, records: Sequence[int], stop: Callable[[], bool] = never) -> list[Exchange]:
        waiting, looked, before = list(records), self.clock, self.others()
        flying: list[tuple[float, int, float]] = []
        attained, exchanges = 0.0, []
        while waiting or flying:
            while waiting and len(flying) < concurrency:
                record = waiting.pop(0)
                need = self.seconds_of(record) * float(np.exp(self.noise * self.rng.standard_normal()))
                heapq.heappush(flying, (attained + need, record, self.clock))
            until, record, began = flying[0]
            in_flight = len(flying)
            self.clock += (until - attained) * in_flight / self.work(in_flight) * self._slower()
            attained = until
            heapq.heappop(flying)
            fails = in_flight > self.sound and self.rng.random() < 0.3
            exchanges.append(Exchange(record, began, self.clock, self.failure if fails else None))
            self.sent += 1
            if self.clock >= looked + LOOK_EVERY:
                looked = self.clock
                if stop():
                    waiting.clear()
        self.last = Usage(
            cpu_percent=100 * min(16.0, self.work(concurrency)),
            memory_percent=self.memory_base + self.memory_each * concurrency,
            others_percent=before.percent_until(after) if before and (after := self.others()) else 0.0,
        )
        return exchanges

    def others(self) -> Reading | None:
        """As /proc counts it: over all programs but the server, in hundredths of a second of each processor."""
        return Reading(self.clock, self.busy * (self._spells(self.clock) - self._spells(0.0)) // 0.01 / 100)

    def wait(self, seconds: float) -> None:
        self.clock += seconds

    def _spells(self, clock: float) -> float:
        """Seconds of spells until then."""
        whole, part = divmod(clock + self.phase, 20)
        return 10 * whole + min(part, 10)

    def seconds_of(self, record: int) -> float:
        if record not in self.needs:
            sigma = np.sqrt(np.log1p(self.cv**2))
            luck = np.random.default_rng([self.seed, record]).standard_normal()
            long = self.long if record % 20 == 7 else 1.0
            self.needs[record] = self.seconds * long * float(np.exp(sigma * luck - sigma**2 / 2))
        return self.needs[record]

    def _slower(self) -> float:
        spell = (self.clock + self.phase) % 20 < 10
        return (1 + self.slowing * self.sent + self.busy * spell) * (5 if self.sent < self.cold else 1)

    def usage(self) -> Usage | None:
        return self.last
