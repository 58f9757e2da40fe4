"""The same run as a state machine of AWS Step Functions, in the Amazon States Language: a step is a state.

Requests, conditions, retries and defaults are those of the definition. What a state machine does otherwise:

- A pipeline reads a step's report; a state reads the ExitMessage of its job, which has the same outcome.
- A transform job has no time limit, and a state that times out leaves its job running: it is stopped by name.
- `.sync` does not tell why a job failed, so only what refuses a job is tried again, not the job itself.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

from batchcast.engine.requests.request_check import is_expression
from batchcast.steps.errors import ConfigError, Problem

_State = dict[str, Any]
_TASKS = {"Processing": "createProcessingJob", "Transform": "createTransformJob"}
_RETRIED = {
    "SageMaker.CAPACITY_ERROR": "SageMaker.ResourceLimitExceededException",
    "SageMaker.RESOURCE_LIMIT": "SageMaker.ResourceLimitExceededException",
    "Step.SERVICE_FAULT": "SageMaker.AmazonSageMakerException",
    "Step.THROTTLING": "SageMaker.AmazonSageMakerException",
}
_TYPES = {"Integer": "IsNumeric", "Float": "IsNumeric", "String": "IsString"}
# As long as an execution id of a pipeline: names of jobs and keys of objects are made of it.
_RUN_ID = "States.ArrayGetItem(States.StringSplit(States.UUID(), '-'), 4)"
_FAILURES = {
    "InputRefused": "The input needs each parameter without a default, with its type, and knows no other name.",
    "Stopped": "The transform job went on for longer than its TimeoutSeconds and was stopped.",
}


def state_machine(definition: Mapping[str, Any], stop_after: timedelta, region: str = "us-east-1") -> _State:
    """The definition in the Amazon States Language; a transform that goes on for longer than `stop_after` is stopped.

    The execution's input has the parameters by name; its output has the run id. `region` decides the partition.
    Raises ConfigError for a step or an expression that has no state to stand for it.
    """
    partition = next((name for name in ("aws-cn", "aws-us-gov") if region.startswith(f"{name[4:]}-")), "aws")
    states = dict(_input_states(definition["Parameters"], definition["Steps"][0]["Name"]))
    states |= _chain(definition["Steps"], "Done", f"arn:{partition}:states:::", round(stop_after.total_seconds()))
    states["Done"] = {"Type": "Succeed"}
    states |= {name: {"Type": "Fail", "Error": name, "Cause": cause} for name, cause in _FAILURES.items()}
    return {"Comment": "The run of the pipeline, generated from its definition.", "StartAt": "Defaults"} | {
        "TimeoutSeconds": sum(_longest(state) for state in states.values()),
        "States": states,
    }


def _input_states(parameters: Sequence[Mapping[str, Any]], first: str) -> Iterator[tuple[str, _State]]:
    """The defaults, the execution's input over them, and the refusal of what StartPipelineExecution would refuse."""
    defaults = {one["Name"]: one["DefaultValue"] for one in parameters if "DefaultValue" in one}
    merged = {"Given.$": "States.JsonMerge($, $$.Execution.Input, false)"}
    yield "Defaults", {"Type": "Pass", "Result": defaults, "Next": "Input"}
    yield "Input", {"Type": "Pass", "Parameters": merged, "OutputPath": "$.Given", "Next": "Values"}
    yield "Values", {"Type": "Pass", "Parameters": {"All.$": "$.*"}, "ResultPath": "$.Values", "Next": "Run"}
    run = {"Id.$": _RUN_ID, "Names.$": "States.ArrayLength($.Values.All)"}
    yield "Run", {"Type": "Pass", "Parameters": run, "ResultPath": "$.Run", "Next": "Check"}
    checks: list[_State] = [{"Variable": "$.Run.Names", "NumericEquals": len(parameters)}]
    for one in parameters:
        path = f"$.{one['Name']}"
        checks += [{"Variable": path, "IsPresent": True}, {"Variable": path, _TYPES[one["Type"]]: True}]
    yield "Check", {"Type": "Choice", "Choices": [{"And": checks, "Next": first}], "Default": "InputRefused"}


def _chain(steps: Sequence[Mapping[str, Any]], last: str, arn: str, limit: int) -> Iterator[tuple[str, _State]]:
    """The states of steps that follow one another, and then `last`."""
    for step, following in pairwise([*steps, {"Name": last}]):
        name, after = step["Name"], following["Name"]
        if step["Type"] == "Condition":
            branches = step["Arguments"]["IfSteps"], step["Arguments"]["ElseSteps"]
            then, otherwise = (branch[0]["Name"] if branch else after for branch in branches)
            tests = [_comparison(one) for one in step["Arguments"]["Conditions"]]
            yield name, {"Type": "Choice", "Choices": [{"And": tests, "Next": then}], "Default": otherwise}
            for branch in branches:
                yield from _chain(branch, after, arn, limit)
        elif step["Type"] in _TASKS:
            yield from _task(step, following, arn, limit)
        else:
            raise _untranslated(f"a step of type {step['Type']}", name)


def _task(step: Mapping[str, Any], following: Mapping[str, Any], arn: str, limit: int) -> Iterator[tuple[str, _State]]:
    name, after, transforms = step["Name"], following["Name"], step["Type"] == "Transform"
    job = {f"{step['Type']}JobName.$": f"States.Format('pipelines-{{}}-{name}', $.Run.Id)"}
    state = {
        "Type": "Task",
        "Comment": step.get("Description", ""),
        "Resource": f"{arn}sagemaker:{_TASKS[step['Type']]}.sync",
        "Parameters": job | _template(step["Arguments"]),
        "ResultPath": None,
        "TimeoutSeconds": limit if transforms else step["Arguments"]["StoppingCondition"]["MaxRuntimeInSeconds"] + 3600,
        "Retry": [*_retries(step.get("RetryPolicies", []))],
        "Next": after,
    }
    if step.get("PropertyFiles"):
        state |= {"ResultSelector": {"ExitMessage.$": "$.ExitMessage"}, "ResultPath": f"$.{name}"}
    caught = [_catch("States.Timeout", name, f"Stop{name}")] if transforms else []
    if {"Step": name, "Trigger": "Any"} in following.get("DependsOn", []):
        caught.append(_catch("States.ALL", name, after))
    yield name, state | ({"Catch": caught} if caught else {})
    if transforms:
        stop = {"Type": "Task", "Resource": f"{arn}aws-sdk:sagemaker:stopTransformJob", "Parameters": job}
        # It cannot be stopped where it had just ended.
        yield f"Stop{name}", stop | {"Next": "Stopped", "Catch": [_catch("States.ALL", name, "Stopped")]}


def _catch(error: str, name: str, following: str) -> _State:
    return {"ErrorEquals": [error], "ResultPath": f"$.{name}", "Next": following}


def _retries(policies: Sequence[Mapping[str, Any]]) -> Iterator[_State]:
    for policy in policies:
        errors = dict.fromkeys(_RETRIED[one] for one in policy["ExceptionType"] if one in _RETRIED)
        if errors:
            wait, rate = policy["IntervalSeconds"], policy["BackoffRate"]
            attempts = policy.get("MaxAttempts") or _attempts(wait, rate, policy["ExpireAfterMin"] * 60)
            yield {"ErrorEquals": [*errors], "IntervalSeconds": wait, "BackoffRate": rate, "MaxAttempts": attempts}


def _attempts(wait: float, rate: float, within: float) -> int:
    """How many waits, each `rate` times the one before, end within so many seconds."""
    return int(within / wait) if rate == 1 else int(math.log(1 + within * (rate - 1) / wait, rate))


def _longest(state: _State) -> int:
    """How long a state takes at most, its waits included."""
    waits: Iterator[float] = (
        one["IntervalSeconds"] * one["BackoffRate"] ** attempt
        for one in state.get("Retry", [])
        for attempt in range(one["MaxAttempts"])
    )
    return int(state.get("TimeoutSeconds", 0)) + math.ceil(sum(waits))


def _template(value: Any) -> Any:
    """A payload template: what has an expression in it is a member whose name ends in `.$`."""
    if isinstance(value, Mapping):
        members: dict[str, Any] = {}
        for name, item in value.items():
            written = _expression(item)
            members |= {f"{name}.$": written} if written else {name: _template(item)}
        return members
    return [_template(item) for item in value] if isinstance(value, list) else value


def _expression(value: Any) -> str | None:
    """The value as a path or an intrinsic function; None for one without an expression, and for one with members."""
    match value:
        case {"Get": str(place)}:
            return _path(place)
        case {"Std:Join": {"On": str(mark), "Values": list(parts)}}:
            slots = mark.replace("'", "\\'").join("{}" for _ in parts)
            return f"States.Format('{slots}', {', '.join(map(_argument, parts))})"
        case list() if any(map(is_expression, value)):
            return f"States.Array({', '.join(map(_argument, value))})"
        case {"Std:JsonGet": _}:
            raise _untranslated("Std:JsonGet in a request", str(value))
    return None


def _argument(value: Any) -> str:
    if isinstance(value, str):
        return "'{}'".format(value.replace("\\", "\\\\").replace("'", "\\'"))
    return _expression(value) or str(value)


def _path(place: str) -> str:
    kind, _, name = place.partition(".")
    if kind == "Parameters":
        return f"$.{name}"
    if place == "Execution.PipelineExecutionId":
        return "$.Run.Id"
    raise _untranslated("a value that only a pipeline's execution has", place)


def _comparison(condition: Mapping[str, Any]) -> _State:
    """Whether a step's report says so; the job's ExitMessage has the outcome of its report."""
    match condition:
        case {
            "Type": "Equals",
            "LeftValue": {"Std:JsonGet": {"PropertyFile": {"Get": str(file)}, "Path": "outcome"}},
            "RightValue": str(wanted),
        }:
            return {"Variable": f"$.{file.split('.')[1]}.ExitMessage", "StringEquals": wanted}
    raise _untranslated("a condition that does not compare a report's outcome with a text", str(condition))


def _untranslated(what: str, where: str) -> ConfigError:
    return ConfigError(Problem("state_machine", f"{what} has no state in Step Functions.", where))
