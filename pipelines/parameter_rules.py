"""What parameters take: each kind of text and number with its check and message, and the rules between parameters.

A rule sees plain values and says what contradicts what, with the arithmetic.
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache, partial
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from batchcast.engine.limits import MAX_PAYLOAD_IN_MB
from batchcast.engine.requests.request_check import committed_model
from batchcast.engine.transform.request import payload_in_flight
from batchcast.steps.arguments import ALL, AUTO, NONE, is_moment
from batchcast.steps.errors import Problem

# A value that travels as a job's argument: API reference, ContainerArgument (botocore 1.44.8).
ARGUMENT_MAX_CHARACTERS = 256
_S3_URI = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^\s/]+)*/?")


def _check(value: object, fits: Callable[[str], object], wrong: str) -> object:
    """Refuses a text that does not fit; `{value}` in the message stands for it."""
    if isinstance(value, str) and not fits(value):
        raise ValueError(wrong.format(value=value))
    return value


def _checked(fits: Callable[[str], object], wrong: str) -> AfterValidator:
    return AfterValidator(partial(_check, fits=fits, wrong=wrong))


def _number(pattern: str, kind: str) -> BeforeValidator:
    return BeforeValidator(partial(_check, fits=re.compile(pattern).fullmatch, wrong=f"is not {kind}"))


@cache
def instance_types(kind: str) -> frozenset[str]:
    """The types of CreateTransformJob or CreateProcessingJob, as the engine has them from the service model."""
    return frozenset(committed_model()["shapes"][f"{kind}InstanceType"]["enum"])


@cache
def is_newer_type(kind: str, instance_type: str) -> bool:
    """Whether the installed botocore has the type and this version of batchcast does not, which stderr says once."""
    from batchcast.pipelines.lint.service_model import botocore_model

    newer = instance_type in botocore_model()["shapes"][f"{kind}InstanceType"]["enum"]
    if newer:
        what = "is newer than this version of batchcast, which knows neither its size nor price."
        sys.stderr.write(f"Warning: {instance_type} {what}\n")
    return newer


def _instance_type(value: str, kind: str, job: str) -> str:
    known = instance_types(kind)
    if value not in known and not is_newer_type(kind, value):
        near = get_close_matches(value, sorted(known), n=1, cutoff=0.0)
        raise ValueError(f"is not an instance type {job} takes; the nearest it takes is {near[0]}")
    return value


Whole = Annotated[int, _number(r"-?(0|[1-9][0-9]{0,14})", "a whole number")]
Decimal = Annotated[float, _number(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,4})?", "a number of at most four decimals")]
Word = Annotated[str, Field(min_length=1, max_length=ARGUMENT_MAX_CHARACTERS)]
TransformType = Annotated[Word, AfterValidator(partial(_instance_type, kind="Transform", job="Batch Transform"))]
ProcessingType = Annotated[Word, AfterValidator(partial(_instance_type, kind="Processing", job="Processing"))]
_NO_FOLDER = re.compile(r"(?s).*[^/]")
_NO_URI = "is not a well-formed S3 URI; write s3://bucket/some/prefix"
_Uri = _checked(_S3_URI.fullmatch, _NO_URI)
_SLASH = "ends in '/', and a run would write below an empty name; leave the last '/' out"
Folder = Annotated[Word, _checked(_NO_FOLDER.fullmatch, _SLASH), _Uri]
_OPEN = "is a string prefix that also matches {value}-old/; end it in '/', or name one .parquet object"
History = Annotated[
    str, Field(min_length=1, max_length=1024), _checked(lambda value: value.endswith(("/", ".parquet")), _OPEN), _Uri
]
_MODEL = "may hold letters, digits and inner hyphens: it is the name of a SageMaker model"
_MODEL_NAME = re.compile(r"[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?")
ModelName = Annotated[str, Field(min_length=1, max_length=63), _checked(_MODEL_NAME.fullmatch, _MODEL)]
_DATE = f"is neither '{AUTO}' nor a date like 2026-11-22, or below a day a time like 2026-11-22T14:00:00"
RunDate = Annotated[Word, _checked(lambda value: value == AUTO or is_moment(value), _DATE)]
_LABEL = "may hold letters, digits and . _ : + - and begins with a letter or digit"
_RUN_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]*")
RunLabel = Annotated[str, Field(min_length=1, max_length=64), _checked(_RUN_LABEL.fullmatch, _LABEL)]
_RUN = f"is neither '{NONE}' nor a run id of 12 characters a-z and 0-9"
ResumeFrom = Annotated[Word, _checked(re.compile(rf"{NONE}|[a-z0-9]{{12}}").fullmatch, _RUN)]
_LIST = f"names a folder; name the one object that lists the item ids, or write '{ALL}'"
_AllOrUri = _checked(lambda value: value == ALL or _S3_URI.fullmatch(value), _NO_URI)
Items = Annotated[Word, _checked(_NO_FOLDER.fullmatch, _LIST), _AllOrUri]


def rule_problems(values: Mapping[str, Any]) -> list[Problem]:
    """Every broken rule; a rule is passed over when one of its parameters is absent (it was wrong by itself)."""
    return [
        problem
        for names, rule in _RULES.values()
        if all(name in values for name in names)
        for problem in rule(*(values[name] for name in names))
    ]


def rule_texts() -> list[str]:
    return [*_RULES]


def _tolerance_below_systemic(tolerated: str | float, systemic: str | float) -> Iterator[Problem]:
    if float(tolerated) > float(systemic):
        limit = f"{float(systemic):g}"
        what = f"{float(tolerated):g} % may fail, but above SystemicFailurePercent = {limit} % a run is held."
        remedy = f"Use at most {limit}, or raise SystemicFailurePercent."
        yield Problem("tolerance", what, "MaxFailedPercent", remedy)


def _not_read_as_history(history: str, uri: str, name: str) -> Iterator[Problem]:
    what, who, kept = (
        (uri, "it would be read", "the list") if name == "ItemsUri" else (f"{uri}/", "the next run would read it", "it")
    )
    if what.startswith(history):
        what = f"{what} begins with HistoryUri = {history}, so {who} as history."
        yield Problem("nested_prefix", what, name, f"Keep {kept} outside the history's prefix.")


def _runs_and_publish_apart(runs: str, publish: str) -> Iterator[Problem]:
    if f"{publish}/".startswith(f"{runs}/") or f"{runs}/".startswith(f"{publish}/"):
        what = f"RunsUri = {runs} and PublishUri = {publish} lie inside each other: readers of the published data"
        what += " would meet a run's files, and cleaning up runs would delete forecasts."
        yield Problem("nested_prefix", what, "PublishUri", "Use two prefixes side by side.")


_RULES: Mapping[str, tuple[tuple[str, ...], Callable[..., Iterator[Problem]]]] = {
    f"MaxConcurrentTransforms x MaxPayloadInMB is at most {MAX_PAYLOAD_IN_MB} MB.": (
        ("MaxConcurrentTransforms", "MaxPayloadInMB"),
        payload_in_flight,
    ),
    "MaxFailedPercent is at most SystemicFailurePercent.": (
        ("MaxFailedPercent", "SystemicFailurePercent"),
        _tolerance_below_systemic,
    ),
    **{
        f"{name} does not begin with HistoryUri.": (("HistoryUri", name), partial(_not_read_as_history, name=name))
        for name in ("RunsUri", "PublishUri", "ItemsUri")
    },
    "RunsUri and PublishUri lie side by side, neither inside the other.": (
        ("RunsUri", "PublishUri"),
        _runs_and_publish_apart,
    ),
}
"""A rule by its sentence: the parameters that it looks at, and its check."""
