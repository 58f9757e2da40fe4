"""Find the concurrency a model can bear: levels upwards until a rule stops, back down again, then between the best.

Every level sees the same records. The way up and the way down measure each level twice, so that a machine that slows
down over the minutes does not favour the levels that came first.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from batchcast.planner.arithmetic.capacity import Capacity, Throughput, fit_capacity
from batchcast.planner.tune.levels import Exchange, LoadTarget, MeasuredLevel, Usage, measured_level, seconds_alone
from batchcast.planner.tune.quiet import QuietTime, Say
from batchcast.steps.errors import ModelError, Problem

# Two doublings that bring less than this are flat.
_FLAT = 1.05
_DECLINE = 0.9
_MEMORY_PERCENT = 85.0
# The smallest concurrency within this share of the best is recommended: what is beyond only waits.
_WITHIN = 0.97
# A curve that is further off than this does not choose; the measured levels do.
_CLOSE_FIT_PERCENT = 1.5
_LEAST_REQUESTS = 24
_WAVES = 4
_SHORT_WAVES = 2
_MOST_REQUESTS = 2000
_MOST_BISECTIONS = 5
# Beyond these a slow model is asked nothing more. What a fast one is asked to fill a block's time does not count.
_BUDGET = 900
# A level whose error is below this needs no second block.
_CERTAIN = 0.01
_TWO_SIGMA = 2.0
# Levels below this share of the best are out; of the others so many meet again.
_CLOSE = 0.85
_FINALISTS = 4
_MOST_FINALS = 8
_OnLevel = Callable[[MeasuredLevel], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """`levels` are tried in rising order; none above `cap`. `timeout` is the invocation's, in seconds. Before a block
    other programs are waited for up to `patience` seconds.

    A block lasts at least `block_seconds`: a fast model is asked more often, so that a hiccup of the machine is a small
    part of it.
    """

    levels: Sequence[int]
    cap: int
    timeout: float
    block_seconds: float = 2.0
    patience: float = 30.0

    def ladder(self) -> tuple[list[int], str]:
        """The levels to try, 1 always among them, and why they end where they do."""
        tried = sorted({1, *(level for level in self.levels if level <= self.cap)})
        if max(self.levels, default=1) > self.cap:
            return tried, f"{self.cap} is the most that the payload allows"
        return tried, f"{tried[-1]} is the largest level asked for"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """Every level that was run, by concurrency, those with failures too; and why there is none beyond.

    `seconds_mean` and `seconds_cv` are those of the sample's records with one request in flight.
    """

    levels: Sequence[MeasuredLevel]
    stop_reason: str
    seconds_mean: float
    seconds_cv: float

    @property
    def sound(self) -> list[MeasuredLevel]:
        """The levels that a job could be given: every request answered, memory left."""
        return [level for level in self.levels if not _unsound(level)]

    @property
    def others_percent(self) -> float | None:
        """The most that other programs took of this machine's cores while a level ran; None where it was not seen."""
        return max((level.usage.others_percent for level in self.levels if level.usage), default=None)

    @property
    def requests(self) -> int:
        return sum(level.requests for level in self.levels)

    def items_per_second(self, level: MeasuredLevel) -> float:
        """The throughput of a level, for records like the sample's."""
        return level.work / self.seconds_mean


def measure(
    target: LoadTarget, records: int, limits: Limits, on_level: _OnLevel = lambda _: None, say: Say = lambda _: None
) -> Measurements:
    """Run the levels on a sample of `records` records. Raises ModelError when one request at a time already fails."""
    bench = _Bench(QuietTime(target, limits.patience, say), records, limits.block_seconds, on_level)
    tried, reason = limits.ladder()
    done: list[int] = []
    for concurrency in tried:
        level = bench.run(concurrency)
        done.append(concurrency)
        if concurrency == 1 and level.failures:
            what = f"{level.failures} of {level.requests} requests failed, one at a time: {level.first_failure}."
            raise ModelError(Problem("model_fails", what, remedy="`check-container` says what is wrong with it."))
        if stop := stop_reason(level, bench.levels(), limits):
            reason = stop
            break
    for concurrency in reversed(done):
        if not _unsound(bench.level(concurrency)) and bench.affords(concurrency):
            bench.run(concurrency)
    _bisect(bench, limits.cap)
    if not _fits_closely(fitted(bench.measurements(reason))):
        _finals(bench)
    return bench.measurements(reason)


def fitted(measurements: Measurements) -> Capacity:
    return fit_capacity(
        [
            Throughput(
                concurrency=level.concurrency,
                items_per_second=measurements.items_per_second(level),
                relative_error=level.relative_error,
            )
            for level in measurements.sound
        ]
    )


def chosen_concurrency(measurements: Measurements, curve: Capacity, cap: int) -> int:
    """The smallest concurrency within 3 % of the best, by the curve where it fits closely, else of those measured."""
    allowed = min(cap, _below_failure(measurements.levels))
    if _fits_closely(curve):
        speed = {m: curve.at(m) for m in range(1, min(allowed, curve.max_tested or allowed) + 1)}
        # A sixth of the allowance is left to the error of the measurement.
        return min(m for m, value in speed.items() if value >= (1 - (1 - _WITHIN) * 5 / 6) * max(speed.values()))
    levels = [level for level in measurements.sound if level.concurrency <= allowed]
    best = _best(levels)
    return min(one.concurrency for one in levels if _apart(one, best) <= 1 or one.work >= _WITHIN * best.work)


def _apart(level: MeasuredLevel, best: MeasuredLevel) -> float:
    """How many standard errors a level is behind the best."""
    error = math.hypot(level.work * level.relative_error, best.work * best.relative_error)
    return (best.work - level.work) / max(error, 1e-9)


def _fits_closely(curve: Capacity) -> bool:
    return curve.kind in ("knee", "usl") and (curve.rmse_percent or 0.0) <= _CLOSE_FIT_PERCENT


def not_told_apart(measurements: Measurements) -> list[int]:
    """The measured levels that two standard errors do not tell from the best."""
    best = _best(measurements.levels)
    return [level.concurrency for level in measurements.sound if _apart(level, best) <= _TWO_SIGMA]


def _below_failure(levels: Sequence[MeasuredLevel]) -> int:
    """The most that may be recommended: less than the last sound level before one that failed."""
    failing = min((level.concurrency for level in levels if level.failures), default=None)
    if failing is None:
        return max(level.concurrency for level in levels)
    return max(1, max(level.concurrency for level in levels if level.concurrency < failing) - 1)


@dataclass(frozen=True, slots=True)
class _Bench:
    """The blocks run so far, by concurrency."""

    _quiet: QuietTime
    _records: int
    _block_seconds: float
    _on_level: _OnLevel
    _blocks: dict[int, list[Sequence[Exchange]]] = field(default_factory=dict)
    _usages: dict[int, list[Usage | None]] = field(default_factory=dict)

    def run(self, concurrency: int, waves: int = _WAVES) -> MeasuredLevel:
        """One more block of this level; its numbers over all its blocks."""
        again = self._blocks.setdefault(concurrency, [])
        # The first block shows what every record takes alone; all others need only enough waves.
        first = concurrency == 1 and not again
        count = self._records if first else self._requests(concurrency, waves)
        order = [place % self._records for place in range(count)][:: -1 if len(again) % 2 else 1]
        for block, usage in self._quiet.pieces(concurrency, order, lambda rest: self.affords(concurrency, most=rest)):
            again.append(block)
            self._usages.setdefault(concurrency, []).append(usage)
        level = self.level(concurrency)
        self._on_level(level)
        return level

    def _requests(self, concurrency: int, waves: int) -> int:
        alone = list(self.alone().values())
        for_seconds = self._block_seconds * concurrency * len(alone) / sum(alone)
        return max(_least(concurrency, waves), min(_MOST_REQUESTS, int(for_seconds)))

    def affords(self, concurrency: int, waves: int = _WAVES, most: int = _MOST_REQUESTS) -> bool:
        """Whether the budget has another block of this level, of so many requests at most."""
        spent = sum(min(len(block), _least(m, _WAVES)) for m, blocks in self._blocks.items() for block in blocks)
        return spent + min(most, _least(concurrency, waves)) <= _BUDGET

    def measurements(self, reason: str) -> Measurements:
        alone = np.array(list(self.alone().values()))
        return Measurements(
            levels=self.levels(),
            stop_reason=reason,
            seconds_mean=float(alone.mean()),
            seconds_cv=float(alone.std() / alone.mean()),
        )

    def alone(self) -> dict[int, float]:
        return seconds_alone(self._blocks[1])

    def level(self, concurrency: int) -> MeasuredLevel:
        return measured_level(concurrency, self._blocks[concurrency], self._usages[concurrency], self.alone())

    def levels(self) -> list[MeasuredLevel]:
        return [self.level(concurrency) for concurrency in sorted(self._blocks)]


def _least(concurrency: int, waves: int) -> int:
    return max(_LEAST_REQUESTS * waves // _WAVES, waves * concurrency)


def stop_reason(level: MeasuredLevel, levels: Sequence[MeasuredLevel], limits: Limits) -> str | None:
    """Why nothing beyond `level` is worth measuring, given the levels so far; None when it is."""
    m = level.concurrency
    before = [one for one in levels if one.concurrency < m]
    if level.failures:
        return f"{level.failures} of {level.requests} requests failed at {m}: {level.first_failure}"
    if level.p99 > limits.timeout / 2:
        return f"the 99 % latency at {m} is {level.p99:.1f} s, more than half the timeout of {limits.timeout:g} s"
    if level.usage and level.usage.memory_percent > _MEMORY_PERCENT:
        return f"{level.usage.memory_percent:.0f} % of the memory is used at {m}"
    if any(level.work < _DECLINE * one.work for one in before):
        return f"throughput falls by more than 10 % at {m}"
    flat = [one for one in before if one.concurrency * 4 <= m]
    if flat and level.work * (1 + level.relative_error) < _FLAT * max(one.work for one in flat):
        return f"throughput is flat: two doublings up to {m} bring less than 5 %"
    return None


def _unsound(level: MeasuredLevel) -> bool:
    return level.failures > 0 or (level.usage is not None and level.usage.memory_percent > _MEMORY_PERCENT)


def _bisect(bench: _Bench, cap: int) -> None:
    """Levels halfway to where it is good enough, and halfway to where it gets worse; the best is run beside them."""
    for turn in range(_MOST_BISECTIONS):
        levels = bench.levels()
        worth = sorted(m for m in _halfway(levels) if m <= cap and bench.affords(m))
        if not worth:
            return
        if turn == 0 and bench.affords(_best(levels).concurrency):
            bench.run(_best(levels).concurrency)
        for concurrency in filter(bench.affords, worth):
            level = bench.run(concurrency)
            if not _unsound(level) and level.relative_error > _CERTAIN and bench.affords(concurrency):
                bench.run(concurrency)


def _finals(bench: _Bench) -> None:
    """The best levels again, in turns up and down, until they are certain or the budget is spent."""
    for turn in range(_MOST_FINALS):
        levels = [one for one in bench.levels() if _close(one, bench.levels())]
        finalists = sorted(sorted(levels, key=lambda one: -one.work)[:_FINALISTS], key=lambda one: one.concurrency)
        if len(finalists) < 2 or max(one.relative_error for one in finalists) <= _CERTAIN:
            return
        for level in finalists if turn % 2 == 0 else finalists[::-1]:
            if bench.affords(level.concurrency, _SHORT_WAVES):
                bench.run(level.concurrency, _SHORT_WAVES)


def _close(level: MeasuredLevel, levels: Sequence[MeasuredLevel]) -> bool:
    return not _unsound(level) and level.work >= _CLOSE * _best(levels).work


def _halfway(levels: Sequence[MeasuredLevel]) -> set[int]:
    best = _best(levels)
    good = [one.concurrency for one in levels if not _unsound(one) and one.work >= _WITHIN * best.work]
    below = [one.concurrency for one in levels if one.concurrency < good[0]]
    above = [one for one in levels if one.concurrency > good[-1]]
    gaps = [(below[-1], good[0])] if below else []
    # Beyond the best only where it may still rise: up to a failure, or on the way to a decline.
    if above and (_unsound(above[0]) or above[0].work < _WITHIN * best.work):
        gaps.append((good[-1], above[0].concurrency))
    # An eighth nearer makes no difference that could be measured.
    return {(low + high) // 2 for low, high in gaps if high - low > max(1, high // 8)}


def _best(levels: Sequence[MeasuredLevel]) -> MeasuredLevel:
    return max((level for level in levels if not _unsound(level)), key=lambda level: level.work)
