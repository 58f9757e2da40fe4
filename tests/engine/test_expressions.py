"""Get, Std:Join and Std:JsonGet: what they give, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchcast.engine.pipeline.expressions import Scope, evaluate, expression_problems, references
from batchcast.steps.errors import ConfigError

DESCRIBED = {
    "Build": {
        "ProcessingJobStatus": "Completed",
        "ProcessingOutputConfig": {"Outputs": [{"OutputName": "shards", "S3Output": {"S3Uri": "s3://b/in/"}}]},
        "Environment": {"A.B": "dotted"},
    }
}
REPORT = {"outcome": "HELD", "counts": {"failed": 3}, "shards": [{"name": "part-0"}]}


def properties(step: str) -> Mapping[str, Any]:
    return DESCRIBED[step]


SCOPE = Scope(
    parameters={"Days": 31, "Uri": "s3://b", "Rate": 0.5, "Strict": True},
    execution={"PipelineExecutionId": "abc123def456"},
    properties=properties,
    property_file=lambda step, name: {("Validate", "report"): REPORT}[step, name],
    json_object=lambda uri: {"s3://b/x.json": {"a": [1, 2]}}[uri],
)


def get(what: str) -> dict[str, str]:
    return {"Get": what}


def join(on: str, *values: Any) -> dict[str, Any]:
    return {"Std:Join": {"On": on, "Values": list(values)}}


def json_get(path: str) -> dict[str, Any]:
    return {"Std:JsonGet": {"PropertyFile": get("Steps.Validate.PropertyFiles.report"), "Path": path}}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        (get("Parameters.Days"), 31),
        (get("Execution.PipelineExecutionId"), "abc123def456"),
        (get("Steps.Build.ProcessingJobStatus"), "Completed"),
        (get("Steps.Build.ProcessingOutputConfig.Outputs['shards'].S3Output.S3Uri"), "s3://b/in/"),
        (get("Steps.Build.ProcessingOutputConfig.Outputs[0].OutputName"), "shards"),
        (get("Steps.Build.Environment['A.B']"), "dotted"),
        (join("", get("Parameters.Days")), "31"),
        (join("/", get("Parameters.Uri"), join("-", "a", get("Parameters.Rate")), "x"), "s3://b/a-0.5/x"),
        (join(",", get("Parameters.Strict"), False), "true,false"),
        (json_get("outcome"), "HELD"),
        (json_get("$.counts.failed"), 3),
        (json_get("shards[0].name"), "part-0"),
        ({"Std:JsonGet": {"S3Uri": join("/", get("Parameters.Uri"), "x.json"), "Path": "a[1]"}}, 2),
        ({"deep": [{"er": get("Parameters.Days")}]}, {"deep": [{"er": 31}]}),
    ],
)
def test_an_expression_is_replaced_by_its_value(expression: Any, value: Any) -> None:
    assert evaluate(expression, SCOPE) == value
    assert list(expression_problems(expression, "here")) == []


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        (get("Parameters.Weeks"), "Parameters.Weeks has no value"),
        (get("Steps.Build.FailureReason"), "no property FailureReason"),
        (get("Steps.Build.ProcessingOutputConfig.Outputs['x'].S3Output"), "'x'"),
        (json_get("counts.ok"), "there is no attribute 'ok'"),
        (join(",", get("Steps.Build.ProcessingOutputConfig")), "Std:Join takes text, numbers and booleans"),
    ],
)
def test_an_expression_without_a_value_says_which(expression: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        evaluate(expression, SCOPE)


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        (get("Nowhere.X"), "'Nowhere.X' cannot be read as a Get"),
        ({"Get": ["Parameters.X"]}, "cannot be read as a Get"),
        ({"Std:Split": {"On": "/"}}, "Std:Split is no function"),
        ({"Std:Join": {"On": "/"}}, "is not {On, Values}"),
        ({"Std:JsonGet": {"Path": "a"}}, "is not {Path, PropertyFile} or {Path, S3Uri}"),
        ({"Std:JsonGet": {"PropertyFile": get("Parameters.Uri"), "Path": "a"}}, "is no property file"),
        ({"Std:JsonGet": {"PropertyFile": "report", "Path": "a"}}, "is no property file"),
        (json_get("a[?(@.b)]"), "has an operator SageMaker does not support"),
        ({"Std:Join": {"On": "", "Values": []}, "more": 1}, "does not stand alone"),
        (join("", {"Std:Upper": "a"}), "Std:Upper is no function"),
        (get("Steps.Build.A[*]"), "cannot be read as a property"),
    ],
)
def test_an_expression_the_engine_does_not_know_is_refused_before_anything_runs(expression: Any, says: str) -> None:
    problems = list(expression_problems({"Argument": [expression]}, "Steps[0].Arguments"))
    assert any(says in str(problem) for problem in problems)
    assert all(problem.where.startswith("Steps[0].Arguments.Argument[0]") for problem in problems)


def test_references_are_found_wherever_they_stand() -> None:
    value = {"a": [join("/", get("Parameters.Uri"), get("Steps.Build.ProcessingJobName"))], "b": json_get("outcome")}
    found = {(each.kind, each.name, each.path) for each in references(value)}
    assert found == {
        ("Parameters", "Uri", ""),
        ("Properties", "Build", "ProcessingJobName"),
        ("PropertyFiles", "Validate", "report"),
    }


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text().filter(lambda key: key != "Get"), children),
)


@given(PLAIN)
def test_a_value_without_expressions_stays_as_it_is(value: Any) -> None:
    assert evaluate(value, SCOPE) == value


@given(st.text(max_size=3), st.lists(st.text() | st.integers()))
def test_a_join_is_the_join_of_the_texts(on: str, values: list[str | int]) -> None:
    assert evaluate(join(on, *values), SCOPE) == on.join(str(value) for value in values)
