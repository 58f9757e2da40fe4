"""The pipeline's definition: the JSON that SageMaker and the local engine execute, and the contract between them.

`python -m batchcast.pipelines.definition` compiles the committed definitions anew.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batchcast.pipelines.requests import walk_steps
from batchcast.pipelines.settings import BuildSettings
from batchcast.pipelines.transform_requests import with_request
from batchcast.steps.contract.request import PLAIN_REQUEST, Request

# The definition that is committed, deployed and run on a laptop.
DEFINITION_FILE = Path(__file__).with_name("pipeline.json")

# The committed definitions and the settings they are compiled with.
COMMITTED: Mapping[str, BuildSettings] = {
    "pipeline.json": BuildSettings(),
}


def build(settings: BuildSettings, request: Request = PLAIN_REQUEST) -> dict[str, Any]:
    """The definition as a dict. Needs the `aws` extra; reads nothing and calls nothing."""
    from batchcast.pipelines.sdk.graph import compile_graph

    return for_request(complete_definition(compile_graph(settings), settings), request)


def for_request(definition: dict[str, Any], request: Request) -> dict[str, Any]:
    """A definition whose transform jobs send what the contract's `[request]` says."""
    definition = copy.deepcopy(definition)
    for step in walk_steps(definition["Steps"]):
        if step["Type"] == "Transform":
            step["Arguments"] = with_request(step["Arguments"], request)
    return definition


def write_definition(definition: Mapping[str, Any]) -> str:
    """The text that is committed and deployed."""
    return json.dumps(definition, indent=2) + "\n"


def complete_definition(compiled: dict[str, Any], settings: BuildSettings) -> dict[str, Any]:
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
        elif step["Name"].startswith("ValidateAndPublish") and settings.run_conditions:
            step["DependsOn"] = [{"Step": name, "Trigger": "Any"} for name in step["DependsOn"]]
    return {key: value for key, value in compiled.items() if value is not None}


def main() -> None:
    """Compile the committed definitions and write them beside this file."""
    for name, settings in COMMITTED.items():
        Path(__file__).with_name(name).write_text(write_definition(build(settings)))


if __name__ == "__main__":
    main()
