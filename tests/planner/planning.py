"""Inputs of the reference job for the planner's tests: 100,000 records of 30 s on 20 x ml.m5.4xlarge."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from batchcast.planner.arithmetic.capacity import assumed_capacity
from batchcast.planner.arithmetic.conditions import PRIOR, Conditions, LogNormal
from batchcast.planner.arithmetic.inputs import PlanInputs, Workload
from batchcast.planner.prices.prices import fees_of, load_prices

TODAY = date(2026, 5, 1)
NOTHING = LogNormal(median=0.0, sigma=0.0)
# Nothing but the records: no start, no overhead, no doubt.
QUIET: Conditions = replace(
    PRIOR,
    provision=NOTHING,
    start=NOTHING,
    request_overhead=0.0,
    shard_overhead=0.0,
    timeout=1e9,
    speed_sigma=0.0,
    instance_sigma=0.0,
)


def reference_inputs(**changes: Any) -> PlanInputs:
    table = load_prices()
    rate = table.rates["us-east-1"]["ml.m5.4xlarge"]
    workload = {"items": 100_000, "seconds": 30.0, "seconds_cv": 0.5, "record_mb": 1.0, "answer_mb": 0.002}
    workload["items_per_request"] = 1
    workload |= {name: changes.pop(name) for name in list(changes) if name in workload}
    inputs = PlanInputs(
        workload=Workload(**workload),
        region="us-east-1",
        instance_type="ml.m5.4xlarge",
        instances=20,
        concurrency=4,
        max_payload_mb=6,
        rate=rate,
        processing_type="ml.m5.4xlarge",
        processing_rate=rate,
        fees=fees_of(table, "us-east-1"),
        capacity=assumed_capacity(8, 16),
        conditions=PRIOR,
    )
    return replace(inputs, **changes)
