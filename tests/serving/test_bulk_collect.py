"""From a run's shards through an endpoint to published forecasts: the same ledger, the same checks, the same layout."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from emulated_endpoint import Emulated
from emulators.async_inference.endpoint import ModelAnswer
from sample_run import PUBLISH, RUNS, SampleRun, published_objects

from batchcast.serving.bulk.collect import collect_run, decide_run
from batchcast.serving.bulk.run import open_async_run
from batchcast.serving.bulk.submit import SubmitPace, submit_run

PARAMETERS = {
    "PublishUri": PUBLISH,
    "MaxFailedRecords": "0",
    "MaxFailedPercent": "0.0",
    "SystemicFailurePercent": "60.0",
}


def sample(tmp_path: Path, **options: Any) -> SampleRun:
    return SampleRun(root=tmp_path, **options)


def through_the_endpoint(run: SampleRun, broken: Mapping[str, bytes] | None = None) -> Emulated:
    """Deploy, submit and wait; `broken` answers some items otherwise."""

    def model(body: bytes, _: Mapping[str, str]) -> ModelAnswer:
        item = json.loads(body)["item_id"]
        answer = (broken or {}).get(item, json.dumps(run.answer(item)).encode())
        return ModelAnswer(body=answer, seconds=5, status=500 if answer == b"" else 200)

    emulated = Emulated(model, store=run.store)
    settings = emulated.deploy()
    submit_run(
        open_async_run(run.store, RUNS, run.run_id),
        settings,
        SubmitPace(seconds=5, senders=1),
        emulated.client,
        run.store,
        now=emulated.now,
        sleep=emulated.sleep,
    )
    return emulated


def decide(run: SampleRun, emulated: Emulated) -> dict[str, Any]:
    opened = open_async_run(run.store, RUNS, run.run_id)
    collect_run(opened, run.store, now=emulated.now(), error_key="error")
    return decide_run(opened, run.store, run.contract.encode(), PARAMETERS)


def test_it_publishes_what_the_pipeline_publishes_byte_for_byte(tmp_path: Path) -> None:
    by_batch = sample(tmp_path / "batch")
    by_batch.transform()
    by_batch.step()
    run = sample(tmp_path / "async")
    report = decide(run, through_the_endpoint(run))
    assert report["outcome"] == "COMPLETE"

    def forecasts(store: Any) -> dict[str, bytes]:
        return {uri: data for uri, data in published_objects(store).items() if uri.endswith(".parquet")}

    assert forecasts(run.store)
    assert forecasts(run.store) == forecasts(by_batch.store)


def test_every_record_is_in_the_ledger_once(tmp_path: Path) -> None:
    run = sample(tmp_path)
    decide(run, through_the_endpoint(run))
    counted = Counter(pq.read_table(run.report_file("ledger.parquet"))["item_id"].to_pylist())
    assert counted == Counter(run.items)


def test_collecting_twice_changes_nothing(tmp_path: Path) -> None:
    run = sample(tmp_path)
    emulated = through_the_endpoint(run)
    decide(run, emulated)
    before = {stored.uri: run.store.read(stored.uri) for stored in run.store.list("s3://bucket/")}
    decide(run, emulated)
    assert {stored.uri: run.store.read(stored.uri) for stored in run.store.list("s3://bucket/")} == before


@pytest.mark.parametrize(
    ("answer", "detail"),
    [(b"", "no answer in 2 attempts"), (b"{oops", "the answer is not JSON"), (b'{"error":"no data"}', "no data")],
)
def test_a_record_without_a_usable_answer_holds_the_run_and_is_named(
    tmp_path: Path, answer: bytes, detail: str
) -> None:
    run = sample(tmp_path)
    poison = sorted(run.items)[1]
    report = decide(run, through_the_endpoint(run, {poison: answer}))
    assert (report["outcome"], report["published"]) == ("HELD", None)
    (failed,) = report["failed"]
    assert failed["item_id"] == poison
    assert detail in failed["detail"]


def test_an_answer_of_several_lines_stays_one_record(tmp_path: Path) -> None:
    run = sample(tmp_path)
    item = min(run.items)
    report = decide(run, through_the_endpoint(run, {item: json.dumps(run.answer(item), indent=2).encode()}))
    assert report["outcome"] == "COMPLETE"


def test_shards_that_a_transform_has_answered_are_not_sent_again(tmp_path: Path) -> None:
    run = sample(tmp_path)
    answers = run.answers()
    done = min(answers)
    run.transform({done: answers[done]})
    emulated = through_the_endpoint(run)
    assert emulated.endpoint.totals.submitted == len(run.items) - len(answers[done])
    assert decide(run, emulated)["outcome"] == "COMPLETE"


def test_collecting_what_is_there_holds_the_run_for_the_rest(tmp_path: Path) -> None:
    run = sample(tmp_path)
    emulated = through_the_endpoint(run)
    opened = open_async_run(run.store, RUNS, run.run_id)
    item = opened.records[0]
    run.store.delete(f"s3://bucket/async/forecasts/answers/{opened.folder(item)}/{item.line:06d}-0.out")
    collected = collect_run(opened, run.store, now=emulated.now(), error_key="error", allow_partial=True)
    assert collected == (len({each.shard for each in opened.records}), 0)
    report = decide_run(opened, run.store, run.contract.encode(), PARAMETERS)
    assert (report["outcome"], report["counts"]["missing"]) == ("HELD", 1)
    assert [each["item_id"] for each in report["failed"]] == [item.item_id]
