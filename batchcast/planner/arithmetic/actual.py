"""A run that has ended against its plan, and the assumptions that the run replaces.

Billing runs from TransformStartTime to TransformEndTime (API reference, DescribeTransformJob); what passes before is
provisioning. When the outputs of equal shards appear they tell the rest: n instances finish n shards every τ seconds,
the first of them τ seconds after they started, and the last output tells how many shards the busiest of them had.
Nothing tells which instance worked on an object.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from batchcast.planner.arithmetic.conditions import Conditions
from batchcast.planner.arithmetic.estimate import Drain, Estimate, late_by

_LEAST_SECONDS = 1e-6
"""Less than that between two outputs is no time."""
_UNEVEN_SHARDS, _UNEVEN_SHARE = 1.0, 1.1
"""So many shards more than an even share, and so many times it, are no accident."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformRun:
    """One transform job that completed. Seconds; `outputs` since TransformStartTime, in any order."""

    requests: int
    instances: int
    shards: int
    provision: float
    billed: float
    outputs: Sequence[float]

    @property
    def wall(self) -> float:
        """From creation to the end."""
        return self.provision + self.billed


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What the run says. `start` and `seconds` are None where the outputs cannot tell them apart.

    `busiest_share` as in `Conditions`; None for a single instance and where the outputs do not tell. `overheads` is
    False for a run that took less a shard than the assumed overheads alone: it has none of them.
    """

    provision: float
    start: float | None
    seconds: float | None
    evidence: str
    busiest_share: float | None = None
    overheads: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanComparison:
    """One number of the plan beside what happened; `within` says whether P5 to P95 held it."""

    name: str
    planned: float
    p5: float
    p95: float
    actual: float
    unit: str

    @property
    def error_percent(self) -> float:
        """Of the plan, against what happened."""
        return 100 * (self.planned / self.actual - 1) if self.actual else 0.0

    @property
    def within(self) -> bool:
        return self.p5 <= self.actual <= self.p95


def calibrate(run: TransformRun, *, capacity: float, drain: Drain, conditions: Conditions) -> Calibration:
    """Read start and seconds a request off the outputs; `capacity` and `drain` are those of the job's concurrency."""
    at_work = min(run.instances, run.shards)
    if len(run.outputs) < 2 * at_work:
        evidence = f"{len(run.outputs)} outputs of {at_work} instances: at least two each are needed to tell the start"
        return Calibration(provision=run.provision, start=None, seconds=None, evidence=evidence)
    times = np.sort(np.array(run.outputs, dtype=np.float64))
    each, start = _pace(times, at_work, max(2, len(times) // at_work // 2))
    share = _busiest_share(times, at_work, each, start, conditions) if each >= _LEAST_SECONDS else 1.0
    if share == 1.0:
        each, start = _pace(times, at_work, len(times) // at_work)
    if each < _LEAST_SECONDS:
        evidence = f"{len(times)} outputs that appeared at once: no shard can be told from the next"
        return Calibration(provision=run.provision, start=None, seconds=None, evidence=evidence)
    in_turn = run.requests / run.shards / capacity + drain.mean
    seconds = (each - conditions.shard_overhead) / in_turn - conditions.request_overhead
    overheads = seconds > 0
    return Calibration(
        provision=run.provision,
        start=max(0.0, start),
        seconds=seconds if overheads else each / in_turn,
        evidence=f"{len(times)} outputs of {at_work} instances, {each:.3g} s a shard",
        busiest_share=share if at_work > 1 else None,
        overheads=overheads,
    )


def _pace(times: npt.NDArray[np.float64], at_work: int, rounds: int) -> tuple[float, float]:
    """Seconds a shard, and the start: the k-th n outputs lie around start + k τ while all instances have work."""
    means = times[: rounds * at_work].reshape(rounds, at_work).mean(axis=1)
    each, start = np.polyfit(np.arange(1, rounds + 1), means, deg=1)
    return float(each), float(start)


def _busiest_share(
    times: npt.NDArray[np.float64], at_work: int, each: float, start: float, conditions: Conditions
) -> float:
    """1.0 for as even as can be. An instance that started late is not taken for a busy one."""
    late_start = max(start * math.exp(late_by(at_work) * conditions.start.sigma), float(times[at_work - 1]) - each)
    busiest, even = (float(times[-1]) - late_start) / each, math.ceil(len(times) / at_work)
    return busiest / even if busiest > max(even + _UNEVEN_SHARDS, even * _UNEVEN_SHARE) else 1.0


def recalibrated(conditions: Conditions, calibration: Calibration) -> Conditions:
    """The conditions with what the run measured; a start of nothing stays what it was."""
    return replace(
        without_overheads(conditions, calibration),
        provision=replace(conditions.provision, median=max(calibration.provision, 0.0)),
        start=replace(conditions.start, median=calibration.start or conditions.start.median),
        busiest_share=calibration.busiest_share or conditions.busiest_share,
        source="describe-transform-job",
    )


def without_overheads(conditions: Conditions, calibration: Calibration) -> Conditions:
    return conditions if calibration.overheads else replace(conditions, shard_overhead=0.0, request_overhead=0.0)


def compare_with_plan(planned: Estimate, usd_per_second: float, run: TransformRun) -> list[PlanComparison]:
    """Wall-clock, billed time and cost; `usd_per_second` is of all instances together."""
    return [
        PlanComparison(
            name=f"transform {name}",
            planned=spread.p50 * scale,
            p5=spread.p5 * scale,
            p95=spread.p95 * scale,
            actual=seconds * scale,
            unit=unit,
        )
        for name, spread, seconds, scale, unit in (
            ("wall-clock", planned.wall, run.wall, 1 / 3600, "h"),
            ("billed", planned.billed, run.billed, 1 / 3600, "h"),
            ("cost", planned.billed, run.billed, usd_per_second, "USD"),
        )
    ]
