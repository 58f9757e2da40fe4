"""The job requests that an execution will make, resolved from the definition and the parameters before it starts."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from batchcast.engine.errors import ServiceException
from batchcast.engine.pipeline.expressions import Scope, evaluate, expression_problems, references
from batchcast.engine.pipeline.parameters import ParameterDeclaration, Scalar, parameter_values, parse_parameter
from batchcast.engine.requests.request_check import is_expression, rebuilt
from batchcast.steps.errors import ConfigError, Problem

# The service call that a step of each type makes. Source: SageMaker Python SDK 3.27, sagemaker.mlops.workflow.steps.
OPERATIONS: Mapping[str, str] = {
    "AutoML": "CreateAutoMLJob",
    "Model": "CreateModel",
    "Processing": "CreateProcessingJob",
    "RegisterModel": "CreateModelPackage",
    "Training": "CreateTrainingJob",
    "Transform": "CreateTransformJob",
    "Tuning": "CreateHyperParameterTuningJob",
}
_PARTITION = "arn:aws:sagemaker:us-east-1:000000000000:pipeline/batchcast"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """One call; the job's name is missing because the service chooses it. Values that only a running
    execution has (properties of other steps) are still expressions."""

    step: str
    operation: str
    request: Mapping[str, Any]


def resolve_requests(definition: Mapping[str, Any], parameters: Mapping[str, str], run_id: str) -> list[JobRequest]:
    """Every job request of a run, those of both branches of a condition included.

    `parameters` are texts, as StartPipelineExecution takes them. Raises ConfigError for a declaration that cannot be
    read, and for parameters that the definition does not have or does not get.
    """
    declared, problems = declared_in(definition)
    ConfigError.raise_any(problems)
    try:
        values = parameter_values(declared, [{"Name": name, "Value": value} for name, value in parameters.items()])
    except ServiceException as error:
        raise ConfigError(Problem("parameter", f"{error.message}.")) from None
    return list(resolve_jobs(definition, values, run_id))


def resolve_jobs(definition: Mapping[str, Any], values: Mapping[str, Scalar], run_id: str) -> Iterator[JobRequest]:
    """As `resolve_requests`, from typed values; what has no value, or cannot be read, stays an expression."""
    scope = _scope(values, run_id)
    for step in walk_steps(definition["Steps"]):
        if step["Type"] in OPERATIONS:
            try:
                request = rebuilt(step["Arguments"], partial(_settled, scope=scope))
            except ConfigError as error:
                raise ConfigError(*(replace(each, where=step["Name"]) for each in error.problems)) from None
            yield JobRequest(step=step["Name"], operation=OPERATIONS[step["Type"]], request=request)


def declared_in(definition: Mapping[str, Any]) -> tuple[dict[str, ParameterDeclaration], list[Problem]]:
    """The parameters a definition declares, and what is wrong with those that cannot be read."""
    declared, problems = {}, []
    for index, entry in enumerate(definition.get("Parameters", [])):
        parameter, found = parse_parameter(entry, f"Parameters[{index}]")
        problems += found
        if parameter:
            declared[parameter.name] = parameter
    return declared, problems


def walk_steps(steps: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """Every step of a definition, those inside the branches of a condition too."""
    for step in steps:
        yield step
        if step["Type"] == "Condition":
            yield from walk_steps(step["Arguments"].get("IfSteps", []))
            yield from walk_steps(step["Arguments"].get("ElseSteps", []))


def _scope(values: Mapping[str, Scalar], run_id: str) -> Scope:
    def not_yet(*_: str) -> Any:
        raise ConfigError(Problem("expression", "has no value before the execution runs."))

    execution = {
        "PipelineExecutionId": run_id,
        "PipelineName": "batchcast",
        "PipelineArn": _PARTITION,
        "PipelineExecutionArn": f"{_PARTITION}/execution/{run_id}",
    }
    return Scope(parameters=values, execution=execution, properties=not_yet, property_file=not_yet, json_object=not_yet)


def _settled(part: Any, scope: Scope) -> Any:
    """The value of an expression; one that is open is given back whole, as a copy."""
    if not is_expression(part):
        return part
    known = {"Parameters": scope.parameters, "Execution": scope.execution}
    is_open = any(expression_problems(part, "")) or any(
        each.name not in known.get(each.kind, ()) for each in references(part)
    )
    return dict(part) if is_open else evaluate(part, scope)
