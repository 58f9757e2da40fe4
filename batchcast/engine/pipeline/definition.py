"""A pipeline definition as the engine works with it: parameters, and steps in their order.

What cannot be ordered, what may start, what never will. Sources: SageMaker developer guide, "Define a pipeline" (read
2023-03); run conditions as the SageMaker Python SDK 3.27 renders them (`sagemaker.mlops.workflow.step_dependency`).
"""

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from batchcast.engine.pipeline.execution.retry_policy import RetryPolicy
from batchcast.engine.pipeline.expressions import references
from batchcast.engine.pipeline.parameters import ParameterDeclaration
from batchcast.engine.requests.request_check import values_at
from batchcast.engine.state import Record
from batchcast.steps.errors import Problem

COMPLETED = "Completed"
TRIGGERS = (COMPLETED, "Failed", "Stopped", "Any")
STEP_NAME = re.compile(r"[A-Za-z0-9\-_]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """A step that must have ended, and how: Completed, Failed, Stopped or Any."""

    step: str
    trigger: str = COMPLETED


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """The side of a Condition step that a step lies on."""

    condition: str
    outcome: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PropertyFile:
    """A JSON file in an output of a Processing step."""

    name: str
    output_name: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step; `arguments` as written, without the nested steps of a Condition.

    `dependencies` holds those of `DependsOn` and those that follow from data references.
    """

    name: str
    type: str
    arguments: Mapping[str, Any]
    dependencies: tuple[Dependency, ...] = ()
    branch: Branch | None = None
    display_name: str | None = None
    description: str | None = None
    property_files: tuple[PropertyFile, ...] = ()
    retry_policies: tuple[RetryPolicy, ...] = ()


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
        one.step
        for one in step.dependencies
        if records.get(one.step, _NOT_STARTED)["StepStatus"] not in _STATUS_OF_TRIGGER.get(one.trigger, ENDED)
    }
    if step.branch is not None and not _is_taken(step.branch, records):
        waiting.add(step.branch.condition)
    return waiting


def final_status(definition: Definition, records: Mapping[str, Record]) -> str:
    """The execution's status once nothing runs and nothing is ready: Succeeded, CompletedWithFailures or Failed.

    A step that did not succeed is handled when another could start after it, by a trigger other than Completed.
    """
    unsuccessful = {name for name, record in records.items() if record["StepStatus"] != "Succeeded"}
    handled = {dependency.step for name in records for dependency in definition.steps[name].dependencies}
    if _is_failing(definition, records) or unsuccessful - handled:
        return "Failed"
    return "CompletedWithFailures" if unsuccessful else "Succeeded"


def predecessors(step: Step) -> set[str]:
    """The steps that `step` waits for."""
    before = {dependency.step for dependency in step.dependencies}
    return before | {step.branch.condition} if step.branch else before


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


def _is_taken(branch: Branch, records: Mapping[str, Record]) -> bool:
    condition = records.get(branch.condition, _NOT_STARTED)
    decided = {"Condition": {"Outcome": str(branch.outcome)}}
    return condition["StepStatus"] == "Succeeded" and bool(condition["Metadata"] == decided)


def graph_problems(definition: Definition) -> Iterator[Problem]:
    """What cannot be: references to nothing, steps that wait for one that none can follow, or for each other."""
    for step in definition.steps.values():
        yield from _reference_problems(definition, step)
        for dependency in step.dependencies:
            target = definition.steps.get(dependency.step)
            what = None
            if target is None:
                what = f"depends on {dependency.step}, which is no step."
            elif target.type == "Fail":
                what = f"depends on the Fail step {dependency.step}; nothing can follow one."
            elif target.type == "Condition":
                what = f"depends on the condition {dependency.step}; put it into one of the branches."
            if what:
                yield Problem("definition", what, where=f"step {step.name}")
        outputs = list(values_at(step.arguments, "ProcessingOutputConfig.Outputs[].OutputName"))
        for file in step.property_files:
            if file.output_name not in outputs:
                what = f"property file {file.name} lies in output {file.output_name}, which the step does not have."
                yield Problem("definition", what, where=f"step {step.name}")
    try:
        TopologicalSorter({name: predecessors(step) for name, step in definition.steps.items()}).prepare()
    except CycleError as error:
        names = ", ".join(sorted(set(error.args[1])))
        yield Problem("definition", f"the steps {names} wait for each other.", where="Steps")


def _reference_problems(definition: Definition, step: Step) -> Iterator[Problem]:
    files = {each.name: [file.name for file in each.property_files] for each in definition.steps.values()}
    for reference in references(step.arguments):
        what = None
        if reference.kind == "Parameters" and reference.name not in definition.parameters:
            what = f"parameter {reference.name} is not declared."
        elif reference.kind == "Execution" and reference.name not in EXECUTION_VARIABLES:
            what = f"execution variable {reference.name} has no value in this engine."
        elif reference.kind == "PropertyFiles" and reference.path not in files.get(reference.name, (reference.path,)):
            what = f"step {reference.name} has no property file {reference.path}."
        if what:
            yield Problem("definition", what, where=f"step {step.name}")
