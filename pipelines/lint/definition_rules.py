"""Rules of a whole definition: names, references, dependencies, and what is declared but never takes effect."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from batchcast.engine.pipeline.definition import EXECUTION_VARIABLES, STEP_NAME, TRIGGERS
from batchcast.engine.pipeline.execution.retry_policy import retry_policy_problems
from batchcast.engine.pipeline.expressions import Reference, condition_problems, expression_problems, references
from batchcast.engine.requests.request_check import is_expression
from batchcast.pipelines.lint.service_model import output_names, property_problems
from batchcast.pipelines.requests import OPERATIONS
from batchcast.steps.errors import Problem, did_you_mean

# API reference, CreatePipeline and StartPipelineExecution (botocore 1.44.8); the number of steps is a default quota.
_MAX_CHARACTERS = 1_048_576
_MAX_PARAMETERS = 200
_MAX_STEPS = 50
_MAX_VALUE_CHARACTERS = 1024
_MAX_MESSAGE_CHARACTERS = 3072
_PARAMETER_NAME = re.compile(r"[A-Za-z0-9\-_]{1,256}")
# SageMaker Python SDK 3.27, sagemaker.core.workflow.execution_variables.
_VARIABLES = (*EXECUTION_VARIABLES, "TrainingJobName")
# Developer guide, "Condition step" and "Fail step", limitations (read 2026-11); sagemaker-python-sdk#3565.
_ENDS: Mapping[str, str] = {
    "Condition": "is a condition, which no step may name as what it waits for; put the step into a branch",
    "Fail": "is a Fail step, which no step can follow",
}
_CHECKED_TYPES = {*OPERATIONS, "Condition", "Fail"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDeclaration:
    """What the rules look at: one step, its own arguments and what these refer to.

    `triggers` maps the steps of `DependsOn` to the outcome that is waited for.
    """

    name: str
    type: str
    body: Mapping[str, Any]
    arguments: Mapping[str, Any]
    references: tuple[Reference, ...]
    triggers: Mapping[str, str]

    @classmethod
    def of(cls, step: Mapping[str, Any]) -> StepDeclaration:
        """A condition's own arguments are its conditions; the steps of its branches are steps of their own."""
        arguments = {key: item for key, item in step["Arguments"].items() if key not in ("IfSteps", "ElseSteps")}
        entries = [{"Step": one} if isinstance(one, str) else one for one in step.get("DependsOn") or ()]
        return cls(
            name=step["Name"],
            type=step["Type"],
            body=step,
            arguments=arguments,
            references=_safe_references(arguments),
            triggers={one["Step"]: one.get("Trigger", "Completed") for one in entries},
        )


def definition_problems(definition: Mapping[str, Any], steps: list[StepDeclaration]) -> Iterator[Problem]:
    """Everything but the job requests themselves."""
    yield from _sizes(definition, steps)
    for step in steps:
        if step.type in _CHECKED_TYPES:
            yield from expression_problems(step.arguments, step.name)
    parameters = definition.get("Parameters", [])
    for parameter in parameters:
        yield from _parameter_limits(parameter)
    names = {parameter["Name"] for parameter in parameters}
    by_name = {step.name: step for step in steps}
    for step in steps:
        yield from _references(step, names, by_name)
        yield from _dependencies(step, by_name)
        yield from property_problems(step.name, step.references, {name: one.body for name, one in by_name.items()})
        yield from _step_options(step)
        if step.type == "Condition":
            yield from condition_problems(step.arguments.get("Conditions"), f"{step.name}.Conditions")
        if step.type == "Transform":
            yield from _shared_output(step, {one["Name"] for one in parameters if "DefaultValue" not in one})
    yield from _cycle(steps)
    yield from _nested_conditions(definition["Steps"])
    yield from _parameters_without_effect(definition, steps)


def _safe_references(value: Any) -> tuple[Reference, ...]:
    return () if any(expression_problems(value, "")) else tuple(references(value))


def _sizes(definition: Mapping[str, Any], steps: list[StepDeclaration]) -> Iterator[Problem]:
    measures = [
        (len(json.dumps(definition)), _MAX_CHARACTERS, "characters", "Move long values into files on S3."),
        (len(definition.get("Parameters", [])), _MAX_PARAMETERS, "parameters", "Make some of them constants."),
        (len(steps), _MAX_STEPS, "steps", "Ask for a higher quota of steps per pipeline, or use fewer."),
    ]
    for measure, limit, unit, remedy in measures:
        if measure > limit:
            yield Problem("too_large", f"{measure} {unit}; SageMaker allows {limit}.", "definition", remedy)
    for kind, names in [
        ("step", [step.name for step in steps]),
        ("parameter", [parameter["Name"] for parameter in definition.get("Parameters", [])]),
    ]:
        for name in sorted(name for name, count in Counter(names).items() if count > 1):
            yield Problem("repeated_name", f"two {kind}s have this name.", name, "Give each its own.")


def _parameter_limits(parameter: Mapping[str, Any]) -> Iterator[Problem]:
    name, default = parameter["Name"], parameter.get("DefaultValue")
    if not _PARAMETER_NAME.fullmatch(name):
        what = f"{len(name)} characters, or others than letters, digits, - and _."
        yield Problem("parameter_name", what, name, "Use 1 to 256 of them.")
    if isinstance(default, str) and not 1 <= len(default) <= _MAX_VALUE_CHARACTERS:
        what = f"the default has {len(default)} characters; SageMaker takes 1 to {_MAX_VALUE_CHARACTERS}."
        yield Problem("parameter_default", what, name, "Use a word such as none, or a file on S3.")


def _references(step: StepDeclaration, parameters: set[str], steps: Mapping[str, StepDeclaration]) -> Iterator[Problem]:
    for one in step.references:
        if one.kind == "Parameters" and one.name not in parameters:
            yield _unknown("unknown_parameter", f"Parameters.{one.name}", one.name, parameters, step.name)
        elif one.kind == "Execution" and one.name not in _VARIABLES:
            yield _unknown("unknown_variable", f"Execution.{one.name}", one.name, _VARIABLES, step.name)
        elif one.kind in ("Properties", "PropertyFiles") and one.name not in steps:
            yield _unknown("unknown_step", f"Steps.{one.name}", one.name, steps, step.name)
        elif one.kind == "PropertyFiles":
            declared = steps[one.name].body.get("PropertyFiles") or []
            files = [str(file.get("PropertyFileName")) for file in declared if isinstance(file, Mapping)]
            if one.path not in files:
                yield _unknown("unknown_property_file", f"{one.name}'s {one.path}", one.path, files, step.name)
    for name in _read_steps(step):
        if step.triggers.get(name, "Completed") != "Completed":
            what = f"reads a property of {name}, which has none when it failed, but runs on {step.triggers[name]}."
            remedy = "Build the value from parameters and the execution id."
            yield Problem("reads_failed_step", what, step.name, remedy)


def _read_steps(step: StepDeclaration) -> set[str]:
    return {one.name for one in step.references if one.kind in ("Properties", "PropertyFiles")}


def _unknown(code: str, what: str, name: str, known: Any, where: str) -> Problem:
    return Problem(code, f"{what} does not exist.", where, did_you_mean(name, known))


def _dependencies(step: StepDeclaration, steps: Mapping[str, StepDeclaration]) -> Iterator[Problem]:
    for name, trigger in step.triggers.items():
        if name not in steps:
            yield _unknown("unknown_step", f"the step {name} of DependsOn", name, steps, step.name)
        elif steps[name].type in _ENDS:
            yield Problem("depends_on_end", f"{name} {_ENDS[steps[name].type]}.", f"{step.name}.DependsOn")
        elif trigger not in TRIGGERS:
            yield Problem("trigger", f"{trigger!r} is no outcome.", step.name, f"Use one of {', '.join(TRIGGERS)}.")
        elif steps[name].type == "Transform" and trigger == "Completed":
            what = (
                f"never runs when {name} fails, and one failing record is enough for that: what was computed is lost."
            )
            remedy = 'Depend on it with {"Step": …, "Trigger": "Any"} and account for every record.'
            yield Problem("lost_on_failure", what, step.name, remedy)


def _nested_conditions(steps: list[Any]) -> Iterator[Problem]:
    for outer in steps:
        if outer["Type"] == "Condition":
            inner = [*outer["Arguments"].get("IfSteps", []), *outer["Arguments"].get("ElseSteps", [])]
            for one in inner:
                if one["Type"] == "Condition":
                    what = f"is a condition inside the condition {outer['Name']}, which Pipelines does not support."
                    remedy = "Put both beside each other, or let a step fail by its own exit."
                    yield Problem("nested_condition", what, one["Name"], remedy)
            yield from _nested_conditions(inner)


def _step_options(step: StepDeclaration) -> Iterator[Problem]:
    if not STEP_NAME.fullmatch(step.name):
        what = f"{len(step.name)} characters, or others than letters, digits, - and _."
        yield Problem("step_name", what, step.name, "Use 1 to 64 of them.")
    if step.type not in _CHECKED_TYPES:
        yield Problem("not_checked", f"the arguments of {step.type} steps are not checked.", step.name)
    if (step.body.get("CacheConfig") or {}).get("Enabled") and step.type in ("Processing", "Transform"):
        what = "its cache key leaves out what the objects on S3 hold: an old result may be taken for a new one."
        yield Problem("cache", what, step.name, "Turn the cache off, or give every execution its own prefixes.")
    for index, policy in enumerate(step.body.get("RetryPolicies") or ()):
        yield from retry_policy_problems(policy, f"{step.name}.RetryPolicies[{index}]")
    if step.type == "Fail":
        yield from _message(step)
    if step.type == "Processing":
        yield from _property_outputs(step)


def _message(step: StepDeclaration) -> Iterator[Problem]:
    text = step.arguments.get("ErrorMessage")
    if isinstance(text, str) and len(text) > _MAX_MESSAGE_CHARACTERS:
        what = f"{len(text)} characters; SageMaker allows {_MAX_MESSAGE_CHARACTERS}."
        yield Problem("above_maximum", what, f"{step.name}.ErrorMessage", f"Use at most {_MAX_MESSAGE_CHARACTERS}.")
    if "Std:JsonGet" in json.dumps(step.arguments):
        what = "the message reads a property file, which fails where the file is missing."
        yield Problem("fail_message", what, step.name, "Join constants, parameters and the execution id.")


def _property_outputs(step: StepDeclaration) -> Iterator[Problem]:
    """A property file lies in an output of its step."""
    names = output_names(step.body)
    known = [name for name in names if isinstance(name, str)]
    for file in step.body.get("PropertyFiles") or ():
        name = file.get("OutputName") if isinstance(file, Mapping) else None
        if isinstance(name, str) and name not in names:
            yield _unknown("unknown_output", f"the output {name} of a property file", name, known, step.name)


def _shared_output(step: StepDeclaration, required: set[str]) -> Iterator[Problem]:
    """The same prefix in every execution; a parameter that each start has to give makes it another one."""
    output = step.arguments.get("TransformOutput", {})
    uri = output.get("S3OutputPath", "") if isinstance(output, Mapping) else ""
    named = _safe_references(uri)
    if {one.kind for one in named} <= {"Parameters"} and required.isdisjoint(one.name for one in named):
        what = "is the same in every execution: an earlier .out cannot be told from a new one."
        remedy = 'Join it with {"Get": "Execution.PipelineExecutionId"}.'
        yield Problem("shared_output", what, f"{step.name}.TransformOutput.S3OutputPath", remedy)


def _cycle(steps: list[StepDeclaration]) -> Iterator[Problem]:
    known = {step.name for step in steps}
    graph = {step.name: {*step.triggers, *_read_steps(step)} & known for step in steps}
    for step in steps:
        if step.type == "Condition":
            for branch in ("IfSteps", "ElseSteps"):
                for each in step.body["Arguments"].get(branch, ()):
                    graph[each["Name"]].add(step.name)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        yield Problem("cycle", f"{' -> '.join(reversed(error.args[1]))} wait for each other.", "definition")


def _parameters_without_effect(definition: Mapping[str, Any], steps: list[StepDeclaration]) -> Iterator[Problem]:
    # By text and not by expression, so that a use inside what is not checked counts too.
    used = set(re.findall(r'"Parameters\.([A-Za-z0-9\-_]+)"', json.dumps(definition)))
    for name in (parameter["Name"] for parameter in definition.get("Parameters", [])):
        if name in used:
            continue  # A step that has a constant of its own beside it is a choice.
        fixed = [f"{step.name}.{path} = {value!r}" for step in steps for path, value in _fixed(step, name)]
        if fixed:
            what = f"is declared, but {' and '.join(fixed)} {'is' if len(fixed) == 1 else 'are'} fixed."
            yield Problem("hard_coded", what, name, f'Put {{"Get": "Parameters.{name}"}} there.')
        else:
            yield Problem("dead_parameter", "no step uses it: setting it does nothing.", name, "Use it or delete it.")


def _fixed(step: StepDeclaration, parameter: str) -> Iterator[tuple[str, Any]]:
    """Constants where the parameter's name points: InstanceCount of a Transform for TransformInstanceCount.

    Batch is another word for Transform: AWS's own templates say BatchInstanceCount.
    """
    if step.type in OPERATIONS:
        prefixes = ["", step.type, step.name, *(["Batch"] if step.type == "Transform" else [])]
        for path, value in _leaves(step.arguments, ""):
            member = path.rpartition(".")[2]
            if parameter in (f"{prefix}{member}" for prefix in prefixes):
                yield path, value


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and not is_expression(value):
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else key)
    elif not isinstance(value, Mapping | list):
        yield path, value
