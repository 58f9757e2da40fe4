"""Values a pipeline definition leaves open, `Get`, `Std:Join` and `Std:JsonGet`, and the conditions that compare them.

Source: `expr` of the pipeline variables and `conditions` in the SageMaker Python SDK 3.27 (`sagemaker.core.workflow`).
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from batchcast.engine.errors import NOT_EMULATED
from batchcast.engine.requests.request_check import rebuilt
from batchcast.engine.transform.data.json_path import JsonPath, PathError, parse_json_path
from batchcast.steps.errors import ConfigError, Problem

_GET = re.compile(
    r"(?P<kind>Parameters|Execution)\.(?P<name>[A-Za-z0-9\-_]+)"
    r"|Steps\.(?P<step>[A-Za-z0-9\-_]+)\.(?:PropertyFiles\.(?P<file>.*)|(?P<path>.+))"
)
_PROPERTY_PART = re.compile(
    r"\.?(?P<name>[A-Za-z_][A-Za-z0-9_\-]*)|\[(?P<index>\d+)\]|\[(?P<quote>['\"])(?P<key>.+?)(?P=quote)\]"
)
_NAME_MEMBERS = ("OutputName", "InputName", "Name")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What a `Get` names: `kind` is Parameters, Execution, Properties or PropertyFiles.

    `name` is the parameter's, the variable's or the step's; `path` the rest, empty for the first two kinds.
    """

    kind: str
    name: str
    path: str = ""

    @classmethod
    def parse(cls, text: object) -> Reference:
        """Raises ConfigError for anything that is not a `Get` of the four kinds."""
        match = _GET.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            known = "Parameters.<name>, Execution.<variable>, Steps.<step>.<property>"
            remedy = f"Write {known} or a property file in Std:JsonGet."
            raise ConfigError(Problem("expression", f"{text!r} cannot be read as a Get.", remedy=remedy))
        if match["kind"]:
            return cls(kind=match["kind"], name=match["name"])
        if match["file"] is not None:
            return cls(kind="PropertyFiles", name=match["step"], path=match["file"])
        property_parts(match["path"])
        return cls(kind="Properties", name=match["step"], path=match["path"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Where the open values come from while one step is resolved.

    `properties(step)` is what the step's Describe call answers, `property_file(step, name)` and `json_object(uri)` a
    parsed JSON document.
    """

    parameters: Mapping[str, str | int | float | bool]
    execution: Mapping[str, str]
    properties: Callable[[str], Mapping[str, Any]]
    property_file: Callable[[str, str], Any]
    json_object: Callable[[str], Any]


def evaluate(value: Any, scope: Scope) -> Any:
    """`value` with every expression in it replaced. Raises ConfigError when an expression has no value."""

    def evaluated(part: Any) -> Any:
        function = _function(part) if isinstance(part, Mapping) else None
        return part if function is None else _FUNCTIONS[function](part[function], scope)

    return rebuilt(value, evaluated)


def references(value: Any) -> Iterator[Reference]:
    if isinstance(value, Mapping):
        if _function(value) == "Get":
            yield Reference.parse(value["Get"])
        else:
            for item in value.values():
                yield from references(item)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            yield from references(item)


def expression_problems(value: Any, where: str) -> Iterator[Problem]:
    """What is wrong with the expressions inside `value`, before any of them is resolved."""
    if isinstance(value, Mapping):
        function = _function(value)
        unknown = next((key for key in value if key.startswith("Std:") and key != function), None)
        if unknown is not None:
            what = f"{unknown} is no function this engine knows, or does not stand alone."
            yield Problem(NOT_EMULATED, what, where=where, remedy=f"Use one of {', '.join(_FUNCTIONS)}.")
        elif function is not None:
            yield from _function_problems(function, value[function], where)
            return
        for key, item in value.items():
            yield from expression_problems(item, f"{where}.{key}")
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for index, item in enumerate(value):
            yield from expression_problems(item, f"{where}[{index}]")


def _function_problems(function: str, body: Any, where: str) -> Iterator[Problem]:
    place = f"{where}.{function}"
    if function == "Get":
        yield from _refused(Reference.parse, body, place)
        return
    allowed = _MEMBERS[function]
    if not isinstance(body, Mapping) or set(body) not in allowed:
        shapes = " or ".join("{" + ", ".join(sorted(members)) + "}" for members in allowed)
        yield Problem("expression", f"{json.dumps(body)[:200]} is not {shapes}.", where=place)
        return
    if function == "Std:Join" and not isinstance(body["Values"], list):
        yield Problem("expression", f"{json.dumps(body['Values'])[:200]} is not a list.", where=f"{place}.Values")
        return
    if function == "Std:JsonGet":
        if "PropertyFile" in body and not _is_property_file(body["PropertyFile"]):
            what = f"{json.dumps(body['PropertyFile'])[:200]} is no property file."
            remedy = 'Write {"Get": "Steps.<step>.PropertyFiles.<name>"}.'
            yield Problem("expression", what, where=f"{place}.PropertyFile", remedy=remedy)
            return
        yield from _refused(_json_path, body["Path"], place)
    yield from expression_problems([item for key, item in body.items() if key != "Path"], place)


def _refused(read: Callable[[Any], Any], value: Any, where: str) -> Iterator[Problem]:
    try:
        read(value)
    except ConfigError as error:
        yield from (replace(each, where=where) for each in error.problems)


def _is_property_file(value: Any) -> bool:
    try:
        return [each.kind for each in references(value)] == ["PropertyFiles"] and _function(value) == "Get"
    except ConfigError:
        return False


def _property(described: Any, path: str, step: str) -> Any:
    """The value at `path` of what a Describe call answers; a name in brackets picks the list's member of that name."""
    value = described
    for part in property_parts(path):
        member: Any = value.get(part) if isinstance(value, Mapping) else None
        if isinstance(value, list) and isinstance(part, int):
            member = value[part] if part < len(value) else None
        elif isinstance(value, list):
            member = next((each for each in value if any(each.get(key) == part for key in _NAME_MEMBERS)), None)
        if member is None:
            what = f"the step has no property {path} (looking for {part!r})."
            raise ConfigError(Problem("expression", what, where=f"step {step}"))
        value = member
    return value


def property_parts(path: str) -> tuple[str | int, ...]:
    """The names, places and keys of a property's path. Raises ConfigError for one that cannot be read."""
    parts: list[str | int] = []
    position = 0
    while match := _PROPERTY_PART.match(path, position):
        parts.append(int(match["index"]) if match["index"] else match["name"] or match["key"])
        position = match.end()
    if position < len(path):
        remedy = "Use names, [index] and ['key'], e.g. ProcessingOutputConfig.Outputs['report'].S3Output.S3Uri."
        raise ConfigError(Problem("expression", f"{path!r} cannot be read as a property.", remedy=remedy))
    return tuple(parts)


def _json_path(text: Any) -> JsonPath:
    try:
        return parse_json_path(text if text.startswith("$") else f"$.{text}")
    except (AttributeError, PathError) as error:
        raise ConfigError(Problem("expression", f"Path {text!r}: {error}.")) from None


def text_of(value: Any) -> str:
    """A scalar as `Std:Join` writes it. Raises ConfigError for a list or an object."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise ConfigError(Problem("join", f"Std:Join takes text, numbers and booleans, not {json.dumps(value)[:200]}."))


def _function(value: Mapping[str, Any]) -> str | None:
    return next(iter(value)) if len(value) == 1 and next(iter(value)) in _FUNCTIONS else None


def _get(body: Any, scope: Scope) -> Any:
    reference = Reference.parse(body)
    if reference.kind == "Properties":
        return _property(scope.properties(reference.name), reference.path, reference.name)
    if reference.kind == "PropertyFiles":
        raise ConfigError(Problem("expression", f"{body} is a property file, which only Std:JsonGet can read."))
    values = scope.parameters if reference.kind == "Parameters" else scope.execution
    if reference.name not in values:
        raise ConfigError(Problem("expression", f"{body} has no value here.", remedy=f"Known: {', '.join(values)}."))
    return values[reference.name]


def _join(body: Mapping[str, Any], scope: Scope) -> str:
    return text_of(evaluate(body["On"], scope)).join(text_of(evaluate(value, scope)) for value in body["Values"])


def _json_get(body: Mapping[str, Any], scope: Scope) -> Any:
    if "S3Uri" in body:
        place = evaluate(body["S3Uri"], scope)
        document = scope.json_object(place)
    else:
        file = Reference.parse(body["PropertyFile"]["Get"])
        place = f"property file {file.path} of step {file.name}"
        document = scope.property_file(file.name, file.path)
    try:
        return _json_path(body["Path"]).apply(document)
    except PathError as error:
        raise ConfigError(Problem("expression", f"Path {body['Path']!r}: {error}.", where=place)) from None


_FUNCTIONS: Mapping[str, Callable[[Any, Scope], Any]] = {"Get": _get, "Std:Join": _join, "Std:JsonGet": _json_get}
_MEMBERS: Mapping[str, tuple[set[str], ...]] = {
    "Std:Join": ({"On", "Values"},),
    "Std:JsonGet": ({"PropertyFile", "Path"}, {"S3Uri", "Path"}),
}


_ORDERINGS: Mapping[str, Callable[[Any, Any], bool]] = {
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}
_CONDITION_MEMBERS: Mapping[str, frozenset[str]] = {
    **{name: frozenset({"Type", "LeftValue", "RightValue"}) for name in ("Equals", *_ORDERINGS)},
    "In": frozenset({"Type", "QueryValue", "Values"}),
    "Not": frozenset({"Type", "Condition"}),
    "Or": frozenset({"Type", "Conditions"}),
}


def holds(condition: Mapping[str, Any], scope: Scope) -> bool:
    """Whether one condition is true. Raises ConfigError when a value is missing or cannot be ordered."""
    type_ = condition["Type"]
    if type_ == "Not":
        return not holds(condition["Condition"], scope)
    if type_ == "Or":
        return any(holds(each, scope) for each in condition["Conditions"])
    if type_ == "In":
        value = evaluate(condition["QueryValue"], scope)
        return any(_equal(value, evaluate(each, scope)) for each in condition["Values"])
    left, right = (evaluate(condition[side], scope) for side in ("LeftValue", "RightValue"))
    if type_ == "Equals":
        return _equal(left, right)
    if not (_is_number(left) and _is_number(right)):
        raise ConfigError(Problem("condition", f"{type_} compares numbers, not {left!r} and {right!r}."))
    return _ORDERINGS[type_](left, right)


def condition_problems(conditions: Any, where: str) -> Iterator[Problem]:
    """What is wrong with a list of conditions, before any of them is evaluated."""
    if not isinstance(conditions, list) or not conditions:
        yield Problem("condition", "there has to be at least one condition.", where=where)
        return
    for index, condition in enumerate(conditions):
        place = f"{where}[{index}]"
        type_ = condition.get("Type") if isinstance(condition, Mapping) else None
        if not isinstance(type_, str) or type_ not in _CONDITION_MEMBERS:
            remedy = f"Use {', '.join(_CONDITION_MEMBERS)}."
            yield Problem(NOT_EMULATED, f"condition type {type_!r} is not known.", where=place, remedy=remedy)
        elif set(condition) != _CONDITION_MEMBERS[type_]:
            members = ", ".join(sorted(_CONDITION_MEMBERS[type_]))
            yield Problem("condition", f"{type_} has {', '.join(sorted(condition))}.", place, f"Use {members}.")
        elif type_ == "Not":
            yield from condition_problems([condition["Condition"]], place)
        elif type_ == "Or":
            yield from condition_problems(condition["Conditions"], place)


def _equal(left: Any, right: Any) -> bool:
    # In JSON true is no number, in Python it is 1.
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
