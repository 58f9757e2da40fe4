"""A checked CreateTransformJob request as the engine works with it: defaults filled in, texts parsed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from batchcast.engine.limits import BYTES_PER_MB, DEFAULT_INVOCATION_TIMEOUT_SECONDS
from batchcast.engine.server.model_server import START_DEADLINE_SECONDS
from batchcast.engine.transform.data.data_processing import DataProcessing, data_processing
from batchcast.engine.transform.data.packing import Packing
from batchcast.engine.transform.execution_parameters import CONTAINER_SPELLING, ExecutionParameters

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

    job_name: str
    request: Mapping[str, Any]
    split: Literal["None", "Line"]
    assemble: Literal["None", "Line"]
    compression: Literal["None", "Gzip"]
    headers: Mapping[str, str]
    timeout: float
    max_retries: int
    instance_count: int
    environment: Mapping[str, str]
    processing: DataProcessing | None

    def packing(self, parameters: ExecutionParameters, options: TransformOptions) -> Packing:
        """How records become requests under the parameters in force on an instance."""
        return Packing(
            split=self.split,
            compression=self.compression,
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
        job_name=request["TransformJobName"],
        request=request,
        split=source.get("SplitType", "None"),
        assemble=target.get("AssembleWith", "None"),
        compression=source.get("CompressionType", "None"),
        headers={name: value for name, value in headers.items() if value},
        timeout=client.get("InvocationsTimeoutInSeconds", DEFAULT_INVOCATION_TIMEOUT_SECONDS),
        max_retries=client.get("InvocationsMaxRetries", DEFAULT_MAX_RETRIES),
        instance_count=request["TransformResources"]["InstanceCount"],
        environment={**_contract_environment(request), **request.get("Environment", {})},
        processing=data_processing(request),
    )


def _contract_environment(request: Mapping[str, Any]) -> dict[str, str]:
    """SAGEMAKER_BATCH always, the others only where the job says (developer guide, container contract, 2023-03)."""
    environment = {"SAGEMAKER_BATCH": "true"}
    if "MaxPayloadInMB" in request:
        environment["SAGEMAKER_MAX_PAYLOAD_IN_MB"] = str(request["MaxPayloadInMB"])
    if "BatchStrategy" in request:
        environment["SAGEMAKER_BATCH_STRATEGY"] = CONTAINER_SPELLING[request["BatchStrategy"]]
    if request.get("MaxConcurrentTransforms"):
        environment["SAGEMAKER_MAX_CONCURRENT_TRANSFORMS"] = str(request["MaxConcurrentTransforms"])
    return environment
