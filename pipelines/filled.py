"""The committed definition with a team's settings in it: what the SDK would compile of them, byte for byte, without it.

A test holds every setting against the compiler. What is deployed is thus the definition that was reviewed and run on
a laptop, whatever version of the SDK the machine has, and none at all in a Lambda function or a small CI image.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from batchcast.pipelines.defaults import with_defaults
from batchcast.pipelines.definition import DEFINITION_FILE, for_request
from batchcast.pipelines.parameters import parse_overrides
from batchcast.pipelines.requests import walk_steps
from batchcast.pipelines.settings import BuildSettings
from batchcast.steps.arguments import NONE
from batchcast.steps.contract.request import PLAIN_REQUEST, Request


def define(
    settings: BuildSettings | None = None,
    defaults: Mapping[str, object] | None = None,
    request: Request = PLAIN_REQUEST,
) -> dict[str, Any]:
    """The pipeline definition as a dict, with `defaults` of its parameters; reads `pipeline.json` and nothing else.

    Raises ConfigError for a parameter that there is not, and for a value that it cannot have.
    """
    settings = settings or BuildSettings()
    checked = parse_overrides([f"{name}={value}" for name, value in (defaults or {}).items()])
    definition: dict[str, Any] = json.loads(DEFINITION_FILE.read_text(encoding="utf-8"))
    for step in walk_steps(definition["Steps"]):
        if step["Type"] == "Processing":
            step["Arguments"] = _processing(step["Name"], step["Arguments"], settings)
        elif step["Type"] == "Transform":
            step["Arguments"] = _transform(step["Arguments"], settings)
        if "DependsOn" in step and not settings.run_conditions:
            step["DependsOn"] = [one if isinstance(one, str) else one["Step"] for one in step["DependsOn"]]
    return with_defaults(for_request(definition, request), checked)


def _processing(name: str, arguments: dict[str, Any], settings: BuildSettings) -> dict[str, Any]:
    cluster = arguments["ProcessingResources"]["ClusterConfig"]
    cluster |= {"VolumeSizeInGB": settings.volume_size_in_gb} | _given(VolumeKmsKeyId=settings.volume_kms_key)
    arguments["AppSpecification"] |= {"ImageUri": settings.image_uri, "ContainerEntrypoint": settings.entrypoint}
    arguments["RoleArn"] = settings.processing_role_arn
    shipped = {"code": settings.code_uri, "contract": settings.contract_uri}
    for each in arguments["ProcessingInputs"]:
        if each["InputName"] in shipped:
            each["S3Input"]["S3Uri"] = shipped[each["InputName"]]
    arguments["ProcessingOutputConfig"] |= _given(KmsKeyId=settings.output_kms_key)
    arguments["StoppingCondition"] = {"MaxRuntimeInSeconds": settings.max_runtime_in_seconds}
    if name == "BuildShards" and name in settings.isolated_steps:
        words = arguments["AppSpecification"]["ContainerArguments"]
        words[words.index("--publish-uri") + 1] = NONE  # without a network it cannot take the lock
    added = _given(Environment=settings.processing_environment, NetworkConfig=_network(name, settings))
    return _with_after(arguments, "ProcessingOutputConfig", added) | _given(Tags=_tags(settings))


def _transform(arguments: dict[str, Any], settings: BuildSettings) -> dict[str, Any]:
    arguments["TransformOutput"] |= _given(KmsKeyId=settings.output_kms_key)
    arguments["TransformResources"] |= _given(VolumeKmsKeyId=settings.volume_kms_key)
    return _with_after(arguments, "MaxPayloadInMB", _given(Tags=_tags(settings)))


def _network(step: str, settings: BuildSettings) -> dict[str, Any]:
    isolated = step in settings.isolated_steps
    if not (isolated or settings.encrypt_inter_container_traffic or settings.subnets):
        return {}
    vpc = {"SecurityGroupIds": list(settings.security_group_ids), "Subnets": list(settings.subnets)}
    return {
        "EnableNetworkIsolation": isolated,
        "EnableInterContainerTrafficEncryption": settings.encrypt_inter_container_traffic,
    } | _given(VpcConfig=vpc if settings.subnets else {})


def _tags(settings: BuildSettings) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in settings.tags.items()]


def _given(**members: Any) -> dict[str, Any]:
    """The members that have a value: what is not set is not in a request."""
    return {name: value for name, value in members.items() if value}


def _with_after(arguments: Mapping[str, Any], after: str, added: Mapping[str, Any]) -> dict[str, Any]:
    """`arguments` with `added` behind the one named, where the compiler puts them."""
    merged: dict[str, Any] = {}
    for name, value in arguments.items():
        merged[name] = value
        merged |= added if name == after else {}
    return merged
