"""Selective execution: which steps may be run alone, and what they take over from an earlier execution.

Source: API reference, SelectiveExecutionConfig; developer guide, "Selective execution of pipeline steps".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batchcast.engine.errors import ServiceException
from batchcast.engine.pipeline.definition import Definition, Step
from batchcast.engine.pipeline.execution.step_values import step_states
from batchcast.engine.pipeline.step_graph import ancestors, predecessors, unmet
from batchcast.engine.state import Record
from batchcast.engine.workspace import Workspace


def reused_steps(
    workspace: Workspace, pipeline: str, definition: Definition, config: Mapping[str, Any] | None
) -> dict[str, Record]:
    """The records of the steps before the selected ones, from the source execution; none without a selection.

    Raises ServiceException `ValidationException` when the selection has a gap, or needs a step that the source
    execution does not have in the state that is asked for.
    """
    if config is None:
        return {}
    selected = {each["StepName"] for each in config["SelectedSteps"]}
    _check_selection(definition, selected)
    needed = {name for step in selected for name in predecessors(definition.steps[step])} - selected
    source = _source(workspace, pipeline, config.get("SourcePipelineExecutionArn"))
    if needed and source is None:
        names = ", ".join(sorted(needed))
        raise _refusal(f"SourcePipelineExecutionArn is required: the selected steps depend on {names}")
    if source is None:
        return {}
    result = {"SelectiveExecutionResult": {"SourcePipelineExecutionArn": config["SourcePipelineExecutionArn"]}}
    before = ancestors(definition, selected) - selected
    reused = {name: {**record, **result} for name, record in source["Steps"].items() if name in before}
    for step in selected:
        _check_reused(definition.steps[step], selected, reused)
    return reused


def _check_selection(definition: Definition, selected: set[str]) -> None:
    unknown = sorted(selected - definition.steps.keys())
    if unknown:
        raise _refusal(f"the pipeline has no step {', '.join(unknown)}")
    before = ancestors(definition, selected) - selected
    gaps = sorted(name for name in before if ancestors(definition, {name}) & selected)
    if gaps:
        raise _refusal(
            f"every step on a path between two selected steps has to be selected, too: add {', '.join(gaps)}"
        )


def _source(workspace: Workspace, pipeline: str, arn: str | None) -> Record | None:
    if arn is None:
        return None
    record = workspace.executions.read(arn.rsplit("/", 1)[-1])
    if record is None or record["PipelineName"] != pipeline:
        raise _refusal(f"{arn} is no execution of pipeline {pipeline}")
    if record["Status"] == "Executing":
        raise _refusal(f"the source execution {arn} is still running; it has to have ended")
    return record


def _check_reused(step: Step, selected: set[str], reused: Mapping[str, Record]) -> None:
    missing = sorted(unmet(step, step_states(reused)) - selected)
    if missing:
        what = f"step {step.name} needs {', '.join(missing)}, which did not end so in the source execution"
        raise _refusal(f"{what}: select it as well")


def _refusal(what: str) -> ServiceException:
    return ServiceException("ValidationException", f"Selective execution: {what}.")
