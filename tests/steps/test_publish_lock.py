"""The lock of the publish prefix: one run at a time, whatever becomes of the run that has it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from memory_store import MemoryStore
from sample_run import PUBLISH, SampleRun
from shard_build import DAILY_CONTRACT, build, daily_rows

from batchcast.steps.errors import DataError, Problem, ServiceError
from batchcast.steps.publish.lock import LOCK_HOURS, PublishLock, free_lock, lock_uri, locked, read_lock, take_lock
from batchcast.steps.publish.publication import move_pointer
from batchcast.steps.store.objects import DirectoryStore, ObjectStore

NOW = datetime(2026, 11, 22, 3, 30, tzinfo=UTC)
OVER = timedelta(hours=LOCK_HOURS)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def take(store: ObjectStore, run_id: str, now: datetime = NOW, label: str = "2026-11-22") -> None:
    take_lock(store, PUBLISH, run_id=run_id, run_label=label, now=now)


def holder(store: ObjectStore) -> str | None:
    lock = read_lock(store, PUBLISH)
    return lock and lock.run_id


def test_a_run_that_has_the_lock_keeps_another_out_and_is_named(store: MemoryStore) -> None:
    take(store, "runaaaaaaaaa")
    store.clock += timedelta(hours=1, minutes=5)
    assert read_lock(store, PUBLISH) == PublishLock(
        run_id="runaaaaaaaaa", run_label="2026-11-22", held=timedelta(hours=1, minutes=5)
    )
    with pytest.raises(ServiceError) as caught:
        take(store, "runbbbbbbbbb", label="manual")
    problem = caught.value.problems[0]
    assert (problem.code, problem.where) == ("locked", "s3://bucket/published/lock.json")
    assert problem.what == (
        "run runaaaaaaaaa, label 2026-11-22, has had it for 1 h 05 min; it ends by itself in 70 h 55 min at the latest."
    )
    assert "`start` frees the lock" in problem.remedy
    assert holder(store) == "runaaaaaaaaa"


def test_a_step_that_runs_again_takes_its_own_lock_anew(store: MemoryStore) -> None:
    take(store, "runaaaaaaaaa")
    store.clock += timedelta(hours=5)
    take(store, "runaaaaaaaaa")
    store.clock += OVER - timedelta(hours=1)
    assert holder(store) == "runaaaaaaaaa"


def test_a_lock_that_was_given_back_is_free(store: MemoryStore) -> None:
    assert not free_lock(store, PUBLISH, "runaaaaaaaaa")
    take(store, "runaaaaaaaaa")
    assert not free_lock(store, PUBLISH, "runbbbbbbbbb")
    assert holder(store) == "runaaaaaaaaa"
    assert free_lock(store, PUBLISH, "runaaaaaaaaa")
    assert holder(store) is None
    take(store, "runbbbbbbbbb")
    assert holder(store) == "runbbbbbbbbb"


def test_the_lock_of_a_run_that_was_killed_ends_before_the_next_week_and_the_take_over_is_said(
    store: MemoryStore, capsys: pytest.CaptureFixture[str]
) -> None:
    take(store, "runaaaaaaaaa")
    store.clock += OVER - timedelta(seconds=1)
    assert holder(store) == "runaaaaaaaaa"
    with pytest.raises(ServiceError):
        take(store, "runbbbbbbbbb")
    assert timedelta(days=7) > OVER
    store.clock += timedelta(seconds=1)
    assert holder(store) is None
    take(store, "runbbbbbbbbb")
    assert "run runaaaaaaaaa had the lock for 72 h 00 min" in capsys.readouterr().err
    # The first one was only slow: what it gives back is no longer its own.
    assert not free_lock(store, PUBLISH, "runaaaaaaaaa")
    assert holder(store) == "runbbbbbbbbb"


@pytest.mark.parametrize("hours", [-80, 80])
def test_clocks_that_are_days_apart_neither_take_nor_keep_a_lock(store: MemoryStore, hours: int) -> None:
    take(store, "runaaaaaaaaa")
    with pytest.raises(ServiceError):
        take(store, "runbbbbbbbbb", NOW + timedelta(hours=hours))
    assert free_lock(store, PUBLISH, "runaaaaaaaaa")
    take(store, "runbbbbbbbbb", NOW + timedelta(hours=hours))
    with pytest.raises(ServiceError):
        take(store, "runccccccccc")
    store.clock += OVER
    take(store, "runccccccccc")
    assert holder(store) == "runccccccccc"


def test_a_directory_tells_the_age_of_a_lock_by_its_own_files(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    take(store, "runaaaaaaaaa", NOW + timedelta(days=900))
    assert holder(store) == "runaaaaaaaaa"
    path = store.path(lock_uri(PUBLISH))
    old = path.stat().st_mtime - OVER.total_seconds() - 1
    os.utime(path, (old, old))
    assert holder(store) is None


DAMAGED = [b"", b"[]", b"{}", b'{"run_id": 7}', b"\xff", b"[" * 100_000, b'{"run_id": null, "order": 3}']


@pytest.mark.parametrize("found", DAMAGED)
def test_what_is_no_lock_is_said_and_keeps_nobody_out(
    store: MemoryStore, found: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    store.write(lock_uri(PUBLISH), found)
    assert holder(store) is None
    take(store, "runaaaaaaaaa")
    assert holder(store) == "runaaaaaaaaa"
    if found != DAMAGED[-1]:
        assert "[lock] s3://bucket/published/lock.json: is damaged" in capsys.readouterr().err


def test_of_runs_that_begin_at_once_one_gets_the_lock(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    refused: list[str] = []
    gate = threading.Barrier(8)

    def begin(run_id: str) -> None:
        gate.wait()
        try:
            take(store, run_id)
        except ServiceError:
            refused.append(run_id)

    runs = [f"run{number:09d}" for number in range(8)]
    threads = [threading.Thread(target=begin, args=(run_id,)) for run_id in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 7
    assert {holder(store)} == set(runs) - set(refused)


# --- the steps


def test_building_takes_the_lock_for_the_whole_run(tmp_path: Path) -> None:
    assert build(tmp_path, DAILY_CONTRACT, [daily_rows(["a"])], run_id="runaaaaaaaaa", run_label="week").exit_code == 0
    lock = read_lock(DirectoryStore(tmp_path / "s3"), PUBLISH)
    assert lock is not None
    assert (lock.run_id, lock.run_label) == ("runaaaaaaaaa", "week")


def test_a_second_run_ends_before_it_builds_anything(tmp_path: Path) -> None:
    take(DirectoryStore(tmp_path / "s3"), "runbbbbbbbbb", datetime.now(UTC))
    found = build(tmp_path, DAILY_CONTRACT, [daily_rows(["a"])], run_id="runaaaaaaaaa")
    assert found.exit_code == ServiceError.exit_code
    assert "run runbbbbbbbbb, label 2026-11-22, has had it for" in found.message
    assert found.files == {}


def test_a_run_that_cannot_be_built_gives_the_lock_back(tmp_path: Path) -> None:
    assert build(tmp_path, DAILY_CONTRACT, [], run_id="runaaaaaaaaa").exit_code == DataError.exit_code
    assert holder(DirectoryStore(tmp_path / "s3")) is None


def test_a_step_without_a_network_takes_no_lock(tmp_path: Path) -> None:
    assert build(tmp_path, DAILY_CONTRACT, [daily_rows(["a"])], publish_uri="none").exit_code == 0
    assert not (tmp_path / "s3").exists()


def complete(run: SampleRun) -> None:
    run.transform()


def held(run: SampleRun) -> None:
    run.transform({})


@pytest.mark.parametrize(("prepare", "outcome"), [(complete, "COMPLETE"), (held, "HELD")])
def test_a_decided_run_gives_the_lock_back(tmp_path: Path, prepare: Callable[[SampleRun], None], outcome: str) -> None:
    run = SampleRun(root=tmp_path)
    take(run.store, run.run_id)
    prepare(run)
    assert run.step(logs=[])["outcome"] == outcome
    assert holder(run.store) is None


def test_a_run_with_another_round_before_it_keeps_the_lock(tmp_path: Path) -> None:
    run = SampleRun(root=tmp_path)
    take(run.store, run.run_id)
    answers = run.answers()
    del answers["part-00001.jsonl"]
    run.transform(answers)
    assert run.step()["outcome"] == "RETRY"
    assert holder(run.store) == run.run_id


def test_a_run_that_cannot_be_decided_gives_the_lock_back(tmp_path: Path) -> None:
    run = SampleRun(root=tmp_path)
    take(run.store, run.run_id)
    run.transform()
    run.contract += "# other bytes\n"
    with pytest.raises(DataError):
        run.step()
    assert holder(run.store) is None


def test_a_run_whose_lock_another_has_taken_over_publishes_without_hiding_that_one(tmp_path: Path) -> None:
    run = SampleRun(root=tmp_path)
    take(run.store, run.run_id)
    path = run.store.path(lock_uri(PUBLISH))
    old = path.stat().st_mtime - OVER.total_seconds() - 1
    os.utime(path, (old, old))
    take(run.store, "runbbbbbbbbb")
    run.transform()
    report = run.step()
    assert (report["outcome"], report["pointer_moved"]) == ("COMPLETE", False)
    assert "left to run runbbbbbbbbb, which took over this run's lock" in report["pointer_note"]
    assert holder(run.store) == "runbbbbbbbbb"


@pytest.mark.parametrize("first_date", [date(2026, 11, 22), date(2026, 11, 29)])
def test_an_expired_holder_does_not_move_the_pointer_from_its_successor(store: MemoryStore, first_date: date) -> None:
    take(store, "runaaaaaaaaa")
    store.clock += OVER
    take(store, "runbbbbbbbbb")
    assert move_pointer(store, PUBLISH, "runbbbbbbbbb", date(2026, 11, 22)) == (True, "latest.json names this run")
    assert free_lock(store, PUBLISH, "runbbbbbbbbb")
    moved, note = move_pointer(store, PUBLISH, "runaaaaaaaaa", first_date)
    assert not moved
    assert "left to run runbbbbbbbbb" in note
    # The next one is before nobody.
    take(store, "runccccccccc")
    assert move_pointer(store, PUBLISH, "runccccccccc", date(2026, 11, 22))[0]


def test_a_run_that_took_no_lock_publishes_all_the_same(store: MemoryStore) -> None:
    take(store, "runbbbbbbbbb")
    assert move_pointer(store, PUBLISH, "runaaaaaaaaa", date(2026, 11, 22))[0]


def test_a_lock_that_is_damaged_when_it_is_given_back_hides_no_error_of_the_step(store: MemoryStore) -> None:
    with (
        pytest.raises(DataError, match="no Parquet file"),
        locked(store, PUBLISH, run_id="runaaaaaaaaa", run_label="week", now=NOW),
    ):
        store.write(lock_uri(PUBLISH), b"no lock")
        raise DataError(Problem("no_history", "there is no Parquet file."))
