"""Reading what was published, going back and cleaning up, while others publish."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from failing_store import Crash, FailingStore
from seaweed import running_seaweed

from batchcast.runs.published import list_published, prune, read_forecasts, rollback
from batchcast.steps.errors import ConfigError, DataError, ServiceError
from batchcast.steps.publish.forecast_table import forecast_schema
from batchcast.steps.publish.publication import pointer_uri, publication_uri, publish, read_pointer
from batchcast.steps.store.objects import DirectoryStore, ObjectStore
from batchcast.steps.store.s3 import S3Store

PUBLISH = "s3://bucket/published"


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path)


def put_week(store: ObjectStore, number: int, run_id: str = "", items: int = 3) -> str:
    """Publish week `number`, every value of which is `number`; its run id."""
    run_id = run_id or f"run{number:03d}"
    first = date(2026, 1, 4).toordinal() + 7 * number
    rows = [
        {
            "item_id": f"shop/{item}",
            "forecast_date": date.fromordinal(first + step),
            "step": step,
            "sales": float(number),
            "source": "model",
        }
        for item in range(items)
        for step in (1, 2)
    ]
    pointer, _ = read_pointer(store, PUBLISH)
    manifest: dict[str, Any] = {
        "run_id": run_id,
        "run_date": date.fromordinal(first).isoformat(),
        "outcome": "COMPLETE",
        "counts": {"ok": items},
        "targets": ["sales"],
        "previous": {"run_id": pointer.run_id, "run_date": pointer.run_date.isoformat()} if pointer else None,
    }
    publish(store, PUBLISH, pa.Table.from_pylist(rows, schema=forecast_schema(["sales"])), manifest)
    return run_id


class BeforeOperation(FailingStore):
    """Lets something happen just before operation `at`."""

    def __init__(self, store: ObjectStore, at: int, happen: Callable[[], object]) -> None:
        super().__init__(store)
        self._before, self._happen = at, happen

    def __getattr__(self, name: str) -> Any:
        operation = super().__getattr__(name)

        def call(uri: Any, *rest: Any) -> Any:
            if len(self.operations) == self._before:
                self._happen()
            return operation(uri, *rest)

        return call


def test_a_reader_follows_the_pointer_and_learns_which_run_it_reads(store: DirectoryStore) -> None:
    put_week(store, 1)
    put_week(store, 2)
    frame = read_forecasts(PUBLISH, store=store)
    assert list(frame.columns) == ["item_id", "forecast_date", "step", "sales", "source", "source_run_id"]
    assert str(frame["forecast_date"].dtype).startswith("datetime64")
    assert frame["sales"].tolist() == [2.0] * 6
    assert frame.attrs == {
        "run_id": "run002",
        "run_date": "2026-01-18",
        "outcome": "COMPLETE",
        "counts": {"ok": 3},
        "uri": publication_uri(PUBLISH, date(2026, 1, 18), "run002"),
    }


def test_a_reader_may_name_the_run_the_date_the_items_and_the_columns(store: DirectoryStore) -> None:
    put_week(store, 1)
    put_week(store, 2)
    by_id = read_forecasts(PUBLISH, run_id="run001", columns=["item_id", "sales"], items=["shop/2"], store=store)
    assert by_id.to_dict("list") == {"item_id": ["shop/2", "shop/2"], "sales": [1.0, 1.0]}
    by_date = read_forecasts(PUBLISH, run_date=date(2026, 1, 11), store=store)
    assert by_date.attrs["run_id"] == "run001"


def test_of_several_runs_of_a_date_the_one_that_was_current_last_is_read(store: DirectoryStore) -> None:
    put_week(store, 1, "first")
    put_week(store, 1, "again")
    assert read_forecasts(PUBLISH, run_date=date(2026, 1, 11), store=store).attrs["run_id"] == "again"
    put_week(store, 2)
    assert read_forecasts(PUBLISH, run_date=date(2026, 1, 11), store=store).attrs["run_id"] == "again"


def test_what_cannot_be_read_is_named_with_what_can(store: DirectoryStore) -> None:
    with pytest.raises(DataError, match="nothing was published"):
        read_forecasts(PUBLISH, store=store)
    put_week(store, 1)
    with pytest.raises(DataError, match="no run other is published; there are run001 of 2026-01-11"):
        read_forecasts(PUBLISH, run_id="other", store=store)
    with pytest.raises(DataError, match="no run of 2026-02-01 is published"):
        read_forecasts(PUBLISH, run_date=date(2026, 2, 1), store=store)
    with pytest.raises(ConfigError, match=r"no column price.*Choose from item_id, forecast_date"):
        read_forecasts(PUBLISH, columns=["price"], store=store)


def test_a_file_that_is_not_the_published_one_is_refused(store: DirectoryStore) -> None:
    put_week(store, 1)
    put_week(store, 2)
    one, two = (f"{run.uri}part-00000.parquet" for run in list_published(PUBLISH, store=store))
    store.write(two, store.read(one))
    with pytest.raises(DataError, match=r"not the .* bytes its manifest promises"):
        read_forecasts(PUBLISH, store=store)


def test_the_list_says_which_run_is_current(store: DirectoryStore) -> None:
    assert list_published(PUBLISH, store=store) == []
    put_week(store, 2)
    put_week(store, 1)
    found = [(run.run_id, run.items, run.rows, run.current) for run in list_published(PUBLISH, store=store)]
    assert found == [("run001", 3, 6, False), ("run002", 3, 6, True)]


def test_a_rollback_goes_back_run_by_run_and_the_next_week_moves_on(store: DirectoryStore) -> None:
    for number in (1, 2, 3):
        put_week(store, number)
    assert rollback(PUBLISH, store=store).run_id == "run002"
    assert rollback(PUBLISH, store=store).run_id == "run001"
    with pytest.raises(DataError, match="replaced none"):
        rollback(PUBLISH, store=store)
    assert rollback(PUBLISH, to="run003", store=store).current
    rollback(PUBLISH, store=store)
    put_week(store, 4)
    assert read_forecasts(PUBLISH, store=store).attrs["run_id"] == "run004"


def test_a_run_that_was_rolled_back_does_not_return_when_its_step_runs_again(store: DirectoryStore) -> None:
    put_week(store, 1)
    put_week(store, 2)
    before = store.read(publication_uri(PUBLISH, date(2026, 1, 18), "run002") + "_MANIFEST.json")
    rollback(PUBLISH, store=store)
    put_week(store, 2)
    assert store.read(publication_uri(PUBLISH, date(2026, 1, 18), "run002") + "_MANIFEST.json") == before
    assert read_forecasts(PUBLISH, store=store).attrs["run_id"] == "run001"


def test_a_rollback_by_name_fixes_a_pointer_that_is_none(store: DirectoryStore) -> None:
    put_week(store, 1)
    store.write(pointer_uri(PUBLISH), b"not json")
    assert rollback(PUBLISH, to="run001", store=store).current
    assert read_forecasts(PUBLISH, store=store).attrs["run_id"] == "run001"


def test_pruning_keeps_the_newest_and_whatever_the_pointer_names(store: DirectoryStore) -> None:
    for number in range(1, 6):
        put_week(store, number)
    rollback(PUBLISH, to="run002", store=store)
    assert [run.run_id for run in prune(PUBLISH, keep=1, store=store)] == ["run001"]
    assert {run.run_id for run in list_published(PUBLISH, store=store)} == {"run002", "run003", "run004", "run005"}
    rollback(PUBLISH, to="run005", store=store)
    assert [run.run_id for run in prune(PUBLISH, keep=2, store=store)] == ["run002", "run003"]
    left = {stored.uri.split("/run_id=")[1].split("/")[0] for stored in store.list(f"{PUBLISH}/forecasts/")}
    assert left == {"run004", "run005"}
    with pytest.raises(ConfigError, match="at least 1"):
        prune(PUBLISH, keep=0, store=store)


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_while_pruning_harms_no_reader_and_the_next_call_finishes(tmp_path: Path, after: bool) -> None:
    def weeks(name: str) -> DirectoryStore:
        store = DirectoryStore(tmp_path / name)
        for number in (1, 2, 3):
            put_week(store, number)
        return store

    counted: Any = FailingStore(weeks("whole"))
    prune(PUBLISH, keep=1, store=counted)
    for at in range(len(counted.operations)):
        store = weeks(f"crash-{at}")
        failing: Any = FailingStore(store, at=at, after=after)
        with pytest.raises(Crash):
            prune(PUBLISH, keep=1, store=failing)
        for run in list_published(PUBLISH, store=store):
            assert len(read_forecasts(PUBLISH, run_id=run.run_id, store=store)) == 6
        prune(PUBLISH, keep=1, store=store)
        left = [stored.uri for stored in store.list(f"{PUBLISH}/forecasts/")]
        assert all("/run_id=run003/" in uri for uri in left), at


def test_a_run_that_a_rollback_chose_while_it_was_being_pruned_stays_whole(tmp_path: Path) -> None:
    """The rollback is played in at every operation of the pruning."""
    operations, outcomes, at = 1, set(), 0
    while at < operations:
        store = DirectoryStore(tmp_path / str(at))
        for number in (1, 2):
            put_week(store, number)
        operations, outcome = _prune_with_rollback_at(store, at)
        outcomes.add(outcome)
        frame = read_forecasts(PUBLISH, store=store)
        assert frame.attrs["run_id"] == ("run001" if outcome == "rolled back" else "run002")
        assert frame["sales"].tolist() == [float(frame.attrs["run_id"][-1])] * 6
        at += 1
    assert outcomes == {"rolled back", "refused"}


def _prune_with_rollback_at(store: DirectoryStore, at: int) -> tuple[int, str]:
    outcome = "refused"

    def roll_back() -> None:
        nonlocal outcome
        with contextlib.suppress(DataError):
            rollback(PUBLISH, to="run001", store=store)
            outcome = "rolled back"

    interleaved: Any = BeforeOperation(store, at, roll_back)
    prune(PUBLISH, keep=1, store=interleaved)
    return len(interleaved.operations), outcome


def test_a_reader_never_sees_a_mixed_week_while_runs_are_published_rolled_back_and_pruned(
    store: DirectoryStore,
) -> None:
    seen = read_while_publishing(store, weeks=12)
    assert len(seen) > 1


def test_nor_does_a_reader_on_a_real_s3_server(tmp_path: Path) -> None:
    with running_seaweed(tmp_path, "bucket") as seaweed:
        seen = read_while_publishing(S3Store(seaweed.client()), weeks=8)
    assert len(seen) > 1


def read_while_publishing(store: ObjectStore, *, weeks: int) -> set[str]:
    """Readers follow the pointer all the time; every frame they get is one run's and whole."""
    put_week(store, 1)
    seen: set[str] = set()
    with _reading(store, seen):
        for number in range(2, weeks + 1):
            put_week(store, number)
            if number % 3 == 0:
                rollback(PUBLISH, store=store)
            if number % 4 == 0:
                prune(PUBLISH, keep=2, store=store)
    return seen


@contextmanager
def _reading(store: ObjectStore, seen: set[str], threads: int = 2) -> Iterator[None]:
    stop, problems = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            try:
                frame = read_forecasts(PUBLISH, store=store)
                number = float(frame.attrs["run_id"][-3:])
                assert frame["sales"].tolist() == [number] * 6
                seen.add(frame.attrs["run_id"])
            except (AssertionError, DataError, ServiceError) as problem:
                problems.append(problem)
                return

    readers = [threading.Thread(target=read) for _ in range(threads)]
    for reader in readers:
        reader.start()
    try:
        yield
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert not problems, problems[0]


@pytest.mark.parametrize("at", [1, 2], ids=["before-the-manifest", "before-the-data"])
def test_a_run_that_is_pruned_under_the_reader_is_followed_by_the_current_one(store: DirectoryStore, at: int) -> None:
    put_week(store, 1)

    def move_on() -> None:
        put_week(store, 2)
        prune(PUBLISH, keep=1, store=store)

    watched: Any = BeforeOperation(store, at, move_on)
    assert read_forecasts(PUBLISH, store=watched)["sales"].tolist() == [2.0] * 6


def test_a_run_that_is_gone_though_the_pointer_names_it_is_an_error_and_no_endless_search(
    store: DirectoryStore,
) -> None:
    put_week(store, 1)
    run = list_published(PUBLISH, store=store)[0]
    store.delete(run.uri + "part-00000.parquet")
    with pytest.raises(DataError, match=r"part-00000\.parquet: there is no such object"):
        read_forecasts(PUBLISH, store=store)
