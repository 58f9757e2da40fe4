"""Statements that readers arrive with, held against this plan's own arithmetic.

Each is taken from a widely read article on moving batch scoring off real-time endpoints; the numbers are computed from
the plan's inputs by the plain formula, so that they can be checked by hand.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from batchcast.planner.arithmetic import async_queue, formula
from batchcast.planner.arithmetic.inputs import PlanInputs

__all__ = ["Claim", "claims"]

_FAST_SECONDS = 0.01
_COUNTS = (1, 16, 40)
# What is nearer than this to the claim does not disprove it.
_NOTICEABLE = 1.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """`name` is stable; `evidence` says what the arithmetic gives instead."""

    name: str
    says: str
    verdict: Literal["FALSE", "INCONSISTENT"]
    evidence: str


def claims(inputs: PlanInputs) -> list[Claim]:
    """The statements that these inputs disprove."""
    return [claim for source in _SOURCES for claim in source(inputs)]


def _job(inputs: PlanInputs, **changes: float) -> formula.PlainHours:
    values = {
        "seconds": inputs.workload.seconds,
        "instances": inputs.instances,
        "concurrency": inputs.concurrency,
        **changes,
    }
    return formula.for_the_job(
        items=inputs.workload.items,
        seconds=values["seconds"],
        instances=int(values["instances"]),
        concurrency=values["concurrency"],
        usd_per_hour=inputs.rate.of("Tsform"),
    )


def _of_the_job(inputs: PlanInputs) -> Iterator[Claim]:
    job = _job(inputs)
    truncated = math.floor(job.wall_hours * 10) / 10
    if truncated >= 1 and truncated != round(job.wall_hours, 1):
        yield from _of_truncated_hours(inputs, job, truncated)
    # An article's run begins at two in the morning; the day is of no matter.
    end = datetime(2026, 1, 4, 2) + timedelta(hours=job.wall_hours)
    if end > datetime(2026, 1, 4, 12):
        later = f" {(end - datetime(2026, 1, 4)).days} days later" if end >= datetime(2026, 1, 5) else ""
        yield Claim(
            name="before_lunch",
            says="started at 02:00 it is done before lunch",
            verdict="INCONSISTENT",
            evidence=f"02:00 plus {job.wall_hours:.2f} h is {end:%H:%M}{later}.",
        )


def _of_truncated_hours(inputs: PlanInputs, job: formula.PlainHours, truncated: float) -> Iterator[Claim]:
    yield Claim(
        name="wall_hours_truncated",
        says=f"the run takes {truncated:.1f} h",
        verdict="INCONSISTENT",
        evidence=f"{job.compute_hours:.2f} h and a start of {formula.COLD_START_MINUTES:g} minutes are "
        f"{job.wall_hours:.3f} h, which rounds to {job.wall_hours:.1f}.",
    )
    hours = inputs.instances * truncated
    yield Claim(
        name="instance_hours_from_truncated",
        says=f"that is {hours:,.0f} instance hours",
        verdict="INCONSISTENT",
        evidence=f"{inputs.instances} x {job.wall_hours:.3f} h are {job.instance_hours:,.2f}; {hours:,.0f} would cost "
        f"${hours * inputs.rate.of('Tsform'):,.2f}, the run costs ${job.cost_usd:,.2f}.",
    )


def _of_one_in_flight(inputs: PlanInputs) -> Iterator[Claim]:
    one = _job(inputs, concurrency=1)
    endpoint = inputs.endpoint_instances * formula.HOURS_PER_WEEK * inputs.endpoint_usd_per_hour
    even = formula.break_even_seconds(
        items=inputs.workload.items,
        instances=inputs.instances,
        concurrency=1,
        endpoint_instances=inputs.endpoint_instances,
    )
    if one.cost_usd > _NOTICEABLE * endpoint:
        yield Claim(
            name="always_cheaper",
            says="every configuration beats the endpoint that is always on",
            verdict="FALSE",
            evidence=f"with one request in flight, the default, the job costs ${one.cost_usd:,.2f} a week and the "
            f"endpoint ${endpoint:,.2f} ({100 * (one.cost_usd / endpoint - 1):+.0f} %); above {max(0.0, even):.1f} s a "
            "record it is the dearer one.",
        )


def _of_fast_models(inputs: PlanInputs) -> Iterator[Claim]:
    few, some, many = (_job(inputs, seconds=_FAST_SECONDS, instances=count) for count in _COUNTS)
    if many.cost_usd > _NOTICEABLE * few.cost_usd:
        yield Claim(
            name="count_does_not_matter",
            says="a model of 10 ms costs pennies and the number of instances barely matters",
            verdict="FALSE",
            evidence=f"{_COUNTS[0]}, {_COUNTS[1]} and {_COUNTS[2]} instances cost ${few.cost_usd:,.2f}, "
            f"${some.cost_usd:,.2f} and ${many.cost_usd:,.2f} ({many.cost_usd / few.cost_usd:.1f} times) for "
            f"{few.wall_hours * 60:,.1f}, {some.wall_hours * 60:,.1f} and {many.wall_hours * 60:,.1f} minutes: what "
            "more of them bring is mostly starting up.",
        )


def _of_asynchronous(inputs: PlanInputs) -> Iterator[Claim]:
    workload, job = inputs.workload, _job(inputs)
    slots = inputs.instances * inputs.concurrency
    expired = async_queue.expired_requests(workload.items, workload.seconds, slots)
    if expired:
        yield Claim(
            name="asynchronous_is_the_same",
            says=f"an asynchronous endpoint does the run in the same time for the same ${job.cost_usd:,.0f}",
            verdict="FALSE",
            evidence=f"a request waits at most {async_queue.REQUEST_TTL_HOURS:g} h. {slots} slots leave {expired:,} of "
            f"{workload.items:,} ({100 * expired / workload.items:.0f} %) expired, unless submissions are paced.",
        )
    wait = async_queue.AD_HOC.wait_minutes + workload.seconds / 60
    billed = (async_queue.AD_HOC.billed_minutes + workload.seconds / 60) / 60
    yield Claim(
        name="ad_hoc_in_seconds",
        says=f"an ad-hoc request to the sleeping endpoint is back in {workload.seconds + 5:.0f} s",
        verdict="FALSE",
        evidence=f"waking takes {wait:.1f} minutes and costs ${billed * inputs.rate.of('AsyncInf'):.2f}; with target "
        "tracking at 5 alone, one to five requests wake nobody.",
    )


def _of_files(inputs: PlanInputs) -> Iterator[Claim]:
    # Only one instance works, all of them are paid.
    job, alone = _job(inputs), _job(inputs, instances=1)
    if alone.wall_hours > _NOTICEABLE * job.wall_hours:
        yield Claim(
            name="one_file_is_split",
            says="SageMaker splits one large file over the instances",
            verdict="FALSE",
            evidence=f"one instance works through it for {alone.wall_hours:,.1f} h, the others idle: "
            f"${alone.wall_hours * inputs.instances * inputs.rate.of('Tsform'):,.2f} instead of "
            f"${job.cost_usd:,.2f} (developer guide, Use Batch Transform).",
        )


def _of_endpoints(inputs: PlanInputs) -> Iterator[Claim]:
    ephemeral = _job(inputs, instances=inputs.endpoint_instances)
    slots, at_endpoint = inputs.instances * inputs.concurrency, inputs.endpoint_requests
    faster = f"; what is faster is {slots} requests in flight against {at_endpoint}" if slots > at_endpoint else ""
    yield Claim(
        name="batch_is_what_saves",
        says="Batch Transform is what makes it cheap and fast",
        verdict="FALSE",
        evidence=f"{inputs.endpoint_instances} endpoint instances created for the job and deleted cost "
        f"${ephemeral.cost_usd:,.2f} ({ephemeral.wall_hours:.1f} h). What saves is that nothing idles{faster}.",
    )


_SOURCES = (_of_the_job, _of_one_in_flight, _of_fast_models, _of_asynchronous, _of_files, _of_endpoints)
