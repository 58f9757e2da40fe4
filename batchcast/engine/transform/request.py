"""CreateTransformJob: the service's checks of its request, and what the engine refuses of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batchcast.engine.errors import ServiceException, not_emulated
from batchcast.engine.requests.refusal import refuse_keys
from batchcast.engine.requests.request_check import check_request, refuse_as_service
from batchcast.engine.requests.storage import has_local_storage
from batchcast.engine.transform.data.input import check_input
from batchcast.engine.transform.rules import transform_problems
from batchcast.steps.store.objects import ObjectStore

DESCRIBED_ONLY = frozenset(
    {
        "ExperimentConfig",
        "Tags",
        "TransformOutput.KmsKeyId",
        "TransformResources.InstanceType",
        "TransformResources.TransformAmiVersion",
        "TransformResources.VolumeKmsKeyId",
    }
)
"""Checked and given back by DescribeTransformJob; on a laptop there is nothing they could act on."""

REFUSED = frozenset({"DataCaptureConfig"})
"""Members the engine refuses whole, by name."""


def check_transform_request(
    request: Mapping[str, Any],
    *,
    store: ObjectStore,
    model: Mapping[str, Any] | None,
    region: str = "us-east-1",
    account: str = "000000000000",
) -> None:
    """What CreateTransformJob checks before it answers; `model` is the DescribeModel response, None if there is none.

    Raises ServiceException as the service would, and NotEmulatedError for what only the engine refuses. That the job's
    name is free is checked where jobs are kept, when it is taken.
    Lists the input in `store`, because the service does (it lists with the model's execution role).
    """
    check_request("CreateTransformJob", request)
    _check_rules(request)
    _check_model(request["ModelName"], model, arn=f"arn:aws:sagemaker:{region}:{account}")
    _check_emulated(request)
    refuse_keys(store, {"TransformOutput.S3OutputPath": request["TransformOutput"]["S3OutputPath"]})
    role = str((model or {}).get("ExecutionRoleArn", f"arn:aws:iam::{account}:role/batchcast"))
    check_input(request["TransformInput"]["DataSource"]["S3DataSource"], store, region=region, role=role)


def _check_rules(request: Mapping[str, Any]) -> None:
    refuse_as_service(transform_problems(request))
    _check_volume_key(request["TransformResources"])


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
    for name in sorted(REFUSED & request.keys()):
        raise not_emulated(f"{name} is not emulated locally.", where=name, remedy="Leave it out of a local run.")
    split = request["TransformInput"].get("SplitType", "None")
    if split in ("RecordIO", "TFRecord"):
        what = f"{split} framing is not emulated locally."
        raise not_emulated(what, where="TransformInput.SplitType", remedy="Use Line or None.")
    locations = {
        "TransformInput.DataSource.S3DataSource.S3Uri": request["TransformInput"]["DataSource"]["S3DataSource"][
            "S3Uri"
        ],
        "TransformOutput.S3OutputPath": request["TransformOutput"]["S3OutputPath"],
    }
    for where, uri in locations.items():
        if not uri.startswith("s3://"):
            raise not_emulated(f"{uri!r}: only s3:// URIs are emulated.", where=where, remedy="Write s3://bucket/key.")
