"""Properties of steps that other steps refer to: whether the job's Describe answer has them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any

from batchcast.engine.pipeline.expressions import Reference
from batchcast.pipelines.requests import OPERATIONS
from batchcast.steps.errors import Problem

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
    model = _service_shapes()
    operation = OPERATIONS[step["Type"]].replace("Create", "Describe", 1)
    shape = model["shapes"][model["operations"][operation]["output"]["shape"]]
    trail: list[str] = []
    for match in _PART.finditer(one.path):
        name, index, key = match.groups()
        if shape["type"] == "structure" and name:
            if name not in shape["members"]:
                yield _unknown(f"{one.name} has no property {'.'.join([*trail, name])}", name, shape["members"], where)
                return
            shape = model["shapes"][shape["members"][name]["shape"]]
        elif shape["type"] == "list" and (index or key):
            if key and trail[-1:] == ["Outputs"]:
                yield from _output(one.name, key, step, where)
            shape = model["shapes"][shape["member"]["shape"]]
        elif shape["type"] == "map" and (key or name):
            shape = model["shapes"][shape["value"]["shape"]]
        else:
            yield Problem("unknown_property", f"{one.name}.{one.path} leads nowhere.", where, "")
            return
        trail += [name] if name else []


def _output(step_name: str, output: str, step: Mapping[str, Any], where: str) -> Iterator[Problem]:
    config = step["Arguments"].get("ProcessingOutputConfig")
    outputs = config.get("Outputs") if isinstance(config, Mapping) else None
    names = [each.get("OutputName") for each in outputs or () if isinstance(each, Mapping)]
    if all(isinstance(name, str) for name in names) and output not in names:
        yield _unknown(f"{step_name} has no output {output}", output, names, where, code="unknown_output")


def _unknown(what: str, name: str, known: Iterable[Any], where: str, code: str = "unknown_property") -> Problem:
    near = get_close_matches(name, list(known), n=1)
    return Problem(code, f"{what}.", where, f"Did you mean {near[0]}?" if near else "")


@cache
def _service_shapes() -> Mapping[str, Any]:
    import botocore.loaders

    model: Mapping[str, Any] = botocore.loaders.Loader().load_service_model("sagemaker", "service-2")
    return model
