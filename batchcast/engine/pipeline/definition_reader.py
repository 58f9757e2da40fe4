"""The definition JSON, read strictly: what the SageMaker Python SDK emits, and nothing that would be ignored.

Source: `Pipeline.definition()` of the SageMaker Python SDK 3.27, schema version 2020-12-01.
"""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from batchcast.engine.errors import NOT_EMULATED, NotEmulatedError
from batchcast.engine.pipeline.definition import COMPLETED, STEP_NAME, TRIGGERS, Definition, Step, graph_problems
from batchcast.engine.pipeline.execution.retry_policy import retry_policy_problems
from batchcast.engine.pipeline.expressions import condition_problems, expression_problems, references
from batchcast.engine.pipeline.parameters import parse_parameter
from batchcast.engine.requests.request_check import refusals
from batchcast.steps.errors import ConfigError, Problem

VERSION = "2020-12-01"

_PLAIN_KEYS = ("Name", "Type", "Arguments", "DependsOn", "DisplayName", "Description")
_JOB_KEYS = (*_PLAIN_KEYS, "CacheConfig", "RetryPolicies")
_STEP_KEYS: Mapping[str, tuple[str, ...]] = {
    "Processing": (*_JOB_KEYS, "PropertyFiles"),
    "Transform": _JOB_KEYS,
    "Condition": _PLAIN_KEYS,
    "Fail": _PLAIN_KEYS,
}
_EXPERIMENT = "PipelineExperimentConfig"
_TOP_KEYS = ("Version", "Metadata", "Parameters", _EXPERIMENT, "MlflowConfig", "Steps")
_ARGUMENT_KEYS = {"Condition": ("Conditions", "IfSteps", "ElseSteps"), "Fail": ("ErrorMessage",)}
_LOG = logging.getLogger(__name__)


def parse_definition(text: str) -> Definition:
    """Raises ConfigError with everything in the definition that SageMaker refuses or this engine cannot run.

    NotEmulatedError where some of it is the engine's own refusal, its problems being `not_emulated`.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(Problem("definition", f"the definition is not JSON: {error}.")) from None
    reader = _Reader()
    definition = reader.definition(document)
    if not reader.problems:
        reader.problems.extend(graph_problems(definition))
    if reader.problems:
        ours = any(each.code == NOT_EMULATED for each in reader.problems)
        raise (NotEmulatedError if ours else ConfigError)(*reader.problems)
    return definition


class _Reader:
    """Collects problems while it reads, so that all of them are reported together."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def definition(self, document: Any) -> Definition:
        top = self._object(document, "definition", _TOP_KEYS, required=("Version", "Steps"))
        if top.get("Version") not in (None, VERSION):
            self._not_emulated("definition.Version", f"is {top['Version']!r}.", f"This engine reads {VERSION}.")
        for key in ("Metadata", "MlflowConfig"):
            if top.get(key):
                remedy = "This engine gives it no meaning: leave it out."
                self._not_emulated(f"definition.{key}", "is not empty.", remedy)
        parsed = [parse_parameter(each, f"Parameters[{at}]") for at, each in enumerate(self._list(top, "Parameters"))]
        self.problems += [problem for _, problems in parsed for problem in problems]
        declared = [each for each, _ in parsed if each]
        steps = list(self._steps(self._list(top, "Steps"), "Steps", None))
        experiment = top.get(_EXPERIMENT)
        if experiment is not None:
            keys = ("ExperimentName", "TrialName")
            experiment = self._object(experiment, _EXPERIMENT, keys, required=keys)
            self.problems += expression_problems(experiment, _EXPERIMENT)
        self._unique("Parameters", [each.name for each in declared])
        self._unique("Steps", [step.name for step in steps])
        return Definition(
            parameters={each.name: each for each in declared},
            steps={step.name: step for step in steps},
            experiment=experiment,
        )

    def _steps(self, values: list[Any], where: str, branch: tuple[str, bool] | None) -> Iterator[Step]:
        for index, value in enumerate(values):
            yield from self._step(value, f"{where}[{index}]", branch)

    def _step(self, value: Any, where: str, branch: tuple[str, bool] | None) -> Iterator[Step]:
        type_ = value.get("Type") if isinstance(value, Mapping) else None
        if not isinstance(type_, str) or type_ not in _STEP_KEYS:
            step = value.get("Name") if isinstance(value, Mapping) else None
            remedy = refusals()["steps"].get(str(type_), f"The local engine runs {', '.join(_STEP_KEYS)}.")
            self._not_emulated(f"{where} ({step})", f"step type {type_!r} is not emulated.", remedy)
            return
        body = self._object(value, where, _STEP_KEYS[type_], required=("Name", "Type", "Arguments"))
        name = body.get("Name")
        if not isinstance(name, str) or not STEP_NAME.fullmatch(name):
            self._problem(f"{where}.Name", f"{name!r} is no step name.", "Use 1 to 64 letters, digits, - and _.")
            return
        where = f"{where} ({name})"
        if type_ == "Condition" and branch is not None:
            what = f"is a condition inside the condition {branch[0]}, which Pipelines does not support."
            self._problem(where, what, "Put it beside the other one, or let a step fail by its own exit.")
        arguments = self._object(body.get("Arguments", {}), f"{where}.Arguments", _ARGUMENT_KEYS.get(type_))
        nested = {key: self._list(arguments, key) for key in ("IfSteps", "ElseSteps")} if type_ == "Condition" else {}
        own = {key: item for key, item in arguments.items() if key not in nested}
        self._check_arguments(type_, own, f"{where}.Arguments")
        policies = self._list(body, "RetryPolicies")
        for at, policy in enumerate(policies):
            self.problems.extend(retry_policy_problems(policy, f"{where}.RetryPolicies[{at}]"))
        cache = self._object(body.get("CacheConfig") or {}, f"{where}.CacheConfig", ("Enabled", "ExpireAfter"))
        if cache.get("Enabled"):
            what = "the local engine has no cache, it runs the step whatever its CacheConfig says."
            _LOG.warning("step %s: %s", name, what)
        for key in ("DisplayName", "Description"):
            if not isinstance(body.get(key, ""), str):
                self._problem(f"{where}.{key}", f"is not text but {body[key]!r}.")
        yield Step(
            name=name,
            type=type_,
            arguments=own,
            triggers=self._triggers(self._list(body, "DependsOn"), own, where),
            branch=branch,
            texts={f"Step{key}": body[key] for key in ("DisplayName", "Description") if key in body},
            property_files=dict(self._property_files(self._list(body, "PropertyFiles"), where)),
            retry_policies=tuple(policies),
        )
        for key, outcome in (("IfSteps", True), ("ElseSteps", False)):
            yield from self._steps(nested.get(key, []), f"{where}.{key}", (name, outcome))

    def _check_arguments(self, type_: str, arguments: Mapping[str, Any], where: str) -> None:
        found = list(expression_problems(arguments, where))
        if f"{type_}JobName" in arguments:
            what = "names of jobs are made from the execution and the step."
            found.append(Problem(NOT_EMULATED, what, where=f"{where}.{type_}JobName", remedy="Leave it out."))
        if type_ == "Condition" and not found:
            found = list(condition_problems(arguments.get("Conditions"), f"{where}.Conditions"))
        self.problems.extend(found)

    def _triggers(self, values: list[Any], arguments: Mapping[str, Any], where: str) -> dict[str, str]:
        found: dict[str, str] = {}
        keys, where = ("Step", "Trigger"), f"{where}.DependsOn"
        for value in values:
            entry = {"Step": value, "Trigger": COMPLETED} if isinstance(value, str) else value
            step, trigger = map(self._object(entry, where, keys, required=keys).get, keys)
            if trigger not in TRIGGERS:
                self._problem(where, f"trigger {trigger!r}.", f"Use {', '.join(TRIGGERS)}.")
            elif isinstance(step, str) and found.setdefault(step, trigger) != trigger:
                self._problem(where, f"step {step} has two triggers.", "Keep one.")
        with suppress(ConfigError):  # already reported by expression_problems
            read = [each.name for each in references(arguments) if each.kind in ("Properties", "PropertyFiles")]
            found = dict.fromkeys(read, COMPLETED) | found
        return found

    def _property_files(self, values: list[Any], where: str) -> Iterator[tuple[str, tuple[str, str]]]:
        keys = ("PropertyFileName", "OutputName", "FilePath")
        for value in values:
            body = self._object(value, f"{where}.PropertyFiles", keys, required=keys)
            if all(isinstance(body.get(key), str) for key in keys):
                yield body[keys[0]], (body[keys[1]], body[keys[2]])

    def _object(
        self, value: Any, where: str, keys: tuple[str, ...] | None = None, required: Iterable[str] = ()
    ) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            self._problem(where, f"is not an object but {value!r}.")
            return {}
        for key in (key for key in value if keys and key not in keys):
            self._not_emulated(f"{where}.{key}", "is not known here.", f"Known: {', '.join(sorted(keys or ()))}.")
        for key in required:
            if key not in value:
                self._problem(where, f"{key} is missing.")
        return value

    def _list(self, value: Mapping[str, Any], key: str) -> list[Any]:
        items = value.get(key) or []
        if isinstance(items, list):
            return items
        self._problem(key, f"is not a list but {items!r}.")
        return []

    def _unique(self, where: str, names: list[str]) -> None:
        for name in sorted({name for name in names if names.count(name) > 1}):
            self._problem(where, f"the name {name} is used twice.")

    def _not_emulated(self, where: str, what: str, remedy: str) -> None:
        self.problems.append(Problem(NOT_EMULATED, what, where=where, remedy=remedy))

    def _problem(self, where: str, what: str, remedy: str = "") -> None:
        self.problems.append(Problem("definition", what, where=where, remedy=remedy))
