"""A checked CreateTransformJob request as the engine works with it: defaults filled in, texts parsed.

Three parameters a job may leave to its container: in force is what the job says, then the container, then the default.
Source: developer guide, "Use Your Own Inference Code with Batch Transform" (2023-03): `GET /execution-parameters` is
optional and spells the strategies SINGLE_RECORD and MULTI_RECORD.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from batchcast.engine.limits import (
    BYTES_PER_MB,
    DEFAULT_INVOCATION_TIMEOUT_SECONDS,
    DEFAULT_PAYLOAD_IN_MB,
    MAX_PAYLOAD_IN_MB,
)
from batchcast.engine.server.http_exchange import Connection, NoAnswerError
from batchcast.engine.server.model_server import START_DEADLINE_SECONDS
from batchcast.engine.transform.data.data_processing import DataProcessing, data_processing
from batchcast.engine.transform.data.packing import Packing

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
    values = {key: understand(content[key]) for key, (_, understand) in read.items() if key in content}
    usable = {read[key][0]: value for key, value in values.items() if value is not None}
    wrong = (f"{key} {content[key]!r}" for key, value in values.items() if value is None)
    return usable, [f"/execution-parameters: {each} is not usable, so it is not used" for each in wrong]


def _whole(value: Any, minimum: int, maximum: int | None) -> int | None:
    fits = isinstance(value, int) and not isinstance(value, bool) and value >= minimum
    return value if fits and (maximum is None or value <= maximum) else None


# API reference, ModelClientConfig. The CDK documents other defaults (60 s, no retry); the API decides.
DEFAULT_MAX_RETRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformOptions:
    """What the engine lets you choose beside the request.

    `time_scale` scales every time limit of the service (1/1000 makes its 30 minutes of patience 1.8 s).
    `start_seconds` is how long a container may take to answer its first ping; the service waits about half an hour.
    `resume` sends no object whose `.out` is there already: for a job that was interrupted, never for a new one.
    The rest are switches for what AWS does not publish; the defaults are our picks (docs/reference/fidelity.md).
    """

    time_scale: float = 1.0
    start_seconds: float = START_DEADLINE_SECONDS
    resume: bool = False
    retry_client_errors: bool = False
    retry_too_many_requests: bool = False
    keep_newline: bool = False
    reject_blank_lines: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformPlan:
    """One job. `timeout` is in seconds; `environment` is the job's and the container contract's."""

    request: Mapping[str, Any]
    assemble: Literal["None", "Line"]
    headers: Mapping[str, str]
    timeout: float
    max_retries: int
    environment: Mapping[str, str]
    processing: DataProcessing | None

    def packing(self, parameters: ExecutionParameters, options: TransformOptions) -> Packing:
        source = self.request["TransformInput"]
        return Packing(
            split=source.get("SplitType", "None"),
            compression=source.get("CompressionType", "None"),
            strategy=parameters.batch_strategy,
            limit=parameters.max_payload_in_mb * BYTES_PER_MB or None,
            processing=self.processing,
            keep_newline=options.keep_newline,
            reject_blank_lines=options.reject_blank_lines,
        )


def transform_plan(request: Mapping[str, Any]) -> TransformPlan:
    """The plan of a request that passed `check_transform_request`."""
    source, target = request["TransformInput"], request["TransformOutput"]
    client = request.get("ModelClientConfig", {})
    # Unset, the header is left out: whether the service then sends */* is not published.
    headers = {"Content-Type": source.get("ContentType"), "Accept": target.get("Accept")}
    return TransformPlan(
        request=request,
        assemble=target.get("AssembleWith", "None"),
        headers={name: value for name, value in headers.items() if value},
        timeout=client.get("InvocationsTimeoutInSeconds", DEFAULT_INVOCATION_TIMEOUT_SECONDS),
        max_retries=client.get("InvocationsMaxRetries", DEFAULT_MAX_RETRIES),
        environment={**_contract_environment(request), **request.get("Environment", {})},
        processing=data_processing(request),
    )


def _contract_environment(request: Mapping[str, Any]) -> dict[str, str]:
    """SAGEMAKER_BATCH always, the others only where the job says (developer guide, container contract, 2023-03)."""
    strategy = request.get("BatchStrategy")
    environment = {
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": request.get("MaxPayloadInMB"),
        "SAGEMAKER_BATCH_STRATEGY": strategy and CONTAINER_SPELLING[strategy],
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": request.get("MaxConcurrentTransforms") or None,
    }
    return {name: str(value) for name, value in environment.items() if value is not None}
