"""Pipelines in a CloudFormation template, and the schedules beside them that will not start them as it seems.

A schedule names its pipeline by an ARN that nobody checks: with a name that is nearly right it is created, and starts
nothing from then on. So it is with its parameters: a start that the service refuses shows weeks later, in a queue.

A definition comes as people have it: JSON or YAML, a describe-pipeline answer, or a body inside a template. What
CloudFormation fills in later stands in a body as `${Name}`; what cannot be read is said, never passed over.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from batchcast.engine.errors import ServiceException
from batchcast.engine.pipeline.parameters import parameter_values
from batchcast.pipelines.cron import parse_cron, time_zone
from batchcast.pipelines.requests import declared_in
from batchcast.steps.errors import ConfigError, Problem, did_you_mean

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
        what = "PipelineDefinitionBody is an object; its type is text."
        return body, Problem("body_is_object", what, where, "Write it as one JSON text.")
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


_PIPELINE = "AWS::SageMaker::Pipeline"
# CloudFormation template reference, read 2026-11: where the type keeps its targets.
_TARGETS = {"AWS::Events::Rule": "Targets", "AWS::Scheduler::Schedule": "Target"}
_IN_ARN = ":pipeline/"
_NO_CRON = re.compile(r"rate\([1-9]\d* (minutes?|hours?|days?)\)|at\(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\)")


def is_template(document: Any) -> bool:
    """Whether it is a CloudFormation template and no pipeline definition."""
    return isinstance(document, Mapping) and isinstance(document.get("Resources"), Mapping) and "Steps" not in document


def definitions_in(template: Mapping[str, Any]) -> Iterator[tuple[str, Any, Problem | None]]:
    """Each pipeline's logical id, its definition as far as the template holds it, and what of it was not read."""
    for logical_id, properties in _resources(template, _PIPELINE):
        yield logical_id, *read_body(properties.get("PipelineDefinition"), "PipelineDefinition")


def schedule_problems(template: Mapping[str, Any]) -> Iterator[Problem]:
    """Each schedule and rule: its time, the pipeline it names, and the parameters that it would start it with."""
    names = {key: template_string(each.get("PipelineName"), {}) or "" for key, each in _resources(template, _PIPELINE)}
    known = {key: definition for key, definition, _ in definitions_in(template)}
    schedules = ((kind, *found) for kind in _TARGETS for found in _resources(template, kind))
    for kind, logical_id, properties in schedules:
        targets = list(_pipeline_targets(kind, logical_id, properties, names))
        if targets:
            yield from _times(properties, logical_id)
        for where, target, named in targets:
            # A name is written in small letters where an ARN has it.
            ours = [key for key, name in names.items() if name.lower() == named.lower()]
            if names and not ours:
                what = f"starts the pipeline {named}; the template makes {', '.join(sorted(names.values()))}."
                remedy = f'Put the same name there: {{"Ref": "{next(iter(names))}"}} is the name of a pipeline.'
                yield Problem("schedule_target", what, f"{where}.Arn", remedy)
                continue
            needs_block = kind == "AWS::Scheduler::Schedule"  # terraform-provider-aws#33526
            if needs_block and "SageMakerPipelineParameters" not in target:
                what = "is missing: EventBridge Scheduler refuses a pipeline as a target without it."
                remedy = 'Write {"PipelineParameterList": []} at the least.'
                yield Problem("schedule_parameters", what, f"{where}.SageMakerPipelineParameters", remedy)
            yield from _parameters(target, known.get(ours[0]) if ours else None, where)


def _parameters(target: Mapping[str, Any], definition: Any, where: str) -> Iterator[Problem]:
    block, where = target.get("SageMakerPipelineParameters"), f"{where}.SageMakerPipelineParameters"
    entries = block.get("PipelineParameterList", []) if isinstance(block, Mapping) else []
    if not isinstance(entries, list) or not all(isinstance(one, Mapping) and "Name" in one for one in entries):
        yield Problem("not_checked", "the parameters are made by the template.", where)
        return
    if not isinstance(definition, Mapping) or "Steps" not in definition:
        yield Problem("not_checked", "the parameters, for the pipeline's definition was not read.", where)
        return
    declared, wrong = declared_in(definition)
    given = {str(one["Name"]): template_string(one.get("Value"), {}) for one in entries}
    for name in given:
        if name not in declared and not wrong:
            what = f"the pipeline has no parameter {name}: no start succeeds."
            yield Problem("schedule_parameter", what, where, did_you_mean(name, declared))
    for name, one in declared.items():
        if one.default is None and name not in given:
            what = f"{name} has no default and is not given: no start succeeds."
            yield Problem("schedule_parameter", what, where, "Give it a value.")
        value = given.get(name)
        if value is not None and not filled_later(value) and not value.startswith("<aws."):
            try:
                parameter_values({name: one}, [{"Name": name, "Value": value}])
            except ServiceException as error:
                yield Problem("schedule_parameter", f"{error.message}: no start succeeds.", where)


def _times(properties: Mapping[str, Any], where: str) -> Iterator[Problem]:
    for member, check in (("ScheduleExpression", parse_cron), ("ScheduleExpressionTimezone", time_zone)):
        text = properties.get(member)
        if isinstance(text, str) and not filled_later(text):
            try:
                if not _NO_CRON.fullmatch(text):
                    check(text)
            except ConfigError as error:
                yield from (replace(one, where=f"{where}.{member}") for one in error.problems)
        elif text is not None and check is parse_cron:
            yield Problem("not_checked", "the time is made by the template.", f"{where}.{member}")


def _pipeline_targets(
    kind: str, logical_id: str, properties: Mapping[str, Any], names: Mapping[str, str]
) -> Iterator[tuple[str, Mapping[str, Any], str]]:
    """Where the target stands, the target, and the name of the pipeline that it starts."""
    member = _TARGETS[kind]
    found = properties.get(member)
    one = isinstance(found, Mapping)
    for index, target in enumerate([found] if one else found or []):
        if isinstance(target, Mapping):
            arn = template_string(target.get("Arn"), names) or ""
            made_here = re.fullmatch(r"\$\{(\w+)\.PipelineArn\}", arn)
            _, in_arn, named = arn.partition(_IN_ARN)
            if made_here and made_here[1] in names:
                in_arn, named = _IN_ARN, names[made_here[1]]
            if in_arn:
                yield f"{logical_id}.{member}" + ("" if one else f"[{index}]"), target, named


def _resources(template: Mapping[str, Any], kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for logical_id, resource in template["Resources"].items():
        if isinstance(resource, Mapping) and resource.get("Type") == kind:
            properties = resource.get("Properties")
            yield logical_id, properties if isinstance(properties, Mapping) else {}
