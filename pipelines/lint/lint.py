"""Check a pipeline definition, ours or anybody's, without running it and without an account."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from batchcast.engine.errors import ServiceException
from batchcast.engine.pipeline.parameters import Scalar, parameter_values
from batchcast.pipelines.lint.definition_rules import StepDeclaration, definition_problems
from batchcast.pipelines.lint.request_rules import documented_problems, measured_problems
from batchcast.pipelines.lint.service_model import request_problems
from batchcast.pipelines.lint.template_rules import (
    definitions_in,
    filled_later,
    is_template,
    schedule_problems,
    unwrapped,
)
from batchcast.pipelines.requests import declared_in, resolve_jobs, walk_steps
from batchcast.pipelines.tuning import Tuning
from batchcast.steps.errors import ConfigError, Problem

_OPTIONS: Mapping[str, type] = {"RetryPolicies": list, "PropertyFiles": list, "CacheConfig": dict}
_SAMPLE_RUN_ID = "abcdefghijkl"


def lint(definition: Any, parameters: Mapping[str, str] | None = None, tuning: Tuning | None = None) -> list[Problem]:
    """Everything found, in the order of the definition, and what was not checked; an empty list is a clean bill.

    `definition` may be what describe-pipeline answers, one JSON text, or a CloudFormation template.

    Requests are checked with the defaults and `parameters`, and against what was measured where that is given; what
    has no value yet is passed over. Reads nothing but the service's model, which comes with botocore.
    """
    definition = unwrapped(definition)
    if is_template(definition):
        return list(_template_problems(definition, parameters, tuning))
    problems = list(_malformed(definition)) or _definition_problems(definition, parameters, tuning)
    # What stands there before a template has filled it in says nothing of what the service gets.
    later = [one for one in problems if filled_later(one.what) or filled_later(_text_at(definition, one.where))]
    places = dict.fromkeys(problem.where for problem in later)
    said = [Problem("not_checked", "a template fills in the value.", where) for where in places]
    return [one for one in problems if one not in later] + said


def _definition_problems(
    definition: Mapping[str, Any], parameters: Mapping[str, str] | None, tuning: Tuning | None
) -> list[Problem]:
    declared, problems = declared_in(definition)
    steps = [StepDeclaration.of(step) for step in walk_steps(definition["Steps"])]
    problems += definition_problems(definition, steps)
    try:
        given = [{"Name": name, "Value": value} for name, value in (parameters or {}).items()]
        has_value = {key: one for key, one in declared.items() if one.default is not None or key in (parameters or {})}
        values = parameter_values(has_value, given)
    except ServiceException as error:
        return [*problems, Problem("parameter", f"{error.message}.", "parameters")]
    return problems + check_requests(definition, values, _SAMPLE_RUN_ID, tuning)


@cache
def advice_codes() -> frozenset[str]:
    """What the service takes, and what then does not do what it seems to; all other findings it refuses."""
    return frozenset(tomllib.loads(Path(__file__).with_name("advice.toml").read_text(encoding="utf-8"))["codes"])


def check_requests(
    definition: Mapping[str, Any], values: Mapping[str, Scalar], run_id: str, tuning: Tuning | None = None
) -> list[Problem]:
    """The job requests of one run against the service's model, its documented limits and the measurement."""
    problems: list[Problem] = []
    try:
        jobs = list(resolve_jobs(definition, values, run_id))
    except ConfigError as error:
        return list(error.problems)
    for job in jobs:
        found = list(request_problems(job.operation, job.request, job.step))
        problems += found
        if not any(problem.code == "wrong_type" for problem in found):
            rules = (*documented_problems(job), *(measured_problems(job, tuning) if tuning else ()))
            problems += (replace(each, where=f"{job.step}.{each.where}") for each in rules)
    return problems


def _template_problems(
    template: Mapping[str, Any], parameters: Mapping[str, str] | None, tuning: Tuning | None
) -> Iterator[Problem]:
    for logical_id, definition, not_read in definitions_in(template):
        found = [not_read] if not_read else []
        found += lint(definition, parameters, tuning) if definition is not None else []
        yield from (replace(problem, where=f"{logical_id}: {problem.where}") for problem in found)
    yield from schedule_problems(template)


def _text_at(definition: Any, where: str) -> str:
    """The text that a problem is about, by the step and the path in it; "" where there is none."""
    step, _, path = where.partition(".")
    steps = () if any(_malformed(definition)) else walk_steps(definition["Steps"])
    value: Any = next((one["Arguments"] for one in steps if one["Name"] == step), None)
    for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path):
        if isinstance(value, Mapping):
            value = value.get(name)
        elif isinstance(value, list) and index and int(index) < len(value):
            value = value[int(index)]
    return value if isinstance(value, str) else ""


def _malformed(definition: Any) -> Iterator[Problem]:
    if not isinstance(definition, Mapping) or not isinstance(definition.get("Steps"), list):
        yield Problem("definition", "is not an object with a list of Steps.", "definition")
        return
    parameters = definition.get("Parameters", [])
    if not isinstance(parameters, list):
        yield Problem("definition", "is not a list.", "Parameters")
        return
    for index, parameter in enumerate(parameters):
        if not _text(parameter, "Name"):
            yield Problem("definition", "is not an object with a Name.", f"Parameters[{index}]")
    yield from _malformed_steps(definition["Steps"], "Steps")


def _malformed_steps(steps: Any, where: str) -> Iterator[Problem]:
    if not isinstance(steps, list):
        yield Problem("definition", "is not a list of steps.", where)
        return
    for index, step in enumerate(steps):
        here = f"{where}[{index}]"
        if not all(_text(step, key) for key in ("Name", "Type")):
            yield Problem("definition", "is not an object with a Name and a Type.", here)
        elif not isinstance(step.get("Arguments"), Mapping):
            yield Problem("definition", "has no Arguments.", here)
        elif not _is_dependencies(step.get("DependsOn") or []):
            yield Problem("definition", "DependsOn is not a list of step names or {Step, Trigger}.", here)
        elif wrong := [key for key, kind in _OPTIONS.items() if not isinstance(step.get(key) or kind(), kind)]:
            yield Problem("definition", f"{' and '.join(wrong)} cannot be read.", here)
        elif step["Type"] == "Condition":
            for branch in ("IfSteps", "ElseSteps"):
                yield from _malformed_steps(step["Arguments"].get(branch, []), f"{here}.{branch}")


def _text(value: Any, key: str) -> str:
    """The text under the key; "" where there is none."""
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if isinstance(found, str) else ""


def _is_dependencies(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(one, str) or (isinstance(one, Mapping) and isinstance(one.get("Step"), str)) for one in value
    )
