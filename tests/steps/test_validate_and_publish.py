"""The step ValidateAndPublish from its inputs to what it leaves behind."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from failing_store import Crash, FailingStore
from sample_run import CONTRACT, PUBLISH, RUN_DATE, RUNS, SampleRun, published_objects

from batchcast.steps.errors import ConfigError, DataError
from batchcast.steps.outcome.decision import held_error
from batchcast.steps.outcome.last_run import forecasts_of, read_last_run, values_of
from batchcast.steps.outcome.ledger import read_ledger
from batchcast.steps.validate_and_publish import HIDDEN_FILE

PART = "part-00001.jsonl"


@pytest.fixture
def run(tmp_path: Path) -> SampleRun:
    return SampleRun(root=tmp_path)


def forecasts(run: SampleRun) -> list[dict[str, object]]:
    path = run.store.path(f"{PUBLISH}forecasts/run_date={run.run_date}/run_id={run.run_id}/part-00000.parquet")
    return pq.ParquetFile(path).read().to_pylist()


def test_a_whole_run_is_complete_and_published(run: SampleRun) -> None:
    run.transform()
    report = run.step()
    assert report["outcome"] == "COMPLETE"
    assert report["counts"] == {"expected": 12, "ok": 12, "quarantined": 0, "failed": 0, "missing": 0, "carried": 0}
    assert report["shards"] == {"expected": 3, "ok": 3, "missing": 0, "short": 0, "long": 0, "garbled": 0}
    assert report["flags"] == []
    assert report["pointer_moved"]
    rows = forecasts(run)
    assert len(rows) == 12 * 7
    assert rows == sorted(rows, key=lambda row: (row["item_id"], row["step"]))
    source = {"source": "model", "source_run_id": None}
    first = {"item_id": run.items[0], "forecast_date": date(2026, 11, 23), "step": 1, **source}
    assert rows[0] == {**first, "sales": run.values(run.items[0])[0]}
    assert json.loads(run.store.read(f"{PUBLISH}latest.json"))["run_id"] == run.run_id


def test_a_missing_output_is_retried_with_each_record_alone_byte_for_byte(run: SampleRun) -> None:
    answers = run.answers()
    del answers[PART]
    run.transform(answers)
    report = run.step()
    assert (report["outcome"], report["retry_records"]) == ("RETRY", 4)
    assert published_objects(run.store) == {}
    sent = {
        stored.uri.rpartition("/")[2]: run.store.read(stored.uri)
        for stored in run.store.list(f"{RUNS}{run.run_id}/input/r1/")
    }
    assert sent == {f"record-{run.items.index(item):06d}.jsonl": run.record(item) + b"\n" for item in run.shards[PART]}


def test_the_retry_round_completes_the_run(run: SampleRun) -> None:
    answers = run.answers()
    whole = published_after(run, answers)
    other = SampleRun(root=run.root / "other")
    del answers[PART]
    other.transform(answers)
    other.step()
    other.transform_retry(other.output_line)
    report = other.step(1)
    assert report["outcome"] == "COMPLETE"
    assert published_objects(other.store) == whole
    assert {row.round for row in read_ledger(other.report_file("ledger.parquet"))} == {0, 1}


def published_after(run: SampleRun, answers: dict[str, list[bytes]]) -> dict[str, bytes]:
    run.transform(answers)
    run.step()
    return published_objects(run.store)


def test_a_record_without_an_answer_after_the_retry_holds_the_run(run: SampleRun) -> None:
    answers = run.answers()
    del answers[PART]
    run.transform(answers)
    run.step()
    poison = run.shards[PART][2]
    run.transform_retry(lambda item: None if item == poison else run.output_line(item))
    report = run.step(1)
    assert (report["outcome"], report["cause_kind"]) == ("HELD", "coverage")
    assert [(each["item_id"], each["reason"], each["round"]) for each in report["failed"]] == [
        (poison, "no_answer_after_retry", 1)
    ]
    assert published_objects(run.store) == {}
    failed = [json.loads(line) for line in run.report_file("failed_records.jsonl").read_bytes().splitlines()]
    assert [(each["item_id"], each["record"]) for each in failed] == [(poison, json.loads(run.body(poison)))]
    assert run.store.read(failed[0]["contract"]) == run.record(poison) + b"\n"


def test_a_failed_record_within_the_tolerance_is_left_out_and_listed(run: SampleRun) -> None:
    answers = run.answers()
    poison = run.shards[PART][0]
    answers[PART][0] = run.output_line(poison, {"error": "no such store"})
    run.transform(answers)
    report = run.step(max_failed_records=1)
    assert report["outcome"] == "COMPLETE_WITH_QUARANTINE"
    assert [(each["reason"], each["detail"]) for each in report["failed"]] == [
        ("error_answer", "part-00001.jsonl.out line 1: no such store")
    ]
    assert poison not in {row["item_id"] for row in forecasts(run)}
    manifest = json.loads(run.store.read(report["published"] + "_MANIFEST.json"))
    assert manifest["without_forecast"] == [{"item_id": poison, "status": "failed", "reason": "error_answer"}]


def test_half_a_character_in_the_models_error_is_written_out_in_the_reports(run: SampleRun) -> None:
    answers = run.answers()
    answers[PART][0] = run.output_line(run.shards[PART][0], {"error": "no such store \ud83d"})
    run.transform(answers)
    (failed,) = run.step()["failed"]
    assert failed["detail"] == "part-00001.jsonl.out line 1: no such store \\ud83d"


def test_swapped_answers_hold_the_run_whatever_the_tolerance(run: SampleRun) -> None:
    answers = run.answers()
    answers[PART][0], answers[PART][1] = answers[PART][1], answers[PART][0]
    run.transform(answers)
    report = run.step(max_failed_percent=100.0)
    assert (report["outcome"], report["cause_kind"]) == ("HELD", "model")
    assert len(report["mismatches"]) == 2


def test_no_output_at_all_is_held_as_a_failure_of_the_model(run: SampleRun) -> None:
    report = run.step(logs=[])
    assert (report["outcome"], report["cause_kind"], report["counts"]["missing"]) == ("HELD", "model", 12)
    assert "No item of 12 has a usable forecast" in report["cause"]
    assert list(run.store.list(f"{RUNS}{run.run_id}/input/r1/")) == []


def test_the_same_run_twice_changes_nothing(run: SampleRun) -> None:
    run.transform()
    first = run.step()
    before = published_objects(run.store)
    pages = {name: run.report_file(name).read_bytes() for name in ("report.json", "report.html", "ledger.parquet")}
    assert run.step() == first
    assert published_objects(run.store) == before
    assert {name: run.report_file(name).read_bytes() for name in pages} == pages


def test_an_older_run_date_publishes_without_moving_the_pointer(run: SampleRun) -> None:
    run.transform()
    run.step()
    older = SampleRun(root=run.root, run_id="runbbbbbbbbb", run_date=date(2026, 11, 15))
    older.transform()
    report = older.step()
    assert report["outcome"] == "COMPLETE"
    assert not report["pointer_moved"]
    assert run.run_id in report["pointer_note"]
    assert json.loads(older.report_file(HIDDEN_FILE).read_bytes())["why"] == report["pointer_note"]
    assert not run.report_file(HIDDEN_FILE).exists()
    assert json.loads(run.store.read(f"{PUBLISH}latest.json"))["run_id"] == run.run_id


def test_carried_answers_are_read_from_the_run_that_has_them_through_two_runs(run: SampleRun) -> None:
    answers = run.answers()
    failed = {run.shards[PART][1], run.shards[PART][3]}
    answers[PART] = [
        run.output_line(item, {"error": "x"}) if item in failed else run.output_line(item) for item in run.shards[PART]
    ]
    run.transform(answers)
    assert run.step()["outcome"] == "HELD"
    second = SampleRun(
        root=run.root, run_id="runbbbbbbbbb", resume_from=run.run_id, carried=frozenset(run.items) - failed
    )
    still = min(failed)
    second.transform(
        {
            name: [second.output_line(item, {"error": "y"} if item == still else None) for item in items]
            for name, items in second.shards.items()
        }
    )
    assert second.step()["outcome"] == "HELD"
    third = SampleRun(
        root=run.root, run_id="runccccccccc", resume_from=second.run_id, carried=frozenset(run.items) - {still}
    )
    third.transform()
    report = third.step()
    assert (report["outcome"], report["counts"]["carried"], report["counts"]["ok"]) == ("COMPLETE", 11, 12)
    origins = {row.run_id for row in read_ledger(third.report_file("ledger.parquet"))}
    assert origins == {run.run_id, second.run_id, third.run_id}
    assert {row["item_id"] for row in forecasts(third)} == set(run.items)


def test_a_carried_answer_that_has_changed_is_not_published(run: SampleRun) -> None:
    answers = run.answers()
    failed = run.shards[PART][1]
    answers[PART][1] = run.output_line(failed, {"error": "x"})
    run.transform(answers)
    run.step()
    changed = run.shards[PART][0]
    answer = run.answer(changed)
    answer["forecast"][0]["daily_sales"] += 1
    answers[PART][0] = run.output_line(changed, answer)
    run.transform(answers)
    second = SampleRun(
        root=run.root, run_id="runbbbbbbbbb", resume_from=run.run_id, carried=frozenset(run.items) - {failed}
    )
    second.transform()
    report = second.step()
    assert report["outcome"] == "HELD"
    assert [(each["item_id"], each["reason"]) for each in report["failed"]] == [(changed, "answer_changed")]


def test_a_carried_answer_whose_record_is_gone_too_is_reported_without_it(run: SampleRun) -> None:
    run.transform()
    run.step()
    lost, open_item = run.shards[PART][0], run.shards[PART][1]
    run.transform({PART: [run.output_line(item) for item in run.shards[PART] if item != lost]})
    for stored in list(run.store.list(f"{RUNS}{run.run_id}/input/")):
        run.store.delete(stored.uri)
    second = SampleRun(
        root=run.root, run_id="runbbbbbbbbb", resume_from=run.run_id, carried=frozenset(run.items) - {open_item}
    )
    second.transform()
    assert second.step()["outcome"] == "HELD"
    failed = [json.loads(line) for line in second.report_file("failed_records.jsonl").read_bytes().splitlines()]
    assert [(each["item_id"], each["reason"], each["record"]) for each in failed] == [(lost, "answer_changed", None)]


def test_missing_forecasts_are_carried_forward_for_the_days_both_runs_cover(run: SampleRun) -> None:
    run.transform()
    run.step()
    contract = run.contract + '[checks]\nmissing_forecasts = "carry_forward"\n'
    later = SampleRun(root=run.root, run_id="runbbbbbbbbb", run_date=date(2026, 11, 25), contract=contract)
    lost = later.shards[PART][0]
    answers = later.answers()
    answers[PART][0] = later.output_line(lost, {"error": "x"})
    later.transform(answers)
    report = later.step(max_failed_records=1)
    assert (report["outcome"], report["carried_forward"]) == ("COMPLETE_WITH_QUARANTINE", 1)
    filled = [row for row in forecasts(later) if row["item_id"] == lost]
    assert [(row["step"], row["source"], row["sales"]) for row in filled] == [
        (step, "carried_forward", run.values(lost)[step + 2]) for step in (1, 2, 3, 4)
    ]
    assert filled[0]["forecast_date"] == date(2026, 11, 26)


def test_quarantined_items_count_against_the_tolerance_and_name_the_data(tmp_path: Path) -> None:
    run = SampleRun(root=tmp_path, quarantined={"shop-9/new": "too_short"})
    run.transform()
    report = run.step()
    assert (report["outcome"], report["cause_kind"]) == ("HELD", "data")
    report = run.step(max_failed_percent=8.0)
    assert report["outcome"] == "COMPLETE_WITH_QUARANTINE"
    assert report["quarantined"] == [
        {
            "item_id": "shop-9/new",
            "reason": "too_short",
            "explanation": "quarantined: its history has fewer steps than min_history",
            "detail": "too few days",
        }
    ]


def test_a_manifest_of_another_run_is_refused(run: SampleRun) -> None:
    run.transform()
    with pytest.raises(DataError, match="manifest of run runaaaaaaaaa"):
        run.step(run_id="runzzzzzzzzz")


def test_a_report_of_a_scored_run_has_the_wape_of_model_and_naive(tmp_path: Path) -> None:
    run = SampleRun(root=tmp_path, with_actuals=True)
    run.transform()
    score = run.step()["score"]
    assert (score["items"], score["days"]) == (12, 7)
    assert score["wape_model"] == pytest.approx(0.05 / 1.05, abs=1e-4)
    assert score["wape_naive"] == pytest.approx(0.05 / 1.05, abs=1e-4)


def test_a_run_that_lost_most_items_of_the_last_one_is_flagged_and_held_on_demand(run: SampleRun) -> None:
    run.transform()
    run.step()
    contract = run.contract + '[checks]\nfewer_items = "hold"\n'
    less = SampleRun(root=run.root, run_id="runbbbbbbbbb", items=list(run.items)[:3], contract=contract)
    less.transform()
    report = less.step(systemic_failure_percent=20.0)
    assert (report["outcome"], report["flag_counts"]) == ("HELD", {"fewer_items": 1})


@pytest.mark.parametrize(("level", "times"), [(10_000.0, "1,000"), (-10.0, "-1")])
def test_a_run_whose_history_and_answers_have_another_unit_or_sign_is_held(
    tmp_path: Path, level: float, times: str
) -> None:
    contract = CONTRACT.replace("\nminimum = 0.0", "")
    for run_id, week, its in (("runaaaaaaaaa", 0, 10.0), ("runbbbbbbbbb", 1, level)):
        day = RUN_DATE + timedelta(weeks=week)
        run = SampleRun(root=tmp_path, run_id=run_id, run_date=day, level=its, contract=contract)
        run.transform()
        report = run.step()
    assert (report["outcome"], report["flagged_run"]) == ("HELD", ["run_scale"])
    assert f"12 of 12 items, the median one {times} times it; the history agrees" in report["cause"]


def test_a_run_of_all_items_under_other_names_is_held_with_examples(run: SampleRun) -> None:
    run.transform()
    run.step()
    report = a_week_later(run, [item.upper() for item in run.items])
    assert (report["outcome"], report["flagged_run"]) == ("HELD", ["other_items"])
    gone, new = "12 of the 12 items of run runaaaaaaaaa are gone", "12 of these 12 are new"
    assert f"{gone}, such as shop-0/item-000 and shop-0/item-001; {new}, such as SHOP-0/" in report["cause"]


@pytest.mark.parametrize("items", [slice(0, 5), slice(0, 12), slice(0, 19)])
def test_a_run_of_fewer_or_more_items_than_the_last_one_has_no_others(run: SampleRun, items: slice) -> None:
    run.transform()
    run.step()
    report = a_week_later(run, [*run.items, *(f"shop-9/item-{number:03d}" for number in range(7))][items])
    assert report["outcome"] == "COMPLETE"
    assert "other_items" not in report["flag_counts"]


def a_week_later(run: SampleRun, items: list[str]) -> dict[str, Any]:
    later = SampleRun(root=run.root, run_id="runbbbbbbbbb", items=items, run_date=RUN_DATE + timedelta(7))
    later.transform()
    return later.step()


def test_an_output_object_of_no_record_is_flagged(run: SampleRun) -> None:
    run.transform()
    run.put_output("part-99999.jsonl", b"")
    report = run.step()
    assert [(flag["kind"], flag["detail"]) for flag in report["flags"]] == [
        ("unexpected_output", "output/r0/part-99999.jsonl.out")
    ]


def test_arguments_that_cannot_be_are_refused_together(run: SampleRun) -> None:
    run.transform()
    with pytest.raises(ConfigError) as caught:
        run.step(max_failed_percent=101.0, max_retry_records=-1)
    assert [problem.what for problem in caught.value.problems] == [
        "max_failed_percent is 101.0.",
        "max_retry_records is -1.",
    ]
    with pytest.raises(ConfigError, match="unrecognized arguments: --colour blue"):
        run.step(colour="blue")


def test_inputs_that_do_not_belong_together_are_refused(run: SampleRun) -> None:
    run.transform()
    with pytest.raises(DataError, match="built with ResumeFrom None, and this is runzzzzzzzzz"):
        run.step(resume_from="runzzzzzzzzz")
    run.contract += "# changed\n"
    with pytest.raises(DataError, match="not the one the records were built with"):
        run.step()


@pytest.mark.parametrize("after", [False, True])
def test_a_step_that_is_killed_anywhere_comes_to_the_same_end_when_it_runs_again(tmp_path: Path, after: bool) -> None:
    """Two weeks, the second with a failed item that is filled up from the first."""

    def two_weeks(name: str) -> SampleRun:
        first = SampleRun(root=tmp_path / name)
        first.transform()
        first.step()
        contract = first.contract + '[checks]\nmissing_forecasts = "carry_forward"\n'
        run = SampleRun(root=tmp_path / name, run_id="runbbbbbbbbb", run_date=date(2026, 11, 25), contract=contract)
        answers = run.answers()
        answers[PART][0] = run.output_line(run.shards[PART][0], {"error": "x"})
        run.transform(answers)
        return run

    whole = two_weeks("whole")
    counted = FailingStore(whole.store)
    report = whole.step(store=counted, max_failed_records=1)
    assert report["carried_forward"] == 1
    for at in range(len(counted.operations)):
        run = two_weeks(f"crash-{at}")
        with pytest.raises(Crash):
            run.step(store=FailingStore(run.store, at=at, after=after), max_failed_records=1)
        assert run.step(max_failed_records=1) == report
        assert published_objects(run.store) == published_objects(whole.store)


def test_a_last_run_of_other_targets_is_compared_by_its_items_alone_and_one_that_is_gone_is_none(
    run: SampleRun,
) -> None:
    run.transform()
    prefix = run.step()["published"]
    found = read_last_run(run.store, PUBLISH, "other", run.run_date)
    assert found is not None
    assert (found.run_id, found.items, found.columns) == (run.run_id, 12, ("sales",))
    items = pa.chunked_array([run.items])
    dates = run.dates()
    for values in values_of(run.store, found, items, ["sales"], dates):
        assert values[:, :, 0].tolist() == [run.values(item) for item in run.items]
    for values in values_of(run.store, found, items, ["returns"], dates):
        assert np.isnan(values).all()
    assert forecasts_of(run.store, found, run.items, ["sales"], dates) is not None
    assert forecasts_of(run.store, found, run.items, ["returns"], dates) is None
    run.store.delete(prefix + "_MANIFEST.json")
    assert read_last_run(run.store, PUBLISH, "other", run.run_date) is None


def test_a_trial_of_other_targets_on_a_few_chosen_items_hides_nothing_from_the_readers(run: SampleRun) -> None:
    run.transform()
    run.step()
    contract = run.contract.replace('["sales"]', '["promo_sales"]').replace(
        'sales = "forecast', 'promo_sales = "forecast'
    )
    items = list(run.items)[:3]
    few = SampleRun(
        root=run.root, run_id="runbbbbbbbbb", items=items, items_uri="s3://bucket/few.txt", contract=contract
    )
    few.transform()
    report = few.step(systemic_failure_percent=20.0)
    assert (report["outcome"], report["pointer_moved"]) == ("COMPLETE", False)
    assert "run runaaaaaaaaa has 12" in report["pointer_note"]


def test_an_input_shard_that_is_shorter_than_its_manifest_is_refused(run: SampleRun) -> None:
    answers = run.answers()
    del answers[PART]
    run.transform(answers)
    uri = f"{RUNS}{run.run_id}/input/r0/{PART}"
    run.store.write(uri, run.store.read(uri).splitlines(keepends=True)[0])
    with pytest.raises(DataError, match="it ends before line 1, which the manifest promises"):
        run.step()


def test_failed_records_beyond_the_size_limit_are_named_without_their_bodies(
    run: SampleRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchcast.steps.outcome.input_records.EMBEDDED_BYTES", len(run.record(run.items[0])) * 3 + 10)
    run.step()
    failed = [json.loads(line) for line in run.report_file("failed_records.jsonl").read_bytes().splitlines()]
    assert [each["item_id"] for each in failed] == run.items
    embedded = [each for each in failed if each["record"] is not None]
    assert 0 < len(embedded) < len(failed)
    assert all(each["record"]["item_id"] == each["item_id"] for each in embedded)
    assert all(each["contract"].startswith(f"{RUNS}{run.run_id}/input/r0/part-") for each in failed)


def test_answers_that_are_not_as_declared_hold_the_run_and_name_the_contract(run: SampleRun) -> None:
    contract = run.contract.replace("forecast[*].daily_sales", "forecast[*].mean")
    assert contract != run.contract
    other = SampleRun(root=run.root, run_id="runbbbbbbbbb", contract=contract)
    other.transform()
    report = other.step()
    assert (report["outcome"], report["cause_kind"]) == ("HELD", "contract")
    assert "forecast[*].mean" in report["cause"]
    assert "daily_sales" in report["cause"]  # what is there instead
    error = str(held_error(report["cause"], report["cause_kind"]))
    assert "Correct [outputs] in model.toml" in error
    assert "MaxFailedRecords" not in error
