"""What `async status` finds out about an endpoint and its scaling, on the emulator."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from emulated_endpoint import ENDPOINT, HOUR, MONDAY, Emulated, answer_after, settings

from batchcast.serving.endpoint.endpoint import deploy_async, instances_of, teardown_async
from batchcast.serving.endpoint.settings import DIMENSION, NAMESPACE, STEP_POLICY, TRACKING_POLICY
from batchcast.serving.endpoint.status import AsyncStatus, async_status
from batchcast.steps.errors import ConfigError


@pytest.fixture
def emulated() -> Emulated:
    made = Emulated(answer_after(600))
    made.deploy()
    return made


def status(emulated: Emulated) -> AsyncStatus:
    return async_status(ENDPOINT, emulated.client, datetime.fromtimestamp(emulated.now(), UTC))


def test_a_busy_endpoint_tells_its_instances_and_its_queue(emulated: Emulated) -> None:
    for _ in range(40):
        emulated.invoke()
    emulated.sleep(300)
    found = status(emulated)
    assert (found.status, found.instances, found.desired_instances) == ("Updating", 1, 5)
    assert found.backlog == 40
    assert found.oldest_age_seconds is not None
    assert 200 < found.oldest_age_seconds < 300
    assert found.problems == ()


def test_a_sleeping_endpoint_has_no_instances_and_expired_requests_are_told(emulated: Emulated) -> None:
    emulated.fall_asleep()
    emulated.client("application-autoscaling").delete_scaling_policy(
        PolicyName=STEP_POLICY,
        ServiceNamespace=NAMESPACE,
        ResourceId=f"endpoint/{ENDPOINT}/variant/main",
        ScalableDimension=DIMENSION,
    )
    emulated.invoke(RequestTTLSeconds=60)
    emulated.sleep(300)
    found = status(emulated)
    assert (found.instances, found.expired_last_day) == (0, 1)


def test_what_was_paid_for_since_monday(emulated: Emulated) -> None:
    emulated.fall_asleep()
    found = status(emulated)
    now = datetime.fromtimestamp(emulated.now(), UTC)
    asked_for = found.instance_hours(MONDAY, now)
    assert asked_for == pytest.approx(emulated.endpoint.instance_seconds / HOUR + 420 / HOUR, abs=0.02)
    assert found.instance_hours(now, now + timedelta(hours=5)) == 0


def test_an_endpoint_that_is_being_created_tells_no_instances_yet() -> None:
    assert instances_of({"EndpointStatus": "Creating"}) == (0, 0)
    variant = {"CurrentInstanceCount": 1, "DesiredInstanceCount": 3}
    assert instances_of({"ProductionVariants": [variant]}) == (1, 3)


def test_a_scaling_activity_that_failed_changed_nothing(emulated: Emulated) -> None:
    emulated.fall_asleep()
    scaling = emulated.client("application-autoscaling")

    class Failing:
        def __getattr__(self, method: str) -> Any:
            return getattr(scaling, method)

        def describe_scaling_activities(self, **request: Any) -> dict[str, Any]:
            found = scaling.describe_scaling_activities(**request)["ScalingActivities"]
            return {"ScalingActivities": [{**each, "StatusCode": "Failed"} for each in found]}

    now = datetime.fromtimestamp(emulated.now(), UTC)
    found = async_status(
        ENDPOINT, lambda name: Failing() if name == "application-autoscaling" else emulated.client(name), now
    )
    assert found.instance_hours(MONDAY, now) == pytest.approx((now - MONDAY).total_seconds() / HOUR)


def _without_target(emulated: Emulated) -> None:
    emulated.client("application-autoscaling").deregister_scalable_target(
        ServiceNamespace=NAMESPACE, ResourceId=f"endpoint/{ENDPOINT}/variant/main", ScalableDimension=DIMENSION
    )


def _without_policy(name: str) -> Callable[[Emulated], None]:
    def remove(emulated: Emulated) -> None:
        emulated.client("application-autoscaling").delete_scaling_policy(
            PolicyName=name,
            ServiceNamespace=NAMESPACE,
            ResourceId=f"endpoint/{ENDPOINT}/variant/main",
            ScalableDimension=DIMENSION,
        )

    return remove


def _without_alarm(emulated: Emulated) -> None:
    emulated.client("cloudwatch").delete_alarms(AlarmNames=[f"{ENDPOINT}-has-backlog-without-capacity"])


def _with_a_lazy_alarm(emulated: Emulated) -> None:
    (policy,) = [
        each["PolicyARN"]
        for each in emulated.client("application-autoscaling").describe_scaling_policies(ServiceNamespace=NAMESPACE)[
            "ScalingPolicies"
        ]
        if each["PolicyName"] == STEP_POLICY
    ]
    lazy = {**settings().wake_alarm(policy), "EvaluationPeriods": 60, "DatapointsToAlarm": 60}
    emulated.client("cloudwatch").put_metric_alarm(**lazy)


def _with_another_target(emulated: Emulated) -> None:
    emulated.deploy_policy_with_target(5.0)


def _never_at_zero(emulated: Emulated) -> None:
    emulated.client("application-autoscaling").register_scalable_target(
        ServiceNamespace=NAMESPACE,
        ResourceId=f"endpoint/{ENDPOINT}/variant/main",
        ScalableDimension=DIMENSION,
        MinCapacity=1,
        MaxCapacity=20,
    )


@pytest.mark.parametrize(
    ("damage", "codes"),
    [
        (_without_target, ["no_scaling"]),
        (_without_policy(TRACKING_POLICY), ["policy_missing"]),
        (_without_policy(STEP_POLICY), ["policy_missing", "alarm_missing"]),
        (_without_alarm, ["alarm_missing"]),
        (_with_a_lazy_alarm, ["alarm_differs"]),
        (_with_another_target, ["policy_differs"]),
        (_never_at_zero, ["never_sleeps"]),
    ],
)
def test_every_part_of_the_scaling_that_is_missing_is_named_and_deploy_fixes_it(
    emulated: Emulated, damage: Callable[[Emulated], None], codes: list[str]
) -> None:
    damage(emulated)
    assert [problem.code for problem in status(emulated).problems] == codes
    assert emulated.deploy()
    assert status(emulated).problems == ()


def test_teardown_leaves_nothing(emulated: Emulated) -> None:
    emulated.invoke()
    assert len(teardown_async(ENDPOINT, emulated.client)) == 6
    account = emulated.account
    assert (account.endpoints, account.configs) == ({}, {})
    assert emulated.client("cloudwatch").describe_alarms()["MetricAlarms"] == []
    with pytest.raises(ConfigError, match="unknown_endpoint"):
        status(emulated)
    assert teardown_async(ENDPOINT, emulated.client) == []


def test_deploying_again_changes_nothing(emulated: Emulated) -> None:
    before = emulated.account.configs
    assert deploy_async(emulated.deploy(), emulated.client, sleep=emulated.sleep) == "unchanged"
    assert emulated.account.configs == before
