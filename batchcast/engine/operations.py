"""The operations of the engine, and the members of their requests that it refuses whole."""

from __future__ import annotations

from collections.abc import Mapping

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
    "AddTags",
    "DeleteTags",
    "ListTags",
)

_VERSIONS = "Local pipelines have one version, the latest."
_PLAIN_CONTAINER = "Give Image, ModelDataUrl and Environment."
_REFUSED_OF_A_CONTAINER: Mapping[str, str] = {
    "Mode": "A batch transform job runs a single model; leave it out.",
    **dict.fromkeys(
        (
            "ImageConfig",
            "AdditionalModelDataSources",
            "ModelPackageName",
            "InferenceSpecificationName",
            "MultiModelConfig",
            "ContainerMetricsConfig",
            "ModelDataSource.S3DataSource.ModelAccessConfig",
            "ModelDataSource.S3DataSource.HubAccessConfig",
            "ModelDataSource.S3DataSource.ManifestS3Uri",
            "ModelDataSource.S3DataSource.ETag",
            "ModelDataSource.S3DataSource.ManifestEtag",
        ),
        _PLAIN_CONTAINER,
    ),
}

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
        "InferenceExecutionConfig": "Give one container.",
        **{
            f"{container}.{member}": remedy
            for container in ("PrimaryContainer", "Containers[]")
            for member, remedy in _REFUSED_OF_A_CONTAINER.items()
        },
    },
}
"""Members of each operation that the engine refuses whole, and what to do instead."""
