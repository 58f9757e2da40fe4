"""The parameters of an execution: checked before anything runs, typed where they are used."""

from __future__ import annotations

from pathlib import Path

import pytest
from local_pipeline import Json, ended, fail, local, processing, start, steps_of

from batchcast.engine.errors import ServiceException

PARAMETERS: list[Json] = [
    {"Name": "HistoryUri", "Type": "String"},
    {"Name": "ForecastHorizon", "Type": "Integer", "DefaultValue": 31},
    {"Name": "Share", "Type": "Float", "DefaultValue": 0.0},
    {"Name": "Strict", "Type": "Boolean", "DefaultValue": False},
    {"Name": "Mode", "Type": "String", "DefaultValue": "fast", "EnumValues": ["fast", "slow"]},
]


def text(name: str) -> Json:
    return {"Std:Join": {"On": "", "Values": [{"Get": f"Parameters.{name}"}]}}


def given(**values: str) -> list[Json]:
    return [{"Name": name, "Value": value} for name, value in values.items()]


def test_p09_values_are_typed_and_written_as_json_writes_them(tmp_path: Path) -> None:
    client = local(tmp_path)
    names = [parameter["Name"] for parameter in PARAMETERS]
    arn = start(
        client,
        processing("A", "import sys; print(*sys.argv[1:])", *map(text, names)),
        parameters=PARAMETERS,
        PipelineParameters=given(HistoryUri="s3://h/", Share="5", Strict="True", Mode="slow"),
    )
    ended(client, arn)
    job = steps_of(client, arn)["A"]["Metadata"]["ProcessingJob"]["Arn"].rsplit("/", 1)[1]
    log = tmp_path / "logs/aws/sagemaker/ProcessingJobs" / job / "algo-1/container-log"
    assert log.read_text() == "s3://h/ 31 5.0 true slow\n"


def test_p10_parameters_are_listed_with_their_defaults(tmp_path: Path) -> None:
    client = local(tmp_path)
    arn = start(client, fail("F"), parameters=PARAMETERS, PipelineParameters=given(HistoryUri="s3://h/", Share="5"))
    listed = client.list_pipeline_parameters_for_execution(PipelineExecutionArn=arn)["PipelineParameters"]
    assert {each["Name"]: each["Value"] for each in listed} == {
        "HistoryUri": "s3://h/",
        "ForecastHorizon": "31",
        "Share": "5.0",
        "Strict": "false",
        "Mode": "fast",
    }
    ended(client, arn)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "[HistoryUri] has no default and must be given"),
        ({"HistoryUri": ""}, "[HistoryUri] must not be empty"),
        ({"HistoryUri": "x", "ForcastHorizon": "7"}, "did you mean [ForecastHorizon]?"),
        ({"HistoryUri": "x", "Zzz": "7"}, "the pipeline has HistoryUri, ForecastHorizon"),
        ({"HistoryUri": "x", "ForecastHorizon": "7.5"}, '[ForecastHorizon] is "7.5", which is not of type Integer'),
        ({"HistoryUri": "x", "Share": "much"}, "not of type Float"),
        ({"HistoryUri": "x", "Share": "nan"}, "not of type Float"),
        ({"HistoryUri": "x", "Share": "."}, "not of type Float"),
        ({"HistoryUri": "x", "ForecastHorizon": "1_000"}, "not of type Integer"),
        ({"HistoryUri": "x", "ForecastHorizon": " 7"}, "not of type Integer"),
        ({"HistoryUri": "x", "Strict": "yes"}, "not of type Boolean"),
        ({"HistoryUri": "x", "Mode": "medium"}, "which is none of fast, slow"),
    ],
)
def test_a_wrong_value_starts_nothing(tmp_path: Path, values: dict[str, str], says: str) -> None:
    client = local(tmp_path)
    with pytest.raises(ServiceException) as refused:
        start(client, processing("A", "pass"), parameters=PARAMETERS, PipelineParameters=given(**values))
    assert refused.value.code == "ValidationException"
    assert says in refused.value.message
    assert client.list_pipeline_executions(PipelineName="p")["PipelineExecutionSummaries"] == []


def test_all_wrong_values_are_told_at_once(tmp_path: Path) -> None:
    twice = given(Mode="x") + given(Mode="y", Share="z")
    with pytest.raises(ServiceException) as refused:
        start(local(tmp_path), processing("A", "pass"), parameters=PARAMETERS, PipelineParameters=twice)
    assert all(name in refused.value.message for name in ("[Mode] is given twice", "[HistoryUri]", "[Share]"))


def test_an_integer_where_the_service_wants_text_is_refused_by_the_job(tmp_path: Path) -> None:
    client = local(tmp_path)
    step = processing("A", "pass", {"Get": "Parameters.ForecastHorizon"})
    arn = start(client, step, parameters=PARAMETERS[1:])
    ended(client, arn)
    assert (
        "Invalid type for parameter AppSpecification.ContainerArguments[0]"
        in steps_of(client, arn)["A"]["FailureReason"]
    )
