"""Autoscaling of an asynchronous endpoint: metrics once a minute, alarms over them, policies that the alarms wake.

Target tracking sets two alarms of its own: above the target for 3 minutes, and below 90 % of it for 15 (Application
Auto Scaling user guide, "Target tracking scaling policies"). Without instances the backlog per instance is the backlog
itself: scaling then begins when the queue exceeds the target (developer guide, "Autoscale an asynchronous endpoint").
One scaling activity at a time; of several policies the largest capacity wins.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from emulators.async_inference.endpoint import AsyncEndpoint
from emulators.async_inference.shapes import METRICS

__all__ = ["MINUTE", "Alarm", "EndpointScaling", "ScalingPolicy"]

MINUTE = 60.0
_KEPT_MINUTES = 24 * 60
_HIGH_PERIODS, _LOW_PERIODS, _LOW_SHARE = 3, 15, 0.9
# API reference, TargetTrackingScalingPolicyConfiguration: both for SageMaker variants.
_DEFAULT_COOLDOWN = 300
_COMPARED = {
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A PutMetricAlarm request, by its members; `periods` minutes must all breach the threshold."""

    name: str
    metric: str
    comparison: str
    threshold: float
    periods: int
    needed: int
    actions: tuple[str, ...]
    request: Mapping[str, Any]

    def is_breached(self, values: list[float]) -> bool:
        """Whether the last values put it into ALARM."""
        last = values[-self.periods :]
        breaching = sum(_COMPARED[self.comparison](value, self.threshold) for value in last)
        return len(last) >= self.needed and breaching >= self.needed


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingPolicy:
    """A PutScalingPolicy request; its `arn` is what alarms name as their action."""

    arn: str
    request: Mapping[str, Any]

    @property
    def configuration(self) -> Mapping[str, Any]:
        """The policy's own part of the request."""
        found: Mapping[str, Any] = self.request[f"{self.request['PolicyType']}PolicyConfiguration"]
        return found

    def alarms(self) -> list[Alarm]:
        """Those that target tracking sets by itself; a step policy has none."""
        if self.request["PolicyType"] != "TargetTrackingScaling":
            return []
        metric, target = self.configuration["CustomizedMetricSpecification"], self.configuration["TargetValue"]
        high = self._alarm("AlarmHigh", metric, "GreaterThanThreshold", target, _HIGH_PERIODS)
        low = self._alarm("AlarmLow", metric, "LessThanThreshold", _LOW_SHARE * target, _LOW_PERIODS)
        return [high] if self.configuration.get("DisableScaleIn") else [high, low]

    def _alarm(self, kind: str, metric: Mapping[str, Any], comparison: str, threshold: float, periods: int) -> Alarm:
        name = f"TargetTracking-{self.request['ResourceId']}-{kind}-{self.request['PolicyName']}"
        request = {
            "AlarmName": name,
            **metric,
            "Period": 60,
            "EvaluationPeriods": periods,
            "Threshold": threshold,
            "ComparisonOperator": comparison,
            "AlarmActions": [self.arn],
        }
        return Alarm(
            name=name,
            metric=metric["MetricName"],
            comparison=comparison,
            threshold=threshold,
            periods=periods,
            needed=periods,
            actions=(self.arn,),
            request=request,
        )


@dataclass(kw_only=True)
class EndpointScaling:
    """What scales one endpoint. Counts every minute from its creation on."""

    endpoint: AsyncEndpoint
    limits: tuple[int, int] | None = None
    policies: dict[str, ScalingPolicy] = field(default_factory=dict)
    alarms: dict[str, Alarm] = field(default_factory=dict)
    series: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: {name: [] for name in METRICS})
    activities: list[tuple[float, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._counted = (0, 0, 0)
        self._last_out: dict[str, float] = {}
        self._later()

    def state(self, alarm: Alarm) -> str:
        """ALARM, OK, or INSUFFICIENT_DATA while too little was measured."""
        values = self._visible(alarm.metric)
        if len(values) < alarm.needed:
            return "INSUFFICIENT_DATA"
        return "ALARM" if alarm.is_breached(values) else "OK"

    def all_alarms(self) -> list[Alarm]:
        """Those that were put, and those of the policies."""
        return [*self.alarms.values(), *(alarm for policy in self.policies.values() for alarm in policy.alarms())]

    def _later(self) -> None:
        clock = self.endpoint.clock
        clock.call_at((clock.now // MINUTE + 1) * MINUTE, self._each_minute)

    def _each_minute(self) -> None:
        if self.endpoint.deleted:
            return
        self._measure()
        self._evaluate()
        self._later()

    def _measure(self) -> None:
        endpoint, totals = self.endpoint, self.endpoint.totals
        counted = (totals.expired, totals.failed, totals.completed)
        expired, failed, completed = (now - before for now, before in zip(counted, self._counted, strict=True))
        self._counted = counted
        values = {
            "ApproximateBacklogSize": endpoint.backlog,
            "ApproximateBacklogSizePerInstance": endpoint.backlog / max(1, endpoint.in_service),
            "ApproximateAgeOfOldestRequest": endpoint.oldest_age,
            "HasBacklogWithoutCapacity": float(endpoint.waiting > 0 and endpoint.in_service == 0),
            "ExpiredRequests": expired,
            "InvocationFailures": failed,
            "InvocationsProcesssed": completed,
        }
        for name, value in values.items():
            self.series[name].append((endpoint.clock.now, float(value)))
            del self.series[name][:-_KEPT_MINUTES]

    def _visible(self, metric: str) -> list[float]:
        until = self.endpoint.clock.now - self.endpoint.conditions.metric_delay_seconds
        return [value for when, value in self.series[metric][-2 * _LOW_PERIODS :] if when <= until]

    def _evaluate(self) -> None:
        if self.limits is None or self.endpoint.is_scaling:
            return
        least, most = self.limits
        now, capacity = self.endpoint.clock.now, self.endpoint.in_service
        wanted: dict[str, int] = {}
        for alarm in self.all_alarms():
            if self.state(alarm) == "ALARM":
                for policy in self.policies.values():
                    if policy.arn in alarm.actions:
                        wanted[policy.arn] = min(most, max(least, self._capacity(policy, alarm)))
        if not wanted:
            return
        arn, desired = max(wanted.items(), key=lambda each: each[1])
        policy = next(each for each in self.policies.values() if each.arn == arn)
        if desired == capacity or not self._is_cool(policy, desired):
            return
        if desired > capacity:
            self._last_out[arn] = now
        self.activities.append((now, desired))
        self.endpoint.scale(desired)

    def _capacity(self, policy: ScalingPolicy, alarm: Alarm) -> int:
        capacity = self.endpoint.in_service
        if policy.request["PolicyType"] == "StepScaling":
            return capacity + int(policy.configuration["StepAdjustments"][0]["ScalingAdjustment"])
        metric = self._visible(alarm.metric)[-1]
        wanted = math.ceil(metric * max(1, capacity) / float(policy.configuration["TargetValue"]))
        # Each of the two alarms changes the number in its own direction only.
        return min(wanted, capacity) if alarm.comparison == "LessThanThreshold" else max(wanted, capacity)

    def _is_cool(self, policy: ScalingPolicy, desired: int) -> bool:
        now, configuration = self.endpoint.clock.now, policy.configuration
        if desired > self.endpoint.in_service:
            cooldown = configuration.get("ScaleOutCooldown", configuration.get("Cooldown", _DEFAULT_COOLDOWN))
            return now - self._last_out.get(policy.arn, -math.inf) >= float(cooldown)
        last = self.activities[-1][0] if self.activities else -math.inf
        return now - last >= float(configuration.get("ScaleInCooldown", _DEFAULT_COOLDOWN))
