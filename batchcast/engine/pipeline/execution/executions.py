"""The life of pipeline executions: start, stop, retry, and going on after a killed process; what is told of them.

Describe and List calls tell times as text.
"""

from collections.abc import Iterator, Mapping
from typing import IO, Any

from batchcast.engine.errors import ServiceException
from batchcast.engine.pipeline.definition import ENDED
from batchcast.engine.pipeline.definition_reader import parse_definition
from batchcast.engine.pipeline.execution.executor import start_executor
from batchcast.engine.pipeline.execution.record import EXECUTING, execution_arn, find_execution, new_execution
from batchcast.engine.pipeline.expressions import text_of
from batchcast.engine.pipeline.parameters import parameter_values
from batchcast.engine.pipeline.pipelines import find_pipeline, find_version
from batchcast.engine.state import Record, arn, now
from batchcast.engine.workspace import Workspace
from batchcast.steps.store.objects import one_at_a_time

# An execution's record tells its end a moment before its owner lets go of it.
_ENDING_SECONDS = 5.0


def start_execution(workspace: Workspace, request: Mapping[str, Any]) -> dict[str, Any]:
    """Record a new execution and drive it in the background; the same token again answers with the same execution."""
    pipeline = find_version(workspace, request)
    same = {"PipelineName": pipeline["PipelineName"], "ClientRequestToken": request["ClientRequestToken"]}
    # Over all processes: other records are read before one is written.
    with one_at_a_time(workspace.executions.folder / ".exclusive"):
        for record in workspace.executions.all():
            if all(record[key] == value for key, value in same.items()):
                return {"PipelineExecutionArn": execution_arn(record)}
        record = new_execution(workspace, pipeline, request)
        lock = _own(workspace, record)
        workspace.executions.create(record["PipelineExecutionId"], record)
    start_executor(workspace, record["PipelineExecutionId"], lock)
    return {"PipelineExecutionArn": execution_arn(record)}


def stop_execution(workspace: Workspace, request: Mapping[str, Any]) -> dict[str, Any]:
    """Ask whichever process drives it; an execution whose process died is stopped at once. Raises ServiceException
    `ConflictException` for an execution that has ended."""
    record = find_execution(workspace, request["PipelineExecutionArn"])
    execution_id = record["PipelineExecutionId"]
    if record["Status"] != EXECUTING:
        what = f"Pipeline execution {execution_id} has status {record['Status']} and cannot be stopped."
        raise ServiceException("ConflictException", what)
    workspace.executions.stop(execution_id, _stopped)
    return {"PipelineExecutionArn": execution_arn(record)}


def _stopped(record: Record) -> Record:
    if record["Status"] != EXECUTING:
        return record
    for step in record["Steps"].values():
        if step["StepStatus"] not in ENDED:
            step |= {"StepStatus": "Stopped", "EndTime": now()}
    return record | {"Status": "Stopped", "LastModifiedTime": now()}


def retry_execution(workspace: Workspace, request: Mapping[str, Any]) -> dict[str, Any]:
    """Run again, as a whole, the steps that did not succeed; those that did are kept. Raises ServiceException
    `ValidationException` unless the execution Failed or was Stopped, and after a Fail step."""
    record = find_execution(workspace, request["PipelineExecutionArn"])
    if request["ClientRequestToken"] in record["RetryTokens"]:
        return {"PipelineExecutionArn": execution_arn(record)}
    if record["Status"] not in ("Failed", "Stopped"):
        what = f"Only a Failed or Stopped execution can be retried; this one is {record['Status']}."
        raise ServiceException("ValidationException", what)
    if any("Fail" in step.get("Metadata", {}) for step in record["Steps"].values()):
        raise ServiceException("ValidationException", "An execution that a Fail step ended cannot be retried.")
    lock = _own(workspace, record)
    workspace.executions.clear_stop(record["PipelineExecutionId"])
    # Steps that did not succeed are as if they had not started, but for the attempts made: they number the jobs.
    for name, step in list(record["Steps"].items()):
        if step["StepStatus"] != "Succeeded" and "SelectiveExecutionResult" not in step:
            record["Attempts"][name] = step.get("AttemptCount", 0)
            del record["Steps"][name]
    record.pop("FailureReason", None)
    record["RetryTokens"].append(request["ClientRequestToken"])
    if "ParallelismConfiguration" in request:
        record["ParallelismConfiguration"] = request["ParallelismConfiguration"]
    record |= {"Status": EXECUTING, "LastModifiedTime": now()}
    workspace.executions.write(record["PipelineExecutionId"], record)
    start_executor(workspace, record["PipelineExecutionId"], lock)
    return {"PipelineExecutionArn": execution_arn(record)}


def forget_execution(workspace: Workspace, arn: str) -> None:
    """Remove the record of an execution that has ended, its jobs and their files. What it wrote to the store stays.
    Raises ServiceException `ConflictException` while it goes on or could go on."""
    record = find_execution(workspace, arn)
    if record["Status"] == EXECUTING:
        raise ServiceException("ConflictException", f"Pipeline execution {arn} has not ended.")
    workspace.forget_jobs(record["PipelineExecutionId"])
    workspace.executions.delete(record["PipelineExecutionId"])


def interrupted(workspace: Workspace) -> list[str]:
    """The ARNs of the executions that ran in a process that died."""
    return [
        execution_arn(record)
        for record in workspace.executions.all()
        if record["Status"] == EXECUTING and not workspace.executions.is_owned(record["PipelineExecutionId"])
    ]


def resume_execution(workspace: Workspace, arn: str) -> bool:
    """Go on with an interrupted execution in the background; False when it is none, or another process was faster."""
    if arn not in interrupted(workspace):
        return False
    execution_id = arn.rsplit("/", 1)[-1]
    lock = workspace.executions.own(execution_id)
    if lock is None:
        return False
    if (workspace.executions.read(execution_id) or {}).get("Status") != EXECUTING:  # it ended just now
        lock.close()
        return False
    start_executor(workspace, execution_id, lock)
    return True


def _own(workspace: Workspace, record: Record) -> IO[str]:
    lock = workspace.executions.own(record["PipelineExecutionId"], patience_seconds=_ENDING_SECONDS)
    if lock is None:
        raise ServiceException("ConflictException", f"Pipeline execution {execution_arn(record)} is running.")
    return lock


def describe_execution(workspace: Workspace, request: Mapping[str, Any]) -> dict[str, Any]:
    """The execution; its status is Stopping between the request to stop and its effect. Raises ServiceError when the
    disk is in the way of its driver in this process: it is interrupted then."""
    record = find_execution(workspace, request["PipelineExecutionArn"])
    if execution_arn(record) in workspace.broken:
        raise workspace.broken[execution_arn(record)]
    return _described(workspace, record)


def describe_definition(workspace: Workspace, request: Mapping[str, Any]) -> dict[str, Any]:
    """The definition an execution was started with, whatever became of the pipeline since."""
    record = find_execution(workspace, request["PipelineExecutionArn"])
    return {"PipelineDefinition": record["PipelineDefinition"], "CreationTime": record["DefinitionTime"]}


def execution_summaries(workspace: Workspace, request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    name = find_pipeline(workspace, request["PipelineName"])["PipelineName"]
    for record in workspace.executions.all():
        if record["PipelineName"] == name:
            reason = {"PipelineExecutionFailureReason": record["FailureReason"]} if "FailureReason" in record else {}
            yield {**_described(workspace, record), "StartTime": record["CreationTime"], **reason}


def execution_steps(workspace: Workspace, request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if "PipelineExecutionArn" not in request:  # the service model does not require it, the service does
        raise ServiceException("ValidationException", "PipelineExecutionArn must be given.")
    yield from find_execution(workspace, request["PipelineExecutionArn"])["Steps"].values()


def parameters_of_execution(workspace: Workspace, request: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Every parameter of the execution with the value it had, given or default, as text."""
    record = find_execution(workspace, request["PipelineExecutionArn"])
    declared = parse_definition(record["PipelineDefinition"]).parameters
    for name, value in parameter_values(declared, record["PipelineParameters"]).items():
        yield {"Name": name, "Value": text_of(value)}


def _described(workspace: Workspace, record: Record) -> Record:
    return {
        **record,
        "PipelineArn": arn("pipeline", record["PipelineName"]),
        "PipelineExecutionArn": execution_arn(record),
        "PipelineExecutionStatus": workspace.executions.status(record["PipelineExecutionId"], record, going=EXECUTING),
    }
