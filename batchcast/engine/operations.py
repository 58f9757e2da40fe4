"""The operations of the engine, and the members of their requests that it refuses whole."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["OPERATIONS", "REFUSED"]

OPERATIONS = (
    "CreatePipeline",
    "UpdatePipeline",
    "DescribePipeline",
    "DeletePipeline",
    "ListPipelines",
    "StartPipelineExecution",
    "DescribePipelineExecution",
    "ListPipelineExecutions",
    "StopPipelineExecution",
    "RetryPipelineExecution",
    "DescribePipelineDefinitionForExecution",
    "ListPipelineExecutionSteps",
    "ListPipelineParametersForExecution",
    "CreateModel",
    "DescribeModel",
    "DeleteModel",
    "ListModels",
    "CreateTransformJob",
    "DescribeTransformJob",
    "StopTransformJob",
    "ListTransformJobs",
    "CreateProcessingJob",
    "DescribeProcessingJob",
    "StopProcessingJob",
    "ListProcessingJobs",
)

_VERSIONS = "Local pipelines have one version, the latest."
_ONE_CONTAINER = "Give one container as PrimaryContainer."
_PLAIN_CONTAINER = "Give Image, ModelDataUrl and Environment."
_SOURCE = "PrimaryContainer.ModelDataSource.S3DataSource"

REFUSED: Mapping[str, Mapping[str, str]] = {
    "CreatePipeline": {
        "PipelineVersionAliases": _VERSIONS,
        "PipelineDefinitionS3Location.VersionId": "Objects of a local store have one version: leave it out.",
    },
    "UpdatePipeline": {
        "PipelineVersionAliases": _VERSIONS,
        "PipelineDefinitionS3Location.VersionId": "Objects of a local store have one version: leave it out.",
    },
    "DescribePipeline": {"PipelineVersionId": _VERSIONS, "PipelineVersionAlias": _VERSIONS},
    "ListPipelines": {"ManagedBy": "Every local pipeline is the customer's."},
    "StartPipelineExecution": {
        "PipelineVersionId": _VERSIONS,
        "PipelineVersionAlias": _VERSIONS,
        "MlflowExperimentName": "There is no MLflow here.",
        "RoleArn": "Only executions of pipelines that AWS manages take a role; set it on the pipeline.",
    },
    "ListPipelineExecutions": {"PipelineVersionAlias": _VERSIONS},
    "CreateModel": {
        "Containers": _ONE_CONTAINER,
        "InferenceExecutionConfig": _ONE_CONTAINER,
        "PrimaryContainer.Mode": "A batch transform job runs a single model; leave it out.",
        "PrimaryContainer.ImageConfig": _PLAIN_CONTAINER,
        "PrimaryContainer.AdditionalModelDataSources": _PLAIN_CONTAINER,
        "PrimaryContainer.ModelPackageName": _PLAIN_CONTAINER,
        "PrimaryContainer.InferenceSpecificationName": _PLAIN_CONTAINER,
        "PrimaryContainer.MultiModelConfig": _PLAIN_CONTAINER,
        "PrimaryContainer.ContainerMetricsConfig": _PLAIN_CONTAINER,
        f"{_SOURCE}.ModelAccessConfig": _PLAIN_CONTAINER,
        f"{_SOURCE}.HubAccessConfig": _PLAIN_CONTAINER,
        f"{_SOURCE}.ManifestS3Uri": _PLAIN_CONTAINER,
        f"{_SOURCE}.ETag": _PLAIN_CONTAINER,
        f"{_SOURCE}.ManifestEtag": _PLAIN_CONTAINER,
    },
}
"""Members of each operation that the engine refuses whole, and what to do instead."""
