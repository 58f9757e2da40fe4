"""The three parameters a job may leave to its container, and what is in force: job, then container, then default.

Source: developer guide, "Use Your Own Inference Code with Batch Transform" (2023-03): `GET /execution-parameters` is
optional and spells the strategies SINGLE_RECORD and MULTI_RECORD.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from batchcast.engine.limits import DEFAULT_PAYLOAD_IN_MB, MAX_PAYLOAD_IN_MB
from batchcast.engine.server.http_exchange import Connection, NoAnswerError

Strategy = Literal["SingleRecord", "MultiRecord"]

CONTAINER_SPELLING: Mapping[Strategy, str] = {"SingleRecord": "SINGLE_RECORD", "MultiRecord": "MULTI_RECORD"}
_STRATEGIES: Mapping[str, Strategy] = {spelling: strategy for strategy, spelling in CONTAINER_SPELLING.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionParameters:
    """What is in force on one instance. `max_payload_in_mb` 0 means unlimited, sent in chunks."""

    max_concurrent_transforms: int = 1
    max_payload_in_mb: int = DEFAULT_PAYLOAD_IN_MB
    batch_strategy: Strategy = "MultiRecord"

    def __str__(self) -> str:
        """The line with which the service's log begins (amazon-sagemaker-examples issue 1620)."""
        return (
            f"MaxConcurrentTransforms={self.max_concurrent_transforms}, MaxPayloadInMB={self.max_payload_in_mb}, "
            f"BatchStrategy={CONTAINER_SPELLING[self.batch_strategy]}"
        )


def _given(request: Mapping[str, Any]) -> dict[str, Any]:
    """What the job itself says; MaxConcurrentTransforms 0 leaves it to the container, as leaving it out does."""
    given = {
        "max_concurrent_transforms": request.get("MaxConcurrentTransforms") or None,
        "max_payload_in_mb": request.get("MaxPayloadInMB"),
        "batch_strategy": request.get("BatchStrategy"),
    }
    return {name: value for name, value in given.items() if value is not None}


def left_to_container(request: Mapping[str, Any]) -> bool:
    """Whether there is anything to ask the container for."""
    return len(_given(request)) < 3


def parameters_in_force(request: Mapping[str, Any], answered: Mapping[str, Any]) -> ExecutionParameters:
    """The job's values over the container's (as `ask_container` gives them) over the defaults.

    The service publishes no bound for the container's MaxConcurrentTransforms; our pick is the one for the job's own,
    the 100 MB that may be in flight.
    """
    found = ExecutionParameters(**{**answered, **_given(request)})
    most = max(1, MAX_PAYLOAD_IN_MB // max(1, found.max_payload_in_mb))
    if request.get("MaxConcurrentTransforms") or found.max_concurrent_transforms <= most:
        return found
    return replace(found, max_concurrent_transforms=most)


def ask_container(connection: Connection, *, timeout: float) -> tuple[dict[str, Any], list[str]]:
    """The container's usable values, and a log line for each answer or value that is not usable.

    A container without /execution-parameters answers 404, and that is no event. What the service does with a malformed
    answer is not published; our pick is to go on as if the value had not been given.
    """
    try:
        answer = connection.get("/execution-parameters", timeout=timeout)
    except NoAnswerError as error:
        return {}, [f"/execution-parameters gave no answer, so it is not used: {error}"]
    if answer.status == 404:
        return {}, []
    if answer.status != 200:
        return {}, [f"/execution-parameters answered {answer.status}, so it is not used"]
    try:
        content = json.loads(answer.body)
    except ValueError:
        return {}, ["/execution-parameters did not answer JSON, so it is not used"]
    return _usable(content)


def _usable(content: Any) -> tuple[dict[str, Any], list[str]]:
    if not isinstance(content, dict):
        return {}, ["/execution-parameters did not answer a JSON object, so it is not used"]
    read: dict[str, tuple[str, Callable[[Any], Any]]] = {
        "MaxConcurrentTransforms": ("max_concurrent_transforms", lambda value: _whole(value, 1, None)),
        "MaxPayloadInMB": ("max_payload_in_mb", lambda value: _whole(value, 0, MAX_PAYLOAD_IN_MB)),
        "BatchStrategy": ("batch_strategy", lambda value: _STRATEGIES.get(value) if isinstance(value, str) else None),
    }
    usable, notes = {}, []
    for key, (name, understand) in read.items():
        if key in content:
            value = understand(content[key])
            if value is None:
                notes.append(f"/execution-parameters: {key} {content[key]!r} is not usable, so it is not used")
            else:
                usable[name] = value
    return usable, notes


def _whole(value: Any, minimum: int, maximum: int | None) -> int | None:
    fits = isinstance(value, int) and not isinstance(value, bool) and value >= minimum
    return value if fits and (maximum is None or value <= maximum) else None
