"""Pipeline executions as resources: start, stop, retry, describe, list; and going on after a killed process."""

from __future__ import annotations

import secrets
import string
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

from engine.definition import Definition
from engine.definition_reader import parse_definition
from engine.errors import ServiceException
from engine.executor import start_executor
from engine.expressions import text_of
from engine.parameters import parameter_values
from engine.pipelines import find_pipeline
from engine.resource_name import arn, now
from engine.selective_execution import reused_steps
from engine.state import Record
from engine.workspace import Workspace

__all__ = [
    "describe_definition",
    "describe_execution",
    "execution_parameters",
    "execution_steps",
    "execution_summaries",
    "find_execution",
    "resume_executions",
    "retry_execution",
    "start_execution",
    "stop_execution",
]

StepFaults = Mapping[str, Sequence[str]]

_ID_CHARACTERS = string.ascii_lowercase + string.digits
_ID_LENGTH = 12
_KEPT = ("PipelineExecutionDescription", "ParallelismConfiguration", "SelectiveExecutionConfig", "ClientRequestToken")
_RUNNING = ("Executing", "Stopping")


def start_execution(workspace: Workspace, request: Mapping[str, Any], step_faults: StepFaults) -> dict[str, Any]:
    """Record a new execution and drive it in the background; the same token again answers with the same execution.

    Raises ServiceException for parameters or a selection of steps that the service would refuse.
    """
    pipeline = find_pipeline(workspace, request["PipelineName"])
    with workspace.executions.exclusive():
        for record in workspace.executions.all():
            if record["ClientRequestToken"] == request["ClientRequestToken"]:
                return {"PipelineExecutionArn": execution_arn(record)}
        record = _new_record(workspace, pipeline, request)
        lock = _own(workspace, record)
        workspace.executions.create(record["PipelineExecutionId"], record)
    start_executor(workspace, record["PipelineExecutionId"], lock, step_faults)
    return {"PipelineExecutionArn": execution_arn(record)}


def _new_record(workspace: Workspace, pipeline: Record, request: Mapping[str, Any]) -> Record:
    definition = parse_definition(pipeline["PipelineDefinition"])
    given = request.get("PipelineParameters", [])
    parameter_values(definition.parameters, given)
    moment = now()
    kept = {key: request[key] for key in _KEPT if key in request}
    if "ParallelismConfiguration" in pipeline:
        kept.setdefault("ParallelismConfiguration", pipeline["ParallelismConfiguration"])
    return {
        "PipelineName": pipeline["PipelineName"],
        "PipelineExecutionId": "".join(secrets.choice(_ID_CHARACTERS) for _ in range(_ID_LENGTH)),
        "PipelineExecutionDisplayName": request.get(
            "PipelineExecutionDisplayName", f"execution-{int(time.time() * 1000)}"
        ),
        **kept,
        "Status": "Executing",
        "CreationTime": moment,
        "LastModifiedTime": moment,
        "PipelineParameters": given,
        "RoleArn": pipeline["RoleArn"],
        "PipelineDefinition": pipeline["PipelineDefinition"],
        "DefinitionTime": pipeline["LastModifiedTime"],
        "Steps": reused_steps(workspace, pipeline["PipelineName"], definition, request.get("SelectiveExecutionConfig")),
        "Attempts": {},
        "RetryTokens": [],
    }


def stop_execution(workspace: Workspace, request: Mapping[str, Any]) -> dict[str, Any]:
    """Ask whichever process drives it; an execution whose process died is stopped at once.

    Raises ServiceException `ConflictException` for an execution that has ended.
    """
    record = find_execution(workspace, request["PipelineExecutionArn"])
    execution_id = record["PipelineExecutionId"]
    if record["Status"] not in _RUNNING:
        what = f"Pipeline execution {execution_id} has status {record['Status']} and cannot be stopped."
        raise ServiceException("ConflictException", what)
    workspace.executions.request_stop(execution_id)
    lock = workspace.executions.own(execution_id)
    if lock is not None:
        _stop_interrupted(workspace, execution_id, lock)
    return {"PipelineExecutionArn": execution_arn(record)}


def _stop_interrupted(workspace: Workspace, execution_id: str, lock: IO[str]) -> None:
    with lock:
        record = workspace.executions.read(execution_id) or {}
        if record["Status"] in _RUNNING:
            for step in record["Steps"].values():
                if step["StepStatus"] not in ("Succeeded", "Failed", "Stopped"):
                    step |= {"StepStatus": "Stopped", "EndTime": now()}
            workspace.executions.write(execution_id, record | {"Status": "Stopped", "LastModifiedTime": now()})
        workspace.executions.clear_stop(execution_id)


def retry_execution(workspace: Workspace, request: Mapping[str, Any], step_faults: StepFaults) -> dict[str, Any]:
    """Run again, as a whole, the steps that did not succeed; those that did are kept.

    Raises ServiceException `ValidationException` unless the execution Failed or was Stopped, and after a Fail step.
    """
    record = find_execution(workspace, request["PipelineExecutionArn"])
    answer = {"PipelineExecutionArn": execution_arn(record)}
    if request["ClientRequestToken"] in record["RetryTokens"]:
        return answer
    if record["Status"] not in ("Failed", "Stopped"):
        what = f"Only a Failed or Stopped execution can be retried; this one is {record['Status']}."
        raise ServiceException("ValidationException", what)
    if any("Fail" in step.get("Metadata", {}) for step in record["Steps"].values()):
        raise ServiceException("ValidationException", "An execution that a Fail step ended cannot be retried.")
    lock = _own(workspace, record)
    for name, step in list(record["Steps"].items()):
        if step["StepStatus"] != "Succeeded" and "SelectiveExecutionResult" not in step:
            record["Attempts"][name] = step.get("AttemptCount", 0)
            del record["Steps"][name]
    record.pop("FailureReason", None)
    record["RetryTokens"].append(request["ClientRequestToken"])
    if "ParallelismConfiguration" in request:
        record["ParallelismConfiguration"] = request["ParallelismConfiguration"]
    record |= {"Status": "Executing", "LastModifiedTime": now()}
    workspace.executions.write(record["PipelineExecutionId"], record)
    start_executor(workspace, record["PipelineExecutionId"], lock, step_faults)
    return answer


def resume_executions(workspace: Workspace, step_faults: StepFaults) -> list[str]:
    """Go on, in the background, with the executions whose process died; their ARNs.

    Steps that ended stay as they are. A transform job that was running sends only the objects that have no output
    yet; everything else that was running is done again.
    """
    resumed = []
    for record in list(workspace.executions.all()):
        if record["Status"] not in _RUNNING:
            continue
        lock = workspace.executions.own(record["PipelineExecutionId"])
        if lock is not None:
            start_executor(workspace, record["PipelineExecutionId"], lock, step_faults)
            resumed.append(execution_arn(record))
    return resumed


def describe_execution(workspace: Workspace, request: Mapping[str, Any]) -> dict[str, Any]:
    """The execution; its status is Stopping between the request to stop and its effect."""
    record = find_execution(workspace, request["PipelineExecutionArn"])
    keys = (
        "PipelineExecutionDisplayName",
        "PipelineExecutionDescription",
        "FailureReason",
        "CreationTime",
        "LastModifiedTime",
        "ParallelismConfiguration",
        "SelectiveExecutionConfig",
        "RoleArn",
    )
    return {
        "PipelineArn": arn("pipeline", record["PipelineName"]),
        "PipelineExecutionArn": execution_arn(record),
        "PipelineExecutionStatus": _status(workspace, record),
        **{key: record[key] for key in keys if key in record},
    }


def execution_summaries(workspace: Workspace, pipeline: str) -> Iterator[dict[str, Any]]:
    """The executions of a pipeline as ListPipelineExecutions shows them."""
    name = find_pipeline(workspace, pipeline)["PipelineName"]
    for record in workspace.executions.all():
        if record["PipelineName"] != name:
            continue
        summary = {
            "PipelineExecutionArn": execution_arn(record),
            "StartTime": record["CreationTime"],
            "PipelineExecutionStatus": _status(workspace, record),
        }
        for key in ("PipelineExecutionDisplayName", "PipelineExecutionDescription"):
            if key in record:
                summary[key] = record[key]
        yield summary | (
            {"PipelineExecutionFailureReason": record["FailureReason"]} if "FailureReason" in record else {}
        )


def execution_steps(workspace: Workspace, request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The steps that have started, as ListPipelineExecutionSteps shows them."""
    record = find_execution(workspace, request["PipelineExecutionArn"])
    yield from record["Steps"].values()


def execution_parameters(workspace: Workspace, request: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Every parameter of the execution with the value it had, given or default, as text."""
    record = find_execution(workspace, request["PipelineExecutionArn"])
    definition: Definition = parse_definition(record["PipelineDefinition"])
    for name, value in parameter_values(definition.parameters, record["PipelineParameters"]).items():
        yield {"Name": name, "Value": text_of(value)}


def describe_definition(workspace: Workspace, request: Mapping[str, Any]) -> dict[str, Any]:
    """The definition an execution was started with, whatever became of the pipeline since."""
    record = find_execution(workspace, request["PipelineExecutionArn"])
    return {"PipelineDefinition": record["PipelineDefinition"], "CreationTime": record["DefinitionTime"]}


def find_execution(workspace: Workspace, execution: str) -> Record:
    """The record of the execution with that ARN. Raises ServiceException `ResourceNotFound`."""
    record = workspace.executions.read(execution.rsplit("/", 1)[-1])
    if record is None or execution_arn(record) != execution:
        raise ServiceException("ResourceNotFound", f"PipelineExecution '{execution}' does not exist.")
    return record


def execution_arn(record: Record) -> str:
    """The ARN of a recorded execution."""
    return arn("pipeline", f"{record['PipelineName']}/execution/{record['PipelineExecutionId']}")


def _own(workspace: Workspace, record: Record) -> IO[str]:
    lock = workspace.executions.own(record["PipelineExecutionId"])
    if lock is None:
        raise ServiceException("ConflictException", f"Pipeline execution {execution_arn(record)} is running.")
    return lock


def _status(workspace: Workspace, record: Record) -> str:
    waits = record["Status"] == "Executing" and workspace.executions.stop_requested(record["PipelineExecutionId"])
    return "Stopping" if waits else str(record["Status"])
