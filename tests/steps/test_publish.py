"""Publishing: data, manifest, pointer, in that order, and never half of it."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from failing_store import Crash, FailingStore

from batchcast.runs.published import read_forecasts
from batchcast.steps.contract.series import PUBLISHED_COLUMNS
from batchcast.steps.errors import DataError, ServiceError
from batchcast.steps.publish.forecast_table import forecast_schema
from batchcast.steps.publish.publication import (
    MANIFEST_NAME,
    move_pointer,
    pointer_uri,
    publication_uri,
    publish,
    read_pointer,
)
from batchcast.steps.store.objects import DirectoryStore

PUBLISH = "s3://bucket/published"
WEEK, NEXT_WEEK = date(2026, 11, 22), date(2026, 11, 29)


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path)


def table(level: float, items: int = 3) -> pa.Table:
    rows = [
        {"item_id": f"i{item}", "forecast_date": date(2026, 12, step), "step": step, "sales": level, "source": "model"}
        for item in range(items)
        for step in (1, 2)
    ]
    return pa.Table.from_pylist(rows, schema=forecast_schema(["sales"]))


def manifest(run_id: str, run_date: date = WEEK, previous: dict[str, str] | None = None) -> dict[str, Any]:
    counts = {"ok": 3}
    return {
        "run_id": run_id,
        "run_date": run_date.isoformat(),
        "outcome": "COMPLETE",
        "counts": counts,
        "targets": ["sales"],
        "previous": previous,
    }


def objects(store: DirectoryStore) -> dict[str, bytes]:
    return {stored.uri: store.read(stored.uri) for stored in store.list(PUBLISH)}


def current_level(store: DirectoryStore) -> tuple[str, float]:
    """What a reader sees: the run and its level, which is the same in all rows of a run."""
    frame = read_forecasts(PUBLISH, store=store)
    assert len(frame) == 6
    assert frame["sales"].nunique() == 1
    return frame.attrs["run_id"], frame["sales"].iloc[0]


def test_the_manifest_comes_after_the_data_and_the_pointer_last(store: DirectoryStore) -> None:
    watched: Any = FailingStore(store)
    publish(watched, PUBLISH, table(1.0), manifest("a"))
    writes = [entry for entry in watched.operations if entry.startswith(("write", "put_if"))]
    prefix = publication_uri(PUBLISH, WEEK, "a")
    assert writes == [
        f"put_if {prefix}part-00000.parquet",
        f"put_if {prefix}{MANIFEST_NAME}",
        f"put_if {pointer_uri(PUBLISH)}",
    ]


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_at_any_operation_leaves_the_old_week_or_the_new_and_the_next_attempt_completes_it(
    tmp_path: Path, after: bool
) -> None:
    whole = DirectoryStore(tmp_path / "whole")
    publish(whole, PUBLISH, table(1.0), manifest("a"))
    counted: Any = FailingStore(whole)
    publish(counted, PUBLISH, table(2.0), manifest("b", NEXT_WEEK))
    expected = objects(whole)
    assert len(counted.operations) >= 6
    for at in range(len(counted.operations)):
        store = DirectoryStore(tmp_path / f"crash-{at}")
        publish(store, PUBLISH, table(1.0), manifest("a"))
        failing: Any = FailingStore(store, at=at, after=after)
        with pytest.raises(Crash):
            publish(failing, PUBLISH, table(2.0), manifest("b", NEXT_WEEK))
        assert current_level(store) in (("a", 1.0), ("b", 2.0))
        publish(store, PUBLISH, table(2.0), manifest("b", NEXT_WEEK))
        assert objects(store) == expected


def test_a_publication_that_is_there_already_writes_nothing(store: DirectoryStore) -> None:
    publish(store, PUBLISH, table(1.0), manifest("a"))
    watched: Any = FailingStore(store)
    again = publish(watched, PUBLISH, table(1.0), manifest("a"))
    assert again.pointer_moved
    assert not [entry for entry in watched.operations if entry.startswith(("write", "put_if", "delete"))]


def test_a_published_run_is_never_overwritten_with_other_forecasts(store: DirectoryStore) -> None:
    publish(store, PUBLISH, table(1.0), manifest("a"))
    before = objects(store)
    with pytest.raises(DataError, match="what is published does not change"):
        publish(store, PUBLISH, table(2.0), manifest("a"))
    assert objects(store) == before


def test_what_a_crashed_attempt_left_over_is_cleared_before_the_manifest(store: DirectoryStore) -> None:
    prefix = publication_uri(PUBLISH, WEEK, "a")
    for name in ("part-00000.parquet", "part-00007.parquet"):
        store.write(prefix + name, b"from an attempt that crashed")
    publish(store, PUBLISH, table(1.0), manifest("a"))
    assert not store.exists(prefix + "part-00007.parquet")
    assert current_level(store) == ("a", 1.0)


def test_a_large_table_is_cut_into_files_of_a_fixed_number_of_rows(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchcast.steps.publish.forecast_table.ROWS_PER_FILE", 4)
    publish(store, PUBLISH, table(1.0), manifest("a"))
    listed = json.loads(store.read(publication_uri(PUBLISH, WEEK, "a") + MANIFEST_NAME))["files"]
    assert [(file["name"], file["rows"]) for file in listed] == [("part-00000.parquet", 4), ("part-00001.parquet", 2)]
    assert current_level(store) == ("a", 1.0)


class EndsEarly:
    """Rows of which the last ones cannot be made."""

    def __init__(self, whole: pa.Table, most: int) -> None:
        self.num_rows, self._whole, self._most = whole.num_rows, whole, most

    def slice(self, offset: int = 0, length: int | None = None) -> pa.Table:
        if offset >= self._most:
            raise Crash
        return self._whole.slice(offset, length)


def test_a_file_is_stored_before_all_others_are_made(store: DirectoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batchcast.steps.publish.forecast_table.ROWS_PER_FILE", 4)
    prefix, whole = publication_uri(PUBLISH, WEEK, "a"), table(1.0)
    with pytest.raises(Crash):
        publish(store, PUBLISH, EndsEarly(whole, 4), manifest("a"))
    assert [stored.uri for stored in store.list(prefix)] == [prefix + "part-00000.parquet"]
    publish(store, PUBLISH, whole, manifest("a"))
    assert current_level(store) == ("a", 1.0)


def test_the_later_run_date_keeps_the_pointer_in_whatever_order_runs_finish(store: DirectoryStore) -> None:
    publish(store, PUBLISH, table(2.0), manifest("b", NEXT_WEEK))
    older = publish(store, PUBLISH, table(1.0), manifest("a", WEEK))
    assert not older.pointer_moved
    assert "later run date" in older.pointer_note
    assert current_level(store) == ("b", 2.0)


def test_of_two_runs_of_a_date_the_last_is_named_and_the_first_does_not_come_back(store: DirectoryStore) -> None:
    publish(store, PUBLISH, table(1.0), manifest("a"))
    publish(store, PUBLISH, table(2.0), manifest("b"))
    assert current_level(store) == ("b", 2.0)
    again = publish(store, PUBLISH, table(1.0), manifest("a"))
    assert not again.pointer_moved
    assert "replaced this run" in again.pointer_note
    assert current_level(store) == ("b", 2.0)


def test_of_many_runs_at_once_the_latest_date_wins_and_each_loser_says_so(store: DirectoryStore) -> None:
    dates = [date(2026, 11, day) for day in range(1, 17)]
    barrier = threading.Barrier(len(dates))

    def finish(run_date: date) -> tuple[bool, str]:
        barrier.wait()
        return move_pointer(store, PUBLISH, f"run{run_date.day:02d}", run_date)

    with ThreadPoolExecutor(len(dates)) as pool:
        results = list(pool.map(finish, dates))
    pointer, _ = read_pointer(store, PUBLISH)
    assert pointer is not None
    assert pointer.run_date == dates[-1]
    assert results[-1][0]
    assert all(moved or "later run date" in note for moved, note in results)


def test_the_names_no_target_can_have_are_those_of_the_published_columns() -> None:
    assert set(PUBLISHED_COLUMNS) == {*forecast_schema([]).names, "run_date", "run_id"}


def test_a_damaged_pointer_is_named_and_the_newest_run_takes_its_place(
    store: DirectoryStore, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(store, PUBLISH, table(1.0), manifest("a", NEXT_WEEK))
    store.write(pointer_uri(PUBLISH), b"{}")
    moved, note = move_pointer(store, PUBLISH, "b", WEEK)
    assert not moved
    assert "damaged, and a later run date is published" in note
    assert "latest.json: is damaged: it has no 'run_id'. Roll back" in capsys.readouterr().err
    assert move_pointer(store, PUBLISH, "c", NEXT_WEEK)[0]
    assert read_pointer(store, PUBLISH)[0] is not None


def test_a_pointer_that_never_stands_still_is_a_reason_to_try_again(store: DirectoryStore) -> None:
    class Busy(FailingStore):
        def __getattr__(self, name: str) -> Any:
            if name == "put_if":
                move_pointer(store, PUBLISH, f"other{len(self.operations)}", WEEK)
            return super().__getattr__(name)

    busy: Any = Busy(store)
    with pytest.raises(ServiceError, match="another run moved it 50 times in a row"):
        move_pointer(busy, PUBLISH, "a", WEEK)
