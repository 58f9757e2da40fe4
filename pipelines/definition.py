"""The pipeline's definition: the JSON that SageMaker and the local engine execute, and the contract between them.

The SDK compiles the graph with the default settings; `fill` puts a team's settings into what it made. `define` does
so with the committed definition: what is deployed is thus what was reviewed and run on a laptop, whatever version of
the SDK the machine has, and none at all in a Lambda function.

`python -m batchcast.pipelines.definition` compiles the committed definition anew.
"""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batchcast.pipelines.parameters import parse_overrides
from batchcast.pipelines.requests import walk_steps
from batchcast.pipelines.settings import BUILD_STEP, DEFAULTS, BuildSettings, given_members, tag_list
from batchcast.steps.arguments import NONE, SPARK
from batchcast.steps.container import ContainerPaths
from batchcast.steps.contract.request import PLAIN_REQUEST, Request
from batchcast.steps.contract.series import ITEM_ID_KEY
from batchcast.steps.shards.request_text import BODY_KEY

# The definition that is committed, deployed and run on a laptop.
DEFINITION_FILE = Path(__file__).with_name("pipeline.json")


def build(settings: BuildSettings, request: Request = PLAIN_REQUEST) -> dict[str, Any]:
    """The definition as a dict. Needs the `aws` extra; reads nothing and calls nothing."""
    from batchcast.pipelines.sdk.graph import compile_graph

    return fill(complete_definition(compile_graph()), settings, request)


def write_definition(definition: Mapping[str, Any]) -> str:
    """The text that is committed and deployed."""
    return json.dumps(definition, indent=2) + "\n"


def complete_definition(compiled: dict[str, Any]) -> dict[str, Any]:
    """Add what older SDKs cannot say, so that SDK 3.12 of Studio and 3.27 give the same text.

    - `InstanceCount` of a transform job as a parameter: the SDK's class takes only a number, the service takes both.
    - Run conditions (`Trigger`): the SDK has them from 3.27 on. With them the step after a transform job runs
      whether the job completed or not, and accounts for every record either way.
    - Sections that are null, which some versions write and some leave out.
    """
    for step in walk_steps(compiled["Steps"]):
        if step["Type"] == "Transform":
            resources = step["Arguments"]["TransformResources"]
            resources["InstanceCount"] = {"Get": "Parameters.TransformInstanceCount"}
        elif step["Name"].startswith("ValidateAndPublish"):
            step["DependsOn"] = [{"Step": name, "Trigger": "Any"} for name in step["DependsOn"]]
    return {key: value for key, value in compiled.items() if value is not None}


def with_request(job: Mapping[str, Any], request: Request = PLAIN_REQUEST) -> dict[str, Any]:
    """The arguments of a transform job with what the contract's `[request]` decides."""
    parts = transform_request(request)
    merged = {key: value for key, value in job.items() if key not in ("BatchStrategy", "DataProcessing")} | parts
    for section, key in (("TransformInput", "SplitType"), ("TransformOutput", "AssembleWith")):
        merged[section] = {name: value for name, value in job[section].items() if name != key} | parts[section]
    return merged


def transform_request(request: Request) -> dict[str, Any]:
    """The parts of CreateTransformJob that follow from the request.

    In lines, one line is one request and its answer one line. The join carries the ids past the model, and the output
    filter drops the history; without it the bytes of a line are sent as they are. An object of its own is not split.
    """
    parts: dict[str, Any] = {
        "TransformInput": {"ContentType": request.content_type},
        "TransformOutput": {"Accept": request.accept},
    }
    if request.mode == "line":
        parts["BatchStrategy"] = "SingleRecord"
        parts["TransformInput"]["SplitType"] = "Line"
        parts["TransformOutput"]["AssembleWith"] = "Line"
    if request.enveloped:
        parts["DataProcessing"] = {
            "InputFilter": f"$.{BODY_KEY}",
            "OutputFilter": f"$['{ITEM_ID_KEY}','SageMakerOutput']",
            "JoinSource": "Input",
        }
    return parts


_TYPES: Mapping[str, type] = {"Integer": int, "Float": float}


def defaults_of(definition: Mapping[str, Any]) -> dict[str, str]:
    """Name to default as text, as StartPipelineExecution would take it; parameters without one are left out."""
    return {one["Name"]: str(one["DefaultValue"]) for one in definition["Parameters"] if "DefaultValue" in one}


def with_defaults(definition: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """A copy of the definition with these values as defaults. They have been checked by `parse_overrides`."""
    changed: dict[str, Any] = copy.deepcopy(dict(definition))
    for parameter in changed["Parameters"]:
        if parameter["Name"] in values:
            parameter["DefaultValue"] = _TYPES.get(parameter["Type"], str)(values[parameter["Name"]])
    return changed


def define(
    settings: BuildSettings | None = None,
    defaults: Mapping[str, object] | None = None,
    request: Request = PLAIN_REQUEST,
) -> dict[str, Any]:
    """The pipeline definition as a dict, with `defaults` of its parameters; reads `pipeline.json` and nothing else.

    Raises ConfigError for a parameter that there is not, and for a value that it cannot have.
    """
    checked = parse_overrides([f"{name}={value}" for name, value in (defaults or {}).items()])
    committed = json.loads(DEFINITION_FILE.read_text(encoding="utf-8"))
    return with_defaults(fill(committed, settings or DEFAULTS, request), checked)


def fill(definition: dict[str, Any], settings: BuildSettings, request: Request = PLAIN_REQUEST) -> dict[str, Any]:
    """The definition with these settings in place of the defaults; its transform jobs send what the contract's
    `[request]` says."""
    for step in walk_steps(definition["Steps"]):
        if step["Type"] == "Processing":
            _fill_processing(step["Name"], step["Arguments"], settings)
        elif step["Type"] == "Transform":
            step["Arguments"] = with_request(step["Arguments"], request)
            _fill_transform(step["Arguments"], settings)
        if "DependsOn" in step and not settings.run_conditions:
            step["DependsOn"] = [one if isinstance(one, str) else one["Step"] for one in step["DependsOn"]]
    return definition


def _fill_processing(name: str, arguments: dict[str, Any], settings: BuildSettings) -> None:
    cluster = arguments["ProcessingResources"]["ClusterConfig"]
    image, instances = settings.container(name)
    cluster |= {"InstanceCount": instances, "VolumeSizeInGB": settings.volume_size_in_gb}
    cluster |= given_members(VolumeKmsKeyId=settings.volume_kms_key)
    arguments["AppSpecification"] |= {"ImageUri": image, "ContainerEntrypoint": settings.entrypoint}
    words = arguments["AppSpecification"]["ContainerArguments"]
    words += ["--build-engine", SPARK] if name == BUILD_STEP and settings.build_engine == SPARK else []
    arguments["RoleArn"] = settings.processing_role_arn
    shipped = {"code": settings.code_uri, "contract": settings.contract_uri}
    for each in arguments["ProcessingInputs"]:
        if each["InputName"] in shipped:
            each["S3Input"]["S3Uri"] = shipped[each["InputName"]]
    for key, uri in settings.packages(name).items():
        added_input = copy.deepcopy(arguments["ProcessingInputs"][0]) | {"InputName": key}
        added_input["S3Input"] |= {"S3Uri": uri, "LocalPath": str(ContainerPaths().input(key))}
        arguments["ProcessingInputs"].append(added_input)
    arguments["ProcessingOutputConfig"] |= given_members(KmsKeyId=settings.output_kms_key)
    arguments["StoppingCondition"] = {"MaxRuntimeInSeconds": settings.max_runtime_in_seconds}
    if name == BUILD_STEP and name in settings.isolated_steps:
        words[words.index("--publish-uri") + 1] = NONE  # without a network it cannot take the lock
    arguments |= given_members(
        Environment=settings.processing_environment(name),
        NetworkConfig=_network(name, settings),
        Tags=tag_list(settings.tags),
    )


def _fill_transform(arguments: dict[str, Any], settings: BuildSettings) -> None:
    key = given_members(KmsKeyId=settings.output_kms_key)
    arguments["TransformOutput"] |= key
    arguments["TransformResources"] |= given_members(
        VolumeKmsKeyId=settings.volume_kms_key, TransformAmiVersion=settings.transform_ami_version
    )
    arguments |= given_members(
        Tags=tag_list(settings.tags),
        Environment=dict(settings.transform_environment),
        DataCaptureConfig={"DestinationS3Uri": uri, **key} if (uri := settings.data_capture_uri) else {},
    )


def _network(step: str, settings: BuildSettings) -> dict[str, Any]:
    isolated = step in settings.isolated_steps
    if not (isolated or settings.encrypt_inter_container_traffic or settings.subnets):
        return {}
    return {
        "EnableNetworkIsolation": isolated,
        "EnableInterContainerTrafficEncryption": settings.encrypt_inter_container_traffic,
    } | given_members(VpcConfig=settings.vpc)


def main() -> None:
    DEFINITION_FILE.write_text(write_definition(build(DEFAULTS)))


if __name__ == "__main__":
    main()
