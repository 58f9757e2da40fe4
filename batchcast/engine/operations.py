"""The input of every operation but CreateTransformJob and CreateProcessingJob, with the service model's limits.

Source: botocore 1.44.8, `sagemaker`. `ClientRequestToken` is required by the service, and filled in by its clients.
"""

from __future__ import annotations

from collections.abc import Mapping

from batchcast.engine.processing.request import CREATE_PROCESSING_JOB
from batchcast.engine.requests.common_shapes import (
    JOB_NAME,
    MAX_RESULTS,
    MODEL_NAME,
    NEXT_TOKEN,
    PIPELINE_NAME,
    ROLE_ARN,
    S3_URI,
    SORT_ORDER,
    TAGS,
    VPC_CONFIG,
    environment,
)
from batchcast.engine.requests.request_shape import Choice, Flag, ListOf, Moment, Shape, Structure, Text, Whole
from batchcast.engine.transform.request import CREATE_TRANSFORM_JOB

__all__ = ["OPERATIONS", "REFUSED"]

_TOKEN = Text(minimum=32, maximum=128)
_PIPELINE_NAME_OR_ARN = Text(
    minimum=1,
    maximum=2048,
    pattern=r"(arn:aws[a-z\-]*:sagemaker:[a-z0-9\-]*:([0-9]{12}|aws):pipeline/.*)?([a-zA-Z0-9](-*[a-zA-Z0-9]){0,255})",
)
_EXECUTION_ARN = Text(
    maximum=2048, pattern=r"arn:aws[a-z\-]*:sagemaker:[a-z0-9\-]*:[0-9]{12}:pipeline\/.*\/execution\/.*"
)
_EXECUTION_NAME = Text(minimum=1, maximum=82, pattern="[a-zA-Z0-9](-*[a-zA-Z0-9]){0,81}")
_DESCRIPTION = Text(maximum=3072, pattern=".*")
_PARALLELISM = Structure({"MaxParallelExecutionSteps": Whole(minimum=1)}, required=("MaxParallelExecutionSteps",))
_PIPELINE: Mapping[str, Shape] = {
    "PipelineName": PIPELINE_NAME,
    "PipelineDisplayName": PIPELINE_NAME,
    "PipelineDefinition": Text(minimum=1, maximum=1048576, pattern=r".*(?:[ \r\n\t].*)*"),
    "PipelineDefinitionS3Location": Structure(
        {
            "Bucket": Text(minimum=3, maximum=63, pattern=r"[a-z0-9][\.\-a-z0-9]{1,61}[a-z0-9]"),
            "ObjectKey": Text(minimum=1, maximum=1024, pattern=".+"),
        },
        required=("Bucket", "ObjectKey"),
    ),
    "PipelineDescription": _DESCRIPTION,
    "RoleArn": ROLE_ARN,
    "ParallelismConfiguration": _PARALLELISM,
}
_EXECUTION = Structure({"PipelineExecutionArn": _EXECUTION_ARN}, required=("PipelineExecutionArn",))
_PAGE: Mapping[str, Shape] = {"NextToken": NEXT_TOKEN, "MaxResults": MAX_RESULTS}
_CREATED: Mapping[str, Shape] = {"CreatedAfter": Moment(), "CreatedBefore": Moment()}
_JOB_LIST: Mapping[str, Shape] = {
    "CreationTimeAfter": Moment(),
    "CreationTimeBefore": Moment(),
    "LastModifiedTimeAfter": Moment(),
    "LastModifiedTimeBefore": Moment(),
    "StatusEquals": Choice(("InProgress", "Completed", "Failed", "Stopping", "Stopped")),
    "SortBy": Choice(("Name", "CreationTime", "Status")),
    "SortOrder": SORT_ORDER,
    **_PAGE,
}
_CONTAINER = Structure(
    {
        "ContainerHostname": Text(maximum=63, pattern="[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"),
        "Image": Text(maximum=255, pattern=r"[\S]+"),
        "ModelDataSource": Structure(
            {
                "S3DataSource": Structure(
                    {
                        "S3Uri": S3_URI,
                        "S3DataType": Choice(("S3Prefix", "S3Object")),
                        "CompressionType": Choice(("None", "Gzip")),
                    },
                    required=("S3Uri", "S3DataType", "CompressionType"),
                )
            }
        ),
        "ModelDataUrl": S3_URI,
        "Environment": environment(entries=100, key_length=1024, value_length=1024),
    }
)
_TRANSFORM_JOB = Structure({"TransformJobName": JOB_NAME}, required=("TransformJobName",))
_PROCESSING_JOB = Structure({"ProcessingJobName": JOB_NAME}, required=("ProcessingJobName",))
_MODEL = Structure({"ModelName": MODEL_NAME}, required=("ModelName",))

OPERATIONS: Mapping[str, Structure] = {
    "CreatePipeline": Structure(
        {**_PIPELINE, "ClientRequestToken": _TOKEN, "Tags": TAGS}, required=("PipelineName", "RoleArn")
    ),
    "UpdatePipeline": Structure(_PIPELINE, required=("PipelineName",)),
    "DescribePipeline": Structure({"PipelineName": _PIPELINE_NAME_OR_ARN}, required=("PipelineName",)),
    "DeletePipeline": Structure(
        {"PipelineName": PIPELINE_NAME, "ClientRequestToken": _TOKEN}, required=("PipelineName",)
    ),
    "ListPipelines": Structure(
        {
            "PipelineNamePrefix": PIPELINE_NAME,
            **_CREATED,
            "SortBy": Choice(("Name", "CreationTime")),
            "SortOrder": SORT_ORDER,
            **_PAGE,
        }
    ),
    "StartPipelineExecution": Structure(
        {
            "PipelineName": _PIPELINE_NAME_OR_ARN,
            "PipelineExecutionDisplayName": _EXECUTION_NAME,
            "PipelineParameters": ListOf(
                member=Structure(
                    {
                        "Name": Text(minimum=1, maximum=256, pattern=r"[A-Za-z0-9\-_]*"),
                        "Value": Text(maximum=1024),
                    },
                    required=("Name", "Value"),
                ),
                maximum=200,
            ),
            "PipelineExecutionDescription": _DESCRIPTION,
            "ClientRequestToken": _TOKEN,
            "ParallelismConfiguration": _PARALLELISM,
            "SelectiveExecutionConfig": Structure(
                {
                    "SourcePipelineExecutionArn": _EXECUTION_ARN,
                    "SelectedSteps": ListOf(
                        member=Structure({"StepName": Text(maximum=256)}, required=("StepName",)),
                        minimum=1,
                        maximum=50,
                    ),
                },
                required=("SelectedSteps",),
            ),
        },
        required=("PipelineName",),
    ),
    "DescribePipelineExecution": _EXECUTION,
    "ListPipelineExecutions": Structure(
        {
            "PipelineName": _PIPELINE_NAME_OR_ARN,
            **_CREATED,
            "SortBy": Choice(("CreationTime", "PipelineExecutionArn")),
            "SortOrder": SORT_ORDER,
            **_PAGE,
        },
        required=("PipelineName",),
    ),
    "StopPipelineExecution": Structure(
        {"PipelineExecutionArn": _EXECUTION_ARN, "ClientRequestToken": _TOKEN}, required=("PipelineExecutionArn",)
    ),
    "RetryPipelineExecution": Structure(
        {
            "PipelineExecutionArn": _EXECUTION_ARN,
            "ClientRequestToken": _TOKEN,
            "ParallelismConfiguration": _PARALLELISM,
        },
        required=("PipelineExecutionArn",),
    ),
    "DescribePipelineDefinitionForExecution": _EXECUTION,
    "ListPipelineExecutionSteps": Structure({"PipelineExecutionArn": _EXECUTION_ARN, "SortOrder": SORT_ORDER, **_PAGE}),
    "ListPipelineParametersForExecution": Structure(
        {"PipelineExecutionArn": _EXECUTION_ARN, **_PAGE}, required=("PipelineExecutionArn",)
    ),
    "CreateModel": Structure(
        {
            "ModelName": MODEL_NAME,
            "PrimaryContainer": _CONTAINER,
            "ExecutionRoleArn": ROLE_ARN,
            "Tags": TAGS,
            "VpcConfig": VPC_CONFIG,
            "EnableNetworkIsolation": Flag(),
        },
        required=("ModelName",),
    ),
    "DescribeModel": _MODEL,
    "DeleteModel": _MODEL,
    "ListModels": Structure(
        {
            "SortBy": Choice(("Name", "CreationTime")),
            "SortOrder": SORT_ORDER,
            "NameContains": Text(maximum=63, pattern="[a-zA-Z0-9-]+"),
            "CreationTimeBefore": Moment(),
            "CreationTimeAfter": Moment(),
            **_PAGE,
        }
    ),
    "CreateTransformJob": CREATE_TRANSFORM_JOB,
    "DescribeTransformJob": _TRANSFORM_JOB,
    "StopTransformJob": _TRANSFORM_JOB,
    "ListTransformJobs": Structure({**_JOB_LIST, "NameContains": Text(maximum=63, pattern=r"[a-zA-Z0-9\-]+")}),
    "CreateProcessingJob": CREATE_PROCESSING_JOB,
    "DescribeProcessingJob": _PROCESSING_JOB,
    "StopProcessingJob": _PROCESSING_JOB,
    "ListProcessingJobs": Structure({**_JOB_LIST, "NameContains": Text()}),
}

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
