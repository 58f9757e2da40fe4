"""The planner's predictions against the local engine, and the plain formula's beside them.

    python benchmarks/planner.py            # about 13 minutes; writes benchmarks/results/planner.md
    chrt -r 1 python benchmarks/planner.py  # the same on a busy machine
    python benchmarks/planner.py --quick    # a look at a third of the records, written nowhere

Twelve workloads run through the engine with real HTTP against a server of known capacity, 300 times faster than the
reference job. The planner knows what it would know of a measured model: the mean and the spread of the seconds, the
expected seconds where they follow from a record's rows, the capacity, and the start and overheads of three other jobs.
All of it runs three times, each time with other records, so that neither a lucky draw nor a busy minute decides.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from batchcast.planner.arithmetic.capacity import Capacity
from batchcast.planner.arithmetic.conditions import Conditions
from batchcast.planner.arithmetic.formula import for_the_job
from batchcast.planner.arithmetic.simulate import Job, simulate
from batchcast.steps.shards.plan import plan_shards
from benchmarks.jobs import random_jobs
from benchmarks.jobs.engine_jobs import MEAN, TIME_SCALE, Array, Workload, calibrate, known, measured_seconds, overheads
from benchmarks.measured import machine
from benchmarks.measured import table as markdown

RESULTS = Path(__file__).resolve().parent / "results" / "planner.md"
SEEDS = (11, 12, 13)
RUNS = 400
REAL_TIME = ", beside other programs at real-time priority"


def drawn(count: int, cv: float, rng: np.random.Generator) -> Array:
    """Lognormal seconds whose mean is exactly MEAN, as a measured mean would be."""
    sigma = np.sqrt(np.log1p(cv * cv))
    seconds: Array = np.exp(sigma * rng.standard_normal(count))
    seconds *= MEAN / seconds.mean()
    return seconds


def unknown(name: str, files: int, records: int, cv: float, rng: np.random.Generator, **more: Any) -> Workload:
    """Records of which only the mean and the spread are known, in files of equal count."""
    shards = np.array_split(drawn(records, cv, rng), files)
    return Workload(name=name, shards=shards, expected=[np.full(len(one), MEAN) for one in shards], cv=cv, **more)


def workloads(records: int, rng: np.random.Generator) -> list[Workload]:
    """The twelve."""
    sizes = drawn(records, 1.0, rng)
    dealt = plan_shards(np.round(sizes * 1e6).astype(np.int64), instances=2, concurrency=4)
    knee = Capacity(kind="knee", theta=(4.0, 0.0))
    declining = Capacity(kind="knee", theta=(3.0, 0.08))
    return [
        unknown("constant", 12, records, 0.0, rng),
        unknown("spread 50 %", 12, records, 0.5, rng),
        unknown("heavy-tailed, spread 100 %", 24, 2 * records, 1.0, rng),
        known("sorted by size, 6 files", np.array_split(np.sort(sizes), 6)),
        known("dealt by the shard rule", np.split(sizes[dealt.order], dealt.starts[1:-1])),
        unknown("one file", 1, records // 2, 0.5, rng),
        unknown("few files: 3 on 2 instances", 3, records, 0.5, rng),
        unknown("few files: 5 on 3 instances", 5, records, 0.3, rng, instances=3),
        unknown("40 small files", 40, records, 0.5, rng),
        unknown("saturated: 8 in flight do the work of 4", 12, records, 0.5, rng, concurrency=8, capacity=knee),
        unknown("declining: 8 in flight do less than 3", 8, records, 0.3, rng, concurrency=8, capacity=declining),
        unknown("one request at a time", 4, records // 2, 0.3, rng, concurrency=1),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Seconds: predicted, by the formula, and what the engine took."""

    workload: Workload
    p5: float
    p50: float
    p95: float
    formula: float
    actual: float

    @property
    def error(self) -> float:
        """Of P50, in percent."""
        return 100 * (self.p50 / self.actual - 1)

    @property
    def formula_error(self) -> float:
        """Of the plain formula, in percent."""
        return 100 * (self.formula / self.actual - 1)

    @property
    def covered(self) -> bool:
        """Whether P5 to P95 holds what happened."""
        return self.p5 <= self.actual <= self.p95


def outcome(workload: Workload, conditions: Conditions, actual: float) -> Outcome:
    """The prediction, beside the seconds that the engine took."""
    job = Job(
        shards=workload.expected,
        seconds_cv=workload.cv,
        instances=workload.instances,
        concurrency=workload.concurrency,
        capacity=workload.capacity.table(workload.concurrency),
    )
    conditions = replace(
        conditions, timeout=workload.timeout * TIME_SCALE, max_retries=workload.retries, retry_records=0
    )
    p5, p50, p95 = np.quantile(simulate(job, conditions, runs=RUNS, seed=1).wall, (0.05, 0.5, 0.95))
    items = sum(map(len, workload.shards))
    plain = for_the_job(
        "batch",
        items=items,
        seconds=float(np.concatenate(list(workload.shards)).mean()),
        instances=workload.instances,
        concurrency=workload.concurrency,
        usd_per_hour=1.0,
        cold_start_minutes=conditions.start.median / 60,
    )
    return Outcome(workload=workload, p5=p5, p50=p50, p95=p95, formula=plain.wall_hours * 3600, actual=actual)


def table(repeated: Sequence[Sequence[Outcome]]) -> str:
    """As Markdown; the outcomes of a workload side by side, of which the medians are shown."""
    heads = ["workload", "engine", "P50", "P5 to P95", "error of P50", "in range", "plain formula", "its error"]
    rows = []
    errors = [_median(one.error for one in outcomes) for outcomes in repeated]
    for outcomes, error in zip(repeated, errors, strict=True):
        actual, p50, p5, p95, formula, formula_error = (
            _median(getattr(one, name) for one in outcomes)
            for name in ("actual", "p50", "p5", "p95", "formula", "formula_error")
        )
        times = (f"{actual:.2f} s", f"{p50:.2f} s", f"{p5:.2f} to {p95:.2f} s", f"{error:+.1f} %")
        covered = f"{_covered(outcomes)} of {len(outcomes)}"
        rows.append([outcomes[0].workload.name, *times, covered, f"{formula:.2f} s", f"{formula_error:+.1f} %"])
    near = sum(abs(error) <= 5 for error in errors)
    held = sum(2 * _covered(outcomes) > len(outcomes) for outcomes in repeated)
    lines = [
        *markdown(heads, rows),
        "",
        f"P50 within 5 %: {near} of {len(errors)} workloads. P5 to P95 holds most runs of {held} of {len(errors)} "
        f"workloads, and {sum(map(_covered, repeated))} of all {sum(map(len, repeated))} runs.",
    ]
    return "\n".join(lines)


def _covered(outcomes: Sequence[Outcome]) -> int:
    return sum(one.covered for one in outcomes)


def _median(values: Iterable[float]) -> float:
    return statistics.median(values)


def main() -> None:
    """Run all twelve as often as there are seeds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    conditions = calibrate(3)
    measured = []
    for seed in SEEDS[:1] if quick else SEEDS:
        for workload in workloads(160 if quick else 480, np.random.default_rng(seed)):
            measured.append((workload, measured_seconds(workload)))
            print(f"{workload.name}: {measured[-1][1]:.2f} s", file=sys.stderr)
    outcomes = [outcome(workload, conditions, actual) for workload, actual in measured]
    names = dict.fromkeys(one.workload.name for one in outcomes)
    text = table([[one for one in outcomes if one.workload.name == name] for name in names])
    text = f"{overheads(conditions)}\n\n{text}\n\n{random_jobs.section(conditions, 5 if quick else 30)}"
    print(text)
    if not quick:
        how = machine() + (REAL_TIME if os.sched_getscheduler(0) == os.SCHED_RR else "")
        RESULTS.write_text(
            f"# Predictions against the local engine\n\n`python benchmarks/planner.py` on {how}: medians of "
            f"{len(SEEDS)} runs, each with other records. {text}\n"
        )


if __name__ == "__main__":
    main()
