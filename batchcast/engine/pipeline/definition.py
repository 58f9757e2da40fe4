"""A pipeline definition as the engine works with it: parameters, and steps that know what they wait for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from batchcast.engine.pipeline.execution.retry_policy import RetryPolicy
from batchcast.engine.pipeline.parameters import ParameterDeclaration

COMPLETED = "Completed"
TRIGGERS = (COMPLETED, "Failed", "Stopped", "Any")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """A step that must have ended, and how: Completed, Failed, Stopped or Any."""

    step: str
    trigger: str = COMPLETED


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """The side of a Condition step that a step lies on."""

    condition: str
    outcome: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PropertyFile:
    """A JSON file in an output of a Processing step."""

    name: str
    output_name: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step; `arguments` as written, without the nested steps of a Condition.

    `dependencies` holds those of `DependsOn` and those that follow from data references.
    """

    name: str
    type: str
    arguments: Mapping[str, Any]
    dependencies: tuple[Dependency, ...] = ()
    branch: Branch | None = None
    display_name: str | None = None
    description: str | None = None
    property_files: tuple[PropertyFile, ...] = ()
    retry_policies: tuple[RetryPolicy, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A whole definition; `steps` by name in the order written, the steps of branches included."""

    parameters: Mapping[str, ParameterDeclaration]
    steps: Mapping[str, Step]
    experiment: Mapping[str, Any] | None = None
