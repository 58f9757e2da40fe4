"""What a rerun is started with, and what is refused before anything starts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sample_run import CONTRACT, PUBLISH, RUNS, SampleRun

from batchcast.pipelines.parameters import check_parameters
from batchcast.runs.rerun import put_items, rerun_of_items, rerun_of_the_rest
from batchcast.runs.run_record import RunRecord
from batchcast.steps.errors import ConfigError
from batchcast.steps.shards.selection import read_item_ids
from batchcast.steps.store.objects import DirectoryStore

PART = "part-00000.jsonl"
ARN = "arn:aws:sagemaker:local:000000000000:pipeline/batchcast/execution"


@pytest.fixture
def sample(tmp_path: Path) -> SampleRun:
    """Twelve items in three shards, forecast for seven days, and no answer yet."""
    return SampleRun(root=tmp_path)


def past(sample: SampleRun, *, status: str = "Failed", **changed: str) -> RunRecord:
    given = {
        "HistoryUri": "s3://history/",
        "RunsUri": RUNS.rstrip("/"),
        "PublishUri": PUBLISH.rstrip("/"),
        "ModelName": "model",
        "ForecastHorizon": "7",
    }
    values = check_parameters({**given, **changed}).service_values()
    return RunRecord(arn=f"{ARN}/{sample.run_id}", status=status, parameters=values, store=sample.store)


def held(sample: SampleRun) -> RunRecord:
    """One shard of four has no output, and nothing is tolerated or tried again."""
    sample.transform({name: lines for name, lines in sample.answers().items() if name != PART})
    assert sample.step(max_retry_records=0)["outcome"] == "HELD"
    return past(sample)


def codes(error: pytest.ExceptionInfo[ConfigError]) -> set[str]:
    return {problem.code for problem in error.value.problems}


def test_a_run_with_an_answer_in_another_items_place_has_nothing_to_carry_over(sample: SampleRun) -> None:
    answers = sample.answers()
    answers[PART][0], answers[PART][1] = answers[PART][1], answers[PART][0]
    sample.transform(answers)
    assert sample.step()["outcome"] == "HELD"
    with pytest.raises(ConfigError) as caught:
        rerun_of_the_rest(past(sample), {})
    assert codes(caught) == {"untrusted_run"}


def test_the_earlier_runs_parameters_are_kept_and_its_automatic_date_is_fixed(sample: SampleRun) -> None:
    run = held(sample)
    assert run.parameters["RunDate"] == "auto"
    values = rerun_of_the_rest(run, {"MaxFailedRecords": "2"})
    changed = {name: value for name, value in values.items() if run.parameters[name] != value}
    assert changed == {
        "ResumeFrom": sample.run_id,
        "RunDate": sample.run_date.isoformat(),
        "RecordsPerShard": "1",
        "MaxFailedRecords": "2",
    }


@pytest.mark.parametrize(
    ("overrides", "per_shard"),
    [
        ({}, "1"),
        ({"MaxRetryRecords": "4"}, "1"),
        ({"MaxRetryRecords": "3"}, "0"),
        ({"RecordsPerShard": "50"}, "50"),
    ],
)
def test_few_records_are_sent_alone_unless_told_otherwise(
    sample: SampleRun, overrides: dict[str, str], per_shard: str
) -> None:
    assert rerun_of_the_rest(held(sample), overrides)["RecordsPerShard"] == per_shard


def test_of_an_undecided_run_the_shards_without_an_output_are_left(sample: SampleRun) -> None:
    sample.transform({name: lines for name, lines in sample.answers().items() if name != PART})
    run = past(sample)
    assert (run.report(), run.outstanding()) == (None, len(sample.shards[PART]))
    assert rerun_of_the_rest(run, {})["ResumeFrom"] == sample.run_id


def test_all_that_does_not_fit_is_said_at_once(sample: SampleRun) -> None:
    run = RunRecord(**{**_fields(held(sample)), "status": "Executing"})
    overrides = {"ResumeFrom": "abcdefghijkl", "RunDate": "2026-11-29", "ForecastHorizon": "8", "RunsUri": "s3://b/x"}
    with pytest.raises(ConfigError) as error:
        rerun_of_the_rest(run, overrides)
    assert [problem.where for problem in error.value.problems] == [
        "ResumeFrom",
        "RUN_ID",
        "RunDate",
        "ForecastHorizon",
        "RunsUri",
    ]


def _fields(run: RunRecord) -> dict[str, Any]:
    return {name: getattr(run, name) for name in ("arn", "status", "parameters", "store")}


def test_the_same_values_given_again_are_no_contradiction(sample: SampleRun) -> None:
    overrides = {"RunDate": sample.run_date.isoformat(), "ForecastHorizon": "7"}
    assert rerun_of_the_rest(held(sample), overrides)["ForecastHorizon"] == "7"


def test_a_run_with_every_forecast_leaves_nothing_to_run(sample: SampleRun) -> None:
    sample.transform()
    assert sample.step()["outcome"] == "COMPLETE"
    with pytest.raises(ConfigError) as error:
        rerun_of_the_rest(past(sample, status="Succeeded"), {})
    assert codes(error) == {"nothing_left"}


def test_a_run_held_for_its_flags_is_rerun_to_be_published(tmp_path: Path) -> None:
    sample = SampleRun(root=tmp_path, contract=f'{CONTRACT}[checks]\nunexpected_output = "hold"\n')
    sample.transform()
    sample.put_output("part-99999.jsonl", b"")
    assert sample.step()["outcome"] == "HELD"
    assert rerun_of_the_rest(past(sample), {})["ResumeFrom"] == sample.run_id


def test_a_run_without_shards_has_nothing_to_carry_over(sample: SampleRun) -> None:
    sample.store.delete(f"{RUNS}{sample.run_id}/manifest/manifest.json")
    with pytest.raises(ConfigError) as error:
        rerun_of_the_rest(past(sample), {})
    assert codes(error) == {"no_manifest"}


def test_values_are_checked_together_before_anything_starts(sample: SampleRun) -> None:
    with pytest.raises(ConfigError, match="120 MB"):
        rerun_of_the_rest(held(sample), {"MaxConcurrentTransforms": "20", "MaxPayloadInMB": "6"})


def test_chosen_items_are_run_anew_on_the_same_date(sample: SampleRun) -> None:
    run = past(sample, ResumeFrom="abcdefghijkl", RunDate="auto")
    values = rerun_of_items(run, {}, "s3://bucket/runs/items/x.jsonl")
    assert values["ResumeFrom"] == "none"
    assert values["ItemsUri"] == "s3://bucket/runs/items/x.jsonl"
    assert values["RunDate"] == sample.run_date.isoformat()
    assert rerun_of_items(run, {"RunDate": "2026-11-29"}, "s3://bucket/i")["RunDate"] == "2026-11-29"


def test_chosen_items_and_the_parameter_for_them_are_not_both_given(sample: SampleRun) -> None:
    with pytest.raises(ConfigError, match="ItemsUri: is set by rerun itself"):
        rerun_of_items(past(sample), {"ItemsUri": "s3://other/items"}, "s3://bucket/i")


@pytest.mark.parametrize(
    "text",
    [
        "a/1\nb/2\n",
        "a/1\r\n\r\nb/2",
        '{"item_id": "a/1", "reason": "x", "record": {"big": 1}}\n{"item_id": "b/2"}\n',
        "a/1\nb/2\na/1\n",
    ],
)
def test_a_list_of_items_is_stored_once_whatever_form_it_has(text: str, tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    uri = put_items(store, "s3://bucket/runs", text.encode(), "items.txt")
    assert uri == put_items(store, "s3://bucket/runs", b"a/1\nb/2", "items.txt")
    assert [stored.uri for stored in store.list("s3://bucket/runs/items/")] == [uri]
    assert read_item_ids(store, uri) == ["a/1", "b/2"]


def test_an_id_that_begins_with_a_brace_survives(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    uri = put_items(store, "s3://bucket/runs", json.dumps({"item_id": "{odd}"}).encode(), "items.txt")
    assert read_item_ids(store, uri) == ["{odd}"]


@pytest.mark.parametrize("data", [b"", b"\n \n", b'{"id": "a"}\n', b"{broken\n", b"\xff\xfe"])
def test_a_file_that_lists_no_items_is_refused_and_not_stored(data: bytes, tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    with pytest.raises(ConfigError, match=r"items\.txt"):
        put_items(store, "s3://bucket/runs", data, "items.txt")
    assert not list(store.list("s3://bucket/"))
