"""The job requests of a run, known before it starts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from batchcast.pipelines.parameters import BUILD_SHARDS, VALIDATE_AND_PUBLISH, declared_parameters
from batchcast.pipelines.requests import resolve_requests
from batchcast.steps.errors import ConfigError

DEFINITION: dict[str, Any] = json.loads(
    (Path(__file__).resolve().parents[2] / "pipelines" / "pipeline.json").read_text()
)
RUN_ID = "abc123def456"
VALUES = {
    "HistoryUri": "s3://data/history/",
    "RunsUri": "s3://data/runs",
    "PublishUri": "s3://data/published",
    "ModelName": "bakery",
}
OTHER_VALUES = {
    "HistoryUri": "s3://data/other-history/",
    "RunsUri": "s3://data/other-runs",
    "PublishUri": "s3://data/other-published",
    "ModelName": "other",
    "RunDate": "2026-11-22",
    "RunLabel": "2026-47",
    "TransformInstanceType": "ml.c5.xlarge",
    "ProcessingInstanceType": "ml.c5.xlarge",
    "ResumeFrom": "zzz999zzz999",
    "ItemsUri": "s3://data/items.txt",
}


def requests(**values: str) -> dict[str, Any]:
    """Request by step."""
    return {one.step: one.request for one in resolve_requests(DEFINITION, {**VALUES, **values}, RUN_ID)}


@pytest.mark.parametrize("name", [one.name for one in declared_parameters()])
def test_no_parameter_is_dead(name: str) -> None:
    declared = next(one for one in declared_parameters() if one.name == name)
    other = OTHER_VALUES.get(name) or str(float(declared.default or 0) + 1).removesuffix(
        "" if declared.type == "Float" else ".0"
    )
    assert requests(**{name: other}) != requests()


def test_parameters_of_the_transform_jobs_reach_both_of_them() -> None:
    changed = {
        "TransformInstanceCount": "7",
        "TransformInstanceType": "ml.c5.xlarge",
        "MaxConcurrentTransforms": "3",
        "MaxPayloadInMB": "9",
        "InvocationsTimeoutInSeconds": "60",
        "InvocationsMaxRetries": "1",
    }
    found = requests(**changed)
    for step in ("Transform", "TransformRetry"):
        assert found[step]["TransformResources"] == {"InstanceType": "ml.c5.xlarge", "InstanceCount": 7}
        assert (found[step]["MaxConcurrentTransforms"], found[step]["MaxPayloadInMB"]) == (3, 9)
        assert found[step]["ModelClientConfig"] == {"InvocationsTimeoutInSeconds": 60, "InvocationsMaxRetries": 1}


def test_a_run_reads_and_writes_only_below_its_own_id() -> None:
    found = requests()
    root = f"s3://data/runs/{RUN_ID}"
    assert found["Transform"]["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"] == f"{root}/input/r0/"
    assert found["Transform"]["TransformOutput"]["S3OutputPath"] == f"{root}/output/r0"
    assert found["TransformRetry"]["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"] == f"{root}/input/r1/"
    assert found["TransformRetry"]["TransformOutput"]["S3OutputPath"] == f"{root}/output/r1"
    for step in ("ValidateAndPublish", "ValidateAndPublishRetry"):
        inputs = {one["InputName"]: one["S3Input"]["S3Uri"] for one in found[step]["ProcessingInputs"]}
        assert (inputs["manifest"], inputs["output"]) == (f"{root}/manifest/", f"{root}/output/")


@pytest.mark.parametrize(
    ("step", "first", "names"),
    [
        ("BuildShards", ["build_shards", "--run-id", RUN_ID], (*BUILD_SHARDS, "PublishUri")),
        (
            "ValidateAndPublish",
            ["validate_and_publish", "--run-id", RUN_ID, "--round", "0"],
            VALIDATE_AND_PUBLISH,
        ),
        (
            "ValidateAndPublishRetry",
            ["validate_and_publish", "--run-id", RUN_ID, "--round", "1"],
            VALIDATE_AND_PUBLISH,
        ),
    ],
)
def test_a_step_is_told_its_parameters_as_flags_in_text(step: str, first: list[str], names: tuple[str, ...]) -> None:
    flags = {one.name: one.flag for one in declared_parameters()}
    values = {one.name: str(one.default) for one in declared_parameters()} | VALUES
    arguments = requests()[step]["AppSpecification"]["ContainerArguments"]
    assert arguments == [*first, *(text for name in names for text in (flags[name], values[name]))]


def test_the_steps_understand_exactly_what_they_are_told() -> None:
    from batchcast.steps.arguments import parse_arguments as parse_build
    from batchcast.steps.publish_arguments import parse_publish_arguments as parse_publish

    found = {name: request for name, request in requests(**OTHER_VALUES).items() if "AppSpecification" in request}
    told = {name: request["AppSpecification"]["ContainerArguments"] for name, request in found.items()}
    build = parse_build(told["BuildShards"][1:])
    assert (build.run_id, build.run_date, build.items_uri) == (RUN_ID, "2026-11-22", "s3://data/items.txt")
    for name, retry_round in [("ValidateAndPublish", 0), ("ValidateAndPublishRetry", 1)]:
        publish = parse_publish(told[name][1:])
        assert (publish.run_id, publish.round, publish.max_failed_percent) == (RUN_ID, retry_round, 0.0)
        assert publish.publish_uri == "s3://data/other-published"


def test_a_new_parameter_reaches_its_step_by_a_field_of_the_steps_arguments_alone() -> None:
    """The flags of the definition and the defaults of who calls the step derive from parameter and field."""
    from dataclasses import make_dataclass

    from batchcast.pipelines import parameters as declared
    from batchcast.steps.arguments import BuildArguments

    wider = make_dataclass("Wider", [("max_retry_records", int)], bases=(BuildArguments,), kw_only=True, frozen=True)
    assert declared._parameters_of(wider) == (*BUILD_SHARDS, "PublishUri", "MaxRetryRecords")
    given = {"run_id": RUN_ID, "runs_uri": "s3://data/runs", "publish_uri": "none"}
    assert declared.fill_arguments(wider, **given).max_retry_records == 10_000


def test_jobs_come_in_the_order_of_the_graph_with_their_operation_and_no_name() -> None:
    jobs = resolve_requests(DEFINITION, VALUES, RUN_ID)
    assert [(job.step, job.operation) for job in jobs] == [
        ("BuildShards", "CreateProcessingJob"),
        ("Transform", "CreateTransformJob"),
        ("ValidateAndPublish", "CreateProcessingJob"),
        ("TransformRetry", "CreateTransformJob"),
        ("ValidateAndPublishRetry", "CreateProcessingJob"),
    ]
    assert not any("TransformJobName" in job.request or "ProcessingJobName" in job.request for job in jobs)


def test_a_value_that_only_a_running_execution_has_stays_an_expression() -> None:
    artefact = {"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"}
    joined = {"Std:Join": {"On": "/", "Values": [{"Get": "Parameters.Bucket"}, artefact]}}
    definition = {
        "Parameters": [{"Name": "Bucket", "Type": "String", "DefaultValue": "s3://data"}],
        "Steps": [
            {
                "Name": "Model",
                "Type": "Model",
                "Arguments": {"A": artefact, "B": joined, "C": {"Get": "Parameters.Bucket"}},
            }
        ],
    }
    (job,) = resolve_requests(definition, {}, RUN_ID)
    assert job.request == {"A": artefact, "B": joined, "C": "s3://data"}


def test_a_missing_and_an_unknown_parameter_are_reported_together() -> None:
    with pytest.raises(ConfigError) as caught:
        resolve_requests(DEFINITION, {"HistoryUrl": "s3://data/history/"}, RUN_ID)
    assert "[HistoryUrl] is not a parameter of the pipeline: did you mean [HistoryUri]?" in str(caught.value)
    assert "[ModelName] has no default and must be given" in str(caught.value)


def test_a_declaration_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(ConfigError, match="type 'Date'"):
        resolve_requests({"Parameters": [{"Name": "Day", "Type": "Date"}], "Steps": []}, {}, RUN_ID)
