"""Deploy an asynchronous endpoint, and take everything away again.

`client` is a function from boto3's name of a service to a client of it.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from batchcast.serving.endpoint.settings import AsyncSettings, scaled_variant, wake_alarm_name
from batchcast.session.service_errors import answer_or_none
from batchcast.session.session import pages
from batchcast.steps.errors import ConfigError, Problem, ServiceError

Client = Callable[[str], Any]
Sleep = Callable[[float], None]
_POLL_SECONDS = 15.0
_READY_SECONDS, _GONE_SECONDS = 3600.0, 1800.0
_ABSENT = ("ValidationException", "ResourceNotFound", "ObjectNotFoundException", "ResourceNotFoundException")


def deploy_async(settings: AsyncSettings, client: Client, *, sleep: Sleep = time.sleep) -> str:
    """Create the endpoint, or change it where its configuration is another; then its scaling. `created`, `updated` or
    `unchanged`.

    Waits until the endpoint is in service: its instances cannot be scaled before. Raises ServiceError when it fails.
    """
    sagemaker, scaling = client("sagemaker"), client("application-autoscaling")
    config, wanted = settings.config(), settings.endpoint_request()
    current = _described(sagemaker, settings.endpoint)
    _check_kind(sagemaker, current)
    if _config(sagemaker, config["EndpointConfigName"]) is None:
        sagemaker.create_endpoint_config(**config)
    done = "unchanged"
    if current is None:
        sagemaker.create_endpoint(**wanted)
        done = "created"
    elif current["EndpointConfigName"] != wanted["EndpointConfigName"]:
        _update(settings, current["EndpointConfigName"], client, sleep)
        done = "updated"
    _wait_until_in_service(sagemaker, settings.endpoint, sleep)
    if settings.tags and current is not None:
        sagemaker.add_tags(ResourceArn=current["EndpointArn"], Tags=wanted["Tags"])
    scaling.register_scalable_target(**settings.scalable_target())
    scaling.put_scaling_policy(**settings.tracking_policy())
    policy = scaling.put_scaling_policy(**settings.step_policy())
    client("cloudwatch").put_metric_alarm(**settings.wake_alarm(policy["PolicyARN"]))
    for name in _configs(sagemaker, settings.endpoint):
        if name != config["EndpointConfigName"]:
            sagemaker.delete_endpoint_config(EndpointConfigName=name)
    return done


def read_async_settings(endpoint: str, client: Client) -> AsyncSettings:
    """The settings an endpoint was deployed with. Raises ConfigError where there is none, or one of another kind."""
    sagemaker = client("sagemaker")
    described = _described(sagemaker, endpoint)
    if described is None:
        raise ConfigError(Problem("unknown_endpoint", f"there is no endpoint {endpoint!r}.", "--endpoint"))
    _check_kind(sagemaker, described)
    config = sagemaker.describe_endpoint_config(EndpointConfigName=described["EndpointConfigName"])
    variant, asynchronous = config["ProductionVariants"][0], config["AsyncInferenceConfig"]
    output = asynchronous["OutputConfig"]
    target = scalable_target(client, endpoint)
    topics = output.get("NotificationConfig", {})
    return AsyncSettings(
        endpoint=endpoint,
        model=variant["ModelName"],
        instance_type=variant["InstanceType"],
        max_instances=target["MaxCapacity"] if target else 1,
        concurrency=asynchronous.get("ClientConfig", {}).get("MaxConcurrentInvocationsPerInstance", 1),
        output_uri=output["S3OutputPath"].rstrip("/").rsplit("/", 1)[0],
        success_topic=topics.get("SuccessTopic"),
        error_topic=topics.get("ErrorTopic"),
        kms_key=output.get("KmsKeyId"),
    )


def teardown_async(endpoint: str, client: Client, *, sleep: Sleep = time.sleep) -> list[str]:
    """Take away the alarm, the policies, the scalable target, the endpoint and its configurations; what was there.

    Looks again until none of it is there, which takes an endpoint some minutes. Nothing in the bucket is touched.
    Harmless where some or all of it is gone already. Raises ServiceError for what does not go.
    """
    parts = list(_parts(endpoint, client))
    for _, remove in parts:
        remove()
    for _ in range(int(_GONE_SECONDS / _POLL_SECONDS)):
        left = [name for name, _ in _parts(endpoint, client)]
        if not left:
            return [name for name, _ in parts]
        sleep(_POLL_SECONDS)
    what = f"after {_GONE_SECONDS / 60:.0f} minutes there still is: {', '.join(left)}."
    raise ServiceError(Problem("left_behind", what, endpoint, "Tear down again."))


def _parts(endpoint: str, client: Client) -> Iterator[tuple[str, Callable[[], object]]]:
    """What there is of an endpoint, each with what takes it away, in the order in which that has to be done."""
    sagemaker = client("sagemaker")
    current = _described(sagemaker, endpoint)
    _check_kind(sagemaker, current)
    yield from _scaling_parts(endpoint, client)
    configs = set(_configs(sagemaker, endpoint))
    if current is not None:
        going = current["EndpointStatus"] == "Deleting"  # by itself
        delete = partial(sagemaker.delete_endpoint, EndpointName=endpoint)
        yield f"endpoint {endpoint}", (lambda: None) if going else delete
        if _config(sagemaker, current["EndpointConfigName"]) is not None:
            configs.add(current["EndpointConfigName"])
    for name in sorted(configs):
        yield f"endpoint configuration {name}", partial(sagemaker.delete_endpoint_config, EndpointConfigName=name)


def _scaling_parts(endpoint: str, client: Client) -> Iterator[tuple[str, Callable[[], object]]]:
    scaling, cloudwatch = client("application-autoscaling"), client("cloudwatch")
    scaled = scaled_variant(endpoint)
    for alarm in wake_alarms(cloudwatch, endpoint):
        yield f"alarm {alarm['AlarmName']}", partial(cloudwatch.delete_alarms, AlarmNames=[alarm["AlarmName"]])
    for policy in scaling_policies(client, endpoint):
        name = policy["PolicyName"]
        yield f"scaling policy {name}", partial(scaling.delete_scaling_policy, PolicyName=name, **scaled)
    if scalable_target(client, endpoint):
        yield f"scalable target {scaled['ResourceId']}", partial(scaling.deregister_scalable_target, **scaled)


def _update(settings: AsyncSettings, old_config: str, client: Client, sleep: Sleep) -> None:
    """Change to the configuration of the settings. An endpoint that is changing already is waited for."""
    sagemaker, wanted = client("sagemaker"), settings.endpoint_request()
    _wait_until_in_service(sagemaker, settings.endpoint, sleep)
    before = _config(sagemaker, old_config)
    if before is None or before["ProductionVariants"][0]["InstanceType"] != settings.instance_type:
        # Developer guide, "Update endpoints that use auto scaling": a variant that is scaled keeps its instance type.
        for _, remove in list(_scaling_parts(settings.endpoint, client)):
            remove()
    change = {name: wanted[name] for name in ("EndpointName", "EndpointConfigName")}
    # The number of instances is the scaling's affair, not the new configuration's.
    sagemaker.update_endpoint(**change, RetainAllVariantProperties=True)


def instances_of(described: Mapping[str, Any]) -> tuple[int, int]:
    """How many instances an endpoint has and how many it is to have; while it is created it tells neither."""
    (variant, *_) = described.get("ProductionVariants") or [{}]
    return variant.get("CurrentInstanceCount", 0), variant.get("DesiredInstanceCount", 0)


def _check_kind(sagemaker: Any, described: Mapping[str, Any] | None) -> None:
    """Refuse an endpoint that answers at once: it is somebody's, and not what these commands look after."""
    if described is None:
        return
    config = _config(sagemaker, described["EndpointConfigName"])
    if config is not None and "AsyncInferenceConfig" not in config:
        what = f"endpoint {described['EndpointName']} is not asynchronous."
        raise ConfigError(Problem("endpoint_kind", what, "--endpoint", "Choose another name."))


def _wait_until_in_service(sagemaker: Any, endpoint: str, sleep: Sleep) -> None:
    for _ in range(int(_READY_SECONDS / _POLL_SECONDS)):
        described = sagemaker.describe_endpoint(EndpointName=endpoint)
        if described["EndpointStatus"] == "InService":
            return
        if described["EndpointStatus"] in ("Failed", "OutOfService", "UpdateRollbackFailed"):
            what = f"is {described['EndpointStatus']}: {described.get('FailureReason', 'no reason is given')}."
            remedy = "Look into the endpoint's log, tear it down, and deploy."
            raise ServiceError(Problem("endpoint_failed", what, endpoint, remedy))
        sleep(_POLL_SECONDS)
    what = f"is not in service after {_READY_SECONDS / 60:.0f} minutes."
    raise ServiceError(Problem("endpoint_slow", what, endpoint, "Deploy again to go on waiting."))


def _described(sagemaker: Any, endpoint: str) -> dict[str, Any] | None:
    return answer_or_none(sagemaker.describe_endpoint, *_ABSENT, EndpointName=endpoint)


def _config(sagemaker: Any, name: str) -> dict[str, Any] | None:
    return answer_or_none(sagemaker.describe_endpoint_config, *_ABSENT, EndpointConfigName=name)


def _configs(sagemaker: Any, endpoint: str) -> list[str]:
    """Configurations that `deploy_async` made for this endpoint, the present one and those of before."""
    listing = pages(sagemaker.list_endpoint_configs, NameContains=f"{endpoint}-", MaxResults=100)
    names = [each["EndpointConfigName"] for page in listing for each in page["EndpointConfigs"]]
    ours = re.compile(re.escape(endpoint) + "-[0-9a-f]{8}")
    return [name for name in names if ours.fullmatch(name)]


def scalable_target(client: Client, endpoint: str) -> dict[str, Any] | None:
    """The registered limits of the endpoint's instances; None: nothing scales it."""
    scaled: dict[str, Any] = scaled_variant(endpoint)
    scaled["ResourceIds"] = [scaled.pop("ResourceId")]
    found = client("application-autoscaling").describe_scalable_targets(**scaled)
    return next(iter(found["ScalableTargets"]), None)


def scaling_policies(client: Client, endpoint: str) -> list[dict[str, Any]]:
    found = client("application-autoscaling").describe_scaling_policies(**scaled_variant(endpoint))
    return list(found["ScalingPolicies"])


def wake_alarms(cloudwatch: Any, endpoint: str) -> list[dict[str, Any]]:
    """The alarm that scales the endpoint out from zero; empty without it."""
    return list(cloudwatch.describe_alarms(AlarmNames=[wake_alarm_name(endpoint)])["MetricAlarms"])
