"""Pipeline parameters: their declarations, and the values of one execution.

Source: SageMaker developer guide, "Pipeline Parameters", read 2023-03; StartPipelineExecution of the service model.
"""

import difflib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchcast.engine.errors import ServiceException
from batchcast.steps.errors import Problem

Scalar = str | int | float | bool

_TYPES: Mapping[str, tuple[type, ...]] = {
    "String": (str,),
    "Integer": (int,),
    "Float": (float, int),
    "Boolean": (bool,),
}
# JSON schema of the pipeline definition (aws-sagemaker-mlops, read 2026-11): a parameter without a type is text.
_KEYS = ("Name", "Type", "Description", "DefaultValue", "EnumValues")
_DEFAULT_TYPE = "String"
# Python also reads 1_000, blanks around a number, inf and nan.
_PLAIN_NUMBER = re.compile(r"[+-]?[0-9.]+([eE][+-]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class ParameterDeclaration:
    """A parameter without `default` must be given at the start; empty `enum_values` allow any value."""

    name: str
    type: str
    default: Scalar | None = None
    enum_values: tuple[str, ...] = ()


def parse_parameter(value: Any, where: str) -> tuple[ParameterDeclaration | None, list[Problem]]:
    """The declaration, or None and everything that is wrong with it."""
    problems = list(_problems(value, where))
    if problems:
        return None, problems
    type_, enum = value.get("Type", _DEFAULT_TYPE), tuple(value.get("EnumValues", ()))
    return ParameterDeclaration(value["Name"], type_, value.get("DefaultValue"), enum), []


def _problems(value: Any, where: str) -> Iterator[Problem]:
    if not isinstance(value, Mapping) or not isinstance(value.get("Name"), str):
        yield Problem("definition", f"{value!r} is not an object with a Name.", where=where)
        return
    where = f"{where} ({value['Name']})"
    for key in value:
        if key not in _KEYS:
            yield Problem("definition", f"{key} is not known here.", where=where, remedy=f"Known: {', '.join(_KEYS)}.")
    type_, default, enum = value.get("Type", _DEFAULT_TYPE), value.get("DefaultValue"), value.get("EnumValues")
    if not isinstance(type_, str) or type_ not in _TYPES:
        yield Problem("definition", f"type {type_!r}.", where=where, remedy=f"Use {', '.join(_TYPES)}.")
    elif default is not None and not _is_of(type_, default):
        yield Problem("definition", f"the default {default!r} is not of type {type_}.", where=where)
    if enum is not None and (type_ != "String" or not isinstance(enum, list) or not enum):
        yield Problem("definition", "EnumValues is a list of text for a String parameter.", where=where)
    elif enum and default is not None and default not in enum:
        yield Problem("definition", f"the default {default!r} is none of {enum}.", where=where)


def _is_of(type_: str, value: Any) -> bool:
    return isinstance(value, _TYPES[type_]) and (type_ == "Boolean" or not isinstance(value, bool))


def parameter_values(
    declared: Mapping[str, ParameterDeclaration], given: Sequence[Mapping[str, str]]
) -> dict[str, Scalar]:
    """The value of every parameter, typed. `given` as in StartPipelineExecution: text, whatever the type. Raises
    ServiceException `ValidationException` with everything that is wrong."""
    problems: list[str] = []
    values: dict[str, Scalar] = {}
    texts: dict[str, str] = {}
    for each in given:
        if each["Name"] in texts:
            problems.append(f"Parameter [{each['Name']}] is given twice")
        texts[each["Name"]] = each["Value"]
    for name in (one for one in texts if one not in declared):
        near = difflib.get_close_matches(name, declared, n=1)
        hint = f"did you mean [{near[0]}]?" if near else f"the pipeline has {', '.join(declared) or 'none'}"
        problems.append(f"Parameter [{name}] is not a parameter of the pipeline: {hint}")
    for name, declaration in declared.items():
        try:
            values[name] = _value(declaration, texts.get(name))
        except ValueError as error:
            problems.append(f"Parameter [{name}] {error}")
    if problems:
        raise ServiceException("ValidationException", "; ".join(problems))
    return values


def _value(declaration: ParameterDeclaration, text: str | None) -> Scalar:
    if text is None:
        if declaration.default is None:
            raise ValueError("has no default and must be given")
        return declaration.default
    if not text:
        raise ValueError("must not be empty")
    if declaration.enum_values and text not in declaration.enum_values:
        raise ValueError(f"is {text!r}, which is none of {', '.join(declaration.enum_values)}")
    try:
        return _READ[declaration.type](text)
    except (ValueError, KeyError):
        raise ValueError(f"is {json.dumps(text)}, which is not of type {declaration.type}") from None


def _plain(text: str) -> str:
    if not _PLAIN_NUMBER.fullmatch(text):
        raise ValueError(text)
    return text


_READ: Mapping[str, Callable[[str], Scalar]] = {
    "String": str,
    "Integer": lambda text: int(_plain(text)),
    "Float": lambda text: float(_plain(text)),
    "Boolean": lambda text: {"true": True, "false": False}[text.lower()],
}
