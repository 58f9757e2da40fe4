"""Models as resources, and the tags of pipelines, models and jobs by their ARN: create, describe, delete, list."""

import logging
from collections.abc import Mapping
from typing import Any

from batchcast.engine.errors import ServiceException, not_emulated
from batchcast.engine.state import Record, arn, now, resource_id
from batchcast.engine.workspace import Workspace

_LOG = logging.getLogger(__name__)


def create_model(workspace: Workspace, request: Mapping[str, Any]) -> dict[str, Any]:
    """Raises ServiceException for a name that is taken, NotEmulatedError for a model that no server is declared for."""
    name = request["ModelName"]
    containers = request.get("Containers", [])
    if len(containers) > 1:
        what = f"{len(containers)} containers in a row are not emulated locally."
        raise not_emulated(what, where="Containers", remedy="Give one container.")
    model = {key: value for key, value in request.items() if key != "Containers"}
    model |= {"PrimaryContainer": containers[0]} if containers else {}
    model |= {"ModelArn": arn("model", name), "CreationTime": now()}
    if ("PrimaryContainer" in request) == bool(containers):
        raise ServiceException("ValidationException", "Exactly one of PrimaryContainer and Containers has to be given.")
    workspace.model_source(model)
    if not workspace.models.create(name, model):
        raise ServiceException("ValidationException", f"Cannot create already existing model {arn('model', name)}.")
    artefact = model["PrimaryContainer"].get("ModelDataUrl", "")
    if artefact.startswith("s3://") and next(workspace.store.list(artefact), None) is None:
        _LOG.warning("model %s: nothing lies at its ModelDataUrl %s, which SageMaker would refuse.", name, artefact)
    return {"ModelArn": arn("model", name)}


def describe_model(workspace: Workspace, request: Mapping[str, Any]) -> dict[str, Any]:
    """A created model, or one that is only declared with its server. Raises ServiceException when there is neither."""
    return _found(workspace.model(request["ModelName"]), request)


def delete_model(workspace: Workspace, request: Mapping[str, Any]) -> None:
    """Forget a created model; the declaration of its server stays. Raises ServiceException when there is none."""
    _found(workspace.models.read(request["ModelName"]), request)
    workspace.models.delete(request["ModelName"])
    workspace.tags.delete(resource_id("model", request["ModelName"]))


def _found(model: Record | None, request: Mapping[str, Any]) -> Record:
    if model is None:
        raise ServiceException("ValidationException", f'Could not find model "{arn("model", request["ModelName"])}".')
    return model


_MOST_TAGS = 50


def add_tags(workspace: Workspace, request: Mapping[str, Any]) -> dict[str, Any]:
    """The tags there are then; one with a key that is there takes its place. Raises ServiceException for a resource
    that is not there, and above 50 tags."""
    record, tags = _tags(workspace, request["ResourceArn"])
    tags |= {each["Key"]: each["Value"] for each in request["Tags"]}
    if len(tags) > _MOST_TAGS:
        raise ServiceException("ValidationException", f"{len(tags)} tags; a resource has {_MOST_TAGS} at most.")
    workspace.tags.write(record, {"Tags": _members(tags)})
    return {"Tags": _members(tags)}


def delete_tags(workspace: Workspace, request: Mapping[str, Any]) -> dict[str, Any]:
    """Remove the tags of these keys; no error for one that is not there."""
    record, tags = _tags(workspace, request["ResourceArn"])
    kept = {key: value for key, value in tags.items() if key not in request["TagKeys"]}
    workspace.tags.write(record, {"Tags": _members(kept)})
    return {}


def list_tags(workspace: Workspace, request: Mapping[str, Any]) -> list[dict[str, str]]:
    return _members(_tags(workspace, request["ResourceArn"])[1])


def _tags(workspace: Workspace, resource: str) -> tuple[str, dict[str, str]]:
    """The name of their record, and the tags."""
    kind, _, name = resource.rsplit(":", 1)[-1].partition("/")
    records = {
        "pipeline": workspace.pipelines.read,
        "model": workspace.models.read,
        "transform-job": workspace.jobs["Transform"].records.read,
        "processing-job": workspace.jobs["Processing"].records.read,
    }
    record = records[kind](name) if kind in records else None
    if record is None or resource != arn(kind, name):
        raise ServiceException("ResourceNotFound", f"The resource {resource} does not exist.")
    given = workspace.tags.read(resource_id(kind, name)) or record.get("Request", record)
    return resource_id(kind, name), {each["Key"]: each["Value"] for each in given.get("Tags", [])}


def _members(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": tags[key]} for key in sorted(tags)]
