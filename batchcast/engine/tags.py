"""Tags of what the engine keeps: pipelines, models and jobs, by their ARN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batchcast.engine.errors import ServiceException
from batchcast.engine.resource_name import arn, resource_id
from batchcast.engine.workspace import Workspace

_MOST_TAGS = 50


def add_tags(workspace: Workspace, request: Mapping[str, Any]) -> dict[str, Any]:
    """The tags there are then; one with a key that is there takes its place.

    Raises ServiceException for a resource that is not there, and above 50 tags.
    """
    tags = {**_tags(workspace, request["ResourceArn"]), **{each["Key"]: each["Value"] for each in request["Tags"]}}
    if len(tags) > _MOST_TAGS:
        raise ServiceException("ValidationException", f"{len(tags)} tags; a resource has {_MOST_TAGS} at most.")
    return {"Tags": _keep(workspace, request["ResourceArn"], tags)}


def delete_tags(workspace: Workspace, request: Mapping[str, Any]) -> dict[str, Any]:
    """Remove the tags of these keys; no error for one that is not there."""
    tags = _tags(workspace, request["ResourceArn"])
    kept = {key: value for key, value in tags.items() if key not in request["TagKeys"]}
    _keep(workspace, request["ResourceArn"], kept)
    return {}


def list_tags(workspace: Workspace, request: Mapping[str, Any]) -> list[dict[str, str]]:
    """Every tag by its key."""
    return _members(_tags(workspace, request["ResourceArn"]))


def _tags(workspace: Workspace, resource: str) -> dict[str, str]:
    kind, _, name = resource.rsplit(":", 1)[-1].partition("/")
    records = {
        "pipeline": workspace.pipelines.read,
        "model": workspace.models.read,
        "transform-job": workspace.jobs["Transform"].find,
        "processing-job": workspace.jobs["Processing"].find,
    }
    record = records[kind](name) if kind in records else None
    if record is None or resource != arn(kind, name):
        raise ServiceException("ResourceNotFound", f"The resource {resource} does not exist.")
    changed = workspace.tags.read(resource_id(kind, name))
    given = changed or record.get("Request", record)
    return {each["Key"]: each["Value"] for each in given.get("Tags", [])}


def _keep(workspace: Workspace, resource: str, tags: Mapping[str, str]) -> list[dict[str, str]]:
    kind, _, name = resource.rsplit(":", 1)[-1].partition("/")
    workspace.tags.write(resource_id(kind, name), {"Tags": _members(tags)})
    return _members(tags)


def _members(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": tags[key]} for key in sorted(tags)]
