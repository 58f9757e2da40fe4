"""One step of an execution: its request resolved, its job created, run and, where a policy says so, tried again.

Its open values come from parameters, execution variables and what earlier steps left.
"""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from batchcast.engine.errors import NotEmulatedError, ServiceException
from batchcast.engine.pipeline.definition import Definition, Step
from batchcast.engine.pipeline.execution.retry_policy import BY_ERROR_CODE, BY_FAILURE_REASON, RetryCount
from batchcast.engine.pipeline.expressions import Scope, evaluate, holds, text_of
from batchcast.engine.pipeline.parameters import Scalar
from batchcast.engine.requests.request_check import answer_members
from batchcast.engine.state import Record
from batchcast.engine.workspace import Workspace
from batchcast.steps.errors import BatchcastError, ConfigError, Problem
from batchcast.steps.store.objects import join_uri


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionContext:
    """What the steps of one execution share.

    `steps` are the records of those that have started, `halted` is set when the whole execution is to stop.
    """

    workspace: Workspace
    definition: Definition
    variables: Mapping[str, str]
    parameters: Mapping[str, Scalar]
    steps: Mapping[str, Record]
    halted: threading.Event


def scope(context: ExecutionContext, **variables: str) -> Scope:
    """The scope in which one step is resolved; `variables` are execution variables that only this step has."""
    moment = datetime.now(UTC).isoformat(timespec="milliseconds")

    def properties(step: str) -> Mapping[str, Any]:
        record = _succeeded(context, step)
        kind, name = job_of(record)
        if kind == "Condition":
            return {"Outcome": record["Metadata"]["Condition"]["Outcome"]}
        return answer_members(f"Describe{kind}Job", context.workspace.jobs[kind].describe(name))

    def property_file(step: str, file: str) -> Any:
        kind, name = job_of(_succeeded(context, step))
        outputs = context.workspace.jobs[kind].describe(name)["ProcessingOutputConfig"]["Outputs"]
        declared, path = context.definition.steps[step].property_files[file]
        output = next(each for each in outputs if each["OutputName"] == declared)
        return json_object(join_uri(output["S3Output"]["S3Uri"], path))

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


def _succeeded(context: ExecutionContext, step: str) -> Record:
    record = context.steps.get(step, {})
    if record.get("StepStatus") != "Succeeded":
        what = f"step {step} is {record.get('StepStatus', 'not started')}: its properties and files have no value."
        remedy = "Build the value from parameters and execution variables with Std:Join."
        raise ConfigError(Problem("expression", what, remedy=remedy))
    return record


_MAX_JOB_NAME = 63
_HASH_LENGTH = 10
_MAX_ERROR_MESSAGE = 3072

Report = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEnd:
    """How a step, or one attempt at it, ended; `exception_type` is what a retry policy could name, if anything."""

    status: str
    failure_reason: str | None = None
    metadata: Mapping[str, Any] | None = None
    exception_type: str | None = None


def run_step(step: Step, context: ExecutionContext, attempt: int, report: Report) -> StepEnd:
    """Run a step to its end. `report` takes members of the step's record as they become known.

    `attempt` counts from 1, over retries and over retried executions. If its job exists already, a process died while
    it ran, and it is resumed.
    """
    try:
        if step.type == "Condition":
            values = scope(context)
            outcome = all(holds(each, values) for each in step.arguments["Conditions"])
            return StepEnd(status="Succeeded", metadata={"Condition": {"Outcome": str(outcome)}})
        if step.type == "Fail":
            message = text_of(evaluate(step.arguments.get("ErrorMessage", ""), scope(context)))[:_MAX_ERROR_MESSAGE]
            return StepEnd(status="Failed", failure_reason=message, metadata={"Fail": {"ErrorMessage": message}})
        return _job(step, context, attempt, report)
    except BatchcastError as error:
        return StepEnd(status="Failed", failure_reason=f"ClientError: {error}")


def _job(step: Step, context: ExecutionContext, attempt: int, report: Report) -> StepEnd:
    retries = RetryCount(step.retry_policies)
    elapsed = 0.0
    while True:
        began = time.monotonic()
        end = _attempt(step, context, attempt, report)
        elapsed += time.monotonic() - began
        wait = retries.next_wait(end.exception_type, elapsed)
        if end.status != "Failed" or wait is None:
            return end
        if context.halted.wait(wait * context.workspace.time_scale):
            return StepEnd(status="Stopped")
        elapsed += wait
        attempt += 1


def _attempt(step: Step, context: ExecutionContext, attempt: int, report: Report) -> StepEnd:
    jobs = context.workspace.jobs[step.type]
    name = _job_name(context.variables["PipelineExecutionId"], step.name, attempt)
    metadata = {f"{step.type}Job": {"Arn": jobs.arn(name)}}
    report({"StepStatus": "Starting", "AttemptCount": attempt, "Metadata": metadata})
    planned = context.workspace.step_faults.get(step.name, ())[attempt - 1 : attempt]
    if planned:
        reason = f"{planned[0]}: planned for attempt {attempt}."
        return StepEnd(status="Failed", failure_reason=reason, exception_type=planned[0])
    try:
        resume = jobs.records.read(name) is not None
        if resume:
            lock = jobs.take(name)
        else:
            member = {f"{step.type}JobName": name}
            request = {**member, **evaluate(step.arguments, scope(context, **member))}
            lock = jobs.create(request, execution=context.variables["PipelineExecutionId"])
    except (ServiceException, NotEmulatedError) as error:
        what = error.message if isinstance(error, ServiceException) else str(error)
        reason = f"ClientError: Failed to invoke sagemaker:Create{step.type}Job. Error Details: {what}"
        kind = BY_ERROR_CODE.get(error.code) if isinstance(error, ServiceException) else None
        return StepEnd(status="Failed", failure_reason=reason, exception_type=kind)
    report({"StepStatus": "Executing"})
    ended = jobs.run(name, lock, resume=resume, halted=context.halted)
    failure = ended.get("FailureReason")
    return StepEnd(
        status="Succeeded" if ended["Status"] == "Completed" else ended["Status"],
        failure_reason=failure,
        metadata=metadata,
        exception_type=BY_FAILURE_REASON.get((failure or "").partition(":")[0]),
    )


def _job_name(execution_id: str, step: str, attempt: int) -> str:
    """`pipelines-<execution id>-<step>-<hash>` as the service names them, no longer than a job's name may be."""
    digest = hashlib.sha256(f"{execution_id}/{step}/{attempt}".encode()).hexdigest()[:_HASH_LENGTH]
    head = f"pipelines-{execution_id}-{step.replace('_', '-')}"
    return f"{head[: _MAX_JOB_NAME - _HASH_LENGTH - 1].rstrip('-')}-{digest}"
