"""CreateTransformJob: the service's checks of its request, and what the engine refuses of it.

Rules that the documentation states in prose let values pass that are not known yet. Sources: API reference,
CreateTransformJob (botocore 1.44.8); developer guide, "Associate Prediction Results with Input Records", read 2023-03.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from batchcast.engine.errors import ServiceException, not_emulated
from batchcast.engine.limits import DEFAULT_PAYLOAD_IN_MB, MAX_PAYLOAD_IN_MB, has_local_storage
from batchcast.engine.requests.request_check import (
    check_request,
    get_path,
    is_expression,
    refuse_as_service,
    refuse_keys,
)
from batchcast.engine.state import ACCOUNT
from batchcast.engine.transform.data.data_processing import CSV, FILTERED_TYPES, media_type
from batchcast.engine.transform.data.json_path import JsonPath, PathError, parse_json_path
from batchcast.engine.transform.data.packing import check_input
from batchcast.steps.errors import Problem
from batchcast.steps.store.objects import ObjectStore


def check_transform_request(
    request: Mapping[str, Any],
    *,
    store: ObjectStore,
    model: Mapping[str, Any] | None,
    region: str = "us-east-1",
) -> None:
    """What CreateTransformJob checks before it answers; `model` is the DescribeModel response, None if there is none.

    Raises ServiceException as the service would, and NotEmulatedError for what only the engine refuses. That the job's
    name is free is checked where jobs are kept, when it is taken.
    Lists the input in `store`, because the service does (it lists with the model's execution role).
    """
    check_request("CreateTransformJob", request)
    refuse_as_service(transform_problems(request))
    _check_volume_key(request["TransformResources"])
    _check_model(request["ModelName"], model, arn=f"arn:aws:sagemaker:{region}:{ACCOUNT}")
    _check_emulated(request)
    refuse_keys(store, {"TransformOutput.S3OutputPath": request["TransformOutput"]["S3OutputPath"]})
    role = str((model or {}).get("ExecutionRoleArn", f"arn:aws:iam::{ACCOUNT}:role/batchcast"))
    check_input(request["TransformInput"]["DataSource"]["S3DataSource"], store, region=region, role=role)


def _check_volume_key(resources: Mapping[str, Any]) -> None:
    kind = resources["InstanceType"]
    if "VolumeKmsKeyId" in resources and has_local_storage(kind):
        # The service's words (seen in kubeflow/pipelines pull request 8335).
        raise ServiceException(
            "ValidationException",
            f"VolumeKmsKeyId is not supported for instance type: {kind}. KMS volume encryption is not supported for "
            "local NVMe instance storage. Please remove VolumeKmsKeyId in the request or choose a different instance "
            "type.",
        )


def _check_model(name: str, model: Mapping[str, Any] | None, *, arn: str) -> None:
    if model is None:
        raise ServiceException("ValidationException", f'Could not find model "{arn}:model/{name}".')
    containers = [model.get("PrimaryContainer", {}), *model.get("Containers", [])]
    if any("ModelDataSource" in container for container in containers):
        # The service's words (seen in sagemaker-python-sdk issues 4777 and 5160).
        raise ServiceException(
            "ValidationException",
            "SageMaker Batch currently doesn't support Model entity with container definitions which use "
            "ModelDataSource",
        )


def _check_emulated(request: Mapping[str, Any]) -> None:
    split = request["TransformInput"].get("SplitType", "None")
    if split in ("RecordIO", "TFRecord"):
        what = f"{split} framing is not emulated locally."
        raise not_emulated(what, where="TransformInput.SplitType", remedy="Use Line or None.")
    for where in ("TransformInput.DataSource.S3DataSource.S3Uri", "TransformOutput.S3OutputPath"):
        uri = get_path(request, *where.split("."))
        if not uri.startswith("s3://"):
            raise not_emulated(f"{uri!r}: only s3:// URIs are emulated.", where=where, remedy="Write s3://bucket/key.")


_DATA_PROCESSING = "DataProcessing"


def transform_problems(request: Mapping[str, Any]) -> Iterator[Problem]:
    """Everything that these rules find in a request whose members have the service model's types."""
    concurrency = request.get("MaxConcurrentTransforms")
    payload = request.get("MaxPayloadInMB", DEFAULT_PAYLOAD_IN_MB)
    # The product rule is stated for an explicit concurrency only; a payload above the maximum is told as that.
    if isinstance(concurrency, int) and concurrency and isinstance(payload, int) and 0 < payload <= MAX_PAYLOAD_IN_MB:
        yield from payload_in_flight(concurrency, payload)
    for what, remedy in _data_processing(request):
        yield Problem("data_processing", what, _DATA_PROCESSING, remedy)


def payload_in_flight(requests: str | int, megabytes: str | int) -> Iterator[Problem]:
    count, size = int(requests), int(megabytes)
    if count * size > MAX_PAYLOAD_IN_MB:
        what = f"{count} requests x {size} MB = {count * size} MB in flight; SageMaker allows {MAX_PAYLOAD_IN_MB} MB."
        remedy = f"Use at most {MAX_PAYLOAD_IN_MB // size} requests or {MAX_PAYLOAD_IN_MB // count} MB."
        yield Problem("payload_in_flight", what, "MaxConcurrentTransforms", remedy)


def _data_processing(request: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What cannot be, and what to do instead."""
    processing = get_path(request, _DATA_PROCESSING)
    if not isinstance(processing, Mapping):
        return
    content = get_path(request, "TransformInput", "ContentType", default="")
    accept = get_path(request, "TransformOutput", "Accept", default="")
    csv = isinstance(content, str) and media_type(content) == CSV
    paths: list[JsonPath] = []
    for name in ("InputFilter", "OutputFilter"):
        text = processing.get(name, "$")
        try:
            paths += [parse_json_path(text, end_inclusive=csv)] if isinstance(text, str) else []
        except PathError as error:
            yield f"{name}: {error}.", "Use $, .name, ['a','b'], [0], [0,2], [0:2] or *."
    if get_path(processing, "JoinSource", default="None") == "None" and all(each.selects_all for each in paths):
        return
    yield from _formats(content, accept)
    split = get_path(request, "TransformInput", "SplitType", default="None")
    assemble = get_path(request, "TransformOutput", "AssembleWith", default="None")
    yield from _framing(split, assemble, csv=csv)
    if csv and not all(each.by_index_only for each in paths):
        yield "for text/csv a filter can select by index only.", "Use an index or a range, e.g. $[0] or $[1:]."


def _formats(content: Any, accept: Any) -> Iterator[tuple[str, str]]:
    if is_expression(content) or is_expression(accept):
        return
    if media_type(str(content)) != media_type(str(accept)):
        what = f"ContentType {content or 'unset'} and Accept {accept or 'unset'} differ."
        yield what, "A join or filter needs the same type in and out."
    elif media_type(str(content)) not in FILTERED_TYPES:
        what = f"a join or filter cannot read {content or 'records of no declared type'}."
        yield what, f"Use one of {', '.join(FILTERED_TYPES)}."


def _framing(split: Any, assemble: Any, *, csv: bool) -> Iterator[tuple[str, str]]:
    if is_expression(split) or is_expression(assemble):
        return
    if split != assemble:
        yield f"SplitType {split} and AssembleWith {assemble} differ.", "A join or filter needs both to be the same."
    elif csv and split != "Line":
        what = f"SplitType {split}: a join or filter of text/csv works on lines."
        yield what, "Set SplitType and AssembleWith to Line."
