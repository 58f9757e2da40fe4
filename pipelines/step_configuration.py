"""What each step is told and how it presents itself: parameters that travel as arguments, names, descriptions."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from batchcast.pipelines.parameters import Parameters, declared_parameters
from batchcast.steps.build_arguments import BuildArguments
from batchcast.steps.publish_arguments import PublishArguments

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
# Display name and description in the Studio graph, step by step.
TEXTS = {
    "BuildShards": ("Build the records", "Turns the history into shards, one record an item, and a manifest of them."),
    "Transform": ("Forecast every item", "One request a record; a file with a failing record has no output."),
    "ValidateAndPublish": (
        "Account for every record",
        "Compares the output with the manifest, publishes all or nothing and writes report.json.",
    ),
    "Outcome": ("Records to send again?", "Yes when few are missing and the cause is not systemic."),
    "TransformRetry": (
        "Send missing records again",
        "Each missing record alone in its file, so that one bad record costs no other its forecast.",
    ),
    "ValidateAndPublishRetry": (
        "Account for both rounds",
        "Merges both rounds, publishes all or nothing and writes report.json.",
    ),
}
