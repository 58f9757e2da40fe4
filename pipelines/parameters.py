"""The pipeline's parameters, declared once: type, default and bounds here, unit and meaning in parameters.toml.

The SDK's parameter objects, the defaults in `pipeline.json`, the checks of `-p Name=Value`, the table in
`docs/reference/parameters.md` and the planner's form derive from `Parameters`, and so does what each step is told.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from batchcast.engine.limits import DEFAULT_INVOCATION_TIMEOUT_SECONDS, DEFAULT_PAYLOAD_IN_MB, MAX_PAYLOAD_IN_MB
from batchcast.pipelines import parameter_rules as types
from batchcast.pipelines.parameter_rules import rule_problems
from batchcast.steps.arguments import ALL, AUTO, NONE, BuildArguments
from batchcast.steps.errors import ConfigError, Problem, did_you_mean
from batchcast.steps.publish_arguments import PublishArguments


def service_name(field: str) -> str:
    """`max_payload_in_mb` -> `MaxPayloadInMB`: how SageMaker and the pipeline spell it."""
    return "".join(word.capitalize() for word in field.split("_")).replace("InMb", "InMB")


_ServiceType = Literal["String", "Integer", "Float"]
_SERVICE_TYPES: Mapping[str, _ServiceType] = {"string": "String", "integer": "Integer", "number": "Float"}


class Parameters(BaseModel):
    """The value of every parameter of one run. Raises ConfigError where the values contradict each other."""

    model_config = ConfigDict(alias_generator=service_name, extra="forbid", frozen=True)

    history_uri: types.History
    runs_uri: types.Folder
    publish_uri: types.Folder
    model_name: types.ModelName
    run_date: types.RunDate = AUTO
    run_label: types.RunLabel = "manual"
    forecast_horizon: types.Whole = Field(31, ge=1, le=1000)
    transform_instance_type: types.TransformType = "ml.m5.4xlarge"
    transform_instance_count: types.Whole = Field(20, ge=1, le=100)
    max_concurrent_transforms: types.Whole = Field(4, ge=1, le=MAX_PAYLOAD_IN_MB)
    max_payload_in_mb: types.Whole = Field(DEFAULT_PAYLOAD_IN_MB, ge=1, le=MAX_PAYLOAD_IN_MB)
    invocations_timeout_in_seconds: types.Whole = Field(DEFAULT_INVOCATION_TIMEOUT_SECONDS, ge=1, le=3600)
    invocations_max_retries: types.Whole = Field(3, ge=0, le=3)
    records_per_shard: types.Whole = Field(0, ge=0, le=1_000_000)
    processing_instance_type: types.ProcessingType = "ml.m5.4xlarge"
    max_failed_records: types.Whole = Field(0, ge=0, le=100_000_000)
    max_failed_percent: types.Decimal = Field(0.0, ge=0, le=100)
    systemic_failure_percent: types.Decimal = Field(20.0, ge=0, le=100)
    max_retry_records: types.Whole = Field(10_000, ge=0, le=100_000)
    resume_from: types.ResumeFrom = NONE
    items_uri: types.Items = ALL

    @model_validator(mode="after")
    def _values_agree(self) -> Parameters:
        ConfigError.raise_any(rule_problems(self.model_dump(by_alias=True)))
        return self

    def service_values(self) -> dict[str, str]:
        """Name to text, as StartPipelineExecution takes them."""
        return {name: str(value) for name, value in self.model_dump(by_alias=True).items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredParameter:
    """What is declared of one parameter; `default` is None where a value must be given.

    Numbers have bounds and a unit, texts a form in words.
    """

    name: str
    flag: str
    type: _ServiceType
    default: str | int | float | None
    minimum: float | None
    maximum: float | None
    unit: str
    form: str
    help: str


@cache
def declared_parameters() -> tuple[DeclaredParameter, ...]:
    schema = Parameters.model_json_schema()
    texts = tomllib.loads(Path(__file__).with_name("parameters.toml").read_text(encoding="utf-8"))
    return tuple(
        DeclaredParameter(
            name=name,
            flag="--" + field_name.replace("_", "-"),
            type=_SERVICE_TYPES[field["type"]],
            default=field.get("default"),
            minimum=field.get("minimum"),
            maximum=field.get("maximum"),
            **{"unit": "", "form": "", **texts[field_name]},
        )
        for field_name, (name, field) in zip(Parameters.model_fields, schema["properties"].items(), strict=True)
    )


def check_parameters(values: Mapping[str, str]) -> Parameters:
    """The parameters of a run from texts; defaults fill what is not named. Raises ConfigError with all problems."""
    ConfigError.raise_any(_all_problems(values))
    return Parameters.model_validate(values)


def split_pairs(pairs: Iterable[str], code: str, option: str, remedy: str) -> dict[str, str]:
    """Texts like NAME=VALUE, by name. Raises ConfigError with every text that is none."""
    if wrong := [pair for pair in pairs if "=" not in pair]:
        raise ConfigError(*(Problem(code, f"{pair!r} has no '='.", option, remedy) for pair in wrong))
    return dict(pair.split("=", 1) for pair in pairs)


def parse_overrides(pairs: Iterable[str]) -> dict[str, str]:
    """`["ForecastHorizon=14", …]` as the command line takes them; what must still be given is not asked for.

    Raises ConfigError with all problems: no `=`, a name given twice, an unknown name (and the nearest known one),
    a value outside its bounds, values that contradict each other or a default.
    """
    values: dict[str, str] = {}
    problems = []
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            what = f"{pair!r} has no '='."
            problems.append(Problem("parameter", what, where="-p", remedy="Write -p Name=Value."))
        elif name in values:
            problems.append(Problem("parameter", "given twice.", where=name, remedy="Give it once."))
        else:
            values[name] = value
    problems += [problem for problem in _all_problems(values) if problem.code != "parameter_missing"]
    ConfigError.raise_any(problems)
    return values


def _all_problems(values: Mapping[str, str]) -> list[Problem]:
    try:
        Parameters.model_validate(values)
    except ConfigError as error:
        return list(error.problems)
    except ValidationError as error:
        problems = [_field_problem(one) for one in error.errors(include_url=False)]
        wrong = {problem.where for problem in problems}
        defaults = {one.name: one.default for one in declared_parameters() if one.default is not None}
        return problems + rule_problems({k: v for k, v in {**defaults, **values}.items() if k not in wrong})
    return []


def _field_problem(one: Any) -> Problem:
    name = ".".join(str(part) for part in one["loc"])
    known = {declared.name: declared for declared in declared_parameters()}
    if one["type"] == "extra_forbidden":
        remedy = did_you_mean(name, known, f"Known are: {', '.join(known)}.")
        return Problem("unknown_parameter", "there is no such parameter.", where=name, remedy=remedy)
    if one["type"] == "missing":
        return Problem("parameter_missing", known[name].help, where=name, remedy=f"Give it: -p {name}=…")
    if one["type"] in ("greater_than_equal", "less_than_equal"):
        bounds = f"{known[name].minimum:g} to {known[name].maximum:g} {known[name].unit}"
        return Problem("parameter", f"{one['input']} is outside {bounds}.", where=name, remedy="Choose a value inside.")
    what, _, remedy = one["msg"].removeprefix("Value error, ").partition("; ")
    return Problem("parameter", f"{one['input']!r} {what}.", name, f"{remedy.capitalize()}." if remedy else "")


_Arguments = TypeVar("_Arguments", BuildArguments, PublishArguments)


def _parameters_of(arguments: type, *, without: str = "") -> tuple[str, ...]:
    """The pipeline parameters that are fields of a step's arguments, in the order of the fields."""
    names = [field.name for field in dataclasses.fields(arguments) if field.name != without]
    return tuple(service_name(name) for name in names if name in Parameters.model_fields)


def fill_arguments(arguments: type[_Arguments], **given: Any) -> _Arguments:
    """A step's arguments: what is given, and for the rest the defaults of the pipeline parameters."""
    fields = {field.name for field in dataclasses.fields(arguments)}
    defaults = {name: field.default for name, field in Parameters.model_fields.items() if name in fields}
    return arguments(**{**defaults, **given})


# Parameters that the step gets as a flag each, in this order. PublishUri is the lock of BuildShards, which an isolated
# step does not take.
BUILD_SHARDS = _parameters_of(BuildArguments, without="publish_uri")
VALIDATE_AND_PUBLISH = _parameters_of(PublishArguments)
