"""The pipeline's parameters, declared once: type, default, bounds, unit and meaning.

The SDK's parameter objects, the defaults in `pipeline.json`, the checks of `-p Name=Value`, the table in
`docs/reference/parameters.md` and the planner's form derive from `Parameters`, and so does what each step is told.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from batchcast.engine.limits import DEFAULT_INVOCATION_TIMEOUT_SECONDS, DEFAULT_PAYLOAD_IN_MB, MAX_PAYLOAD_IN_MB
from batchcast.pipelines import parameter_rules as types
from batchcast.pipelines.parameter_rules import rule_problems
from batchcast.steps.arguments import ALL, AUTO, NONE
from batchcast.steps.build_arguments import BuildArguments
from batchcast.steps.errors import ConfigError, Problem, did_you_mean
from batchcast.steps.publish_arguments import PublishArguments


def service_name(field: str) -> str:
    """`max_payload_in_mb` -> `MaxPayloadInMB`: how SageMaker and the pipeline spell it."""
    return "".join(word.capitalize() for word in field.split("_")).replace("InMb", "InMB")


def _declare(help_text: str, default: Any = ..., *, unit: str = "", form: str = "", **bounds: Any) -> Any:
    return Field(default, description=help_text, json_schema_extra={"unit": unit, "form": form}, **bounds)


class Parameters(BaseModel):
    """The value of every parameter of one run. Raises ConfigError where the values contradict each other."""

    model_config = ConfigDict(alias_generator=service_name, extra="forbid", frozen=True)

    history_uri: types.History = _declare(
        "Parquet files of the history and of known future rows.",
        form="S3 prefix that ends in /, or one .parquet object",
    )
    runs_uri: types.Folder = _declare(
        "Where each run keeps its input, output, manifest and report, under its run id.",
        form="S3 prefix without / at its end",
    )
    publish_uri: types.Folder = _declare(
        "Where finished forecasts are published.", form="S3 prefix without / at its end"
    )
    model_name: types.ModelName = _declare(
        "Name of the SageMaker model to use, as it exists in the account.",
        form="1 to 63 letters, digits, inner hyphens",
    )
    run_date: types.RunDate = _declare(
        "Last moment of history used; forecasts start one step after it. auto: the last that most items reach.",
        AUTO,
        form="date like 2026-11-22, below a day a time like 2026-11-22T14:00:00, or auto",
    )
    run_label: types.RunLabel = _declare(
        "The week this run stands for; two runs of one label never publish at once.",
        "manual",
        form="1 to 64 letters, digits, . _ : + -",
    )
    forecast_horizon: types.Whole = _declare(
        "Steps of the history's frequency to forecast for each item.", 31, unit="steps", ge=1, le=1000
    )
    transform_instance_type: types.TransformType = _declare(
        "Instance type of the transform jobs.", "ml.m5.4xlarge", form="type of Batch Transform"
    )
    transform_instance_count: types.Whole = _declare(
        "Instances of each transform job.", 20, unit="instances", ge=1, le=100
    )
    max_concurrent_transforms: types.Whole = _declare(
        "Requests in flight on each instance.", 4, unit="requests", ge=1, le=MAX_PAYLOAD_IN_MB
    )
    max_payload_in_mb: types.Whole = _declare(
        "Largest record that is sent to the model.", DEFAULT_PAYLOAD_IN_MB, unit="MB", ge=1, le=MAX_PAYLOAD_IN_MB
    )
    invocations_timeout_in_seconds: types.Whole = _declare(
        "How long one request may take before it is tried again.",
        DEFAULT_INVOCATION_TIMEOUT_SECONDS,
        unit="seconds",
        ge=1,
        le=3600,
    )
    invocations_max_retries: types.Whole = _declare("Further tries of a failed request.", 3, unit="tries", ge=0, le=3)
    records_per_shard: types.Whole = _declare(
        "Records in one input file. 0: by rule, from the number of records, instances and requests in flight.",
        0,
        unit="records",
        ge=0,
        le=1_000_000,
    )
    processing_instance_type: types.ProcessingType = _declare(
        "Instance type of the processing jobs; each runs on one instance.", "ml.m5.4xlarge", form="type of Processing"
    )
    max_failed_records: types.Whole = _declare(
        "Records that may fail or be quarantined in a run that still publishes; the larger of this and "
        "MaxFailedPercent counts.",
        0,
        unit="records",
        ge=0,
        le=100_000_000,
    )
    max_failed_percent: types.Decimal = _declare(
        "The same as a share of the expected records, rounded down.", 0.0, unit="percent", ge=0, le=100
    )
    systemic_failure_percent: types.Decimal = _declare(
        "Above this share of quarantined items, or of records that fail by themselves, the cause is systemic: "
        "nothing is retried or published.",
        20.0,
        unit="percent",
        ge=0,
        le=100,
    )
    max_retry_records: types.Whole = _declare(
        "Files of the retry round: so many missing records are sent alone, more of them share the files. 0: none.",
        10_000,
        unit="records",
        ge=0,
        le=100_000,
    )
    resume_from: types.ResumeFrom = _declare(
        "Run id whose good records are carried over, so that only the others are transformed; or none.",
        NONE,
        form="run id of 12 characters, or none",
    )
    items_uri: types.Items = _declare(
        "Object that lists the item ids to forecast, one a line; or all.", ALL, form="S3 object, or all"
    )

    @model_validator(mode="after")
    def _values_agree(self) -> Parameters:
        problems = rule_problems(self.model_dump(by_alias=True))
        if problems:
            raise ConfigError(*problems)
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
    type: Literal["String", "Integer", "Float"]
    default: str | int | float | None
    minimum: float | None
    maximum: float | None
    unit: str
    form: str
    help: str


@cache
def declared_parameters() -> tuple[DeclaredParameter, ...]:
    """Every parameter in order of declaration."""
    schema = Parameters.model_json_schema()
    service_types: dict[str, Literal["String", "Integer", "Float"]] = {
        "string": "String",
        "integer": "Integer",
        "number": "Float",
    }
    return tuple(
        DeclaredParameter(
            name=name,
            flag="--" + field_name.replace("_", "-"),
            type=service_types[field["type"]],
            default=field.get("default"),
            minimum=field.get("minimum"),
            maximum=field.get("maximum"),
            unit=field["unit"],
            form=field["form"],
            help=field["description"],
        )
        for field_name, (name, field) in zip(Parameters.model_fields, schema["properties"].items(), strict=True)
    )


def check_parameters(values: Mapping[str, str]) -> Parameters:
    """The parameters of a run from texts; defaults fill what is not named. Raises ConfigError with all problems."""
    problems = _all_problems(values)
    if problems:
        raise ConfigError(*problems)
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
    if problems:
        raise ConfigError(*problems)
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
    return Problem(
        "parameter", f"{one['input']!r} {what}.", where=name, remedy=f"{remedy.capitalize()}." if remedy else ""
    )


_Arguments = TypeVar("_Arguments", BuildArguments, PublishArguments)


def _parameters_of(arguments: type, *, without: str = "") -> tuple[str, ...]:
    """The pipeline parameters that are fields of a step's arguments, in the order of the fields."""
    names = {one.flag: one.name for one in declared_parameters()}
    flags = [f"--{field.name.replace('_', '-')}" for field in dataclasses.fields(arguments) if field.name != without]
    return tuple(names[flag] for flag in flags if flag in names)


def fill_arguments(arguments: type[_Arguments], **given: Any) -> _Arguments:
    """A step's arguments: what is given, and for the rest the defaults of the pipeline parameters."""
    fields = {field.name for field in dataclasses.fields(arguments)}
    defaults = {name: field.default for name, field in Parameters.model_fields.items() if name in fields}
    return arguments(**{**defaults, **given})


# Parameters that the step gets as a flag each, in this order. PublishUri is the lock of BuildShards, which an isolated
# step does not take.
BUILD_SHARDS = _parameters_of(BuildArguments, without="publish_uri")
VALIDATE_AND_PUBLISH = _parameters_of(PublishArguments)
