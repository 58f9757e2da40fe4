"""The lock of the publish prefix: one run at a time, whatever becomes of the run that has it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sample_run import PUBLISH, SampleRun
from shard_build import DAILY_CONTRACT, build, daily_rows

from batchcast.steps.errors import DataError, Problem, ServiceError
from batchcast.steps.publish.lock import LOCK_HOURS, PublishLock, free_lock, lock_uri, locked, read_lock, take_lock
from batchcast.steps.store.objects import DirectoryStore

NOW = datetime(2026, 11, 22, 3, 30, tzinfo=UTC)
OVER = timedelta(hours=LOCK_HOURS)


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "s3")


def take(store: DirectoryStore, run_id: str, now: datetime = NOW, label: str = "2026-11-22") -> None:
    take_lock(store, PUBLISH, run_id=run_id, run_label=label, now=now)


def holder(store: DirectoryStore, now: datetime = NOW) -> str | None:
    lock = read_lock(store, PUBLISH, now)
    return lock and lock.run_id


def test_a_run_that_has_the_lock_keeps_another_out_and_is_named(store: DirectoryStore) -> None:
    take(store, "runaaaaaaaaa")
    assert read_lock(store, PUBLISH, NOW) == PublishLock(
        run_id="runaaaaaaaaa", run_label="2026-11-22", taken=NOW, until=NOW + OVER
    )
    with pytest.raises(ServiceError) as caught:
        take(store, "runbbbbbbbbb", NOW + timedelta(hours=1), label="manual")
    problem = caught.value.problems[0]
    assert (problem.code, problem.where) == ("locked", "s3://bucket/published/lock.json")
    assert problem.what == (
        "run runaaaaaaaaa, label 2026-11-22, has it since 2026-11-22 03:30 UTC, at most until 2026-11-25 03:30 UTC."
    )
    assert "`start` frees the lock" in problem.remedy
    assert holder(store) == "runaaaaaaaaa"


def test_a_step_that_runs_again_takes_its_own_lock_anew(store: DirectoryStore) -> None:
    take(store, "runaaaaaaaaa")
    take(store, "runaaaaaaaaa", NOW + timedelta(hours=5))
    assert holder(store, NOW + OVER) == "runaaaaaaaaa"


def test_a_lock_that_was_given_back_is_free(store: DirectoryStore) -> None:
    assert not free_lock(store, PUBLISH, "runaaaaaaaaa")
    take(store, "runaaaaaaaaa")
    assert not free_lock(store, PUBLISH, "runbbbbbbbbb")
    assert holder(store) == "runaaaaaaaaa"
    assert free_lock(store, PUBLISH, "runaaaaaaaaa")
    assert holder(store) is None
    take(store, "runbbbbbbbbb")
    assert holder(store) == "runbbbbbbbbb"


def test_the_lock_of_a_run_that_was_killed_ends_before_the_next_week(store: DirectoryStore) -> None:
    take(store, "runaaaaaaaaa")
    last_moment = NOW + OVER - timedelta(seconds=1)
    assert holder(store, last_moment) == "runaaaaaaaaa"
    with pytest.raises(ServiceError):
        take(store, "runbbbbbbbbb", last_moment)
    assert timedelta(days=7) > OVER
    assert holder(store, NOW + OVER) is None
    take(store, "runbbbbbbbbb", NOW + OVER)
    # The first one was only slow: what it gives back is no longer its own.
    assert not free_lock(store, PUBLISH, "runaaaaaaaaa")
    assert holder(store, NOW + OVER) == "runbbbbbbbbb"


@pytest.mark.parametrize(
    "found", [b"", b"[]", b"{}", b'{"run_id": "runaaaaaaaaa"}', b'{"run_id": "a", "taken": "x", "until": 1}', b"\xff"]
)
def test_what_is_no_lock_is_said(store: DirectoryStore, found: bytes) -> None:
    store.write(lock_uri(PUBLISH), found)
    for act in (lambda: take(store, "runaaaaaaaaa"), lambda: holder(store)):
        with pytest.raises(DataError, match=r"not a lock.*Delete it when no run is going on"):
            act()


def test_of_runs_that_begin_at_once_one_gets_the_lock(store: DirectoryStore) -> None:
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
    lock = read_lock(DirectoryStore(tmp_path / "s3"), PUBLISH, datetime.now(UTC))
    assert lock is not None
    assert (lock.run_id, lock.run_label) == ("runaaaaaaaaa", "week")


def test_a_second_run_ends_before_it_builds_anything(tmp_path: Path) -> None:
    take(DirectoryStore(tmp_path / "s3"), "runbbbbbbbbb", datetime.now(UTC))
    found = build(tmp_path, DAILY_CONTRACT, [daily_rows(["a"])], run_id="runaaaaaaaaa")
    assert found.exit_code == ServiceError.exit_code
    assert "run runbbbbbbbbb, label 2026-11-22, has it since" in found.message
    assert found.files == {}


def test_a_run_that_cannot_be_built_gives_the_lock_back(tmp_path: Path) -> None:
    assert build(tmp_path, DAILY_CONTRACT, [], run_id="runaaaaaaaaa").exit_code == DataError.exit_code
    assert holder(DirectoryStore(tmp_path / "s3"), datetime.now(UTC)) is None


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
    assert run.step()["outcome"] == outcome
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


def test_a_run_publishes_although_another_has_the_lock_by_now(tmp_path: Path) -> None:
    run = SampleRun(root=tmp_path)
    take(run.store, "runbbbbbbbbb")
    run.transform()
    assert run.step()["outcome"] == "COMPLETE"
    assert holder(run.store) == "runbbbbbbbbb"


def test_a_lock_that_cannot_be_given_back_leaves_the_outcome_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = SampleRun(root=tmp_path)
    run.store.write(lock_uri(PUBLISH), b"no lock")
    run.transform()
    assert run.step()["outcome"] == "COMPLETE"
    assert "the lock was not given back: DataError [lock]" in capsys.readouterr().err


def test_a_lock_that_cannot_be_given_back_hides_no_error_of_the_step(store: DirectoryStore) -> None:
    with (
        pytest.raises(DataError, match="no Parquet file"),
        locked(store, PUBLISH, run_id="runaaaaaaaaa", run_label="week", now=NOW),
    ):
        store.write(lock_uri(PUBLISH), b"no lock")
        raise DataError(Problem("no_history", "there is no Parquet file."))
