"""Thirty random jobs: what `plan` prints of them, beside what the local engine takes.

`plan` knows what it would know of a measured model: the mean seconds and their spread, the capacity, the start and the
overheads. A job's records are drawn 401 times as `plan` has them, and those are run that the simulation finds in the
middle: so luck with the records does not decide, and how the records become hours does. The retry round of what a
timeout loses is a job of its own and left out of both.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from batchcast.planner.arithmetic.capacity import Capacity
from batchcast.planner.arithmetic.conditions import Conditions, LogNormal
from batchcast.planner.arithmetic.inputs import PlanInputs
from batchcast.planner.arithmetic.scenarios import batch, processing_hours
from batchcast.planner.arithmetic.simulate import simulate
from batchcast.planner.plan.options import PlanOptions
from batchcast.planner.plan.prepare import plan_inputs, price_table
from benchmarks.jobs.engine_jobs import IDEAL, TIME_SCALE, Array, Workload, measured_seconds
from benchmarks.measured import table as markdown

_WORDS = __doc__.split("\n\n", 1)[1].strip()
DRAWS, TRIES = 401, 2
KNEE = Capacity(kind="knee", theta=(3.0, 0.05))


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomJob:
    """What `plan` is asked, with what the seconds' timeout is, and whether some requests are expected to pass it."""

    options: PlanOptions
    capacity: Capacity
    timeout: int
    retries: int
    times_out: bool

    def inputs(self, conditions: Conditions) -> PlanInputs:
        """As `plan` has them, under these conditions."""
        found = plan_inputs(self.options, price_table(self.options), date.today())
        conditions = replace(conditions, timeout=self.timeout * TIME_SCALE, max_retries=self.retries, retry_records=0)
        return replace(found, capacity=self.capacity, conditions=conditions)

    def workload(self, inputs: PlanInputs, seed: int) -> Workload:
        """The records of the draw that ends in the middle of all."""
        rng, spread = np.random.default_rng(seed), inputs.workload.seconds_cv
        variance = np.log1p(spread**2)

        def drawn() -> list[Array]:
            return [
                each * np.exp(np.sqrt(variance) * rng.standard_normal(len(each)) - variance / 2)
                for each in inputs.shard_seconds
            ]

        surely = replace(inputs.conditions, start=LogNormal(median=0.0, sigma=0.0), speed_sigma=0.0, instance_sigma=0.0)
        draws = [drawn() for _ in range(DRAWS)]
        took = [
            simulate(replace(inputs.job, shards=each, seconds_cv=0.0), surely, runs=1, seed=0).wall[0] for each in draws
        ]
        middle = draws[int(np.argsort(took)[DRAWS // 2])]
        return Workload(
            name="",
            shards=middle,
            expected=middle,
            cv=spread,
            instances=inputs.instances,
            concurrency=inputs.concurrency,
            capacity=self.capacity,
            timeout=self.timeout,
            retries=self.retries,
        )


def random_job(seed: int) -> RandomJob:
    """Of some seconds of the engine: 100 to 500 records of 40 to 120 ms, cv 0 to 2; a third of the jobs time out."""
    rng = np.random.default_rng(seed)
    cv = round(float(rng.uniform(0, 2)), 2)
    instances, concurrency = int(rng.integers(1, 4)), int(rng.integers(1, 7))
    seconds = round(float(rng.uniform(0.04, 0.12)), 3)
    # Three to six seconds of work an instance.
    items = int(rng.uniform(3, 6) * instances * min(concurrency, 3) / seconds)
    files = int(rng.integers(1, 13)) if rng.random() < 0.5 else None
    times_out = seed % 3 == 0 and cv > 0.3
    # What one request in `items` takes longer than, about; so one or a few do.
    sigma = float(np.sqrt(np.log1p(cv * cv)))
    limit = seconds * np.exp(sigma * statistics.NormalDist().inv_cdf(1 - 2 / items) - sigma**2 / 2)
    return RandomJob(
        options=PlanOptions(
            items=items, seconds=seconds, seconds_cv=cv, instances=instances, concurrency=concurrency, files=files
        ),
        capacity=KNEE if seed % 4 == 1 else IDEAL,
        timeout=max(1, round(limit / TIME_SCALE)) if times_out else 3600,
        retries=int(rng.integers(0, 3)),
        times_out=times_out,
    )


def printed_seconds(inputs: PlanInputs) -> float:
    """What `plan` prints of the run, without BuildShards and ValidateAndPublish."""
    return 3600 * (batch(inputs).wall_hours - processing_hours(inputs)[0])


def section(conditions: Conditions, count: int) -> str:
    """The table as Markdown."""
    heads = ["job", "records", "seconds", "cv", "instances x in flight", "files", "timeout", "engine", "plan", "error"]
    rows = []
    errors = []
    for seed in range(count):
        job = random_job(seed)
        inputs = job.inputs(conditions)
        workload = job.workload(inputs, seed)
        took = min(measured_seconds(workload) for _ in range(TRIES))
        printed = printed_seconds(inputs)
        errors.append(100 * (printed / took - 1))
        timeout = f"{job.timeout * TIME_SCALE:.2f} s, {job.retries} retries" if job.times_out else "-"
        given = inputs.workload
        sent = [str(seed), str(given.items), f"{given.seconds:g}", f"{given.seconds_cv:g}"]
        how = [f"{inputs.instances} x {inputs.concurrency}", str(inputs.shards), timeout]
        rows.append([*sent, *how, f"{took:.2f} s", f"{printed:.2f} s", f"{errors[-1]:+.1f} %"])
        print(*rows[-1], sep=" | ", file=sys.stderr)
    how_often = f"The engine runs each {TRIES} times, and the faster counts: a busy machine only makes it slower."
    said_before = ["## Random jobs, as `plan` prints them", "", *_WORDS.splitlines(), "", how_often, ""]
    return "\n".join([*said_before, *markdown(heads, rows), "", said(errors)])


def said(errors: Sequence[float]) -> str:
    """The errors in words."""
    near = sum(abs(error) <= 5 for error in errors)
    return (
        f"Within 5 %: {near} of {len(errors)} jobs; the median error is {statistics.median(errors):+.1f} %, "
        f"the largest {max(errors, key=abs):+.1f} %."
    )
