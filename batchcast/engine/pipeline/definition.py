"""A pipeline definition as the engine works with it: parameters, and steps in their order.

What cannot be ordered, what may start, what never will. Sources: SageMaker developer guide, "Define a pipeline" (read
2023-03); run conditions as the SageMaker Python SDK 3.27 renders them (`sagemaker.mlops.workflow.step_dependency`).
"""

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from batchcast.engine.pipeline.expressions import references
from batchcast.engine.pipeline.parameters import ParameterDeclaration
from batchcast.engine.requests.request_check import values_at
from batchcast.engine.state import Record
from batchcast.steps.errors import Problem

COMPLETED = "Completed"
TRIGGERS = (COMPLETED, "Failed", "Stopped", "Any")
STEP_NAME = re.compile(r"[A-Za-z0-9\-_]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step; `arguments` as written, without the nested steps of a Condition.

    `triggers` has the steps that must have ended, of `DependsOn` and of data references, and how: Completed, Failed,
    Stopped or Any. `branch` is the Condition step on a side of which it lies, and the outcome of that side. A property
    file, by its name, lies in an output at a path. Retry policies are as written, and were checked. `texts` are those
    members of the step's record that the definition gives.
    """

    name: str
    type: str
    arguments: Mapping[str, Any]
    triggers: Mapping[str, str]
    branch: tuple[str, bool] | None = None
    texts: Mapping[str, str]
    property_files: Mapping[str, tuple[str, str]]
    retry_policies: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A whole definition; `steps` by name in the order written, the steps of branches included."""

    parameters: Mapping[str, ParameterDeclaration]
    steps: Mapping[str, Step]
    experiment: Mapping[str, Any] | None = None


EXECUTION_VARIABLES = (
    "StartDateTime",
    "CurrentDateTime",
    "PipelineName",
    "PipelineArn",
    "PipelineExecutionId",
    "PipelineExecutionArn",
    "ProcessingJobName",
)
_STATUS_OF_TRIGGER = {COMPLETED: ("Succeeded",), "Failed": ("Failed",), "Stopped": ("Stopped",)}
ENDED = ("Succeeded", "Failed", "Stopped")
_NOT_STARTED: Record = {"StepStatus": ""}


def ready_steps(definition: Definition, records: Mapping[str, Record], selected: Set[str]) -> list[str]:
    """The steps of `selected` that may start now, in the order written. `records` has the steps that have started.

    A step waits for all of its dependencies and for the Condition step of its branch; it never starts when one of
    them ended otherwise than it asks for, or never started itself. After a Fail step nothing starts any more.
    """
    if _is_failing(definition, records):
        return []
    return [
        step.name
        for step in definition.steps.values()
        if step.name in selected and step.name not in records and not unmet(step, records)
    ]


def unmet(step: Step, records: Mapping[str, Record]) -> set[str]:
    """The steps that `step` waits for and that have not ended as it asks for."""
    waiting = {
        name
        for name, trigger in step.triggers.items()
        if records.get(name, _NOT_STARTED)["StepStatus"] not in _STATUS_OF_TRIGGER.get(trigger, ENDED)
    }
    if step.branch is not None:
        name, outcome = step.branch
        condition = records.get(name, _NOT_STARTED)
        decided = {"Condition": {"Outcome": str(outcome)}}
        if condition["StepStatus"] != "Succeeded" or condition["Metadata"] != decided:
            waiting.add(name)
    return waiting


def final_status(definition: Definition, records: Mapping[str, Record]) -> str:
    """The execution's status once nothing runs and nothing is ready: Succeeded, CompletedWithFailures or Failed.

    A step that did not succeed is handled when another could start after it, by a trigger other than Completed.
    """
    unsuccessful = {name for name, record in records.items() if record["StepStatus"] != "Succeeded"}
    handled = {before for name in records for before in definition.steps[name].triggers}
    if _is_failing(definition, records) or unsuccessful - handled:
        return "Failed"
    return "CompletedWithFailures" if unsuccessful else "Succeeded"


def predecessors(step: Step) -> set[str]:
    return {*step.triggers, *(step.branch or ())[:1]}


def ancestors(definition: Definition, names: Set[str]) -> set[str]:
    """Every step that one of `names` waits for, directly or not."""
    found: set[str] = set()
    left = set(names)
    while left:
        before = predecessors(definition.steps[left.pop()]) - found
        found |= before
        left |= before
    return found


def _is_failing(definition: Definition, records: Mapping[str, Record]) -> bool:
    return any(definition.steps[name].type == "Fail" and one["StepStatus"] in ENDED for name, one in records.items())


def graph_problems(definition: Definition) -> Iterator[Problem]:
    """What cannot be: references to nothing, steps that wait for one that none can follow, or for each other."""
    for step in definition.steps.values():
        for what in (*_reference_problems(definition, step), *_step_problems(definition, step)):
            yield Problem("definition", what, where=f"step {step.name}")
    try:
        TopologicalSorter({name: predecessors(step) for name, step in definition.steps.items()}).prepare()
    except CycleError as error:
        names = ", ".join(sorted(set(error.args[1])))
        yield Problem("definition", f"the steps {names} wait for each other.", where="Steps")


def _step_problems(definition: Definition, step: Step) -> Iterator[str]:
    for name in step.triggers:
        if name not in definition.steps:
            yield f"depends on {name}, which is no step."
        elif definition.steps[name].type == "Fail":
            yield f"depends on the Fail step {name}; nothing can follow one."
        elif definition.steps[name].type == "Condition":
            yield f"depends on the condition {name}; put it into one of the branches."
    outputs = list(values_at(step.arguments, "ProcessingOutputConfig.Outputs[].OutputName"))
    for file, (output, _) in step.property_files.items():
        if output not in outputs:
            yield f"property file {file} lies in output {output}, which the step does not have."


def _reference_problems(definition: Definition, step: Step) -> Iterator[str]:
    files = {each.name: {*each.property_files} for each in definition.steps.values()}
    for one in references(step.arguments):
        if one.kind == "Parameters" and one.name not in definition.parameters:
            yield f"parameter {one.name} is not declared."
        elif one.kind == "Execution" and one.name not in EXECUTION_VARIABLES:
            yield f"execution variable {one.name} has no value in this engine."
        elif one.kind == "PropertyFiles" and one.path not in files.get(one.name, {one.path}):
            yield f"step {one.name} has no property file {one.path}."
