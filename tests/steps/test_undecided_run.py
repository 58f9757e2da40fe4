"""A run that ended before it was decided: what it has is worked out, and the next run goes on from there."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from sample_run import CONTRACT, RUNS, SampleRun

from batchcast.steps.contract.answer import Expected
from batchcast.steps.contract.model_contract import parse_contract
from batchcast.steps.errors import ConfigError
from batchcast.steps.outcome.earlier_run import EarlierRun, read_earlier_run
from batchcast.steps.outcome.ledger import ledger_rows, read_ledger
from batchcast.steps.outcome.reused_answers import earlier_ledger, is_decided
from batchcast.steps.store.objects import ObjectMissingError

PART, OTHER = "part-00000.jsonl", "part-00001.jsonl"


@pytest.fixture
def run(tmp_path: Path) -> SampleRun:
    return SampleRun(root=tmp_path)


def without(run: SampleRun, *shards: str) -> None:
    """The outputs that are there when the transform failed for these shards."""
    run.transform({name: lines for name, lines in run.answers().items() if name not in shards})


def earlier(run: SampleRun) -> EarlierRun:
    return read_earlier_run(run.store, RUNS, run.run_id, parse_contract(CONTRACT.encode()), run.root)


def expected(run: SampleRun) -> Expected:
    return Expected.of(parse_contract(CONTRACT.encode()).outputs, run.run_date, run.days)


def test_a_run_without_a_report_has_the_ledger_that_the_next_step_would_have_written(run: SampleRun) -> None:
    without(run, PART)
    worked_out = [*earlier_ledger(run.store, RUNS, run.run_id, expected(run))]
    assert not is_decided(run.store, RUNS, run.run_id)
    run.step(max_retry_records=0)
    assert is_decided(run.store, RUNS, run.run_id)
    assert [row for part in worked_out for row in ledger_rows(part)] == read_ledger(run.report_file("ledger.parquet"))
    assert [*earlier_ledger(run.store, RUNS, run.run_id, expected(run))] == worked_out


def test_what_was_answered_before_it_ended_is_done_and_the_rest_is_open(run: SampleRun) -> None:
    without(run, PART, OTHER)
    found = earlier(run)
    assert set(found.done.to_pylist()) == {
        item for name, items in run.shards.items() if name not in (PART, OTHER) for item in items
    }
    assert found.unanswered == {}


def test_a_retry_round_that_was_not_decided_counts_and_names_who_stayed_silent_alone(run: SampleRun) -> None:
    without(run, PART)
    assert run.step()["outcome"] == "RETRY"
    silent, *others = run.shards[PART]
    run.transform_retry(lambda item: None if item == silent else run.output_line(item))
    found = earlier(run)
    assert set(others) <= set(found.done.to_pylist())
    assert set(found.unanswered) == {silent}
    assert f"of run {run.run_id}" in found.unanswered[silent]


@pytest.mark.parametrize(("per_shard", "resumes", "named"), [(1, True, True), (1, False, False), (4, True, False)])
def test_only_a_second_record_that_was_alone_tells_of_its_item(
    tmp_path: Path, per_shard: int, resumes: bool, named: bool
) -> None:
    first = SampleRun(root=tmp_path, run_id="runaaaaaaaaa")
    without(first, PART)
    done = frozenset(first.items) - set(first.shards[PART])
    second = SampleRun(
        root=tmp_path,
        run_id="runbbbbbbbbb",
        per_shard=per_shard,
        resume_from=first.run_id if resumes else None,
        carried=done if resumes else frozenset(),
    )
    silent = next(iter(second.shards))
    without(second, silent)
    assert set(earlier(second).unanswered) == (set(second.shards[silent]) if named else set())


def test_what_an_undecided_run_carried_over_is_carried_on(tmp_path: Path) -> None:
    first = SampleRun(root=tmp_path, run_id="runaaaaaaaaa")
    without(first, PART)
    done = frozenset(first.items) - set(first.shards[PART])
    second = SampleRun(root=tmp_path, run_id="runbbbbbbbbb", resume_from=first.run_id, carried=done)
    without(second, *second.shards)
    assert set(earlier(second).done.to_pylist()) == done
    third = SampleRun(root=tmp_path, run_id="runccccccccc", resume_from=second.run_id, carried=done)
    third.transform()
    report = third.step()
    assert (report["outcome"], report["counts"]["carried"]) == ("COMPLETE", len(done))


@pytest.mark.parametrize("decided", [True, False])
def test_nothing_is_carried_over_from_a_run_with_an_answer_in_another_items_place(
    run: SampleRun, decided: bool
) -> None:
    answers = run.answers()
    answers[PART][0], answers[PART][1] = answers[PART][1], answers[PART][0]
    run.transform(answers)
    if decided:
        assert run.step()["outcome"] == "HELD"
    with pytest.raises(ConfigError, match=r"2 answers in another item's place.*start a new run"):
        earlier(run)


def test_a_run_that_built_nothing_cannot_be_resumed(run: SampleRun) -> None:
    run.store.delete(f"{RUNS}{run.run_id}/manifest/manifest.json")
    with pytest.raises(ConfigError, match=r"manifest\.json is missing"):
        earlier(run)
    with pytest.raises(ObjectMissingError):
        earlier_ledger(run.store, RUNS, "runzzzzzzzzz", expected(run))


def test_forecasts_of_a_later_run_date_fill_no_gap_of_an_earlier_one(tmp_path: Path) -> None:
    contract = CONTRACT + '[checks]\nmissing_forecasts = "carry_forward"\n'
    later = SampleRun(root=tmp_path, run_date=date(2026, 11, 22), contract=contract)
    later.transform()
    later.step()
    back = SampleRun(root=tmp_path, run_id="runbbbbbbbbb", run_date=date(2026, 11, 20), contract=contract)
    answers = back.answers()
    answers[PART][0] = back.output_line(back.shards[PART][0], {"error": "x"})
    back.transform(answers)
    report = back.step(max_failed_records=1)
    assert (report["outcome"], report["carried_forward"]) == ("COMPLETE_WITH_QUARANTINE", 0)
