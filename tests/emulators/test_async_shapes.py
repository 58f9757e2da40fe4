"""Requests and answers of the asynchronous emulator against the service models that boto3 works from."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.session
import pytest
from botocore.model import Shape
from botocore.validate import ParamValidator
from emulated_endpoint import ENDPOINT, Emulated, answer_after, settings
from hypothesis import given
from hypothesis import strategies as st
from memory_store import MemoryStore

from emulators.async_inference import shapes
from emulators.async_inference.endpoint import AsyncEndpoint, AsyncRequest, ModelAnswer
from emulators.async_inference.request_shape import Bytes, Choice, ListOf, Structure, Text, Whole
from emulators.async_inference.virtual_clock import VirtualClock

OPERATIONS = {
    ("sagemaker", "CreateEndpointConfig"): shapes.CREATE_ENDPOINT_CONFIG,
    ("sagemaker", "ListEndpointConfigs"): shapes.LIST_ENDPOINT_CONFIGS,
    ("sagemaker", "DescribeEndpointConfig"): shapes.ENDPOINT_CONFIG,
    ("sagemaker", "CreateEndpoint"): shapes.CREATE_ENDPOINT,
    ("sagemaker", "DescribeEndpoint"): shapes.ENDPOINT,
    ("sagemaker-runtime", "InvokeEndpointAsync"): shapes.INVOKE_ENDPOINT_ASYNC,
    ("application-autoscaling", "RegisterScalableTarget"): shapes.REGISTER_SCALABLE_TARGET,
    ("application-autoscaling", "DeregisterScalableTarget"): shapes.TARGET,
    ("application-autoscaling", "DescribeScalableTargets"): shapes.TARGETS,
    ("application-autoscaling", "PutScalingPolicy"): shapes.PUT_SCALING_POLICY,
    ("application-autoscaling", "DeleteScalingPolicy"): shapes.POLICY,
    ("application-autoscaling", "DescribeScalingPolicies"): shapes.POLICIES,
    ("application-autoscaling", "DescribeScalingActivities"): shapes.ACTIVITIES,
    ("cloudwatch", "PutMetricAlarm"): shapes.PUT_METRIC_ALARM,
    ("cloudwatch", "DescribeAlarms"): shapes.DESCRIBE_ALARMS,
    ("cloudwatch", "DeleteAlarms"): shapes.DELETE_ALARMS,
    ("cloudwatch", "GetMetricStatistics"): shapes.GET_METRIC_STATISTICS,
}


def model(service: str, operation: str) -> Any:
    return botocore.session.get_session().get_service_model(service).operation_model(operation)


def looser(ours: Any, theirs: Shape, path: str) -> Iterator[str]:
    """Where the emulator would take what the service refuses."""
    if isinstance(ours, Structure):
        for name in set(ours.members) - set(theirs.members):
            yield f"{path}: the service has no {name}"
        for name in set(theirs.required_members) - set(ours.required):
            yield f"{path}: the service needs {name}"
        for name in set(ours.members) & set(theirs.members):
            yield from looser(ours.members[name], theirs.members[name], f"{path}.{name}")
    elif isinstance(ours, ListOf):
        yield from looser(ours.member, theirs.member, f"{path}[]")
    elif isinstance(ours, Choice) and not set(ours.values) <= set(getattr(theirs, "enum", None) or ours.values):
        yield f"{path}: {ours.values}"
    if isinstance(ours, Text | Whole | Bytes):
        least, most = theirs.metadata.get("min"), theirs.metadata.get("max")
        if most is not None and (ours.maximum is None or ours.maximum > most):
            yield f"{path}: at most {ours.maximum}, the service says {most}"
        if least and not isinstance(ours, Bytes) and (ours.minimum is None or ours.minimum < least):
            yield f"{path}: at least {ours.minimum}, the service says {least}"


@pytest.mark.parametrize("name", OPERATIONS, ids="/".join)
def test_no_request_is_taken_that_the_service_refuses(name: tuple[str, str]) -> None:
    assert list(looser(OPERATIONS[name], model(*name).input_shape, name[1])) == []


def test_answers_have_the_shapes_of_the_services() -> None:
    emulated = Emulated(answer_after(30))
    emulated.deploy()
    for _ in range(50):
        emulated.invoke()
    emulated.sleep(3600)
    now = datetime.fromtimestamp(emulated.now(), UTC)
    scaled = {"ServiceNamespace": "sagemaker"}
    metric = {"Namespace": "AWS/SageMaker", "MetricName": "ApproximateBacklogSize", "Period": 60}
    metric |= {"Dimensions": [{"Name": "EndpointName", "Value": ENDPOINT}], "Statistics": ["Average", "Sum"]}
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("sagemaker", "DescribeEndpoint", {"EndpointName": ENDPOINT}),
        ("sagemaker", "DescribeEndpointConfig", {"EndpointConfigName": settings().config()["EndpointConfigName"]}),
        ("application-autoscaling", "DescribeScalableTargets", scaled),
        ("application-autoscaling", "DescribeScalingPolicies", scaled),
        ("application-autoscaling", "DescribeScalingActivities", scaled),
        ("cloudwatch", "DescribeAlarms", {}),
        ("cloudwatch", "GetMetricStatistics", {**metric, "StartTime": now - timedelta(hours=1), "EndTime": now}),
        ("sagemaker-runtime", "InvokeEndpointAsync", {"EndpointName": ENDPOINT, "Body": b"{}"}),
    ]
    for service, operation, request in asked:
        method = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in operation).lstrip("_")
        answer = getattr(emulated.account.client(service), method)(**request)
        shape = model(service, operation).output_shape
        unknown = set(answer) - set(shape.members)
        assert not unknown, f"{operation}: {unknown}"
        answer = {name: value for name, value in answer.items() if name in shape.members}
        wrong = [each for each in _wrong(answer, shape) if "Missing required" not in each]
        assert not wrong, f"{operation}: {wrong}"


def _wrong(answer: dict[str, Any], shape: Any) -> list[str]:
    return str(ParamValidator().validate(answer, shape).generate_report()).splitlines()


@given(
    gaps=st.lists(st.floats(0, 400), min_size=1, max_size=60),
    ttls=st.lists(st.integers(60, 2000), min_size=60, max_size=60),
    scalings=st.lists(st.tuples(st.floats(0, 5000), st.integers(0, 3)), max_size=8),
    seconds=st.floats(0.1, 1200),
    concurrency=st.integers(1, 4),
)
def test_every_request_ends_once_whatever_comes_and_goes(
    gaps: list[float], ttls: list[int], scalings: list[tuple[float, int]], seconds: float, concurrency: int
) -> None:
    clock, store, told = VirtualClock(), MemoryStore(), []
    endpoint = AsyncEndpoint(
        name="e",
        concurrency=concurrency,
        clock=clock,
        store=store,
        model=lambda _, __: ModelAnswer(body=b"{}", seconds=seconds),
        notify=lambda success, message: told.append((success, message["inferenceId"])),
    )
    for when, instances in scalings:
        clock.call_at(when, lambda count=instances: endpoint.scale(count))  # type: ignore[misc]
    for number, gap in enumerate(gaps):
        clock.advance(gap)
        endpoint.submit(
            AsyncRequest(
                inference_id=str(number),
                body=lambda: b"{}",
                headers={},
                output_location=f"s3://b/{number}.out",
                failure_location=f"s3://b/{number}-error.out",
                input_location="",
                submitted=clock.now,
                ttl=ttls[number],
                timeout=900,
            )
        )
        totals = endpoint.totals
        assert totals.submitted == totals.completed + totals.failed + totals.expired + endpoint.backlog
    clock.advance(10_000)
    assert endpoint.backlog == 0
    assert sorted(name for _, name in told) == sorted(map(str, range(len(gaps))))
    assert len(store.objects) == len(gaps)
