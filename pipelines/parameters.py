"""The pipeline's parameters, declared once: type, default, bounds, unit and meaning.

The SDK's parameter objects, the defaults in `pipeline.json`, the checks of `-p Name=Value`, the table in
`docs/reference/parameters.md` and the planner's form derive from `Parameters`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from pipelines import instance_types
from pipelines.parameter_rules import rule_problems
from steps.errors import ConfigError, Problem

__all__ = ["DeclaredParameter", "Parameters", "check_parameters", "declared_parameters", "parse_overrides"]

# A value that travels as a job's argument: API reference, ContainerArgument (botocore 1.44.8).
ARGUMENT_MAX_CHARACTERS = 256
_S3_URI = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^\s/][^\s]*)?/?")


def service_name(field: str) -> str:
    """`max_payload_in_mb` -> `MaxPayloadInMB`: how SageMaker and the pipeline spell it."""
    return "".join(word.capitalize() for word in field.split("_")).replace("InMb", "InMB")


def _number(pattern: str, kind: str) -> BeforeValidator:
    def check(value: object) -> object:
        if isinstance(value, str) and not re.fullmatch(pattern, value):
            raise ValueError(f"is not {kind}")
        return value

    return BeforeValidator(check)


def _uri(value: str) -> str:
    if not _S3_URI.fullmatch(value) or "//" in value.removeprefix("s3://"):
        raise ValueError("is not a well-formed S3 URI; write s3://bucket/some/prefix")
    return value


def _folder(value: str) -> str:
    if value.endswith("/"):
        raise ValueError("ends in '/', and a run would write below an empty name; leave the last '/' out")
    return _uri(value)


def _history(value: str) -> str:
    if not value.endswith(("/", ".parquet")):
        raise ValueError(
            f"is a string prefix that also matches {value}-old/; end it in '/', or name one .parquet object"
        )
    return _uri(value)


def _run_date(value: str) -> str:
    if value != "auto":
        try:
            exact = date.fromisoformat(value).isoformat() == value
        except ValueError:
            exact = False
        if not exact:
            raise ValueError("is neither 'auto' nor a date like 2026-11-22")
    return value


def _run_label(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:+-]*", value):
        raise ValueError("may hold letters, digits and . _ : + - and begins with a letter or digit")
    return value


def _resume_from(value: str) -> str:
    if value != "none" and not re.fullmatch(r"[a-z0-9]{12}", value):
        raise ValueError("is neither 'none' nor a run id of 12 characters a-z and 0-9")
    return value


def _items(value: str) -> str:
    if value == "all":
        return value
    if value.endswith("/"):
        raise ValueError("names a folder; name the one object that lists the item ids, or write 'all'")
    return _uri(value)


def _model_name(value: str) -> str:
    if not re.fullmatch(r"[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?", value):
        raise ValueError("may hold letters, digits and inner hyphens: it is the name of a SageMaker model")
    return value


def _instance_type(known: Callable[[], frozenset[str]], job: str) -> AfterValidator:
    def check(value: str) -> str:
        if value not in known():
            near = get_close_matches(value, sorted(known()), n=1, cutoff=0.0)
            raise ValueError(f"is not an instance type {job} takes; the nearest it takes is {near[0]}")
        return value

    return AfterValidator(check)


Whole = Annotated[int, _number(r"-?\d{1,15}", "a whole number")]
Decimal = Annotated[float, _number(r"-?\d{1,15}(\.\d{1,4})?", "a number of at most four decimals")]
Word = Annotated[str, Field(min_length=1, max_length=ARGUMENT_MAX_CHARACTERS)]
TransformType = Annotated[Word, _instance_type(instance_types.of_transform, "Batch Transform")]
ProcessingType = Annotated[Word, _instance_type(instance_types.of_processing, "Processing")]


def _declare(help_text: str, default: Any = ..., *, unit: str = "", **bounds: Any) -> Any:
    return Field(default, description=help_text, json_schema_extra={"unit": unit}, **bounds)


class Parameters(BaseModel):
    """The value of every parameter of one run. Raises ConfigError where the values contradict each other."""

    model_config = ConfigDict(alias_generator=service_name, extra="forbid", frozen=True)

    history_uri: Annotated[str, AfterValidator(_history)] = _declare(
        "Parquet files of the history and of known future rows.", min_length=1, max_length=1024
    )
    runs_uri: Annotated[Word, AfterValidator(_folder)] = _declare(
        "Where each run keeps its input, output, manifest and report, under its run id."
    )
    publish_uri: Annotated[Word, AfterValidator(_folder)] = _declare("Where finished forecasts are published.")
    model_name: Annotated[str, AfterValidator(_model_name)] = _declare(
        "Name of the SageMaker model to use, as it exists in the account.", min_length=1, max_length=63
    )
    run_date: Annotated[Word, AfterValidator(_run_date)] = _declare(
        "Last day of history used; forecasts start the day after. auto: the last day that has a value.", "auto"
    )
    run_label: Annotated[str, AfterValidator(_run_label)] = _declare(
        "The week this run stands for; two runs of one label never publish at once.",
        "manual",
        min_length=1,
        max_length=64,
    )
    forecast_days: Whole = _declare("Days to forecast for each item.", 31, unit="days", ge=1, le=1000)
    transform_instance_type: TransformType = _declare("Instance type of the transform jobs.", "ml.m5.4xlarge")
    transform_instance_count: Whole = _declare("Instances of each transform job.", 20, unit="instances", ge=1, le=100)
    max_concurrent_transforms: Whole = _declare(
        "Requests in flight on each instance.", 4, unit="requests", ge=1, le=100
    )
    max_payload_in_mb: Whole = _declare("Largest record that is sent to the model.", 6, unit="MB", ge=1, le=100)
    invocations_timeout_in_seconds: Whole = _declare(
        "How long one request may take before it is tried again.", 600, unit="seconds", ge=1, le=3600
    )
    invocations_max_retries: Whole = _declare("Further tries of a failed request.", 3, unit="tries", ge=0, le=3)
    records_per_shard: Whole = _declare(
        "Records in one input file. 0: by rule, from the number of records, instances and requests in flight.",
        0,
        unit="records",
        ge=0,
        le=1_000_000,
    )
    processing_instance_type: ProcessingType = _declare(
        "Instance type of the processing jobs; each runs on one instance.", "ml.m5.4xlarge"
    )
    max_failed_records: Whole = _declare(
        "Records that may fail or be quarantined in a run that still publishes; the larger of this and "
        "MaxFailedPercent counts.",
        0,
        unit="records",
        ge=0,
        le=100_000_000,
    )
    max_failed_percent: Decimal = _declare(
        "The same as a share of the expected records, rounded down.", 0.0, unit="percent", ge=0, le=100
    )
    systemic_failure_percent: Decimal = _declare(
        "Above this share of failed or quarantined records the cause is systemic: nothing is retried or published.",
        20.0,
        unit="percent",
        ge=0,
        le=100,
    )
    max_retry_records: Whole = _declare(
        "Missing records that are sent once more, each in a file of its own. 0: none.",
        1000,
        unit="records",
        ge=0,
        le=100_000,
    )
    resume_from: Annotated[Word, AfterValidator(_resume_from)] = _declare(
        "Run id whose good records are carried over, so that only the others are transformed; or none.", "none"
    )
    items_uri: Annotated[Word, AfterValidator(_items)] = _declare(
        "Object that lists the item ids to forecast, one a line; or all.", "all"
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
    """What is declared of one parameter; `default` is None where a value must be given."""

    name: str
    flag: str
    type: Literal["String", "Integer", "Float"]
    default: str | int | float | None
    minimum: float | None
    maximum: float | None
    unit: str
    help: str


@cache
def declared_parameters() -> tuple[DeclaredParameter, ...]:
    """Every parameter in order of declaration."""
    schema = Parameters.model_json_schema()
    types: dict[str, Literal["String", "Integer", "Float"]] = {
        "string": "String",
        "integer": "Integer",
        "number": "Float",
    }
    return tuple(
        DeclaredParameter(
            name=name,
            flag="--" + field_name.replace("_", "-"),
            type=types[field["type"]],
            default=field.get("default"),
            minimum=field.get("minimum"),
            maximum=field.get("maximum"),
            unit=field["unit"],
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


def parse_overrides(pairs: Iterable[str]) -> dict[str, str]:
    """`["ForecastDays=14", …]` as the command line takes them; what must still be given is not asked for.

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
        near = get_close_matches(name, known, n=1)
        remedy = f"Did you mean {near[0]}?" if near else f"Known are: {', '.join(known)}."
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
