"""What the Describe and List calls tell of a pipeline execution; times as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from batchcast.engine.errors import ServiceException
from batchcast.engine.pipeline.definition_reader import parse_definition
from batchcast.engine.pipeline.execution.record import EXECUTING, execution_arn, find_execution
from batchcast.engine.pipeline.expressions import text_of
from batchcast.engine.pipeline.parameters import parameter_values
from batchcast.engine.pipeline.pipelines import find_pipeline
from batchcast.engine.resource_name import arn
from batchcast.engine.state import Record
from batchcast.engine.workspace import Workspace

_DESCRIBED = (
    "PipelineExecutionDisplayName",
    "PipelineExecutionDescription",
    "PipelineExperimentConfig",
    "FailureReason",
    "CreationTime",
    "LastModifiedTime",
    "ParallelismConfiguration",
    "SelectiveExecutionConfig",
    "RoleArn",
)


def describe_execution(workspace: Workspace, request: Mapping[str, Any]) -> dict[str, Any]:
    """The execution; its status is Stopping between the request to stop and its effect.

    Raises ServiceError when the disk is in the way of its driver in this process: it is interrupted then.
    """
    record = find_execution(workspace, request["PipelineExecutionArn"])
    workspace.raise_broken(execution_arn(record))
    return {
        "PipelineArn": arn("pipeline", record["PipelineName"]),
        "PipelineExecutionArn": execution_arn(record),
        "PipelineExecutionStatus": _status(workspace, record),
        **{key: record[key] for key in _DESCRIBED if key in record},
    }


def describe_definition(workspace: Workspace, request: Mapping[str, Any]) -> dict[str, Any]:
    """The definition an execution was started with, whatever became of the pipeline since."""
    record = find_execution(workspace, request["PipelineExecutionArn"])
    return {"PipelineDefinition": record["PipelineDefinition"], "CreationTime": record["DefinitionTime"]}


def execution_summaries(workspace: Workspace, pipeline: str) -> Iterator[dict[str, Any]]:
    """The executions of a pipeline as ListPipelineExecutions shows them."""
    name = find_pipeline(workspace, pipeline)["PipelineName"]
    for record in workspace.executions.all():
        if record["PipelineName"] == name:
            kept = ("PipelineExecutionDisplayName", "PipelineExecutionDescription")
            reason = {"PipelineExecutionFailureReason": record["FailureReason"]} if "FailureReason" in record else {}
            yield {
                "PipelineExecutionArn": execution_arn(record),
                "StartTime": record["CreationTime"],
                "PipelineExecutionStatus": _status(workspace, record),
                **{key: record[key] for key in kept if key in record},
                **reason,
            }


def execution_steps(workspace: Workspace, request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The steps that have started, as ListPipelineExecutionSteps shows them."""
    if "PipelineExecutionArn" not in request:  # the service model does not require it, the service does
        raise ServiceException("ValidationException", "PipelineExecutionArn must be given.")
    yield from find_execution(workspace, request["PipelineExecutionArn"])["Steps"].values()


def parameters_of_execution(workspace: Workspace, request: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Every parameter of the execution with the value it had, given or default, as text."""
    record = find_execution(workspace, request["PipelineExecutionArn"])
    declared = parse_definition(record["PipelineDefinition"]).parameters
    for name, value in parameter_values(declared, record["PipelineParameters"]).items():
        yield {"Name": name, "Value": text_of(value)}


def _status(workspace: Workspace, record: Record) -> str:
    waits = record["Status"] == EXECUTING and workspace.executions.stop_requested(record["PipelineExecutionId"])
    return "Stopping" if waits else str(record["Status"])
