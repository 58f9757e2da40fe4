"""A request against the service model of the botocore that is installed, a step's properties against its answers."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from batchcast.engine.pipeline.expressions import Reference
from batchcast.engine.requests.request_check import TYPES, Violation, is_expression, violations, with_documented_limits
from batchcast.pipelines.requests import OPERATIONS
from batchcast.steps.errors import Problem, did_you_mean


def request_problems(operation: str, request: Mapping[str, Any], where: str) -> Iterator[Problem]:
    """Unknown and missing members, types, enumerations, patterns, lengths and ranges; expressions are passed over.

    `operation` as in the API reference, for example CreateTransformJob; `where` begins the path in each problem.
    """
    found = list(violations(with_documented_limits(botocore_model()), operation, request, is_open=is_expression))
    unnamed = (f"{operation.removeprefix('Create')}Name", ())  # a pipeline step's job is named by the service
    lengths = {each.path for each in found if each.unit == "characters"}
    for each in found:
        absent = each.code == "missing_member" and (each.value, each.path) == unnamed
        twice = each.code == "pattern" and each.path in lengths  # the pattern often states the length once more
        if not absent and not twice:
            yield _problem(each, where)


@cache
def botocore_model() -> Mapping[str, Any]:
    """The whole service model of the botocore that is installed."""
    import botocore.loaders

    model: Mapping[str, Any] = botocore.loaders.Loader().load_service_model("sagemaker", "service-2")
    return model


def _problem(violation: Violation, root: str) -> Problem:
    code, value, expected = violation.code, violation.value, violation.expected
    steps = (step if step.startswith("[") else f".{step}" for step in violation.path if not step.startswith(":"))
    where = root + "".join(steps)
    amount = f"{violation.measure} {violation.unit}".strip()
    match code:
        case "wrong_type":
            return Problem(code, f"{value!r} is not {TYPES[expected][1]}.", where)
        case "missing_member":
            return Problem(code, f"{value} is missing.", where, "Give it.")
        case "unknown_member":
            return Problem(code, "there is no such member.", f"{where}.{value}", _nearest(value, expected))
        case "not_in_enumeration":
            return Problem(code, f"{value!r} is not allowed.", where, _nearest(value, expected))
        case "pattern":
            what = f"{value!r} has characters or a form the service refuses."
            return Problem(code, what, where, f"It must match {expected}")
        case "above_maximum":
            return Problem(code, f"{amount}; SageMaker allows {expected}.", where, f"Use at most {expected}.")
        case _:
            return Problem(code, f"{amount}; SageMaker needs {expected}.", where, f"Use at least {expected}.")


def _nearest(name: str, known: Sequence[str]) -> str:
    many = f"{len(known)} values are known, none of them near."
    return did_you_mean(name, known, many if len(known) > 30 else f"Known are: {', '.join(known)}.")


_MORE_PROPERTIES = {"Tuning": "ListTrainingJobsForHyperParameterTuningJob"}
"""What else a step's properties are the answers to (SageMaker Python SDK 3.27, sagemaker.mlops.workflow.steps)."""
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
    operations = OPERATIONS[step["Type"]].replace("Create", "Describe", 1), _MORE_PROPERTIES.get(step["Type"])
    outputs = [model["operations"][each]["output"]["shape"] for each in operations if each]
    members = {name: each for output in outputs for name, each in model["shapes"][output]["members"].items()}
    shape: Mapping[str, Any] = {"type": "structure", "members": members}
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
    config = step["Arguments"].get("ProcessingOutputConfig")
    outputs = config.get("Outputs") if isinstance(config, Mapping) else None
    listed = outputs if isinstance(outputs, list) else []
    return [each.get("OutputName") for each in listed if isinstance(each, Mapping)]
