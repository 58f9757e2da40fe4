"""CreateProcessingJob: its request and the service's checks of it.

Names and limits are those of the service model (botocore 1.44.8, `CreateProcessingJobRequest`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from batchcast.engine.errors import ServiceException
from batchcast.engine.requests.common_shapes import (
    EXPERIMENT_CONFIG,
    JOB_NAME,
    KMS_KEY,
    ROLE_ARN,
    S3_URI,
    TAGS,
    VPC_CONFIG,
    environment,
    instance_types,
)
from batchcast.engine.requests.refusal import refuse, refused_members, values_at
from batchcast.engine.requests.request_shape import Choice, Flag, ListOf, Structure, Text, Whole, check_shape
from batchcast.steps.errors import Problem

__all__ = ["CREATE_PROCESSING_JOB", "DESCRIBED_ONLY", "PROCESSING_PREFIX", "REFUSED", "check_processing_request"]

PROCESSING_PREFIX = "/opt/ml/processing/"

_INSTANCE_TYPE = instance_types(
    {
        "t3": "medium large xlarge 2xlarge",
        "m4": "xlarge 2xlarge 4xlarge 10xlarge 16xlarge",
        "c4": "xlarge 2xlarge 4xlarge 8xlarge",
        "p2": "xlarge 8xlarge 16xlarge",
        "p3": "2xlarge 8xlarge 16xlarge",
        "p5": "4xlarge",
        "c5": "xlarge 2xlarge 4xlarge 9xlarge 18xlarge",
        "m5": "large xlarge 2xlarge 4xlarge 12xlarge 24xlarge",
        **dict.fromkeys(("r5", "r5d"), "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge"),
        "g4dn": "xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge",
        **dict.fromkeys(("g5", "g6", "g6e"), "xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge"),
        **dict.fromkeys(("g7", "g7e"), "2xlarge 4xlarge 8xlarge 12xlarge 24xlarge 48xlarge"),
        **dict.fromkeys(("m6i", "r6i"), "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge"),
        "c6i": "xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge",
        **dict.fromkeys(
            ("m7i", "c7i", "r7i"), "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge"
        ),
        **dict.fromkeys(
            ("m8i", "r8i"), "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge 48xlarge 96xlarge"
        ),
        "c8i": "xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge 48xlarge 96xlarge",
        **dict.fromkeys(("m7i-flex", "m8i-flex", "r8i-flex"), "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge"),
        **dict.fromkeys(("c7i-flex", "c8i-flex"), "xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge"),
    }
)
_LOCAL_PATH = Text(maximum=256, pattern=".*")
_WORD = Text(maximum=256, pattern=".*")
_COMMAND = ListOf(member=_WORD, minimum=1, maximum=100)

_INPUT = Structure(
    {
        "InputName": Text(),
        "AppManaged": Flag(),
        "S3Input": Structure(
            {
                "S3Uri": S3_URI,
                "LocalPath": _LOCAL_PATH,
                "S3DataType": Choice(("ManifestFile", "S3Prefix")),
                "S3InputMode": Choice(("Pipe", "File")),
                "S3DataDistributionType": Choice(("FullyReplicated", "ShardedByS3Key")),
                "S3CompressionType": Choice(("None", "Gzip")),
            },
            required=("S3Uri", "S3DataType"),
        ),
    },
    required=("InputName",),
)
_OUTPUT = Structure(
    {
        "OutputName": Text(),
        "AppManaged": Flag(),
        "S3Output": Structure(
            {"S3Uri": S3_URI, "LocalPath": _LOCAL_PATH, "S3UploadMode": Choice(("Continuous", "EndOfJob"))},
            required=("S3Uri", "S3UploadMode"),
        ),
    },
    required=("OutputName",),
)

CREATE_PROCESSING_JOB = Structure(
    {
        "ProcessingJobName": JOB_NAME,
        "ProcessingInputs": ListOf(member=_INPUT, maximum=10),
        "ProcessingOutputConfig": Structure(
            {"Outputs": ListOf(member=_OUTPUT, maximum=10), "KmsKeyId": KMS_KEY}, required=("Outputs",)
        ),
        "ProcessingResources": Structure(
            {
                "ClusterConfig": Structure(
                    {
                        "InstanceCount": Whole(minimum=1, maximum=100),
                        "InstanceType": _INSTANCE_TYPE,
                        "VolumeSizeInGB": Whole(minimum=1, maximum=16384),
                        "VolumeKmsKeyId": KMS_KEY,
                    },
                    required=("VolumeSizeInGB",),
                )
            },
            required=("ClusterConfig",),
        ),
        "StoppingCondition": Structure(
            {"MaxRuntimeInSeconds": Whole(minimum=1, maximum=777600)}, required=("MaxRuntimeInSeconds",)
        ),
        "AppSpecification": Structure(
            {
                "ImageUri": Text(maximum=255, pattern=".*"),
                "ContainerEntrypoint": _COMMAND,
                "ContainerArguments": _COMMAND,
            },
            required=("ImageUri",),
        ),
        "Environment": environment(entries=100, key_length=256, value_length=256),
        "NetworkConfig": Structure(
            {
                "EnableInterContainerTrafficEncryption": Flag(),
                "EnableNetworkIsolation": Flag(),
                "VpcConfig": VPC_CONFIG,
            }
        ),
        "RoleArn": ROLE_ARN,
        "Tags": TAGS,
        "ExperimentConfig": EXPERIMENT_CONFIG,
    },
    required=("ProcessingJobName", "ProcessingResources", "AppSpecification", "RoleArn"),
)

DESCRIBED_ONLY = frozenset(
    {
        "AppSpecification.ImageUri",
        "ExperimentConfig",
        "NetworkConfig",
        "ProcessingOutputConfig.KmsKeyId",
        "ProcessingResources.ClusterConfig.InstanceType",
        "ProcessingResources.ClusterConfig.VolumeKmsKeyId",
        "ProcessingResources.ClusterConfig.VolumeSizeInGB",
        "RoleArn",
        "Tags",
    }
)
"""Checked and given back by DescribeProcessingJob; on a laptop there is nothing they could act on."""

REFUSED: Mapping[str, str] = {
    "ProcessingInputs[].DatasetDefinition": "Query Athena or Redshift beforehand and pass the objects as an S3Input.",
    "ProcessingOutputConfig.Outputs[].FeatureStoreOutput": "Write the output to S3 and ingest it from there.",
    "ProcessingResources.ClusterConfig.InstancePreferences": "Give InstanceType and InstanceCount.",
    "ProcessingResources.ClusterConfig.SelectedInstanceCount": "It belongs to the answer, not to the request.",
    "ProcessingResources.ClusterConfig.SelectedInstanceType": "It belongs to the answer, not to the request.",
}
"""Members the engine refuses whole, and what to do instead."""


def check_processing_request(request: Mapping[str, Any]) -> None:
    """What CreateProcessingJob checks before it answers, and what only this engine refuses.

    Raises ServiceException as the service would, and NotEmulatedError with every member that is not emulated.
    """
    refuse(refused_members(REFUSED, request))
    check_shape(CREATE_PROCESSING_JOB, request)
    _check_rules(request)
    refuse(_refused_values(request))


def _refused_values(request: Mapping[str, Any]) -> Iterator[Problem]:
    for path, value, remedy in (
        ("ProcessingInputs[].AppManaged", True, "Give LocalPath."),
        ("ProcessingInputs[].S3Input.S3InputMode", "Pipe", "Use File."),
        (
            "ProcessingInputs[].S3Input.S3CompressionType",
            "Gzip",
            "It needs Pipe mode: use None and unpack in the step.",
        ),
        ("ProcessingOutputConfig.Outputs[].AppManaged", True, "Give LocalPath."),
        ("ProcessingOutputConfig.Outputs[].S3Output.S3UploadMode", "Continuous", "Use EndOfJob."),
    ):
        if any(found == value for found in values_at(request, path)):
            yield Problem("not_emulated", f"{value} is not emulated locally.", where=path, remedy=remedy)
    if "ContainerEntrypoint" not in request["AppSpecification"]:
        what = "an image's own entrypoint cannot run without Docker."
        remedy = "Give the command, e.g. python3 and a script."
        yield Problem("not_emulated", what, where="AppSpecification.ContainerEntrypoint", remedy=remedy)


def _check_rules(request: Mapping[str, Any]) -> None:
    places = {
        "ProcessingInputs": [(each["InputName"], each.get("S3Input")) for each in request.get("ProcessingInputs", [])],
        "Outputs": [(each["OutputName"], each.get("S3Output")) for each in _outputs(request)],
    }
    broken = []
    for kind, named in places.items():
        names = [name for name, _ in named]
        broken += [f"{kind} has the name {name} twice" for name in sorted({n for n in names if names.count(n) > 1})]
        for name, body in named:
            path = (body or {}).get("LocalPath", "")
            if body is None:
                broken.append(f"{kind} {name} has no S3 location")
            elif not f"{path}/".startswith(PROCESSING_PREFIX) or ".." in path.split("/"):
                broken.append(f"LocalPath {path!r} of {name} must begin with {PROCESSING_PREFIX}")
            elif not body["S3Uri"].startswith("s3://"):
                broken.append(f"S3Uri {body['S3Uri']} of {name} must be an s3:// URI")
    if broken:
        raise ServiceException("ValidationException", "; ".join(broken))


def _outputs(request: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    outputs: list[Mapping[str, Any]] = request.get("ProcessingOutputConfig", {}).get("Outputs", [])
    return outputs
