"""From measurements to `tuning.json`: caps, the smallest concurrency near the best, and the job settings."""

import math
from collections.abc import Sequence

import numpy as np

from batchcast.engine.limits import MAX_PAYLOAD_IN_MB
from batchcast.pipelines.tuning import (
    Assignment,
    Caps,
    ColdStart,
    Curve,
    JobSettings,
    Level,
    Measured,
    Model,
    Served,
    Tuning,
    Variant,
)
from batchcast.planner.arithmetic.conditions import PRIOR
from batchcast.planner.tune.levels import MeasuredLevel
from batchcast.planner.tune.search import Measurements, chosen_concurrency, fitted, not_told_apart

_MEMORY_PERCENT = 85.0
# An attempt is given up after three times the 99 % latency: a hang then costs minutes, and nobody slow is cut off.
_TIMEOUT_P99 = 3
_TIMEOUT_RANGE = (30, 3600)
_RETRIES = 3


def payload_cap(max_payload_mb: int) -> int:
    """Requests in flight that CreateTransformJob takes with this MaxPayloadInMB."""
    return max(1, MAX_PAYLOAD_IN_MB // max_payload_mb)


def recommend(
    results: Measurements,
    *,
    model: Model,
    measured: Measured,
    max_payload_mb: int,
    served: Served,
    workers: int | None = None,
    variants: Sequence[Variant] = (),
    items_per_request: int | None = None,
) -> Tuning:
    """The document: what was measured, on what, and the settings that follow."""
    curve, together = fitted(results), items_per_request or 1
    caps = Caps(payload=payload_cap(max_payload_mb), memory=_memory_cap(results.sound), workers=workers)
    concurrency = chosen_concurrency(results, curve, min(caps.payload, caps.memory or caps.payload))
    return Tuning.model_validate(
        {
            "schema": 1,
            "model": model,
            "measured": measured,
            "execution_parameters": served,
            "levels": [_level(level, together * results.items_per_second(level)) for level in results.levels],
            "capacity": Curve(
                kind=curve.kind,
                theta=curve.theta,
                rmse_pct=curve.rmse_percent,
                max_tested=max(one.concurrency for one in results.sound),
            ),
            "stop_reason": results.stop_reason,
            "caps": caps,
            "parameters": JobSettings.model_validate(
                {
                    "MaxConcurrentTransforms": concurrency,
                    "MaxPayloadInMB": max_payload_mb,
                    "BatchStrategy": "SingleRecord",
                    "InvocationsTimeoutInSeconds": _timeout(results.sound, concurrency),
                    "InvocationsMaxRetries": _RETRIES,
                }
            ),
            "cold_start": ColdStart(provision_s=PRIOR.provision, start_s=PRIOR.start, source=PRIOR.source),
            "assignment": Assignment(rule="unknown", evidence="a single instance shows no assignment"),
            "variants": list(variants),
            "items_per_request": items_per_request,
            "requests": results.requests,
            "not_told_apart": not_told_apart(results),
            "others_pct": results.others_percent,
        }
    )


def recommend_execution_parameters(tuning: Tuning) -> dict[str, int | str]:
    """What the container should answer on GET /execution-parameters, in the container's spelling."""
    settings = tuning.parameters
    return {
        "MaxConcurrentTransforms": settings.max_concurrent_transforms,
        "BatchStrategy": "SINGLE_RECORD",
        "MaxPayloadInMB": settings.max_payload_in_mb,
    }


def _level(level: MeasuredLevel, items_per_second: float) -> Level:
    return Level(
        m=level.concurrency,
        items_per_s=items_per_second,
        relse=level.relative_error,
        p50_s=level.p50,
        p99_s=level.p99,
        n=level.requests,
        errors=level.failures,
        cpu_pct=level.usage.cpu_percent if level.usage else None,
        mem_pct=level.usage.memory_percent if level.usage else None,
    )


def _memory_cap(levels: Sequence[MeasuredLevel]) -> int | None:
    """Where the line through the memory of the levels meets 85 %; None when it does not rise."""
    seen = [(level.concurrency, level.usage.memory_percent) for level in levels if level.usage]
    if len(seen) < 2:
        return None
    points = np.array(seen, dtype=np.float64)
    each, base = np.polyfit(points[:, 0], points[:, 1], deg=1)
    # Less than a tenth of a percent a request is the noise of a machine, not the model's buffers.
    return max(1, math.floor((_MEMORY_PERCENT - base) / each)) if each > 0.1 else None


def _timeout(levels: Sequence[MeasuredLevel], concurrency: int) -> int:
    at_least = [level for level in levels if level.concurrency >= concurrency] or levels[-1:]
    low, high = _TIMEOUT_RANGE
    return min(high, max(low, math.ceil(_TIMEOUT_P99 * at_least[0].p99)))
