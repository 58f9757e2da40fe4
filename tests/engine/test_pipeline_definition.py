"""Reading a definition: everything is understood or refused by name, and all problems are told at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from local_pipeline import (
    ROLE,
    Json,
    after,
    condition,
    definition,
    equals,
    fail,
    json_get,
    local,
    processing,
    transform,
)

from batchcast.engine.errors import NotEmulatedError, ServiceException
from batchcast.engine.pipeline.definition_reader import parse_definition
from batchcast.engine.pipeline.expressions import Scope, holds
from batchcast.pipelines.definition import define
from batchcast.pipelines.settings import BuildSettings
from batchcast.steps.errors import ConfigError

ROOT = Path(__file__).parents[2]
ALWAYS = [equals(1, 1)]
REPORT = [{"PropertyFileName": "report", "OutputName": "report", "FilePath": "report.json"}]


@pytest.mark.parametrize("run_conditions", [True, False])
def test_the_committed_definition_is_read_with_and_without_run_conditions(run_conditions: bool) -> None:
    read = parse_definition(json.dumps(define(BuildSettings(run_conditions=run_conditions))))
    assert read.steps["Transform"].triggers == {"BuildShards": "Completed"}
    assert read.steps["TransformRetry"].branch == ("Outcome", True)
    assert read.parameters["ForecastHorizon"].default == 31


def test_a_data_reference_is_a_dependency() -> None:
    first = processing("First", "1", outputs={"report": "s3://b/r/"}, PropertyFiles=REPORT)
    second = processing("Second", "1", {"Get": "Steps.First.ProcessingJobArn"})
    third = condition("Third", [equals(json_get("First", "report", "a"), 1)], [])
    read = parse_definition(definition(first, second, third))
    assert read.steps["Second"].triggers == {"First": "Completed"}
    assert read.steps["Third"].triggers == {"First": "Completed"}


def test_an_explicit_trigger_outweighs_the_data_reference() -> None:
    second = processing("Second", "1", {"Get": "Steps.First.TransformJobArn"}, DependsOn=[after("First", "Failed")])
    read = parse_definition(definition(transform("First", "s3://b/i/", "s3://b/o"), second))
    assert read.steps["Second"].triggers == {"First": "Failed"}


def plain(name: str = "A", **members: Any) -> Json:
    return processing(name, "1", **members)


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ([{"Name": "A", "Type": "Training", "Arguments": {}}], "step type 'Training' is not emulated"),
        ([plain(Colour="red")], "Steps[0].Colour: is not known here"),
        ([{"Name": "A", "Type": "Lambda", "Arguments": {}}], "(A): step type 'Lambda' is not emulated. Do its work in"),
        ([plain("A"), plain("A")], "the name A is used twice"),
        ([plain("A b")], "'A b' is no step name"),
        ([plain(DependsOn=["B"])], "depends on B, which is no step"),
        ([plain("A", DependsOn=["B"]), plain("B", DependsOn=["A"])], "the steps A, B wait for each other"),
        ([fail("F"), plain(DependsOn=["F"])], "nothing can follow one"),
        ([plain("A"), plain("B", DependsOn=[after("A", "Sometimes")])], "trigger 'Sometimes'"),
        ([plain("A"), plain("B", DependsOn=[after("A"), "A"])], "step A has two triggers"),
        ([plain(PropertyFiles=REPORT)], "lies in output report, which the step does not have"),
        ([plain("A"), condition("C", [equals(json_get("A", "report", "x"), 1)], [])], "no property file report"),
        ([processing("A", "1", {"Get": "Parameters.Nope"})], "parameter Nope is not declared"),
        ([processing("A", "1", {"Get": "Execution.Nope"})], "execution variable Nope has no value"),
        ([condition("C", [], [])], "at least one condition"),
        ([condition("C", [{"Type": "Contains", "LeftValue": 1, "RightValue": 1}], [])], "'Contains' is not known"),
        ([condition("C", [{"Type": "Not"}], [])], "Use Condition, Type."),
        ([plain(RetryPolicies=[{"ExceptionType": ["SageMaker.ALGORITHM_ERROR"]}])], "SageMaker.ALGORITHM_ERROR"),
        ([plain(RetryPolicies=[{"ExceptionType": ["Step.THROTTLING"], "MaxAttempts": 21}])], "from 0 to 20"),
        ([{**plain(), "Arguments": {**plain()["Arguments"], "ProcessingJobName": "x"}}], "names of jobs are made"),
    ],
)
def test_r04_what_the_engine_cannot_run_is_refused_by_name(steps: list[Json], says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_definition(definition(*steps))
    assert says in str(refused.value)


@pytest.mark.parametrize(
    "steps",
    [
        [{"Name": "A", "Type": "Training", "Arguments": {}}],
        [plain(Colour="red")],
        [plain("A"), plain("A", Colour="red")],
        [processing("A", "1", {"Std:Upper": {"Value": "x"}})],
        [condition("C", [{"Type": "Contains", "LeftValue": 1, "RightValue": 1}], [])],
    ],
)
def test_r04_what_only_the_engine_refuses_is_not_told_as_the_service_s_refusal(
    tmp_path: Path, steps: list[Json]
) -> None:
    with pytest.raises(NotEmulatedError):
        local(tmp_path).create_pipeline(PipelineName="p", PipelineDefinition=definition(*steps), RoleArn=ROLE)


def test_r04_what_the_service_refuses_is_told_as_its_refusal(tmp_path: Path) -> None:
    with pytest.raises(ServiceException, match="ValidationException"):
        local(tmp_path).create_pipeline(
            PipelineName="p", PipelineDefinition=definition(plain("A"), plain("A")), RoleArn=ROLE
        )


def test_p21_a_step_with_a_cache_runs_without_one(caplog: pytest.LogCaptureFixture) -> None:
    read = parse_definition(definition(plain(CacheConfig={"Enabled": True, "ExpireAfter": "p7d"})))
    assert set(read.steps) == {"A"}
    assert [record.getMessage()[:46] for record in caplog.records] == ["step A: the local engine has no cache, it runs"]


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        (
            [condition("Outer", ALWAYS, [condition("Inner", ALWAYS, [])])],
            "Steps[0] (Outer).IfSteps[0] (Inner): is a condition inside the condition Outer",
        ),
        ([condition("Outer", ALWAYS, [], [condition("Inner", ALWAYS, [])])], "(Inner): is a condition inside"),
        ([condition("First", ALWAYS, []), plain("A", DependsOn=["First"])], "depends on the condition First"),
    ],
)
def test_r06_conditions_are_refused_where_the_service_supports_none(steps: list[Json], says: str) -> None:
    """Developer guide, "Condition step", Limitations; sagemaker-python-sdk#3565."""
    with pytest.raises(ConfigError) as refused:
        parse_definition(definition(*steps))
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"Version": "2019-01-01"}, "This engine reads 2020-12-01"),
        ({"MlflowConfig": {"Arn": "x"}}, "definition.MlflowConfig: is not empty"),
        ({"Extra": 1}, "definition.Extra: is not known here"),
        ({"Parameters": [{"Name": "P", "Type": "Date"}]}, "type 'Date'"),
        ({"Parameters": [{"Name": "P", "Type": "Integer", "DefaultValue": "3"}]}, "is not of type Integer"),
        ({"Parameters": [{"Name": "P", "Type": "Boolean", "DefaultValue": 1}]}, "is not of type Boolean"),
        ({"Parameters": [{"Name": "P", "Type": "String", "DefaultValue": "x", "EnumValues": ["a"]}]}, "is none of"),
        ({"Steps": "none"}, "is not a list"),
    ],
)
def test_the_frame_of_a_definition_is_checked_as_well(members: Json, says: str) -> None:
    document = {**json.loads(definition(plain())), **members}
    with pytest.raises(ConfigError) as refused:
        parse_definition(json.dumps(document))
    assert says in str(refused.value)


def test_all_problems_are_told_at_once() -> None:
    steps = [
        plain("A", Colour=1),
        {"Name": "B", "Type": "EMR", "Arguments": {}},
        plain("C", DependsOn=[after("A", "?")]),
    ]
    with pytest.raises(ConfigError) as refused:
        parse_definition(definition(*steps))
    assert len(refused.value.problems) == 3


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside a JSON document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


@given(st.data())
def test_whatever_stands_in_a_definition_it_is_read_or_refused(data: st.DataObject) -> None:
    document = json.loads((ROOT / "pipelines" / "pipeline.json").read_text())
    *parents, last = data.draw(st.sampled_from(list(places(document))))
    parent = document
    for key in parents:
        parent = parent[key]
    parent[last] = data.draw(JSON)
    try:
        parse_definition(json.dumps(document))
    except ConfigError as refused:
        assert all(problem.what for problem in refused.problems)


def not_needed(*_: str) -> Any:
    raise AssertionError


SCOPE = Scope(
    parameters={"Days": 31},
    execution={},
    properties=not_needed,
    property_file=not_needed,
    json_object=not_needed,
)


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (equals({"Get": "Parameters.Days"}, 31), True),
        (equals({"Get": "Parameters.Days"}, "31"), False),
        (equals(True, 1), False),
        ({"Type": "GreaterThan", "LeftValue": {"Get": "Parameters.Days"}, "RightValue": 30.5}, True),
        ({"Type": "GreaterThanOrEqualTo", "LeftValue": 31, "RightValue": {"Get": "Parameters.Days"}}, True),
        ({"Type": "LessThan", "LeftValue": 1, "RightValue": 1}, False),
        ({"Type": "LessThanOrEqualTo", "LeftValue": 1, "RightValue": 1}, True),
        ({"Type": "In", "QueryValue": "a", "Values": ["b", "a"]}, True),
        ({"Type": "In", "QueryValue": 1, "Values": [True, "1"]}, False),
        ({"Type": "Not", "Condition": equals(1, 2)}, True),
        ({"Type": "Or", "Conditions": [equals(1, 2), equals(3, 3)]}, True),
        ({"Type": "Or", "Conditions": [equals(1, 2), equals(3, 4)]}, False),
    ],
)
def test_a_condition_compares_values_of_json(body: Json, outcome: bool) -> None:
    assert holds(body, SCOPE) is outcome


def test_only_numbers_have_an_order() -> None:
    with pytest.raises(ConfigError, match="compares numbers"):
        holds({"Type": "LessThan", "LeftValue": "1", "RightValue": 2}, SCOPE)
