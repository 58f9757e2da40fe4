"""An asynchronous endpoint on a virtual clock: a queue, instances that come and go, answers and failures in the store.

Developer guide, "Asynchronous inference" (read 2023-03), and API reference, InvokeEndpointAsync (botocore 1.43.11):
a request waits in the queue until an instance has a free place, at most RequestTTLSeconds; its answer becomes an
object, and so does its failure. What happens to a request whose instance is let go is not published: here it ends.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from batchcast.steps.store.objects import ObjectStore
from emulators.async_inference.virtual_clock import VirtualClock

__all__ = ["AsyncConditions", "AsyncEndpoint", "AsyncModel", "AsyncRequest", "ModelAnswer", "Totals"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAnswer:
    """What a container answers, and after how many seconds."""

    body: bytes
    seconds: float
    status: int = 200


AsyncModel = Callable[[bytes, Mapping[str, str]], ModelAnswer]
"""A model on the virtual clock: a body and its headers to the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncConditions:
    """What AWS does not promise. `provision_seconds` pass from a decision to an instance that serves (7 minutes is
    the median that was assumed for planning); a metric's value can be seen `metric_delay_seconds` later.
    `expiry_is_told`: a request that expires leaves an object at its failure location."""

    provision_seconds: float = 420.0
    metric_delay_seconds: float = 60.0
    expiry_is_told: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncRequest:
    """An accepted request. `headers` go to the container; `body` is read when it starts. Times in seconds."""

    inference_id: str
    body: Callable[[], bytes]
    headers: Mapping[str, str]
    output_location: str
    failure_location: str
    input_location: str
    submitted: float
    ttl: float
    timeout: float


@dataclass(slots=True, kw_only=True)
class Totals:
    """What became of the requests so far, and what was paid for: seconds of instances that served."""

    submitted: int = 0
    completed: int = 0
    failed: int = 0
    expired: int = 0
    instance_seconds: float = 0.0


@dataclass(slots=True)
class _Waiting:
    request: AsyncRequest
    over: bool = False


@dataclass(kw_only=True)
class AsyncEndpoint:
    """One endpoint with one variant. `notify` is told the topic (success or error) and the message of each request."""

    name: str
    concurrency: int
    clock: VirtualClock
    store: ObjectStore
    model: AsyncModel
    notify: Callable[[bool, dict[str, Any]], None]
    conditions: AsyncConditions = field(default_factory=AsyncConditions)
    in_service: int = 0
    desired: int = 0
    deleted: bool = False
    totals: Totals = field(default_factory=Totals)

    def __post_init__(self) -> None:
        self._queue: deque[_Waiting] = deque()
        self._waiting = 0
        self._in_process = 0
        self._paid_until = self.clock.now

    @property
    def is_scaling(self) -> bool:
        """Whether instances are on their way; nothing else can be asked for meanwhile."""
        return self.desired != self.in_service

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return self._waiting

    @property
    def backlog(self) -> int:
        """Requests that wait and requests in process, as ApproximateBacklogSize counts them."""
        return self._waiting + self._in_process

    @property
    def oldest_age(self) -> float:
        """Seconds the oldest request has waited in the queue; 0 when none does."""
        while self._queue and self._queue[0].over:
            self._queue.popleft()
        return self.clock.now - self._queue[0].request.submitted if self._queue else 0.0

    @property
    def instance_seconds(self) -> float:
        """What was paid for until now."""
        return self.totals.instance_seconds + self.in_service * (self.clock.now - self._paid_until)

    def scale(self, desired: int) -> None:
        """Ask for so many instances: more serve after a while, fewer at once."""
        self.desired = desired
        if desired > self.in_service:
            self.clock.call_at(self.clock.now + self.conditions.provision_seconds, lambda: self._serve(desired))
        else:
            self._serve(desired)

    def submit(self, request: AsyncRequest) -> None:
        """Put a request into the queue."""
        entry = _Waiting(request)
        self._queue.append(entry)
        self._waiting += 1
        self.totals.submitted += 1
        self._dispatch()
        if not entry.over:
            self.clock.call_at(request.submitted + request.ttl, lambda: self._expire(entry))

    def _serve(self, instances: int) -> None:
        if self.deleted or instances != self.desired:  # something else was asked for meanwhile
            return
        self.totals.instance_seconds = self.instance_seconds
        self._paid_until = self.clock.now
        self.in_service = instances
        self._dispatch()

    def _dispatch(self) -> None:
        while self._queue and self._in_process < self.in_service * self.concurrency:
            entry = self._queue.popleft()
            if not entry.over and self.clock.now < entry.request.submitted + entry.request.ttl:
                entry.over = True
                self._waiting -= 1
                self._start(entry.request)

    def _start(self, request: AsyncRequest) -> None:
        self._in_process += 1
        try:
            answer = self.model(request.body(), request.headers)
        except Exception as error:  # whatever a model raises is its answer
            answer = ModelAnswer(body=f"{type(error).__name__}: {error}".encode(), seconds=0.0, status=500)
        end = self.clock.now + min(answer.seconds, request.timeout)
        self.clock.call_at(end, lambda: self._finish(request, answer))

    def _finish(self, request: AsyncRequest, answer: ModelAnswer) -> None:
        self._in_process -= 1
        if self.deleted:
            return
        if answer.seconds > request.timeout:
            self._fail(request, f"The model did not answer within {math.ceil(request.timeout)} s.")
        elif not 200 <= answer.status < 300:
            text = answer.body.decode("utf-8", "replace")
            self._fail(request, f"Received server error ({answer.status}) from model with message: {text}")
        else:
            self.store.write(request.output_location, answer.body)
            self.totals.completed += 1
            self.notify(True, self._message(request, "Completed"))
        self._dispatch()

    def _expire(self, entry: _Waiting) -> None:
        if entry.over or self.deleted:
            return
        entry.over = True
        self._waiting -= 1
        self.totals.expired += 1
        if self.conditions.expiry_is_told:
            what = f"The request was in the queue for {math.ceil(entry.request.ttl)} s and expired."
            self._leave_failure(entry.request, what)

    def _fail(self, request: AsyncRequest, reason: str) -> None:
        self.totals.failed += 1
        self._leave_failure(request, reason)

    def _leave_failure(self, request: AsyncRequest, reason: str) -> None:
        self.store.write(request.failure_location, json.dumps({"failureReason": reason}).encode())
        self.notify(False, {**self._message(request, "Failed"), "failureReason": reason})

    def _message(self, request: AsyncRequest, status: str) -> dict[str, Any]:
        """A notification, as the developer guide shows it ("Check prediction results")."""
        return {
            "awsRegion": "local",
            "eventTime": self.clock.now,
            "receivedTime": request.submitted,
            "invocationStatus": status,
            "requestParameters": {"endpointName": self.name, "inputLocation": request.input_location},
            "responseParameters": {"outputLocation": request.output_location},
            "inferenceId": request.inference_id,
            "eventVersion": "1.0",
            "eventSource": "aws:sagemaker",
            "eventName": "InferenceResult",
        }
