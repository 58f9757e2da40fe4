"""One record through an asynchronous endpoint: send it, wait for it, bring its answer."""

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from batchcast.serving.bulk.submit import LATE_SECONDS, invoke_async
from batchcast.serving.endpoint.endpoint import Client, Sleep
from batchcast.serving.endpoint.settings import AsyncSettings
from batchcast.steps.errors import ModelError, Problem, ServiceError
from batchcast.steps.store.objects import ObjectMissingError, ObjectStore, join_uri

_POLL_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AdHocRequest:
    """A request that was accepted; until `deadline` (seconds since 1970) either its answer or its failure appears."""

    inference_id: str
    output: str
    failure: str
    deadline: float


def send(
    body: bytes, settings: AsyncSettings, client: Client, store: ObjectStore, *, ttl: int, timeout: int, now: float
) -> AdHocRequest:
    """Queue a record: inline, or by an object of its own below the endpoint's prefix where it is long."""
    name = str(uuid.uuid4())
    request = {
        "EndpointName": settings.endpoint,
        "InferenceId": name,
        "RequestTTLSeconds": ttl,
        "InvocationTimeoutSeconds": timeout,
    }
    place = join_uri(settings.output_uri, "inputs", f"{name}.json")
    answer = invoke_async(client("sagemaker-runtime"), store, body, place, request)
    return AdHocRequest(
        inference_id=name,
        output=answer["OutputLocation"],
        failure=answer["FailureLocation"],
        deadline=now + ttl + timeout + LATE_SECONDS,
    )


def follow_request(
    request: AdHocRequest,
    store: ObjectStore,
    *,
    now: Callable[[], float] = time.time,
    sleep: Sleep = time.sleep,
    on_poll: Callable[[], None] = lambda: None,
) -> bytes:
    """Wait for the answer. Raises ModelError with what the failure says, ServiceError when neither came in time."""
    while True:
        answer = _read(store, request.output)
        if answer is not None:
            return answer
        failure = _read(store, request.failure)
        if failure is not None:
            what = f"the endpoint says: {_reason(failure)}"
            remedy = "Look into the endpoint's log."
            raise ModelError(Problem("request_failed", what, request.inference_id, remedy))
        if now() > request.deadline:
            what = "neither an answer nor a failure came before the request must have expired."
            remedy = "Look at `async status`: something may keep the endpoint from waking."
            raise ServiceError(Problem("request_expired", what, request.inference_id, remedy))
        on_poll()
        sleep(_POLL_SECONDS)


def _read(store: ObjectStore, uri: str) -> bytes | None:
    try:
        return store.read(uri)
    except ObjectMissingError:
        return None


def _reason(failure: bytes) -> str:
    text = failure.decode("utf-8", "replace").strip()
    try:
        return str(json.loads(text)["failureReason"])
    except (ValueError, KeyError, TypeError):
        return text
