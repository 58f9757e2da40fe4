"""Properties of steps that other steps refer to: whether the job's Describe answer has them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from batchcast.engine.pipeline.expressions import Reference
from batchcast.pipelines.lint.service_model import botocore_model
from batchcast.pipelines.requests import OPERATIONS
from batchcast.steps.errors import Problem, did_you_mean

_PART = re.compile(r"\.?([A-Za-z_][A-Za-z0-9_\-]*)|\[(\d+)\]|\[['\"](.+?)['\"]\]")


def property_problems(
    where: str, references: Iterable[Reference], steps: Mapping[str, Mapping[str, Any]]
) -> Iterator[Problem]:
    """References of the step `where` to a property that the named step does not have, or to an output it lacks."""
    for one in references:
        if one.kind != "Properties" or one.name not in steps:
            continue
        step = steps[one.name]
        if step["Type"] in OPERATIONS and step["Type"] != "RegisterModel":
            yield from _property(one, step, where)
        elif step["Type"] not in ("Condition", "Fail"):
            what = f"the property {one.path} of {one.name}, a {step['Type']} step."
            yield Problem("not_checked", what, where)


def _property(one: Reference, step: Mapping[str, Any], where: str) -> Iterator[Problem]:
    model = botocore_model()
    operation = OPERATIONS[step["Type"]].replace("Create", "Describe", 1)
    shape = model["shapes"][model["operations"][operation]["output"]["shape"]]
    trail: list[str] = []
    for match in _PART.finditer(one.path):
        name, index, key = match.groups()
        if shape["type"] == "structure" and name:
            if name not in shape["members"]:
                what = f"{one.name} has no property {'.'.join([*trail, name])}."
                yield Problem("unknown_property", what, where, did_you_mean(name, shape["members"]))
                return
            shape = model["shapes"][shape["members"][name]["shape"]]
        elif shape["type"] == "list" and (index or key):
            if key and trail[-1:] == ["Outputs"]:
                names = output_names(step)
                if all(isinstance(name, str) for name in names) and key not in names:
                    what = f"{one.name} has no output {key}."
                    yield Problem("unknown_output", what, where, did_you_mean(key, names))
            shape = model["shapes"][shape["member"]["shape"]]
        elif shape["type"] == "map" and (key or name):
            shape = model["shapes"][shape["value"]["shape"]]
        else:
            yield Problem("unknown_property", f"{one.name}.{one.path} leads nowhere.", where, "")
            return
        trail += [name] if name else []


def output_names(step: Mapping[str, Any]) -> list[Any]:
    """What a step says its outputs are called."""
    config = step["Arguments"].get("ProcessingOutputConfig")
    outputs = config.get("Outputs") if isinstance(config, Mapping) else None
    return [each.get("OutputName") for each in outputs or () if isinstance(each, Mapping)]
