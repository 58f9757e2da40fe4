"""The record of a pipeline execution: how it begins, and what is derived from it."""

from __future__ import annotations

import secrets
import string
import time
from collections.abc import Mapping
from typing import Any

from batchcast.engine.errors import ServiceException
from batchcast.engine.pipeline.definition import Definition
from batchcast.engine.pipeline.definition_reader import parse_definition
from batchcast.engine.pipeline.execution.selective_execution import reused_steps
from batchcast.engine.pipeline.expressions import Scope, evaluate
from batchcast.engine.pipeline.parameters import Scalar, parameter_values
from batchcast.engine.resource_name import arn, now
from batchcast.engine.state import Record
from batchcast.engine.workspace import Workspace

EXECUTING = "Executing"
"""The status of a record until its execution has ended; Stopping is told from the request to stop beside it."""

_ID_CHARACTERS = string.ascii_lowercase + string.digits
_ID_LENGTH = 12
_KEPT = ("PipelineExecutionDescription", "ParallelismConfiguration", "SelectiveExecutionConfig", "ClientRequestToken")


def new_execution(workspace: Workspace, pipeline: Record, request: Mapping[str, Any]) -> Record:
    """The record of an execution that StartPipelineExecution asks for.

    Raises ServiceException for parameters or a selection of steps that the service would refuse.
    """
    definition = parse_definition(pipeline["PipelineDefinition"])
    values = parameter_values(definition.parameters, request.get("PipelineParameters", []))
    moment = now()
    record: Record = {
        "PipelineName": pipeline["PipelineName"],
        "PipelineExecutionId": "".join(secrets.choice(_ID_CHARACTERS) for _ in range(_ID_LENGTH)),
        "PipelineExecutionDisplayName": f"execution-{int(time.time() * 1000)}",
        **{key: pipeline[key] for key in ("RoleArn", "ParallelismConfiguration") if key in pipeline},
        **{key: request[key] for key in ("PipelineExecutionDisplayName", *_KEPT) if key in request},
        "Status": EXECUTING,
        "CreationTime": moment,
        "LastModifiedTime": moment,
        "PipelineParameters": request.get("PipelineParameters", []),
        "PipelineDefinition": pipeline["PipelineDefinition"],
        "DefinitionTime": pipeline["LastModifiedTime"],
        "Steps": reused_steps(workspace, pipeline["PipelineName"], definition, request.get("SelectiveExecutionConfig")),
        "Attempts": {},
        "RetryTokens": [],
    }
    return record | _experiment(definition, record, values)


def _experiment(definition: Definition, record: Record, values: Mapping[str, Scalar]) -> Record:
    """The names of the experiment and the trial; there is nothing on this machine that would hold them."""
    if definition.experiment is None:
        return {}

    def no_step(*_: str) -> Any:
        raise ServiceException("ValidationException", "PipelineExperimentConfig cannot refer to a step.")

    scope = Scope(
        parameters=values,
        execution=execution_variables(record),
        properties=no_step,
        property_file=no_step,
        json_object=no_step,
    )
    return {"PipelineExperimentConfig": evaluate(definition.experiment, scope)}


def execution_variables(record: Record) -> dict[str, str]:
    """The execution variables that all steps see alike."""
    name = record["PipelineName"]
    return {
        "StartDateTime": record["CreationTime"],
        "PipelineName": name,
        "PipelineArn": arn("pipeline", name),
        "PipelineExecutionId": record["PipelineExecutionId"],
        "PipelineExecutionArn": execution_arn(record),
    }


def execution_arn(record: Record) -> str:
    """The ARN of a recorded execution."""
    return arn("pipeline", f"{record['PipelineName']}/execution/{record['PipelineExecutionId']}")


def find_execution(workspace: Workspace, execution: str) -> Record:
    """The record of the execution with that ARN. Raises ServiceException `ResourceNotFound`."""
    record = workspace.executions.read(execution.rsplit("/", 1)[-1])
    if record is None or execution_arn(record) != execution:
        raise ServiceException("ResourceNotFound", f"PipelineExecution '{execution}' does not exist.")
    return record
