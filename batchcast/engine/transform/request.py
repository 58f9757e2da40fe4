"""CreateTransformJob: its request and the service's checks of it.

Names and limits are those of the service model (botocore 1.44.8, `CreateTransformJobRequest`) where it states them;
limits it only states in prose (100 instances, 100 MB) are marked where they are used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batchcast.engine.errors import ServiceException, not_emulated
from batchcast.engine.requests.common_shapes import (
    EXPERIMENT_CONFIG,
    JOB_NAME,
    KMS_KEY,
    MODEL_NAME,
    S3_URI,
    TAGS,
    environment,
    instance_types,
)
from batchcast.engine.requests.request_shape import Choice, Flag, Structure, Text, Whole, check_shape
from batchcast.engine.transform.data.data_processing import check_data_processing
from batchcast.engine.transform.data.input import check_input
from batchcast.steps.store.objects import ObjectStore

__all__ = [
    "CREATE_TRANSFORM_JOB",
    "DEFAULT_PAYLOAD_IN_MB",
    "DESCRIBED_ONLY",
    "MAX_PAYLOAD_IN_MB",
    "REFUSED",
    "check_transform_request",
]

MAX_PAYLOAD_IN_MB = 100
MAX_INSTANCE_COUNT = 100
DEFAULT_PAYLOAD_IN_MB = 6

_SIZES_BY_FAMILY: Mapping[str, str] = {
    "m4": "xlarge 2xlarge 4xlarge 10xlarge 16xlarge",
    "c4": "xlarge 2xlarge 4xlarge 8xlarge",
    "p2": "xlarge 8xlarge 16xlarge",
    "p3": "2xlarge 8xlarge 16xlarge",
    "c5": "xlarge 2xlarge 4xlarge 9xlarge 18xlarge",
    "m5": "large xlarge 2xlarge 4xlarge 12xlarge 24xlarge",
    "m6i": "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge",
    "c6i": "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge",
    "r6i": "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge",
    "m7i": "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge",
    "c7i": "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge",
    "r7i": "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge",
    "g4dn": "xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge",
    "g5": "xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge",
    "trn1": "2xlarge 32xlarge",
    "inf2": "xlarge 8xlarge 24xlarge 48xlarge",
    "g6": "xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge",
    "g6e": "xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge",
}
# Local NVMe disks take no customer's key (API reference, TransformResources; SDK 3.27 lists the families).
_NO_VOLUME_KEY = frozenset({"g4dn", "g5", "g6", "g6e", "trn1"})

_MEDIA_TYPE = Text(maximum=256, pattern=".*")
_JSON_PATH = Text(maximum=63)

CREATE_TRANSFORM_JOB = Structure(
    {
        "TransformJobName": JOB_NAME,
        "ModelName": MODEL_NAME,
        "MaxConcurrentTransforms": Whole(minimum=0),
        "ModelClientConfig": Structure(
            {
                "InvocationsTimeoutInSeconds": Whole(minimum=1, maximum=3600),
                "InvocationsMaxRetries": Whole(minimum=0, maximum=3),
            }
        ),
        "MaxPayloadInMB": Whole(minimum=0, maximum=MAX_PAYLOAD_IN_MB),  # the maximum: prose of the API reference
        "BatchStrategy": Choice(("MultiRecord", "SingleRecord")),
        "Environment": environment(entries=16, key_length=1024, value_length=10240),
        "TransformInput": Structure(
            {
                "DataSource": Structure(
                    {
                        "S3DataSource": Structure(
                            {
                                "S3DataType": Choice(("ManifestFile", "S3Prefix", "AugmentedManifestFile", "Converse")),
                                "S3Uri": S3_URI,
                            },
                            required=("S3DataType", "S3Uri"),
                        )
                    },
                    required=("S3DataSource",),
                ),
                "ContentType": _MEDIA_TYPE,
                "CompressionType": Choice(("None", "Gzip")),
                "SplitType": Choice(("None", "Line", "RecordIO", "TFRecord")),
            },
            required=("DataSource",),
        ),
        "TransformOutput": Structure(
            {
                "S3OutputPath": S3_URI,
                "Accept": _MEDIA_TYPE,
                "AssembleWith": Choice(("None", "Line")),
                "KmsKeyId": KMS_KEY,
            },
            required=("S3OutputPath",),
        ),
        "DataCaptureConfig": Structure(
            {"DestinationS3Uri": S3_URI, "KmsKeyId": KMS_KEY, "GenerateInferenceId": Flag()},
            required=("DestinationS3Uri",),
        ),
        "TransformResources": Structure(
            {
                "InstanceType": instance_types(_SIZES_BY_FAMILY),
                "InstanceCount": Whole(minimum=1, maximum=MAX_INSTANCE_COUNT),  # the maximum: prose, as above
                "VolumeKmsKeyId": KMS_KEY,
                "TransformAmiVersion": Text(minimum=1, maximum=63, pattern="[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*"),
            },
            required=("InstanceType", "InstanceCount"),
        ),
        "DataProcessing": Structure(
            {"InputFilter": _JSON_PATH, "OutputFilter": _JSON_PATH, "JoinSource": Choice(("Input", "None"))}
        ),
        "Tags": TAGS,
        "ExperimentConfig": EXPERIMENT_CONFIG,
    },
    required=("TransformJobName", "ModelName", "TransformInput", "TransformOutput", "TransformResources"),
)

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
    check_shape(CREATE_TRANSFORM_JOB, request)
    _check_rules(request)
    _check_model(request["ModelName"], model, arn=f"arn:aws:sagemaker:{region}:{account}")
    _check_emulated(request)
    role = str((model or {}).get("ExecutionRoleArn", f"arn:aws:iam::{account}:role/batchcast"))
    check_input(request["TransformInput"]["DataSource"]["S3DataSource"], store, region=region, role=role)


def _check_rules(request: Mapping[str, Any]) -> None:
    concurrency = request.get("MaxConcurrentTransforms")
    payload = request.get("MaxPayloadInMB", DEFAULT_PAYLOAD_IN_MB)
    # The product rule is stated for an explicit concurrency only (API reference, MaxPayloadInMB).
    if concurrency and concurrency * payload > MAX_PAYLOAD_IN_MB:
        raise ServiceException(
            "ValidationException",
            f"MaxConcurrentTransforms ({concurrency}) times MaxPayloadInMB ({payload}) is {concurrency * payload} MB: "
            f"it cannot exceed {MAX_PAYLOAD_IN_MB} MB.",
        )
    _check_volume_key(request["TransformResources"])
    check_data_processing(request)


def _check_volume_key(resources: Mapping[str, Any]) -> None:
    kind = resources["InstanceType"]
    if "VolumeKmsKeyId" in resources and kind.split(".")[1] in _NO_VOLUME_KEY:
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
