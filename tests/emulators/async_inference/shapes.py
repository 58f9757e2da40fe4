"""Requests of an asynchronous endpoint and its scaling, with the limits of the service models (botocore 1.43.11).

Members that the services take and the emulator does not know are refused like unknown ones.
"""

from __future__ import annotations

from collections.abc import Mapping

from emulators.async_inference.request_shape import (
    Bytes,
    Choice,
    Flag,
    ListOf,
    Moment,
    Number,
    Shape,
    Structure,
    Text,
    Whole,
)

__all__ = [
    "ACTIVITIES",
    "CREATE_ENDPOINT",
    "CREATE_ENDPOINT_CONFIG",
    "DELETE_ALARMS",
    "DESCRIBE_ALARMS",
    "ENDPOINT",
    "ENDPOINT_CONFIG",
    "GET_METRIC_STATISTICS",
    "INVOKE_ENDPOINT_ASYNC",
    "LIST_ENDPOINT_CONFIGS",
    "MAX_INLINE_BYTES",
    "METRICS",
    "NAMESPACE",
    "POLICIES",
    "POLICY",
    "PUT_METRIC_ALARM",
    "PUT_SCALING_POLICY",
    "REGISTER_SCALABLE_TARGET",
    "TARGET",
    "TARGETS",
]

KMS_KEY = Text(maximum=2048, pattern="[a-zA-Z0-9:/_-]*")
MODEL_NAME = Text(maximum=63, pattern=r"[a-zA-Z0-9]([\-a-zA-Z0-9]*[a-zA-Z0-9])?")
# Python's `re` has no \p{L}, \p{Z}, \p{N}: letters, digits and blanks stand in for them.
_TAG_TEXT = r"([\w\s.:/=+\-@]*)"
TAGS = ListOf(
    member=Structure(
        {"Key": Text(minimum=1, maximum=128, pattern=_TAG_TEXT), "Value": Text(maximum=256, pattern=_TAG_TEXT)},
        required=("Key", "Value"),
    ),
    maximum=50,
)

NAMESPACE = "AWS/SageMaker"
# Developer guide, "Monitor asynchronous endpoint", read 2023-03; InvocationsProcesssed is spelled so there.
METRICS = (
    "ApproximateBacklogSize",
    "ApproximateBacklogSizePerInstance",
    "ApproximateAgeOfOldestRequest",
    "HasBacklogWithoutCapacity",
    "ExpiredRequests",
    "InvocationFailures",
    "InvocationsProcesssed",
)
MAX_INLINE_BYTES = 128_000

_ENDPOINT_NAME = Text(minimum=1, maximum=63, pattern=r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_S3_PATH = Text(maximum=512, pattern=r"(https|s3)://([^/]+)/?(.*)")
_TOPIC = Text(maximum=2048, pattern=r"arn:aws[a-z\-]*:sns:[a-z0-9\-]*:[0-9]{12}:[a-zA-Z0-9_.-]+")
_VARIANT = Structure(
    {
        "VariantName": Text(maximum=63, pattern="[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"),
        "ModelName": MODEL_NAME,
        "InitialInstanceCount": Whole(minimum=1),
        "InstanceType": Text(pattern=r"ml\.[a-z0-9-]+\.[a-z0-9]+"),
        "ContainerStartupHealthCheckTimeoutInSeconds": Whole(minimum=60, maximum=3600),
    },
    required=("VariantName", "ModelName", "InitialInstanceCount", "InstanceType"),
)
_OUTPUT = Structure(
    {
        "S3OutputPath": _S3_PATH,
        "S3FailurePath": _S3_PATH,
        "KmsKeyId": KMS_KEY,
        "NotificationConfig": Structure({"SuccessTopic": _TOPIC, "ErrorTopic": _TOPIC}),
    },
    required=("S3OutputPath",),
)
_CLIENT = Structure({"MaxConcurrentInvocationsPerInstance": Whole(minimum=1, maximum=1000)})
CREATE_ENDPOINT_CONFIG = Structure(
    {
        "EndpointConfigName": _ENDPOINT_NAME,
        "ProductionVariants": ListOf(member=_VARIANT, minimum=1, maximum=1),
        "AsyncInferenceConfig": Structure(
            {"ClientConfig": _CLIENT, "OutputConfig": _OUTPUT}, required=("OutputConfig",)
        ),
        "KmsKeyId": KMS_KEY,
        "Tags": TAGS,
    },
    required=("EndpointConfigName", "ProductionVariants", "AsyncInferenceConfig"),
)
ENDPOINT_CONFIG = Structure({"EndpointConfigName": _ENDPOINT_NAME}, required=("EndpointConfigName",))
LIST_ENDPOINT_CONFIGS = Structure({"NameContains": Text(maximum=63), "MaxResults": Whole(minimum=1, maximum=100)})
CREATE_ENDPOINT = Structure(
    {"EndpointName": _ENDPOINT_NAME, "EndpointConfigName": _ENDPOINT_NAME, "Tags": TAGS},
    required=("EndpointName", "EndpointConfigName"),
)
ENDPOINT = Structure({"EndpointName": _ENDPOINT_NAME}, required=("EndpointName",))

_ASCII = Text(maximum=1024, pattern=r"[\x00-\x7f]*")
INVOKE_ENDPOINT_ASYNC = Structure(
    {
        "EndpointName": _ENDPOINT_NAME,
        "ContentType": _ASCII,
        "Accept": _ASCII,
        "CustomAttributes": _ASCII,
        "InferenceId": Text(minimum=1, maximum=64, pattern=r"\S[ -~]*"),
        "InputLocation": Text(minimum=1, maximum=1024, pattern=r"(https|s3)://([^/]+)/?(.*)"),
        "Body": Bytes(maximum=MAX_INLINE_BYTES),
        "S3OutputPathExtension": Text(minimum=1, maximum=512, pattern=r"(?!s3:|https:)[a-zA-Z0-9!_.*'()/-]+"),
        "Filename": Text(minimum=1, maximum=32, pattern=r"(?!.*\..*\.)[a-zA-Z0-9][a-zA-Z0-9\-_.]*"),
        "RequestTTLSeconds": Whole(minimum=60, maximum=21_600),
        "InvocationTimeoutSeconds": Whole(minimum=1, maximum=3600),
    },
    required=("EndpointName",),
)

_RESOURCE = Text(minimum=1, maximum=1600, pattern=r"endpoint/[a-zA-Z0-9-]+/variant/[a-zA-Z0-9-]+")
_SCALED: Mapping[str, Shape] = {
    "ServiceNamespace": Choice(("sagemaker",)),
    "ResourceId": _RESOURCE,
    "ScalableDimension": Choice(("sagemaker:variant:DesiredInstanceCount",)),
}
_DIMENSIONS = ListOf(
    member=Structure({"Name": Choice(("EndpointName",)), "Value": _ENDPOINT_NAME}, required=("Name", "Value")),
    minimum=1,
    maximum=1,
)
_METRIC: Mapping[str, Shape] = {
    "MetricName": Choice(METRICS),
    "Namespace": Choice((NAMESPACE,)),
    "Dimensions": _DIMENSIONS,
    "Statistic": Choice(("Average", "Maximum")),
}
REGISTER_SCALABLE_TARGET = Structure(
    {**_SCALED, "MinCapacity": Whole(minimum=0), "MaxCapacity": Whole(minimum=0)},
    required=(*_SCALED, "MinCapacity", "MaxCapacity"),
)
_TRACKING = Structure(
    {
        "TargetValue": Number(),
        "CustomizedMetricSpecification": Structure(_METRIC, required=tuple(_METRIC)),
        "ScaleInCooldown": Whole(minimum=0),
        "ScaleOutCooldown": Whole(minimum=0),
        "DisableScaleIn": Flag(),
    },
    required=("TargetValue", "CustomizedMetricSpecification"),
)
_STEP = Structure(
    {"MetricIntervalLowerBound": Number(), "ScalingAdjustment": Whole()},
    required=("MetricIntervalLowerBound", "ScalingAdjustment"),
)
_STEPS = Structure(
    {
        "AdjustmentType": Choice(("ChangeInCapacity",)),
        "StepAdjustments": ListOf(member=_STEP, minimum=1, maximum=1),
        "Cooldown": Whole(minimum=0),
        "MetricAggregationType": Choice(("Average",)),
    },
    required=("AdjustmentType", "StepAdjustments"),
)
PUT_SCALING_POLICY = Structure(
    {
        "PolicyName": Text(minimum=1, maximum=256, pattern="[ -~]+"),
        **_SCALED,
        "PolicyType": Choice(("TargetTrackingScaling", "StepScaling")),
        "TargetTrackingScalingPolicyConfiguration": _TRACKING,
        "StepScalingPolicyConfiguration": _STEPS,
    },
    required=("PolicyName", *_SCALED, "PolicyType"),
)
POLICY = Structure({"PolicyName": Text(minimum=1, maximum=256), **_SCALED}, required=("PolicyName", *_SCALED))
TARGET = Structure(_SCALED, required=tuple(_SCALED))
TARGETS = Structure(
    {
        "ServiceNamespace": Choice(("sagemaker",)),
        "ResourceIds": ListOf(member=_RESOURCE, maximum=50),
        "ScalableDimension": _SCALED["ScalableDimension"],
    },
    required=("ServiceNamespace",),
)
POLICIES = Structure(_SCALED, required=("ServiceNamespace",))
ACTIVITIES = Structure(
    {**_SCALED, "MaxResults": Whole(minimum=1, maximum=50), "NextToken": Text()}, required=("ServiceNamespace",)
)

_ALARM_NAME = Text(minimum=1, maximum=255)
PUT_METRIC_ALARM = Structure(
    {
        "AlarmName": _ALARM_NAME,
        "AlarmDescription": Text(maximum=1024),
        **_METRIC,
        "Period": Whole(minimum=60, maximum=60),
        "EvaluationPeriods": Whole(minimum=1),
        "DatapointsToAlarm": Whole(minimum=1),
        "Threshold": Number(),
        "ComparisonOperator": Choice(("GreaterThanOrEqualToThreshold", "GreaterThanThreshold", "LessThanThreshold")),
        "TreatMissingData": Choice(("missing",)),
        "AlarmActions": ListOf(member=Text(minimum=1, maximum=1024), maximum=5),
    },
    required=("AlarmName", *_METRIC, "Period", "EvaluationPeriods", "Threshold", "ComparisonOperator"),
)
DESCRIBE_ALARMS = Structure(
    {"AlarmNames": ListOf(member=_ALARM_NAME, maximum=100), "AlarmNamePrefix": Text(minimum=1, maximum=255)}
)
DELETE_ALARMS = Structure({"AlarmNames": ListOf(member=_ALARM_NAME, maximum=100)}, required=("AlarmNames",))
GET_METRIC_STATISTICS = Structure(
    {
        **{name: _METRIC[name] for name in ("MetricName", "Namespace", "Dimensions")},
        "StartTime": Moment(),
        "EndTime": Moment(),
        "Period": Whole(minimum=60, maximum=86_400),
        "Statistics": ListOf(member=Choice(("Average", "Maximum", "Sum")), minimum=1, maximum=5),
    },
    required=("MetricName", "Namespace", "Dimensions", "StartTime", "EndTime", "Period", "Statistics"),
)
