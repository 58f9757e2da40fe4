"""Scaling as `application-autoscaling` and `cloudwatch` have it: targets, policies, alarms, metrics."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from batchcast.engine.errors import ServiceException
from batchcast.engine.state import ACCOUNT, REGION
from emulators.async_inference import shapes
from emulators.async_inference.request_shape import Structure, check_shape
from emulators.async_inference.scaling import Alarm, EndpointScaling, ScalingPolicy

if TYPE_CHECKING:
    from emulators.async_inference.account import AsyncAccount

__all__ = ["AutoScalingClient", "CloudWatchClient"]

_STATISTICS: Mapping[str, Callable[[list[float]], float]] = {
    "Average": lambda values: sum(values) / len(values),
    "Maximum": max,
    "Sum": sum,
}


class AutoScalingClient:
    """The calls of `application-autoscaling`."""

    def __init__(self, account: AsyncAccount) -> None:
        self._account = account

    def register_scalable_target(self, **request: Any) -> dict[str, Any]:
        """Set the limits of the number of instances."""
        scaling = self._of(shapes.REGISTER_SCALABLE_TARGET, request)
        if request["MinCapacity"] > request["MaxCapacity"]:
            raise ServiceException("ValidationException", "MinCapacity must not be above MaxCapacity.")
        scaling.limits = (request["MinCapacity"], request["MaxCapacity"])
        return {
            "ScalableTargetARN": f"arn:aws:application-autoscaling:{REGION}:{ACCOUNT}:scalable-target/{uuid.uuid4()}"
        }

    def describe_scalable_targets(self, **request: Any) -> dict[str, Any]:
        """Those that are registered, of all endpoints or some."""
        check_shape(shapes.TARGETS, request)
        targets = [
            {**_scaled(resource), "MinCapacity": scaling.limits[0], "MaxCapacity": scaling.limits[1]}
            for resource, scaling in self._resources()
            if scaling.limits is not None and resource in request.get("ResourceIds", [resource])
        ]
        return {"ScalableTargets": targets}

    def deregister_scalable_target(self, **request: Any) -> dict[str, Any]:
        """Policies go with it."""
        scaling = self._of(shapes.TARGET, request)
        if scaling.limits is None:
            raise _nothing("scalable target", request["ResourceId"])
        scaling.limits = None
        scaling.policies.clear()  # the service deletes them with it
        return {}

    def put_scaling_policy(self, **request: Any) -> dict[str, Any]:
        """Create or replace a policy; its ARN and the alarms it sets by itself."""
        scaling = self._of(shapes.PUT_SCALING_POLICY, request)
        if scaling.limits is None:
            raise _nothing("scalable target", request["ResourceId"])
        kinds = ("TargetTrackingScaling", "StepScaling")
        given = [kind for kind in kinds if f"{kind}PolicyConfiguration" in request]
        if given != [request["PolicyType"]]:
            raise ServiceException(
                "ValidationException", f"{request['PolicyType']} needs exactly its own configuration."
            )
        name = request["PolicyName"]
        known = scaling.policies.get(name)
        place = f"arn:aws:autoscaling:{REGION}:{ACCOUNT}:scalingPolicy:{uuid.uuid4()}:resource/sagemaker"
        policy = ScalingPolicy(
            arn=known.arn if known else f"{place}/{request['ResourceId']}:policyName/{name}", request=request
        )
        scaling.policies[name] = policy
        return {"PolicyARN": policy.arn, "Alarms": [{"AlarmName": alarm.name} for alarm in policy.alarms()]}

    def describe_scaling_policies(self, **request: Any) -> dict[str, Any]:
        """Those of all endpoints or of one."""
        check_shape(shapes.POLICIES, request)
        policies = [
            {
                "PolicyARN": policy.arn,
                **policy.request,
                "Alarms": [{"AlarmName": each.name} for each in policy.alarms()],
            }
            for resource, scaling in self._resources()
            for policy in scaling.policies.values()
            if resource == request.get("ResourceId", resource)
        ]
        return {"ScalingPolicies": policies}

    def delete_scaling_policy(self, **request: Any) -> dict[str, Any]:
        """Its own alarms go with it."""
        scaling = self._of(shapes.POLICY, request)
        if scaling.policies.pop(request["PolicyName"], None) is None:
            raise _nothing("scaling policy", request["PolicyName"])
        return {}

    def describe_scaling_activities(self, **request: Any) -> dict[str, Any]:
        """Every change of the number of instances, the latest first; all on one page."""
        check_shape(shapes.ACTIVITIES, request)
        activities = [
            {
                **_scaled(resource),
                "StartTime": datetime.fromtimestamp(when, UTC),
                "StatusCode": "Successful",
                "Description": f"Setting desired instance count to {desired}.",
            }
            for resource, scaling in self._resources()
            for when, desired in reversed(scaling.activities)
            if resource == request.get("ResourceId", resource)
        ]
        return {"ScalingActivities": activities}

    def _of(self, shape: Structure, request: dict[str, Any]) -> EndpointScaling:
        check_shape(shape, request)
        return self._account.scaling_of(request["ResourceId"])

    def _resources(self) -> list[tuple[str, EndpointScaling]]:
        account = self._account
        configs = {name: account.configs[each["EndpointConfigName"]] for name, each in account.described.items()}
        return [
            (f"endpoint/{name}/variant/{config['ProductionVariants'][0]['VariantName']}", account.scaling[name])
            for name, config in configs.items()
        ]


class CloudWatchClient:
    """The calls of `cloudwatch`."""

    def __init__(self, account: AsyncAccount) -> None:
        self._account = account

    def put_metric_alarm(self, **request: Any) -> dict[str, Any]:
        """Create or replace an alarm."""
        check_shape(shapes.PUT_METRIC_ALARM, request)
        periods = request["EvaluationPeriods"]
        self._scaling(request).alarms[request["AlarmName"]] = Alarm(
            name=request["AlarmName"],
            metric=request["MetricName"],
            comparison=request["ComparisonOperator"],
            threshold=request["Threshold"],
            periods=periods,
            needed=request.get("DatapointsToAlarm", periods),
            actions=tuple(request.get("AlarmActions", ())),
            request=request,
        )
        return {}

    def describe_alarms(self, **request: Any) -> dict[str, Any]:
        """By names, by prefix, or all; those of target tracking among them."""
        check_shape(shapes.DESCRIBE_ALARMS, request)
        names, prefix = request.get("AlarmNames"), request.get("AlarmNamePrefix", "")
        alarms = [
            {**alarm.request, "StateValue": scaling.state(alarm)}
            for scaling in self._account.scaling.values()
            for alarm in scaling.all_alarms()
            if alarm.name.startswith(prefix) and (names is None or alarm.name in names)
        ]
        return {"MetricAlarms": alarms, "CompositeAlarms": []}

    def delete_alarms(self, **request: Any) -> dict[str, Any]:
        """No error for one that is not there."""
        check_shape(shapes.DELETE_ALARMS, request)
        for scaling in self._account.scaling.values():
            for name in request["AlarmNames"]:
                scaling.alarms.pop(name, None)
        return {}

    def get_metric_statistics(self, **request: Any) -> dict[str, Any]:
        """What was measured between two times, period by period."""
        check_shape(shapes.GET_METRIC_STATISTICS, request)
        scaling, period = self._scaling(request), request["Period"]
        start, end = request["StartTime"].timestamp(), request["EndTime"].timestamp()
        periods: dict[float, list[float]] = {}
        for when, value in scaling.series[request["MetricName"]]:
            if start <= when < end:
                periods.setdefault(when // period * period, []).append(value)
        points = [
            {
                "Timestamp": datetime.fromtimestamp(when, UTC),
                **{name: _STATISTICS[name](values) for name in request["Statistics"]},
            }
            for when, values in sorted(periods.items())
        ]
        return {"Label": request["MetricName"], "Datapoints": points}

    def _scaling(self, request: Mapping[str, Any]) -> EndpointScaling:
        name = request["Dimensions"][0]["Value"]
        if name not in self._account.scaling:
            raise _nothing("endpoint", name)  # CloudWatch would take it; an alarm on nothing helps nobody
        return self._account.scaling[name]


def _scaled(resource: str) -> dict[str, str]:
    dimension = "sagemaker:variant:DesiredInstanceCount"
    return {"ServiceNamespace": "sagemaker", "ResourceId": resource, "ScalableDimension": dimension}


def _nothing(kind: str, name: str) -> ServiceException:
    return ServiceException("ObjectNotFoundException", f"No {kind} found for {json.dumps(name)}.")
