"""Asynchronous endpoints: waking from zero, expiry, limits of a request, failures, falling asleep again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from emulated_endpoint import ENDPOINT, ERROR, HOUR, SUCCESS, Emulated, answer_after
from emulators.async_inference.endpoint import ModelAnswer

from batchcast.engine.errors import ServiceException
from batchcast.planner.arithmetic.async_queue import REQUEST_TTL_HOURS
from batchcast.steps.errors import ConfigError

TTL = int(REQUEST_TTL_HOURS * HOUR)


def submit_fast(emulated: Emulated, requests: int, a_second: int) -> None:
    """As fast as a client can."""
    runtime = emulated.account.client("sagemaker-runtime")
    for number in range(requests):
        runtime.invoke_endpoint_async(EndpointName=ENDPOINT, Body=b"{}")
        if number % a_second == a_second - 1:
            emulated.sleep(1)


def lost(emulated: Emulated) -> int:
    """Let everything end; how many requests expired."""
    while emulated.endpoint.backlog:
        emulated.sleep(HOUR / 4)
    return int(emulated.endpoint.totals.expired)


def test_e76_target_tracking_alone_never_starts_an_instance_for_one_request() -> None:
    """E76, developer guide "Autoscale an asynchronous endpoint": from zero it scales when more wait than the target."""
    emulated = Emulated(answer_after(30))
    emulated.deploy_as_printed_elsewhere(target=5.0)
    emulated.fall_asleep()
    placed = emulated.invoke()
    emulated.sleep(TTL + 1)
    assert emulated.endpoint.totals.expired == 1
    assert not emulated.store.exists(placed["OutputLocation"])
    assert emulated.endpoint.desired == 0


def test_e76_the_step_policy_wakes_it_after_two_minutes_of_the_alarm_and_the_start() -> None:
    """E76, developer guide "Autoscale an asynchronous endpoint": a step policy on HasBacklogWithoutCapacity."""
    emulated = Emulated(answer_after(30), provision_seconds=420)
    emulated.deploy()
    emulated.fall_asleep()
    placed = emulated.invoke()
    emulated.sleep(2 * 60 + 420 + 30)
    assert not emulated.store.exists(placed["OutputLocation"])
    emulated.sleep(2 * 60)  # the measurement is a minute late, and minutes begin when they begin
    assert emulated.store.read(placed["OutputLocation"]) == b"{}"
    emulated.fall_asleep()


def test_e76_six_requests_are_more_than_a_target_of_five() -> None:
    """E76, developer guide "Autoscale an asynchronous endpoint": the queue exceeds the target value."""
    emulated = Emulated(answer_after(30))
    emulated.deploy_as_printed_elsewhere(target=5.0)
    emulated.fall_asleep()
    for _ in range(6):
        emulated.invoke()
    emulated.sleep(HOUR)
    assert emulated.endpoint.totals.completed == 6


def test_e77_what_waits_longer_than_its_ttl_expires_and_says_so() -> None:
    """E77, API reference, InvokeEndpointAsync: RequestTTLSeconds is the maximum age in the queue."""
    emulated = Emulated(answer_after(30))
    emulated.deploy_as_printed_elsewhere()
    emulated.fall_asleep()
    placed = emulated.invoke(RequestTTLSeconds=60, InferenceId="one")
    emulated.sleep(59)
    assert emulated.endpoint.backlog == 1
    emulated.sleep(1)
    assert emulated.endpoint.backlog == 0
    assert "expired" in json.loads(emulated.store.read(placed["FailureLocation"]))["failureReason"]
    (message,) = emulated.account.messages[ERROR]
    assert (message["invocationStatus"], message["inferenceId"]) == ("Failed", "one")


def test_e77_an_endpoint_may_leave_no_trace_of_what_expired() -> None:
    """E77: nothing says that a request that expires leaves a failure; a client has to bear both."""
    emulated = Emulated(answer_after(30), expiry_is_told=False)
    emulated.deploy_as_printed_elsewhere()
    emulated.fall_asleep()
    placed = emulated.invoke(RequestTTLSeconds=60)
    emulated.sleep(61)
    assert emulated.endpoint.totals.expired == 1
    assert not emulated.store.exists(placed["FailureLocation"])


def test_e77_eighty_at_once_serve_57600_of_a_hundred_thousand() -> None:
    """E77, arithmetic with the documented limits: 6 h x 80 / 30 s."""
    emulated = Emulated(answer_after(30))
    emulated.deploy_as_printed_elsewhere(max_instances=20)
    emulated.endpoint.scale(20)
    emulated.account.scaling[ENDPOINT].limits = (20, 20)
    emulated.sleep(600)
    submit_fast(emulated, 100_000, a_second=100_000)
    assert lost(emulated) == 100_000 - 57_600


@pytest.mark.parametrize(("woken", "expired"), [(False, 38_944), (True, 40_258)])
def test_e77_a_sunday_that_is_submitted_at_once_loses_two_fifths(woken: bool, expired: int) -> None:
    """E77: 100,000 x 30 s at 20 x 4, 50 submitted a second, simulated beforehand with random start-up times."""
    emulated = Emulated(answer_after(30))
    emulated.deploy_as_printed_elsewhere(target=5.0)
    if woken:
        emulated.deploy()
    emulated.fall_asleep()
    submit_fast(emulated, 100_000, a_second=50)
    assert lost(emulated) == pytest.approx(expired, rel=0.03)


def test_e78_a_body_of_128_001_bytes_is_refused() -> None:
    """E78, API reference, InvokeEndpointAsync: Body has at most 128,000 bytes."""
    emulated = Emulated(answer_after(1))
    emulated.deploy()
    emulated.invoke(Body=b"x" * 128_000)
    with pytest.raises(ConfigError, match=r"ValidationError.*128000"):
        emulated.invoke(Body=b"x" * 128_001)


@pytest.mark.parametrize("given", [{"Body": b"{}", "InputLocation": "s3://bucket/record"}, {}])
def test_e78_a_request_has_either_a_body_or_a_location(given: dict[str, Any]) -> None:
    """E78, API reference, InvokeEndpointAsync: exactly one of InputLocation and Body."""
    emulated = Emulated(answer_after(1))
    emulated.deploy()
    with pytest.raises(ServiceException) as refused:
        emulated.account.client("sagemaker-runtime").invoke_endpoint_async(EndpointName=ENDPOINT, **given)
    assert refused.value.code == "ValidationError"


@pytest.mark.parametrize(
    "given",
    [
        {"RequestTTLSeconds": 59},
        {"RequestTTLSeconds": 21_601},
        {"InvocationTimeoutSeconds": 3601},
        {"InferenceId": "x" * 65},
        {"Filename": "a.b.out"},
        {"TargetVariant": "main"},
    ],
)
def test_e78_the_limits_of_the_other_members(given: dict[str, Any]) -> None:
    """E78, API reference, InvokeEndpointAsync: lengths, ranges and names."""
    emulated = Emulated(answer_after(1))
    emulated.deploy()
    with pytest.raises(ConfigError):
        emulated.invoke(**given)


def test_a_body_at_a_location_is_read_and_the_answer_lies_where_it_was_promised() -> None:
    seen: list[tuple[bytes, Mapping[str, str]]] = []

    def model(body: bytes, headers: Mapping[str, str]) -> ModelAnswer:
        seen.append((body, headers))
        return ModelAnswer(body=b'{"item_id":"a"}', seconds=2)

    emulated = Emulated(model)
    emulated.deploy()
    emulated.store.write("s3://bucket/in/record", b"large")
    request = {"EndpointName": ENDPOINT, "InputLocation": "s3://bucket/in/record", "ContentType": "application/json"}
    runtime = emulated.client("sagemaker-runtime")
    placed = runtime.invoke_endpoint_async(**request, S3OutputPathExtension="run1/part-00000", Filename="000007.out")
    emulated.sleep(3)
    assert placed["OutputLocation"] == "s3://bucket/async/forecasts/answers/run1/part-00000/000007.out"
    assert emulated.store.read(placed["OutputLocation"]) == b'{"item_id":"a"}'
    assert seen == [(b"large", {"Content-Type": "application/json"})]
    assert [message["invocationStatus"] for message in emulated.account.messages[SUCCESS]] == ["Completed"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (ModelAnswer(body=b"no such item", seconds=1, status=400), "no such item"),
        (ModelAnswer(body=b"{}", seconds=901), "within 900 s"),
    ],
)
def test_a_model_that_fails_leaves_a_failure_and_no_answer(answer: ModelAnswer, reason: str) -> None:
    emulated = Emulated(lambda _, __: answer)
    emulated.deploy()
    placed = emulated.invoke()
    emulated.sleep(1000)
    assert reason in json.loads(emulated.store.read(placed["FailureLocation"]))["failureReason"]
    assert not emulated.store.exists(placed["OutputLocation"])
    assert [message["invocationStatus"] for message in emulated.account.messages[ERROR]] == ["Failed"]


def test_never_more_in_process_than_instances_have_places() -> None:
    emulated = Emulated(answer_after(30))
    emulated.deploy(concurrency=4)
    for _ in range(10):
        emulated.invoke()
    assert (emulated.endpoint.backlog, emulated.endpoint.waiting) == (10, 6)


def test_such_an_endpoint_answers_nobody_at_once() -> None:
    emulated = Emulated(answer_after(1))
    emulated.deploy()
    with pytest.raises(ConfigError, match="InvokeEndpointAsync"):
        emulated.client("sagemaker-runtime").invoke_endpoint(EndpointName=ENDPOINT, Body=b"{}")


@pytest.mark.parametrize(
    ("service", "method", "request_"),
    [
        ("application-autoscaling", "register_scalable_target", {"ServiceNamespace": "ecs"}),
        ("application-autoscaling", "put_scaling_policy", {"PolicyType": "PredictiveScaling"}),
        ("cloudwatch", "put_metric_alarm", {"AlarmName": "a", "Metrics": []}),
        ("sagemaker", "create_endpoint", {"EndpointName": "e", "EndpointConfigName": "c", "DeploymentConfig": {}}),
    ],
)
def test_what_is_not_emulated_is_refused(service: str, method: str, request_: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        getattr(Emulated(answer_after(1)).client(service), method)(**request_)


def test_p16_nothing_else_is_asked_for_while_instances_start() -> None:
    emulated = Emulated(answer_after(30))
    emulated.deploy()
    emulated.fall_asleep()
    for _ in range(1000):
        emulated.invoke()
    emulated.sleep(5 * 60)
    assert (emulated.endpoint.in_service, emulated.endpoint.desired) == (0, 1)
    emulated.sleep(8 * 60)
    assert (emulated.endpoint.in_service, emulated.endpoint.desired) == (1, 20)


def test_p16_requests_of_an_instance_that_is_let_go_end() -> None:
    emulated = Emulated(answer_after(800))
    emulated.deploy()
    placed = emulated.invoke()
    emulated.endpoint.scale(0)
    emulated.sleep(801)
    assert emulated.store.exists(placed["OutputLocation"])
