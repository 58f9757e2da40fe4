"""What `lint` reads of a file, and that it says what it did not read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from batchcast.pipelines.lint.lint import advice_codes, lint
from batchcast.pipelines.lint.template_rules import parse_template_text
from batchcast.steps.errors import ConfigError

CASES = Path(__file__).resolve().parents[1] / "fixtures" / "lint"
S_PARAMETERS = "S.Target.SageMakerPipelineParameters"
# File -> everything that is found in it.
EXPECTED = {
    "cond_empty": {("condition", "Gate.Conditions")},
    "cond_str": {("condition", "Gate.Conditions")},
    "describe_pipeline": set(),
    "jsonpath_two_ranges": {("data_processing", "Daily.DataProcessing")},
    "no_strategy": {("default_strategy", "Daily.BatchStrategy")},
    "required_run_id": set(),
    "t_bad_cron": {("cron", "S.ScheduleExpression")},
    "t_body_s3": {
        ("not_checked", "Pipe: PipelineDefinition"),
        ("not_checked", S_PARAMETERS),
        ("schedule_parameters", S_PARAMETERS),
    },
    "t_body_sub": {("schedule_parameters", S_PARAMETERS), ("schedule_parameter", S_PARAMETERS)},
    "t_int_value": {("schedule_parameter", S_PARAMETERS)},
    "t_unknown_param": {("schedule_parameter", S_PARAMETERS)},
    "unknown_output": {("unknown_output", "Daily")},
}


def case(name: str) -> Any:
    """A file as the command reads it."""
    return parse_template_text((CASES / f"{name}.json").read_bytes(), name)


def found(document: Any) -> set[tuple[str, str]]:
    """Code and place of each finding."""
    return {(one.code, one.where) for one in lint(document)}


@pytest.mark.parametrize("name", EXPECTED)
def test_each_case_is_found_where_it_is_and_nothing_else(name: str) -> None:
    assert found(case(name)) == EXPECTED[name]


def template(body: Any, *, parameters: Any = None, **properties: Any) -> dict[str, Any]:
    """The case's pipeline with this body, and its schedule."""
    document: dict[str, Any] = case("t_int_value")
    document["Resources"]["Pipe"]["Properties"]["PipelineDefinition"] = body
    schedule = document["Resources"]["S"]["Properties"]
    schedule["Target"]["SageMakerPipelineParameters"] = {
        "PipelineParameterList": [{"Name": "RunId", "Value": "w"}] if parameters is None else parameters
    }
    schedule |= properties
    return document


def body_text() -> str:
    """The definition of the case, as JSON."""
    return str(case("t_int_value")["Resources"]["Pipe"]["Properties"]["PipelineDefinition"]["PipelineDefinitionBody"])


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        ({"PipelineDefinitionBody": "{broken"}, {"definition", "not_checked"}),
        ({"PipelineDefinitionBody": "{}"}, {"definition", "not_checked"}),
        ({"PipelineDefinitionBody": {"Fn::If": ["A", "x", "y"]}}, {"not_checked"}),
        ({"PipelineDefinitionBody": {"Ref": "Body"}}, {"not_checked"}),
        ({"PipelineDefinitionBody": "filled in by the build"}, {"not_checked"}),
        ({"Fn::Transform": {"Name": "AWS::Include"}}, {"not_checked"}),
        (None, {"not_checked"}),
    ],
)
def test_a_body_that_cannot_be_read_is_said(body: Any, codes: set[str]) -> None:
    assert {code for code, _ in found(template(body))} == codes


def test_a_body_of_joined_pieces_is_read_and_what_is_filled_in_later_is_said() -> None:
    text = body_text()
    assert found(template({"PipelineDefinitionBody": {"Fn::Join": ["", [text[:100], text[100:]]]}})) == set()
    role = json.loads(text)["Steps"][0]["Arguments"]["RoleArn"]
    pieces = text.split(json.dumps(role), 1)
    joined = {"Fn::Join": ["", [pieces[0], '"', {"Fn::GetAtt": ["Role", "Arn"]}, '"', pieces[1]]]}
    assert found(template({"PipelineDefinitionBody": joined})) == {("not_checked", "Pipe: Prepare.RoleArn")}
    substituted = {"Fn::Sub": text.replace('"InstanceCount": 1', '"InstanceCount": ${Count}')}
    assert found(template({"PipelineDefinitionBody": substituted})) == set()


def test_an_object_in_place_of_the_text_is_read_and_named() -> None:
    body = {"PipelineDefinitionBody": json.loads(body_text())}
    assert found(template(body)) == {("body_is_object", "Pipe: PipelineDefinition")}


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"ScheduleExpression": "rate(7 days)"}, set()),
        ({"ScheduleExpression": "at(2026-11-29T03:30:00)"}, set()),
        ({"ScheduleExpression": "rate(7 weeks)"}, {("cron", "S.ScheduleExpression")}),
        ({"ScheduleExpression": {"Ref": "Cron"}}, {("not_checked", "S.ScheduleExpression")}),
        ({"ScheduleExpressionTimezone": "Europe/Berln"}, {("time_zone", "S.ScheduleExpressionTimezone")}),
        ({"ScheduleExpressionTimezone": "Europe/Berlin"}, set()),
    ],
)
def test_times_that_no_start_will_come_of_are_found(properties: dict[str, Any], expected: set[tuple[str, str]]) -> None:
    body = {"PipelineDefinitionBody": body_text()}
    assert found(template(body, **properties)) == expected


def test_parameters_that_are_filled_in_at_the_start_pass() -> None:
    values = [{"Name": "RunId", "Value": "<aws.scheduler.scheduled-time>"}, {"Name": "Cutoff", "Value": {"Ref": "C"}}]
    assert found(template({"PipelineDefinitionBody": body_text()}, parameters=values)) == set()


YAML = """
Resources:
  Pipe:
    Type: AWS::SageMaker::Pipeline
    Properties:
      PipelineName: !Sub "${Stage}-fc"
      PipelineDefinition:
        PipelineDefinitionBody: !Sub |
          %s
  S:
    Type: AWS::Scheduler::Schedule
    Properties:
      ScheduleExpression: cron(30 3 * * SUN *)
      Target:
        Arn: !GetAtt Pipe.PipelineArn
        SageMakerPipelineParameters:
          PipelineParameterList: [{Name: RunId, Value: w}]
"""


def test_a_template_in_yaml_is_read_with_its_short_forms() -> None:
    pytest.importorskip("yaml", reason="an optional extra, which is not among the oldest libraries")
    document = parse_template_text((YAML % body_text()).encode(), "template.yaml")
    assert found(document) == {("cron", "S.ScheduleExpression")}


@pytest.mark.parametrize("data", [b"{", b"a: [", b"\xff\xfe", b"text"])
def test_what_is_neither_json_nor_yaml_is_refused(data: bytes) -> None:
    with pytest.raises(ConfigError):
        parse_template_text(data, "file")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("TransformOutput.S3OutputPath", None),
        ("ModelArtifacts.S3ModelArtifacts", "unknown_property"),
        ("TransformOutput.S3OutputPth", "unknown_property"),
        ("TransformJobName.Length", "unknown_property"),
        ("Environment['KEY']", None),
    ],
)
def test_names_below_a_known_step_are_those_of_its_describe_answer(path: str, code: str | None) -> None:
    document = case("required_run_id")
    reading = {"Get": f"Steps.Daily.{path}"}
    document["Steps"].append(
        {"Name": "Last", "Type": "Lambda", "Arguments": {"value": reading}, "DependsOn": ["Daily"]}
    )
    codes = {problem.code for problem in lint(document)} - {"not_checked", "lost_on_failure"}
    assert codes == ({code} if code else set())


def test_what_was_not_checked_is_advice() -> None:
    assert "not_checked" in advice_codes()
    assert not {"cron", "schedule_parameters", "schedule_parameter", "unknown_output", "condition"} & advice_codes()


def test_what_a_template_of_any_kind_has_yet_to_fill_in_is_not_judged() -> None:
    document = case("required_run_id")
    arguments = document["Steps"][0]["Arguments"]
    arguments["ProcessingResources"]["ClusterConfig"]["InstanceType"] = "${instance_type}"
    arguments["RoleArn"] = "${role}"
    assert found(document) == {
        ("not_checked", "Prepare.ProcessingResources.ClusterConfig.InstanceType"),
        ("not_checked", "Prepare.RoleArn"),
    }
    arguments["AppSpecification"]["ContainerEntrypoint"] = ["bash", "-c", "echo ${HOME}"]
    assert len(found(document)) == 2


@pytest.mark.parametrize(
    ("path", "codes"),
    [
        ("BestTrainingJob.TrainingJobName", set()),
        ("TrainingJobSummaries[0].TrainingJobName", set()),
        ("TrainingJobSummaries[0].TrainingJob", {"unknown_property"}),
        ("TrainingJobSumaries[0].TrainingJobName", {"unknown_property"}),
    ],
)
def test_a_tuning_step_has_its_best_jobs_too(path: str, codes: set[str]) -> None:
    document = case("required_run_id")
    document["Steps"].insert(0, {"Name": "Tune", "Type": "Tuning", "Arguments": {}})
    document["Steps"][1]["Arguments"]["Environment"] = {"JOB": {"Get": f"Steps.Tune.{path}"}}
    assert {one.code for one in lint(document) if one.where != "Tune"} == codes
