"""CreateProcessingJob: the service's checks of its request, and what the engine refuses of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from batchcast.engine.processing.rules import processing_problems
from batchcast.engine.requests.members import values_at
from batchcast.engine.requests.refusal import refuse, refused_members
from batchcast.engine.requests.request_check import check_request, refuse_as_service
from batchcast.steps.errors import Problem

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
    check_request("CreateProcessingJob", request)
    refuse_as_service(processing_problems(request))
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
