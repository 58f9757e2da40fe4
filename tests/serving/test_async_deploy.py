"""The asynchronous endpoint in an account: what is sent, that it can be sent twice, and that nothing stays behind."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from golden import matches_golden
from strict import Recorder
from team import ACCOUNT, BUCKET, REGION, ROLE

from batchcast.serving.endpoint.endpoint import deploy_async, read_async_settings, teardown_async
from batchcast.serving.endpoint.settings import AsyncSettings
from batchcast.serving.endpoint.status import async_status
from batchcast.session.session import AwsSession
from batchcast.steps.errors import ConfigError, ServiceError

TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:forecasts"
NOW = datetime(2026, 11, 25, tzinfo=UTC)


def settings(**changes: Any) -> AsyncSettings:
    given: dict[str, Any] = {
        "endpoint": "ad-hoc",
        "model": "demand-model",
        "instance_type": "ml.m5.4xlarge",
        "max_instances": 4,
        "concurrency": 4,
        "output_uri": f"s3://{BUCKET}/async/ad-hoc",
        "success_topic": TOPIC,
        "error_topic": TOPIC,
        "kms_key": "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d",
        "tags": {"team": "forecasting"},
    }
    return AsyncSettings(**{**given, **changes})


@pytest.fixture
def with_model(session: AwsSession) -> AwsSession:
    boto3.client("sagemaker", region_name=REGION).create_model(
        ModelName="demand-model", PrimaryContainer={"Image": "image"}, ExecutionRoleArn=ROLE
    )
    return session


def no_sleep(_: float) -> None:
    raise AssertionError("moto's endpoints are in service at once")


def sent(account: Recorder, since: int) -> list[dict[str, Any]]:
    """The calls that change something."""
    reads = ("Describe", "List", "Get")
    calls = [call for call in account.calls[since:] if not call[1].startswith(reads)]
    return [{"service": service, "operation": name, "request": request} for service, name, request in calls]


def left_behind() -> dict[str, list[Any]]:
    """Everything of the kinds that a deployment makes."""
    clients = {name: boto3.client(name, region_name=REGION) for name in ("sagemaker", "cloudwatch")}
    scaling = boto3.client("application-autoscaling", region_name=REGION)
    return {
        "endpoints": clients["sagemaker"].list_endpoints()["Endpoints"],
        "configs": clients["sagemaker"].list_endpoint_configs()["EndpointConfigs"],
        "alarms": clients["cloudwatch"].describe_alarms()["MetricAlarms"],
        "targets": scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"],
        "policies": scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"],
    }


def test_a_deployment_sends_what_was_reviewed(account: Recorder, with_model: AwsSession) -> None:
    before = len(account.calls)
    assert deploy_async(settings(), with_model.client, sleep=no_sleep) == "created"
    calls = sent(account, before)
    arn = calls[-1]["request"]["AlarmActions"][0]
    (step,) = [each for each in left_behind()["policies"] if each["PolicyType"] == "StepScaling"]
    assert arn == step["PolicyARN"]
    calls[-1]["request"]["AlarmActions"] = ["<the step policy>"]
    assert matches_golden("async_deploy", calls)


def test_nothing_stays_behind(with_model: AwsSession) -> None:
    earlier = {**settings(concurrency=8, kms_key=None).config()}
    boto3.client("sagemaker", region_name=REGION).create_endpoint_config(**earlier)
    deploy_async(settings(), with_model.client, sleep=no_sleep)
    there = left_behind()
    assert all(there.values())
    assert len(there["configs"]) == 1
    removed = teardown_async("ad-hoc", with_model.client)
    assert not any(left_behind().values())
    assert [text.split()[0] for text in removed] == ["alarm", "scaling", "scaling", "scalable", "endpoint", "endpoint"]
    assert teardown_async("ad-hoc", with_model.client) == []


class SlowToGo:
    """An account whose endpoint needs some looks to be gone, as the service's does; `looks` None: it never is."""

    def __init__(self, session: AwsSession, looks: int | None) -> None:
        self._session, self._looks = session, looks
        self.slept = 0.0
        self.deleted = 0

    def client(self, service: str) -> Any:
        return self if service == "sagemaker" else self._session.client(service)

    def __getattr__(self, method: str) -> Any:
        return getattr(self._session.client("sagemaker"), method)

    def sleep(self, seconds: float) -> None:
        self.slept += seconds

    def delete_endpoint(self, **request: str) -> dict[str, Any]:
        self.deleted += 1
        return dict(self._session.client("sagemaker").delete_endpoint(**request))

    def describe_endpoint(self, **request: str) -> dict[str, Any]:
        if self.deleted and self._looks != 0:
            self._looks = None if self._looks is None else self._looks - 1
            return {"EndpointStatus": "Deleting", "EndpointConfigName": "gone"}
        return dict(self._session.client("sagemaker").describe_endpoint(**request))


def test_an_endpoint_that_takes_its_time_is_looked_for_until_it_is_gone(with_model: AwsSession) -> None:
    deploy_async(settings(), with_model.client, sleep=no_sleep)
    slow = SlowToGo(with_model, looks=4)
    assert len(teardown_async("ad-hoc", slow.client, sleep=slow.sleep)) == 6
    assert (slow.deleted, slow.slept) == (1, 60)
    assert not any(left_behind().values())


def test_what_does_not_go_is_named(with_model: AwsSession) -> None:
    deploy_async(settings(), with_model.client, sleep=no_sleep)
    slow = SlowToGo(with_model, looks=None)
    with pytest.raises(ServiceError, match="after 30 minutes there still is: endpoint ad-hoc"):
        teardown_async("ad-hoc", slow.client, sleep=slow.sleep)


def test_the_second_deployment_changes_no_endpoint(account: Recorder, with_model: AwsSession) -> None:
    deploy_async(settings(), with_model.client, sleep=no_sleep)
    before = len(account.calls)
    assert deploy_async(settings(), with_model.client, sleep=no_sleep) == "unchanged"
    (tags, *scaling) = sent(account, before)
    assert (tags["operation"], tags["request"]["Tags"]) == ("AddTags", [{"Key": "team", "Value": "forecasting"}])
    assert [call["service"] for call in scaling] == ["application-autoscaling"] * 3 + ["cloudwatch"]


def test_the_settings_can_be_read_back(with_model: AwsSession) -> None:
    deploy_async(settings(tags={}), with_model.client, sleep=no_sleep)
    assert read_async_settings("ad-hoc", with_model.client) == settings(tags={})


def test_an_endpoint_that_answers_at_once_is_left_alone(with_model: AwsSession) -> None:
    sagemaker = boto3.client("sagemaker", region_name=REGION)
    variant = {"VariantName": "main", "ModelName": "demand-model", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(
        EndpointConfigName="live", ProductionVariants=[{**variant, "InstanceType": "ml.m5.large"}]
    )
    sagemaker.create_endpoint(EndpointName="live", EndpointConfigName="live")
    for touch in (
        lambda: teardown_async("live", with_model.client),
        lambda: deploy_async(settings(endpoint="live"), with_model.client, sleep=no_sleep),
    ):
        with pytest.raises(ConfigError, match="endpoint_kind"):
            touch()
    assert len(left_behind()["endpoints"]) == 1


def test_another_configuration_updates_the_endpoint_and_leaves_its_instances(
    account: Recorder, with_model: AwsSession
) -> None:
    deploy_async(settings(), with_model.client, sleep=no_sleep)
    with pytest.raises(NotImplementedError, match="update_endpoint"):  # moto has none; the request was checked
        deploy_async(settings(concurrency=8), with_model.client, sleep=no_sleep)
    service, operation, request = account.calls[-1]
    assert (service, operation) == ("sagemaker", "UpdateEndpoint")
    assert request == {
        "EndpointName": "ad-hoc",
        "EndpointConfigName": settings(concurrency=8).config()["EndpointConfigName"],
        "RetainAllVariantProperties": True,
    }


def test_another_instance_type_takes_the_scaling_away_first_as_the_service_wants_it(
    account: Recorder, with_model: AwsSession
) -> None:
    deploy_async(settings(), with_model.client, sleep=no_sleep)
    before = len(account.calls)
    with pytest.raises(NotImplementedError, match="update_endpoint"):
        deploy_async(settings(instance_type="ml.c5.4xlarge"), with_model.client, sleep=no_sleep)
    operations = [call["operation"] for call in sent(account, before)]
    assert operations[-2:] == ["DeregisterScalableTarget", "UpdateEndpoint"]
    assert not left_behind()["policies"]


def test_an_unknown_endpoint_is_named(session: AwsSession) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        async_status("nowhere", session.client, NOW)
