"""What an asynchronous endpoint that scales to zero instances is made of, and the exact requests for it.

Developer guide, "Asynchronous inference" and "Autoscale an asynchronous endpoint" (read 2023-03). Target tracking alone
never starts an instance for a queue of up to its target: a step policy on HasBacklogWithoutCapacity does.
"""

import hashlib
import json
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batchcast.pipelines.settings import given_members, tag_list
from batchcast.steps.errors import ConfigError, Problem
from batchcast.steps.store.objects import join_uri, split_uri

# What InvokeEndpointAsync allows (API reference, botocore 1.43.11), and what a request has that does not say.
# Longer bodies are sent by their place in S3.
MAX_INLINE_BYTES = 128_000
# Seconds a request may wait in the queue, and seconds the model may take.
TTL_RANGE, TIMEOUT_RANGE = (60, 21_600), (1, 3600)
DEFAULT_TTL, DEFAULT_TIMEOUT = 21_600, 900

VARIANT = "main"
NAMESPACE = "sagemaker"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
TRACKING_POLICY, STEP_POLICY = "backlog-per-instance", "scale-out-from-zero"
_MAX_CONCURRENCY = 1000
# A name has at most 63 characters, and that of a configuration is the endpoint's with a digest of 8 behind it.
_NAME_LENGTH = 63 - 9
# What is served, and as much that waits: below that an instance would run dry between two measurements, and with less
# than one load for a target a busy endpoint would be taken for an idle one.
_LOADS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncSettings:
    """`concurrency` is of one instance; answers go to `output_uri`, failures to `failures/` below it.

    `output_uri` ends in a name of the endpoint's own, so that several can share a bucket.
    """

    endpoint: str
    model: str
    instance_type: str
    max_instances: int
    concurrency: int
    output_uri: str
    success_topic: str | None = None
    error_topic: str | None = None
    kms_key: str | None = None
    tags: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems = []
        if not re.fullmatch("[a-zA-Z0-9](-*[a-zA-Z0-9])*", self.endpoint) or len(self.endpoint) > _NAME_LENGTH:
            what = f"{self.endpoint!r} is no name: letters, digits and hyphens between, at most {_NAME_LENGTH}."
            problems.append(Problem("async_settings", what, "--endpoint"))
        if not 1 <= self.concurrency <= _MAX_CONCURRENCY:
            what = f"{self.concurrency} requests at once; an instance takes 1 to {_MAX_CONCURRENCY}."
            problems.append(Problem("async_settings", what, "--concurrency"))
        if self.max_instances < 1:
            what = f"{self.max_instances} instances serve nothing."
            problems.append(Problem("async_settings", what, "--max-instances", "Use 1 or more."))
        ConfigError.raise_any(problems)
        split_uri(self.output_uri)

    @property
    def target(self) -> int:
        """Backlog an instance that scaling aims at."""
        return _LOADS * self.concurrency

    def config(self) -> dict[str, Any]:
        """CreateEndpointConfig. The name holds a digest of the rest: another configuration has another name."""
        topics = given_members(SuccessTopic=self.success_topic, ErrorTopic=self.error_topic)
        output = {
            "S3OutputPath": join_uri(self.output_uri, "answers") + "/",
            "S3FailurePath": join_uri(self.output_uri, "failures") + "/",
            **given_members(KmsKeyId=self.kms_key, NotificationConfig=topics),
        }
        body = {
            "ProductionVariants": [
                {
                    "VariantName": VARIANT,
                    "ModelName": self.model,
                    # An endpoint is created with an instance at least; scaling takes it away when nothing comes.
                    "InitialInstanceCount": 1,
                    "InstanceType": self.instance_type,
                }
            ],
            "AsyncInferenceConfig": {
                "ClientConfig": {"MaxConcurrentInvocationsPerInstance": self.concurrency},
                "OutputConfig": output,
            },
        }
        digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:8]
        return {"EndpointConfigName": f"{self.endpoint}-{digest}", **body, **given_members(Tags=tag_list(self.tags))}

    def endpoint_request(self) -> dict[str, Any]:
        """CreateEndpoint."""
        name = self.config()["EndpointConfigName"]
        return {"EndpointName": self.endpoint, "EndpointConfigName": name, **given_members(Tags=tag_list(self.tags))}

    def scalable_target(self) -> dict[str, Any]:
        """RegisterScalableTarget: from none to all."""
        return {**scaled_variant(self.endpoint), "MinCapacity": 0, "MaxCapacity": self.max_instances}

    def tracking_policy(self) -> dict[str, Any]:
        """PutScalingPolicy of the one that follows the queue."""
        request = {"PolicyName": TRACKING_POLICY, **_scaling("tracking_policy"), **scaled_variant(self.endpoint)}
        aim = request["TargetTrackingScalingPolicyConfiguration"]
        aim["TargetValue"] = float(self.target)
        aim["CustomizedMetricSpecification"]["Dimensions"] = self._dimensions()
        return request

    def step_policy(self) -> dict[str, Any]:
        """PutScalingPolicy of the one that brings the first instance."""
        return {"PolicyName": STEP_POLICY, **_scaling("step_policy"), **scaled_variant(self.endpoint)}

    def wake_alarm(self, policy_arn: str) -> dict[str, Any]:
        """PutMetricAlarm: two minutes with a request and no instance."""
        return {
            "AlarmName": wake_alarm_name(self.endpoint),
            "AlarmDescription": f"Requests wait for {self.endpoint}, which has no instance.",
            **_scaling("wake_alarm"),
            "Dimensions": self._dimensions(),
            "AlarmActions": [policy_arn],
        }

    def requests(self) -> list[dict[str, Any]]:
        """Every request of a first deployment, with boto3's name of the service and the method."""
        calls = [
            ("sagemaker", "create_endpoint_config", self.config()),
            ("sagemaker", "create_endpoint", self.endpoint_request()),
            ("application-autoscaling", "register_scalable_target", self.scalable_target()),
            ("application-autoscaling", "put_scaling_policy", self.tracking_policy()),
            ("application-autoscaling", "put_scaling_policy", self.step_policy()),
            ("cloudwatch", "put_metric_alarm", self.wake_alarm("<ARN of the step policy>")),
        ]
        return [{"service": service, "method": method, "request": request} for service, method, request in calls]

    def _dimensions(self) -> list[dict[str, str]]:
        return [{"Name": "EndpointName", "Value": self.endpoint}]


def _scaling(name: str) -> dict[str, Any]:
    """A request of scaling.toml, as far as it is the same for every endpoint."""
    request: dict[str, Any] = tomllib.loads(Path(__file__).with_name("scaling.toml").read_text(encoding="utf-8"))[name]
    return request


def scaled_variant(endpoint: str) -> dict[str, str]:
    """What is scaled of an endpoint, as Application Auto Scaling names it."""
    resource = f"endpoint/{endpoint}/variant/{VARIANT}"
    return {"ServiceNamespace": NAMESPACE, "ResourceId": resource, "ScalableDimension": DIMENSION}


def wake_alarm_name(endpoint: str) -> str:
    """The alarm that scales the endpoint out from zero."""
    return f"{endpoint}-has-backlog-without-capacity"
