"""The pipeline as a state machine, run by an interpreter of the Amazon States Language on the local engine."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from bakery_run import ITEMS, MODEL, bakery_history, expected_forecasts, prepared_store
from command import RUN_DATE
from engine_client import EngineClient
from local_pipeline import condition, definition, equals, fail, json_get, transform
from step_functions import interpreter

from batchcast.engine.faults import Fault, FaultPlan
from batchcast.local.run import LOCAL_DEFAULTS
from batchcast.pipelines.definition import define
from batchcast.pipelines.parameters import declared_parameters
from batchcast.pipelines.requests import resolve_requests
from batchcast.pipelines.state_machine import state_machine
from batchcast.runs.published import read_forecasts
from batchcast.steps.errors import ConfigError

SHARD = "r0/part-00000.jsonl"
TYPES = {one.name: one.type for one in declared_parameters()}


def given(**values: Any) -> dict[str, Any]:
    """An execution's input: texts and numbers, as the definition declares them."""
    texts = {**LOCAL_DEFAULTS, "RunDate": str(RUN_DATE), "MaxPayloadInMB": 1, **values}
    return {name: value if TYPES[name] == "String" else int(value) for name, value in texts.items()}


def run_machine(
    folder: Path, values: dict[str, Any], *faults: Fault, stop_after: timedelta = timedelta(hours=24)
) -> tuple[dict[str, Any], EngineClient]:
    store = prepared_store(folder / "workspace", bakery_history(folder / "history"))
    engine = EngineClient(folder / "workspace", {LOCAL_DEFAULTS["ModelName"]: MODEL}, store, FaultPlan(tuple(faults)))
    with interpreter(engine) as run:
        return run(state_machine(define(), stop_after), values), engine


def published(engine: EngineClient) -> dict[str, list[float]]:
    table = read_forecasts(LOCAL_DEFAULTS["PublishUri"], store=engine.store)
    return {str(item): list(rows.sort_values("step")["sales"]) for item, rows in table.groupby("item_id")}


def test_it_runs_the_bakery_with_the_requests_of_the_pipeline(tmp_path: Path) -> None:
    values = given()
    ended, engine = run_machine(tmp_path, values)
    assert ended["status"] == "SUCCEEDED", ended
    assert published(engine) == expected_forecasts(ITEMS)
    assert ended["states"][-5:] == ["BuildShards", "Transform", "ValidateAndPublish", "Outcome", "Done"]

    run_id = json.loads(ended["output"])["Run"]["Id"]
    texts = {name: str(value) for name, value in values.items()}
    expected = [
        {f"{one.operation.removeprefix('Create')}Name": f"pipelines-{run_id}-{one.step}", **one.request}
        for one in resolve_requests(define(), texts, run_id)
        if not one.step.endswith("Retry")
    ]
    assert [request for _, request in ended["requests"]] == expected


def test_a_failed_transform_is_recovered(tmp_path: Path) -> None:
    """The job fails over the first file; the records are sent again, and the run is published whole."""
    ended, engine = run_machine(tmp_path, given(RecordsPerShard=2), Fault(effect="status", status=400, file=SHARD))
    assert ended["status"] == "SUCCEEDED", ended
    jobs = engine.list_transform_jobs()["TransformJobSummaries"]
    assert sorted(one["TransformJobStatus"] for one in jobs) == ["Completed", "Failed"]
    assert ended["states"][-5:] == [
        "ValidateAndPublish",
        "Outcome",
        "TransformRetry",
        "ValidateAndPublishRetry",
        "Done",
    ]
    assert published(engine) == expected_forecasts(ITEMS)


def test_a_run_that_is_held_fails_and_says_why(tmp_path: Path) -> None:
    refused = Fault(effect="status", status=400, body="no", containing='"item_id":"2/101"')
    ended, engine = run_machine(tmp_path, given(RecordsPerShard=2), refused)
    assert (ended["status"], ended["error"]) == ("FAILED", "States.TaskFailed")
    assert "CoverageError" in json.loads(ended["cause"])["ExitMessage"]
    assert not engine.store.exists(f"{LOCAL_DEFAULTS['PublishUri']}/latest.json")


def test_a_transform_that_hangs_is_stopped(tmp_path: Path) -> None:
    hangs = Fault(effect="latency", seconds=500)
    ended, engine = run_machine(tmp_path, given(), hangs, stop_after=timedelta(seconds=6))
    assert (ended["status"], ended["error"]) == ("FAILED", "Stopped")
    assert ended["states"][-2:] == ["StopTransform", "Stopped"]
    (job,) = engine.list_transform_jobs()["TransformJobSummaries"]
    assert job["TransformJobStatus"] in ("Stopping", "Stopped")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"ModelName": None}, "a parameter without a default is missing"),
        ({"TransformInstanceCuont": 2}, "there is no such parameter"),
        ({"TransformInstanceCount": "2"}, "a number as text"),
        ({"RunLabel": 3}, "a text as number"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_input_that_a_pipeline_would_refuse_is_refused(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    values = {name: value for name, value in {**given(), **change}.items() if value is not None}
    with interpreter(EngineClient(tmp_path, {})) as run:
        ended = run(state_machine(define(), timedelta(hours=1)), values)
    assert (ended["status"], ended["error"], ended["requests"]) == ("FAILED", "InputRefused", []), why


@pytest.mark.parametrize(
    ("steps", "named"),
    [
        ([transform("One", "s3://a/", "s3://b"), fail("Ended")], "a step of type Fail"),
        ([condition("If", [equals({"Get": "Parameters.X"}, 1)], [])], "a condition"),
        ([condition("If", [equals(json_get("One", "report", "counts.ok"), "1")], [])], "a condition"),
        ([transform("One", json_get("Zero", "report", "uri"), "s3://b")], "Std:JsonGet"),
        ([transform("One", {"Get": "Steps.Zero.TransformOutput.S3OutputPath"}, "s3://b")], "only a pipeline"),
    ],
)
def test_what_has_no_state_is_refused(steps: list[dict[str, Any]], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        state_machine(json.loads(definition(*steps)), timedelta(hours=1))


@pytest.mark.parametrize(
    ("region", "partition"), [("eu-central-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
)
def test_resources_are_of_the_partition_of_the_region(region: str, partition: str) -> None:
    states = state_machine(define(), timedelta(hours=1), region)["States"].values()
    assert {state["Resource"].split(":")[1] for state in states if state["Type"] == "Task"} == {partition}
