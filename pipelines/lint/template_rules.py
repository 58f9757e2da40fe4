"""Pipelines in a CloudFormation template, and the schedules beside them that start another one than they seem to.

A schedule names its pipeline by an ARN that nobody checks: with a name that is nearly right it is created, and starts
nothing from then on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from batchcast.steps.errors import Problem

__all__ = ["definitions_in", "is_template", "schedule_problems"]

_PIPELINE = "AWS::SageMaker::Pipeline"
# CloudFormation template reference, read 2026-11: where the type keeps its targets.
_TARGETS = {"AWS::Events::Rule": "Targets", "AWS::Scheduler::Schedule": "Target"}
_IN_ARN = ":pipeline/"


def is_template(document: Any) -> bool:
    """Whether it is a CloudFormation template and no pipeline definition."""
    return isinstance(document, Mapping) and isinstance(document.get("Resources"), Mapping) and "Steps" not in document


def definitions_in(template: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The definition of each pipeline, as far as the template holds it, by the pipeline's logical id."""
    for logical_id, properties in _resources(template, _PIPELINE):
        definition = properties.get("PipelineDefinition")
        text = definition.get("PipelineDefinitionBody") if isinstance(definition, Mapping) else definition
        if isinstance(text, str):
            try:
                yield logical_id, json.loads(text)
            except ValueError:
                continue  # a name of something that is put there later


def schedule_problems(template: Mapping[str, Any]) -> Iterator[Problem]:
    """Each schedule and rule that starts a pipeline of another name than those the template makes, if it makes any."""
    names = {key: _text(each.get("PipelineName"), {}) for key, each in _resources(template, _PIPELINE)}
    for where, target in _targets(template):
        _, found, named = _text(target.get("Arn"), names).partition(_IN_ARN)
        # A name is written in small letters where an ARN has it.
        if names and found and named.lower() not in {name.lower() for name in names.values()}:
            what = f"starts the pipeline {named}; the template makes {', '.join(sorted(names.values()))}."
            remedy = f'Put the same name there: {{"Ref": "{next(iter(names))}"}} is the name of a pipeline.'
            yield Problem("schedule_target", what, f"{where}.Arn", remedy)


def _targets(template: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for kind, member in _TARGETS.items():
        for logical_id, properties in _resources(template, kind):
            found = properties.get(member)
            one = isinstance(found, Mapping)
            for index, target in enumerate([found] if one else found or []):
                if isinstance(target, Mapping):
                    yield f"{logical_id}.{member}" + ("" if one else f"[{index}]"), target


def _resources(template: Mapping[str, Any], kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for logical_id, resource in template["Resources"].items():
        if isinstance(resource, Mapping) and resource.get("Type") == kind:
            properties = resource.get("Properties")
            yield logical_id, properties if isinstance(properties, Mapping) else {}


def _text(value: Any, names: Mapping[str, str]) -> str:
    """A text with what is not known as `${Name}`, so that two of them are equal where CloudFormation makes them so.

    A reference to a pipeline is its name. "" for what cannot be read.
    """
    match value:
        case str():
            return value
        case {"Ref": str(name)}:
            return names.get(name, f"${{{name}}}")
        case {"Fn::Sub": str(text)}:
            return re.sub(r"\$\{(\w+)\}", lambda found: names.get(found[1], found[0]), text)
        case {"Fn::Join": [str(between), [*parts]]}:
            return between.join(_text(part, names) for part in parts)
    return ""
