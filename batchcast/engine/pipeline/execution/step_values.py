"""Where the open values of a step come from in a running execution: parameters, variables, what earlier steps left."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from batchcast.engine.pipeline.definition import Definition, StepState
from batchcast.engine.pipeline.expressions import Scope
from batchcast.engine.pipeline.parameters import Scalar
from batchcast.engine.state import Record
from batchcast.engine.workspace import Workspace
from batchcast.steps.errors import ConfigError, Problem
from batchcast.steps.store.objects import join_uri


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionContext:
    """What the steps of one execution share.

    `step_record(name)` is the record of a step that has started, `halted` is set when the whole execution is to stop,
    `step_faults` names the exceptions that the first attempts of a step meet.
    """

    workspace: Workspace
    definition: Definition
    execution_id: str
    variables: Mapping[str, str]
    parameters: Mapping[str, Scalar]
    step_record: Callable[[str], Record]
    halted: threading.Event
    step_faults: Mapping[str, Sequence[str]]


def scope(context: ExecutionContext, **variables: str) -> Scope:
    """The scope in which one step is resolved; `variables` are execution variables that only this step has."""
    moment = datetime.now(UTC).isoformat(timespec="milliseconds")

    def properties(step: str) -> Mapping[str, Any]:
        record = _succeeded(context, step)
        kind, name = job_of(record)
        if kind == "Condition":
            return {"Outcome": record["Metadata"]["Condition"]["Outcome"]}
        return context.workspace.jobs[kind].describe(name)

    def property_file(step: str, file: str) -> Any:
        kind, name = job_of(_succeeded(context, step))
        outputs = context.workspace.jobs[kind].describe(name)["ProcessingOutputConfig"]["Outputs"]
        declared = next(each for each in context.definition.steps[step].property_files if each.name == file)
        output = next(each for each in outputs if each["OutputName"] == declared.output_name)
        return json_object(join_uri(output["S3Output"]["S3Uri"], declared.path))

    def json_object(uri: str) -> Any:
        try:
            return json.loads(context.workspace.store.read(uri))
        except ValueError as error:
            raise ConfigError(Problem("property_file", f"the object is not JSON: {error}.", where=uri)) from None

    return Scope(
        parameters=context.parameters,
        execution={**context.variables, "CurrentDateTime": moment, **variables},
        properties=properties,
        property_file=property_file,
        json_object=json_object,
    )


def job_of(record: Record) -> tuple[str, str]:
    """The kind and the name of a step's job, e.g. `("Transform", "pipelines-…")`; the name is empty without a job."""
    for kind in ("Transform", "Processing"):
        if f"{kind}Job" in record.get("Metadata", {}):
            return kind, record["Metadata"][f"{kind}Job"]["Arn"].rsplit("/", 1)[1]
    return next(iter(record.get("Metadata", {})), ""), ""


def step_states(records: Mapping[str, Record]) -> dict[str, StepState]:
    """The records of steps as the graph looks at them."""
    return {name: StepState(status=record["StepStatus"], outcome=_outcome(record)) for name, record in records.items()}


def _outcome(record: Record) -> bool | None:
    condition = record.get("Metadata", {}).get("Condition")
    return None if condition is None else condition["Outcome"] == "True"


def _succeeded(context: ExecutionContext, step: str) -> Record:
    record = context.step_record(step)
    if record.get("StepStatus") != "Succeeded":
        what = f"step {step} is {record.get('StepStatus', 'not started')}: its properties and files have no value."
        remedy = "Build the value from parameters and execution variables with Std:Join."
        raise ConfigError(Problem("expression", what, remedy=remedy))
    return record
