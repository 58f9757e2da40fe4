"""Models as resources: create, describe, delete, list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from batchcast.engine.errors import ServiceException, not_emulated
from batchcast.engine.resource_name import arn, now, resource_id
from batchcast.engine.workspace import Workspace


def create_model(workspace: Workspace, request: Mapping[str, Any]) -> dict[str, Any]:
    """Raises ServiceException for a name that is taken, NotEmulatedError for a model that no server is declared for."""
    name = request["ModelName"]
    containers = request.get("Containers", [])
    if len(containers) > 1:
        what = f"{len(containers)} containers in a row are not emulated locally."
        raise not_emulated(what, where="Containers", remedy="Give one container.")
    given = {"PrimaryContainer": containers[0]} if containers else {}
    model = {
        **{key: value for key, value in request.items() if key != "Containers"},
        **given,
        "ModelArn": arn("model", name),
        "CreationTime": now(),
    }
    if ("PrimaryContainer" in request) == bool(containers):
        raise ServiceException("ValidationException", "Exactly one of PrimaryContainer and Containers has to be given.")
    workspace.model_source(model)
    if not workspace.models.create(name, model):
        raise ServiceException("ValidationException", f"Cannot create already existing model {arn('model', name)}.")
    return {"ModelArn": arn("model", name)}


def describe_model(workspace: Workspace, request: Mapping[str, Any]) -> dict[str, Any]:
    """A created model, or one that is only declared with its server. Raises ServiceException when there is neither."""
    model = workspace.model(request["ModelName"])
    if model is None:
        raise _unknown(request["ModelName"])
    return {key: value for key, value in model.items() if key != "Tags"}


def delete_model(workspace: Workspace, request: Mapping[str, Any]) -> None:
    """Forget a created model; the declaration of its server stays. Raises ServiceException when there is none."""
    if workspace.models.read(request["ModelName"]) is None:
        raise _unknown(request["ModelName"])
    workspace.models.delete(request["ModelName"])
    workspace.tags.delete(resource_id("model", request["ModelName"]))


def model_summaries(workspace: Workspace) -> Iterator[dict[str, Any]]:
    """Every model as ListModels shows it."""
    for model in workspace.all_models():
        yield {key: model[key] for key in ("ModelName", "ModelArn", "CreationTime")}


def _unknown(name: str) -> ServiceException:
    return ServiceException("ValidationException", f'Could not find model "{arn("model", name)}".')
