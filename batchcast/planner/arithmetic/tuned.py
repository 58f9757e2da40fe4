"""What was measured of a model, as the arithmetic of a plan takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchcast.planner.arithmetic.capacity import Capacity
from batchcast.planner.arithmetic.conditions import PRIOR, Conditions, LogNormal

if TYPE_CHECKING:
    from batchcast.pipelines.tuning import Curve, Tuning


def capacity_of(curve: Curve) -> Capacity:
    """The measured capacity curve."""
    return Capacity(kind=curve.kind, theta=curve.theta, max_tested=curve.max_tested, rmse_percent=curve.rmse_pct)


def conditions_of(tuning: Tuning) -> Conditions:
    """The prior with what was measured in its place."""
    from dataclasses import replace

    start = tuning.cold_start
    return replace(
        PRIOR,
        provision=LogNormal(median=start.provision_s.median, sigma=start.provision_s.sigma),
        start=LogNormal(median=start.start_s.median, sigma=start.start_s.sigma),
        max_retries=tuning.parameters.invocations_max_retries,
        timeout=float(tuning.parameters.invocations_timeout_in_seconds),
        busiest_share=tuning.assignment.busiest_share,
        source=start.source,
    )
