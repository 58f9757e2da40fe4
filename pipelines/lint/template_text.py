"""A definition as people have it: JSON or YAML, a describe-pipeline answer, or a body inside a CloudFormation template.

What CloudFormation fills in later stands in a body as `${Name}`; what cannot be read is said, never passed over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from batchcast.steps.errors import ConfigError, Problem

_REFERENCE = re.compile(r"\$\{[^}]+\}")
# A reference that stands outside quotation marks is a number or the like.
_BARE_REFERENCE = re.compile(r"(?<=[:\[,])(\s*)\$\{[^}]+\}(?=\s*[,\]}])")
_NOT_READ = "Give lint the definition itself, as `describe-pipeline` or `pipeline.definition()` prints it."


def parse_template_text(data: bytes, where: str) -> Any:
    """JSON, else YAML with CloudFormation's short forms. Raises ConfigError when it is neither."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        wrong = error
    text = data.decode("utf-8", "replace")
    if not text.lstrip().startswith(("{", "[", '"')) and ":" in text:
        return _parse_yaml(text, where)
    remedy = "Write the JSON that `pipeline.definition()` or describe-pipeline gives, or a template as JSON or YAML."
    raise ConfigError(Problem("definition", f"is not JSON: {wrong}.", where, remedy)) from wrong


def unwrapped(document: Any) -> Any:
    """The definition inside one JSON text, or inside what describe-pipeline answers."""
    if isinstance(document, Mapping) and "Steps" not in document and "PipelineDefinition" in document:
        document = document["PipelineDefinition"]
    if isinstance(document, str):
        try:
            return json.loads(document)
        except (ValueError, RecursionError):
            return document
    return document


def read_body(definition: Any, where: str) -> tuple[Any, Problem | None]:
    """The definition of a template's pipeline, as far as the template holds it, and what of it was not read."""
    body = definition
    if isinstance(definition, Mapping) and "PipelineDefinitionBody" in definition:
        body = definition["PipelineDefinitionBody"]
    elif isinstance(definition, Mapping) and "PipelineDefinitionS3Location" in definition:
        return None, Problem("not_checked", "the definition lies on S3.", where, _NOT_READ)
    if isinstance(body, Mapping) and "Steps" in body:
        return body, Problem(
            "body_is_object",
            "PipelineDefinitionBody is an object; its type is text.",
            where,
            "Write it as one JSON text.",
        )
    text = template_string(body, {})
    if text is None:
        return None, Problem("not_checked", "the definition is made by the template.", where, _NOT_READ)
    try:
        return json.loads(_BARE_REFERENCE.sub(r"\1 1", text)), None
    except (ValueError, RecursionError) as error:
        if text.lstrip().startswith("{") and not _REFERENCE.search(text):
            return None, Problem("definition", f"the body is not JSON: {error}.", where, "Fix it.")
        return None, Problem("not_checked", "the definition is no JSON before it is filled in.", where, _NOT_READ)


def template_string(value: Any, names: Mapping[str, str]) -> str | None:
    """A text with what is not known as `${Name}`, so that two are equal where CloudFormation makes them so.

    A reference to one of `names` is its value. None for what is no text.
    """
    match value:
        case str():
            return value
        case {"Ref": str(name)}:
            return names.get(name, f"${{{name}}}")
        case {"Fn::GetAtt": str(name)}:
            return f"${{{name}}}"
        case {"Fn::GetAtt": [str(name), str(attribute)]}:
            return f"${{{name}.{attribute}}}"
        case {"Fn::Sub": str(text)} | {"Fn::Sub": [str(text), *_]}:
            return re.sub(r"\$\{(\w+)\}", lambda found: names.get(found[1], found[0]), text)
        case {"Fn::Join": [str(between), [*parts]]}:
            texts = [template_string(part, names) for part in parts]
            return between.join(text if text is not None else "${?}" for text in texts)
    return None


def filled_later(text: str) -> bool:
    """Whether CloudFormation has yet to put something into the text."""
    return _REFERENCE.search(text) is not None


def _parse_yaml(text: str, where: str) -> Any:
    try:
        import yaml
    except ModuleNotFoundError as error:
        remedy = "Install batchcast[yaml], or write the template as JSON."
        raise ConfigError(Problem("yaml_missing", "PyYAML is needed to read YAML.", where, remedy)) from error

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """YAML's own types, and !Ref, !Sub and the like as their long forms."""

    def short_form(loader: Any, name: str, node: Any) -> dict[str, Any]:
        if isinstance(node, yaml.ScalarNode):
            value: Any = loader.construct_scalar(node)
        elif isinstance(node, yaml.SequenceNode):
            value = loader.construct_sequence(node, deep=True)
        else:
            value = loader.construct_mapping(node, deep=True)
        key = name if name in ("Ref", "Condition") else f"Fn::{name}"
        return {key: value.split(".", 1) if name == "GetAtt" and isinstance(value, str) else value}

    Loader.add_multi_constructor("!", short_form)
    try:
        return yaml.load(text, Loader)  # noqa: S506 - derived from SafeLoader
    except (yaml.YAMLError, RecursionError) as error:
        what = f"is neither JSON nor YAML: {str(error).splitlines()[0]}."
        raise ConfigError(Problem("definition", what, where, "Fix it.")) from error
