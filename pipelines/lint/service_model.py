"""A request against the service's own model: what botocore's client checks, and the limits it leaves to the service."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from typing import Any

from batchcast.pipelines.requests import is_expression
from batchcast.steps.errors import Problem

__all__ = ["request_problems"]

# A pipeline step's job is named by the service.
_NAMED_BY_SERVICE = {
    "CreateAutoMLJob": "AutoMLJobName",
    "CreateHyperParameterTuningJob": "HyperParameterTuningJobName",
    "CreateModel": "ModelName",
    "CreateProcessingJob": "ProcessingJobName",
    "CreateTrainingJob": "TrainingJobName",
    "CreateTransformJob": "TransformJobName",
}
_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "structure": ((Mapping,), "an object"),
    "map": ((Mapping,), "an object"),
    "list": ((list, tuple), "a list"),
    "string": ((str,), "text"),
    "boolean": ((bool,), "true or false"),
    "integer": ((int,), "a whole number"),
    "long": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "double": ((int, float), "a number"),
    "timestamp": ((str, int, float), "a time"),
}
# The model's patterns are Java's. Python's `re` has no classes by Unicode property: these come near enough.
_CLASSES = {"L": r"\w", "N": r"\w", "Alnum": "a-zA-Z0-9", "Z": r"\s", "M": "\u0300-\u036f"}
_CLASSES |= {"S": r"$+<=>^`|~", "P": r"!-/:-@\[-`{-~"}


def request_problems(operation: str, request: Mapping[str, Any], where: str) -> Iterator[Problem]:
    """Unknown and missing members, types, enumerations, patterns, lengths and ranges; expressions are passed over.

    `operation` as in the API reference, for example CreateTransformJob; `where` begins the path in each problem.
    """
    model = _service_model()
    root = model["operations"][operation]["input"]["shape"]
    yield from _check(root, request, where, given_by_service=_NAMED_BY_SERVICE.get(operation))


@cache
def _service_model() -> Mapping[str, Any]:
    import botocore.loaders

    model: Mapping[str, Any] = botocore.loaders.Loader().load_service_model("sagemaker", "service-2")
    return model


def _check(name: str, value: Any, where: str, given_by_service: str | None = None) -> Iterator[Problem]:
    if is_expression(value):
        return
    shape = _service_model()["shapes"][name]
    kind = shape["type"]
    if not _is_a(kind, value):
        yield Problem("wrong_type", f"{value!r} is not {_TYPES[kind][1]}.", where)
        return
    if kind == "structure":
        yield from _structure(shape, value, where, given_by_service)
    elif kind == "map":
        yield from _measured(shape, len(value), where, "entries")
        for key, item in value.items():
            yield from _check(shape["key"]["shape"], key, f"{where}.{key}")
            yield from _check(shape["value"]["shape"], item, f"{where}.{key}")
    elif kind == "list":
        yield from _measured(shape, len(value), where, "members")
        for index, item in enumerate(value):
            yield from _check(shape["member"]["shape"], item, f"{where}[{index}]")
    elif kind == "string":
        yield from _text(shape, value, where)
    elif kind in ("integer", "long", "float", "double"):
        yield from _measured(shape, value, where, "")


def _is_a(kind: str, value: Any) -> bool:
    return isinstance(value, _TYPES[kind][0]) and (kind == "boolean" or not isinstance(value, bool))


def _structure(
    shape: Mapping[str, Any], value: Mapping[str, Any], where: str, given_by_service: str | None
) -> Iterator[Problem]:
    members = shape["members"]
    for name in shape.get("required", ()):
        if name not in value and name != given_by_service:
            yield Problem("missing_member", f"{name} is missing.", where, "Give it.")
    for name, item in value.items():
        if name in members:
            yield from _check(members[name]["shape"], item, f"{where}.{name}")
        else:
            yield Problem("unknown_member", "there is no such member.", f"{where}.{name}", _nearest(name, members))


def _text(shape: Mapping[str, Any], value: str, where: str) -> Iterator[Problem]:
    if "enum" in shape:
        if value not in shape["enum"]:
            yield Problem("not_in_enumeration", f"{value!r} is not allowed.", where, _nearest(value, shape["enum"]))
        return
    too_long = False
    for problem in _measured(shape, len(value), where, "characters"):
        too_long = True
        yield problem
    pattern = _compiled(shape.get("pattern"))
    if pattern and not too_long and not pattern.fullmatch(value):
        remedy = f"It must match {shape['pattern']}"
        yield Problem("pattern", f"{value!r} has characters or a form the service refuses.", where, remedy)


def _measured(shape: Mapping[str, Any], measure: float, where: str, unit: str) -> Iterator[Problem]:
    minimum, maximum = shape.get("min"), shape.get("max")
    amount = f"{measure} {unit}".strip()
    if maximum is not None and measure > maximum:
        yield Problem("above_maximum", f"{amount}; SageMaker allows {maximum}.", where, f"Use at most {maximum}.")
    if minimum is not None and measure < minimum:
        yield Problem("below_minimum", f"{amount}; SageMaker needs {minimum}.", where, f"Use at least {minimum}.")


def _nearest(name: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    near = get_close_matches(name, list(known), n=1)
    if near:
        return f"Did you mean {near[0]}?"
    return (
        f"Known are: {', '.join(known)}." if len(known) <= 30 else f"{len(known)} values are known, none of them near."
    )


@cache
def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    if pattern is None:
        return None
    try:
        return re.compile(re.sub(r"\\p\{(\w+)\}", lambda found: _CLASSES[found[1]], pattern))
    except re.error:  # ranges of UTF-16 surrogates, in names of Athena's; Python has no such characters
        return None
