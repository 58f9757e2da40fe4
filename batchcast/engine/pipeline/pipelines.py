"""Pipelines as resources: create, update, describe, delete, list; their versions, one a definition.

An update with another definition makes a version, counted from 1; one with the same text makes none (our pick).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from batchcast.engine.errors import NotEmulatedError, ServiceException
from batchcast.engine.pipeline.definition_reader import parse_definition
from batchcast.engine.state import Record, arn, now, resource_id
from batchcast.engine.workspace import Workspace
from batchcast.steps.errors import ConfigError

_KEPT = ("PipelineDisplayName", "PipelineDescription", "RoleArn", "ParallelismConfiguration", "Tags")


def create_pipeline(workspace: Workspace, request: Mapping[str, Any]) -> dict[str, Any]:
    """Raises ServiceException `ValidationException` for a name that is taken or a definition that SageMaker refuses,
    NotEmulatedError for a definition that only this engine refuses."""
    name = request["PipelineName"]
    moment = now()
    record = {
        **{key: request[key] for key in _KEPT if key in request},
        "PipelineName": name,
        "Versions": [{"PipelineDefinition": _definition(workspace, request), "CreationTime": moment}],
        "ClientRequestToken": request["ClientRequestToken"],
        "CreationTime": moment,
        "LastModifiedTime": moment,
    }
    if not workspace.pipelines.create(name, record):
        existing = find_pipeline(workspace, name)
        if existing["ClientRequestToken"] != request["ClientRequestToken"]:
            what = "Pipeline names must be unique within an AWS account and region."
            raise ServiceException("ValidationException", f"{what} Pipeline with name ({name}) already exists.")
    return {"PipelineArn": arn("pipeline", name)}


def update_pipeline(workspace: Workspace, request: Mapping[str, Any]) -> dict[str, Any]:
    """Executions that run keep the definition they were started with."""
    record = find_pipeline(workspace, request["PipelineName"])
    moment = now()
    record |= {key: request[key] for key in _KEPT if key in request}
    if "PipelineDefinition" in request or "PipelineDefinitionS3Location" in request:
        definition = _definition(workspace, request)
        if definition != record["Versions"][-1]["PipelineDefinition"]:
            record["Versions"].append({"PipelineDefinition": definition, "CreationTime": moment})
    workspace.pipelines.write(record["PipelineName"], record | {"LastModifiedTime": moment})
    return {"PipelineArn": arn("pipeline", record["PipelineName"]), "PipelineVersionId": len(record["Versions"])}


def describe_pipeline(workspace: Workspace, request: Mapping[str, Any]) -> dict[str, Any]:
    """The pipeline with the definition of one version, the latest unless named, and when it last ran."""
    return {**_with_last_run(workspace, find_version(workspace, request), "LastRunTime"), "PipelineStatus": "Active"}


def delete_pipeline(workspace: Workspace, request: Mapping[str, Any]) -> dict[str, Any]:
    """The pipeline and its executions. Raises ServiceException `ConflictException` while one of them runs."""
    name = find_pipeline(workspace, request["PipelineName"])["PipelineName"]
    executions = [each for each in workspace.executions.all() if each["PipelineName"] == name]
    running = [each["PipelineExecutionId"] for each in executions if each["Status"] == "Executing"]
    if running:
        what = f"Pipeline {name} cannot be deleted while it runs; stop {', '.join(running)} first."
        raise ServiceException("ConflictException", what)
    workspace.pipelines.delete(name)
    workspace.tags.delete(resource_id("pipeline", name))
    for each in executions:
        workspace.executions.delete(each["PipelineExecutionId"])
    return {"PipelineArn": arn("pipeline", name)}


def pipeline_summaries(workspace: Workspace, _: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for record in workspace.pipelines.all():
        yield _with_last_run(workspace, record, "LastExecutionTime")


def find_pipeline(workspace: Workspace, name_or_arn: str) -> Record:
    """The record of the pipeline with that name or ARN. Raises ServiceException `ResourceNotFound`."""
    name = name_or_arn.rsplit("/", 1)[-1]
    full = name_or_arn if name_or_arn.startswith("arn:") else arn("pipeline", name)
    record = workspace.pipelines.read(name)
    if record is None or full != arn("pipeline", name):
        raise ServiceException("ResourceNotFound", f"Pipeline '{full}' does not exist.")
    return record


def find_version(workspace: Workspace, request: Mapping[str, Any]) -> Record:
    """The record of a pipeline with `PipelineDefinition`, `DefinitionTime` and `PipelineVersionId` of the version that
    the request names, or else of the latest. Raises ServiceException `ResourceNotFound`."""
    record = find_pipeline(workspace, request["PipelineName"])
    number = request.get("PipelineVersionId", len(record["Versions"]))
    if number > len(record["Versions"]):
        what = f"Pipeline version {number} of '{arn('pipeline', record['PipelineName'])}' does not exist."
        raise ServiceException("ResourceNotFound", what)
    version = record["Versions"][number - 1]
    named = {"PipelineVersionId": number, "DefinitionTime": version["CreationTime"]}
    return {**record, **named, "PipelineDefinition": version["PipelineDefinition"]}


def version_summaries(workspace: Workspace, request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every version of a pipeline as ListPipelineVersions shows it, with the last execution of each."""
    record = find_pipeline(workspace, request["PipelineName"])
    pipeline = arn("pipeline", record["PipelineName"])
    executions = [each for each in workspace.executions.all() if each["PipelineName"] == record["PipelineName"]]
    for number, version in enumerate(record["Versions"], start=1):
        ran = [each for each in executions if each.get("PipelineVersionId") == number]
        summary = {"PipelineArn": pipeline, "PipelineVersionId": number, "CreationTime": version["CreationTime"]}
        if ran:
            last = max(ran, key=lambda each: str(each["CreationTime"]))["PipelineExecutionId"]
            summary["LastExecutionPipelineExecutionArn"] = f"{pipeline}/execution/{last}"
        yield summary


def _definition(workspace: Workspace, request: Mapping[str, Any]) -> str:
    text, location = request.get("PipelineDefinition"), request.get("PipelineDefinitionS3Location")
    if (text is None) == (location is None):
        what = "Exactly one of PipelineDefinition and PipelineDefinitionS3Location has to be given."
        raise ServiceException("ValidationException", what)
    if location is not None:
        text = workspace.store.read(f"s3://{location['Bucket']}/{location['ObjectKey']}").decode()
    try:
        parse_definition(str(text))
    except NotEmulatedError:
        raise
    except ConfigError as error:
        raise ServiceException("ValidationException", str(error)) from error
    return str(text)


def _with_last_run(workspace: Workspace, record: Record, member: str) -> Record:
    name = record["PipelineName"]
    times = [each["CreationTime"] for each in workspace.executions.all() if each["PipelineName"] == name]
    return {**record, "PipelineArn": arn("pipeline", name), **({member: max(times)} if times else {})}
