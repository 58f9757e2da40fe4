"""How an asynchronous endpoint is: instances, queue, what it cost, and whether its scaling is whole."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from batchcast.serving.endpoint.endpoint import (
    Client,
    instances_of,
    read_async_settings,
    scalable_target,
    scaling_policies,
    wake_alarms,
)
from batchcast.serving.endpoint.settings import (
    STEP_POLICY,
    TRACKING_POLICY,
    AsyncSettings,
    scaled_variant,
    wake_alarm_name,
)
from batchcast.session.session import pages
from batchcast.steps.errors import Problem

# Scaling activities that changed nothing (API reference, ScalingActivity).
_WITHOUT_EFFECT = ("Failed", "Overridden", "Unfulfilled")
_TELLS = ("AlarmActions", "AlarmDescription")


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncStatus:
    """`backlog` counts requests that wait or are served, None: not measured yet.

    `problems` is what keeps the endpoint from waking, growing or sleeping as it should.
    `changes` are times (UTC) and the number of instances asked for from then on.
    """

    endpoint: str
    status: str
    instances: int
    desired_instances: int
    backlog: float | None
    oldest_age_seconds: float | None
    expired_last_day: float | None
    problems: tuple[Problem, ...]
    changes: tuple[tuple[datetime, int], ...]

    def instance_hours(self, since: datetime, now: datetime) -> float:
        """Instance hours asked for between two times; starting instances are counted from the decision on."""
        hours, ends = 0.0, [when for when, _ in self.changes[1:]] + [now]
        for (start, count), end in zip(self.changes, ends, strict=True):
            hours += count * max(0.0, (min(end, now) - max(start, since)).total_seconds()) / 3600
        return hours


def async_status(endpoint: str, client: Client, now: datetime) -> AsyncStatus:
    """How the endpoint is, and whether its scaling is whole. Raises ConfigError when there is no such endpoint."""
    settings = read_async_settings(endpoint, client)
    described = client("sagemaker").describe_endpoint(EndpointName=endpoint)
    instances, desired = instances_of(described)
    backlog = _points(client, endpoint, "ApproximateBacklogSize", now, "Average", minutes=10)
    oldest = _points(client, endpoint, "ApproximateAgeOfOldestRequest", now, "Average", minutes=10)
    expired = _points(client, endpoint, "ExpiredRequests", now, "Sum", days=1)
    return AsyncStatus(
        endpoint=endpoint,
        status=described["EndpointStatus"],
        instances=instances,
        desired_instances=desired,
        backlog=backlog[-1] if backlog else None,
        oldest_age_seconds=oldest[-1] if oldest else None,
        expired_last_day=sum(expired) if expired else None,
        problems=tuple(_scaling_problems(settings, client)),
        changes=tuple(_changes(settings, client, described)),
    )


def _scaling_problems(settings: AsyncSettings, client: Client) -> Iterator[Problem]:
    remedy = "Run `async deploy` again."
    target = scalable_target(client, settings.endpoint)
    if target is None:
        yield Problem("no_scaling", "nothing scales it: its instances stay as they are.", settings.endpoint, remedy)
        return
    if target["MinCapacity"] > 0:
        what = f"it never sleeps: MinCapacity is {target['MinCapacity']}."
        yield Problem("never_sleeps", what, settings.endpoint, remedy)
    policies = {each["PolicyName"]: each for each in scaling_policies(client, settings.endpoint)}
    for name, wanted in ((TRACKING_POLICY, settings.tracking_policy()), (STEP_POLICY, settings.step_policy())):
        effect = "it does not follow its queue" if name == TRACKING_POLICY else "nothing starts it for a short queue"
        if name not in policies:
            yield Problem("policy_missing", f"policy {name} is missing: {effect}.", settings.endpoint, remedy)
            continue
        member = f"{wanted['PolicyType']}PolicyConfiguration"
        if not _has(policies[name].get(member, {}), wanted[member]):
            yield Problem("policy_differs", f"policy {name} is not as deployed.", settings.endpoint, remedy)
    alarms = wake_alarms(client("cloudwatch"), settings.endpoint)
    arn = str(policies.get(STEP_POLICY, {}).get("PolicyARN", ""))
    # When it rings: not how it is described, nor whom it tells besides.
    rings = {key: value for key, value in settings.wake_alarm(arn).items() if key not in _TELLS}
    if not alarms or arn not in alarms[0].get("AlarmActions", ()):
        alarm = wake_alarm_name(settings.endpoint)
        what = f"no alarm {alarm} calls {STEP_POLICY}: nothing starts it for a short queue."
        yield Problem("alarm_missing", what, settings.endpoint, remedy)
    elif not _has(alarms[0], rings) or not alarms[0].get("ActionsEnabled", True):
        what = f"alarm {wake_alarm_name(settings.endpoint)} is not as deployed: it scales out late or never."
        yield Problem("alarm_differs", what, settings.endpoint, remedy)


def _has(found: Any, wanted: Any) -> bool:
    """Whether everything wanted is there; the services add members of their own."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(_has(found.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and len(found) == len(wanted) and all(map(_has, found, wanted))
    return bool(found == wanted)


def _points(client: Client, endpoint: str, metric: str, now: datetime, statistic: str, **back: float) -> list[float]:
    """One value a period (a minute, of a day an hour), the latest last; `back` is how far, as a timedelta takes it."""
    answer = client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName=metric,
        Dimensions=[{"Name": "EndpointName", "Value": endpoint}],
        StartTime=now - timedelta(**back),
        EndTime=now,
        Period=3600 if "days" in back else 60,
        Statistics=[statistic],
    )
    points = sorted(answer["Datapoints"], key=lambda point: point["Timestamp"])
    return [float(point[statistic]) for point in points]


def _changes(settings: AsyncSettings, client: Client, described: Mapping[str, Any]) -> Iterator[tuple[datetime, int]]:
    """The number of instances asked for, from the creation on, as Application Auto Scaling tells it in words."""
    yield described["CreationTime"], 1
    listing = pages(client("application-autoscaling").describe_scaling_activities, **scaled_variant(settings.endpoint))
    found = []
    for activity in (each for page in listing for each in page["ScalingActivities"]):
        count = re.search(r"desired instance count to (\d+)", activity["Description"])
        if count and activity["StatusCode"] not in _WITHOUT_EFFECT:
            found.append((activity["StartTime"], int(count[1])))
    yield from sorted(found)
