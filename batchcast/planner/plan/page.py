"""The plan as one page that needs no network: sliders, charts, a table, and the arithmetic that draws them.

The page computes with the same closed form as `scenarios.batch`; what depends on the shard rule, on the
capacity curve or on a simulated drain is handed to it as tables. A test holds both to one another.
"""

import json
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from statistics import NormalDist
from typing import Any

from batchcast.engine.limits import MAX_PAYLOAD_IN_MB
from batchcast.planner.arithmetic import formula, scenarios
from batchcast.planner.arithmetic.estimate import late_by, late_variance
from batchcast.planner.arithmetic.inputs import PlanInputs
from batchcast.planner.arithmetic.search import concurrency_cap
from batchcast.planner.plan.plan import Plan
from batchcast.planner.plan.warnings import concurrency_warnings, file_warnings, quota_warnings
from batchcast.planner.prices.prices import STALE_DAYS

MOST_INSTANCES = 40
_MOST_CONCURRENCY = 64
_SECONDS_RANGE = ((min, 0.01), (max, 30.0))
_PARTS = Path(__file__).with_name("explorer")


def render_page(plan: Plan, sources: dict[str, str]) -> str:
    """The HTML; the same plan gives the same bytes."""
    page = (_PARTS / "page.html").read_text(encoding="utf-8")
    # Inside a script element only "</" could end the data early.
    data = json.dumps(page_data(plan.inputs, sources), separators=(",", ":")).replace("</", "<\\/")
    for file in ("style.css", "model.js", "chart.js", "app.js"):
        text = (_PARTS / file).read_text(encoding="utf-8").rstrip("\n")
        page = page.replace("{{" + file.partition(".")[0] + "}}", text)
    return page.replace("{{data}}", data)


def page_data(inputs: PlanInputs, sources: dict[str, str]) -> dict[str, Any]:
    cap = min(concurrency_cap(inputs), _MOST_CONCURRENCY)
    curve = inputs.capacity.table(cap)
    counts = range(1, MOST_INSTANCES + 1)
    grid = [[replace(inputs, concurrency=m, instances=count) for count in counts] for m in range(1, cap + 1)]
    processing_wall, processing_billed = scenarios.processing_hours(inputs)
    fees, rate = inputs.fees, inputs.rate
    return {
        "inputs": inputs.document(),
        "seconds_range": [extreme(one, inputs.workload.seconds) for extreme, one in _SECONDS_RANGE],
        "weeks_per_month": formula.WEEKS_PER_MONTH,
        "hours_per_week": formula.HOURS_PER_WEEK,
        "cold_start_minutes": formula.COLD_START_MINUTES,
        "z95": NormalDist().inv_cdf(0.95),
        "capacity": curve,
        "drain": [[asdict(scenarios.shard_drain(one)) for one in row] for row in grid],
        "late": [{"by": late_by(count), "variance": late_variance(count)} for count in counts],
        "shards": [[one.shards for one in row] for row in grid],
        "warnings": {
            "files": {
                f"{one.shards}/{one.instances}": texts for one in chain(*grid) if (texts := list(file_warnings(one)))
            },
            "concurrency": [list(concurrency_warnings(row[0])) for row in grid],
            "instances": [list(quota_warnings(one)) for one in grid[0]],
        },
        "cap": {"concurrency": cap, "tested": inputs.capacity.max_tested, "reason": _cap_reason(inputs, cap)},
        "conditions": asdict(inputs.conditions),
        "processing": {"wall_hours": processing_wall, "billed_hours": processing_billed},
        "prices": {
            "transform": rate.of("Tsform"),
            "processing": inputs.processing_rate.of("Processing"),
            "usd_a_shard": scenarios.REQUESTS_A_SHARD * (fees.s3_put_1k + fees.s3_get_1k) / 1000,
        },
        "price": {
            "as_of": rate.as_of.isoformat(),
            "confidence": rate.confidence,
            "source": sources.get(rate.source, rate.source),
            "stale_days": STALE_DAYS,
        },
        "endpoint": _endpoint(inputs),
        "played": _played(inputs),
    }


def _cap_reason(inputs: PlanInputs, cap: int) -> str:
    tested = inputs.capacity.max_tested
    if tested is not None and cap == tested:
        return f"{cap} is the most that was measured; nothing is known beyond it."
    more = cap + 1
    product = more * inputs.max_payload_mb
    if product > MAX_PAYLOAD_IN_MB:
        return f"{more} x {inputs.max_payload_mb} MB = {product} MB in flight; SageMaker takes {MAX_PAYLOAD_IN_MB} MB."
    return f"The page ends at {cap}."


def _played(inputs: PlanInputs) -> str | None:
    """What the page's closed form leaves out of this job."""
    if not scenarios.is_played(inputs):
        return None
    found = scenarios.batch(inputs)
    return (
        f"Requests are lost, or a few long ones decide: `plan` plays such a job and finds {found.wall_hours:.2f} h and "
        f"${found.cost_usd:,.2f} for {inputs.instances} × {inputs.concurrency}; this page leaves that out."
    )


def _endpoint(inputs: PlanInputs) -> dict[str, Any]:
    full = scenarios.endpoint_concurrent(replace(inputs, endpoint_discount_percent=0.0))
    return {
        "cost": full.cost_usd,
        "discounted_cost": scenarios.endpoint_concurrent(inputs).cost_usd,
        "discount_percent": inputs.endpoint_discount_percent,
        "hours": full.instance_hours,
        "requests": inputs.endpoint_requests,
    }
