"""The record of a pipeline execution: how it begins, and what is derived from it.

With a selection of steps: which may be run alone, and what they take over from an earlier execution. Source: API
reference, SelectiveExecutionConfig; developer guide, "Selective execution of pipeline steps".
"""

import secrets
import string
import time
from collections.abc import Mapping
from typing import Any

from batchcast.engine.errors import ServiceException
from batchcast.engine.pipeline.definition import Definition, ancestors, predecessors, unmet
from batchcast.engine.pipeline.definition_reader import parse_definition
from batchcast.engine.pipeline.expressions import Scope, evaluate
from batchcast.engine.pipeline.parameters import Scalar, parameter_values
from batchcast.engine.state import Record, arn, now
from batchcast.engine.workspace import Workspace

EXECUTING = "Executing"
"""The status of a record until its execution has ended; Stopping is told from the request to stop beside it."""

_ID_CHARACTERS = string.ascii_lowercase + string.digits
_ID_LENGTH = 12
_KEPT = ("PipelineExecutionDescription", "ParallelismConfiguration", "SelectiveExecutionConfig", "ClientRequestToken")


def new_execution(workspace: Workspace, pipeline: Record, request: Mapping[str, Any]) -> Record:
    """The record of an execution that StartPipelineExecution asks for. Raises ServiceException for parameters or a
    selection of steps that the service would refuse."""
    definition = parse_definition(pipeline["PipelineDefinition"])
    values = parameter_values(definition.parameters, request.get("PipelineParameters", []))
    moment = now()
    record: Record = {
        "PipelineName": pipeline["PipelineName"],
        "PipelineExecutionId": "".join(secrets.choice(_ID_CHARACTERS) for _ in range(_ID_LENGTH)),
        "PipelineExecutionDisplayName": f"execution-{int(time.time() * 1000)}",
        **{key: pipeline[key] for key in ("RoleArn", "ParallelismConfiguration") if key in pipeline},
        **{key: request[key] for key in ("PipelineExecutionDisplayName", *_KEPT) if key in request},
        "Status": EXECUTING,
        "CreationTime": moment,
        "LastModifiedTime": moment,
        "PipelineParameters": request.get("PipelineParameters", []),
        "PipelineDefinition": pipeline["PipelineDefinition"],
        "DefinitionTime": pipeline["DefinitionTime"],
        "PipelineVersionId": pipeline["PipelineVersionId"],
        "Steps": reused_steps(workspace, pipeline["PipelineName"], definition, request.get("SelectiveExecutionConfig")),
        "Attempts": {},
        "RetryTokens": [],
    }
    return record | _experiment(definition, record, values)


def _experiment(definition: Definition, record: Record, values: Mapping[str, Scalar]) -> Record:
    """The names of the experiment and the trial; there is nothing on this machine that would hold them."""
    if definition.experiment is None:
        return {}

    def no_step(*_: str) -> Any:
        raise ServiceException("ValidationException", "PipelineExperimentConfig cannot refer to a step.")

    scope = Scope(
        parameters=values,
        execution=execution_variables(record),
        properties=no_step,
        property_file=no_step,
        json_object=no_step,
    )
    return {"PipelineExperimentConfig": evaluate(definition.experiment, scope)}


def execution_variables(record: Record) -> dict[str, str]:
    """The execution variables that all steps see alike."""
    name = record["PipelineName"]
    return {
        "StartDateTime": record["CreationTime"],
        "PipelineName": name,
        "PipelineArn": arn("pipeline", name),
        "PipelineExecutionId": record["PipelineExecutionId"],
        "PipelineExecutionArn": execution_arn(record),
    }


def execution_arn(record: Record) -> str:
    return arn("pipeline", f"{record['PipelineName']}/execution/{record['PipelineExecutionId']}")


def find_execution(workspace: Workspace, execution: str) -> Record:
    """The record of the execution with that ARN. Raises ServiceException `ResourceNotFound`."""
    record = workspace.executions.read(execution.rsplit("/", 1)[-1])
    if record is None or execution_arn(record) != execution:
        raise ServiceException("ResourceNotFound", f"PipelineExecution '{execution}' does not exist.")
    return record


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
        if missing := sorted(unmet(definition.steps[step], reused) - selected):
            what = f"step {step} needs {', '.join(missing)}, which did not end so in the source execution"
            raise _refusal(f"{what}: select it as well")
    return reused


def _check_selection(definition: Definition, selected: set[str]) -> None:
    unknown = sorted(selected - definition.steps.keys())
    if unknown:
        raise _refusal(f"the pipeline has no step {', '.join(unknown)}")
    before = ancestors(definition, selected) - selected
    gaps = sorted(name for name in before if ancestors(definition, {name}) & selected)
    if gaps:
        what = "every step on a path between two selected steps has to be selected, too"
        raise _refusal(f"{what}: add {', '.join(gaps)}")


def _source(workspace: Workspace, pipeline: str, arn: str | None) -> Record | None:
    if arn is None:
        return None
    record = workspace.executions.read(arn.rsplit("/", 1)[-1])
    if record is None or record["PipelineName"] != pipeline:
        raise _refusal(f"{arn} is no execution of pipeline {pipeline}")
    if record["Status"] == "Executing":
        raise _refusal(f"the source execution {arn} is still running; it has to have ended")
    return record


def _refusal(what: str) -> ServiceException:
    return ServiceException("ValidationException", f"Selective execution: {what}.")
