"""A pointer that hides every run to come is named before a run begins."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from batchcast.runs.start import pointer_problem
from batchcast.steps.publish.publication import point_at, pointer_uri
from batchcast.steps.store.objects import DirectoryStore

PUBLISH = "s3://bucket/published"
TODAY = date(2026, 11, 28)


def pointed(tmp_path: Path, run_date: date) -> DirectoryStore:
    store = DirectoryStore(tmp_path)
    point_at(store, PUBLISH, "runaaaaaaaaa", run_date, None, None)
    return store


def test_a_date_in_the_future_is_named_with_the_way_out(tmp_path: Path) -> None:
    warning = pointer_problem(pointed(tmp_path, date(2062, 2, 9)), PUBLISH, "auto", TODAY)
    assert "names run runaaaaaaaaa of 2062-02-09, a date in the future" in str(warning)
    assert "rollback --to RUN_ID" in str(warning)


def test_a_plausible_pointer_is_not_spoken_of(tmp_path: Path) -> None:
    assert pointer_problem(DirectoryStore(tmp_path / "new"), PUBLISH, "auto", TODAY) is None
    store = pointed(tmp_path, date(2026, 11, 29))
    assert pointer_problem(store, PUBLISH, "auto", TODAY) is None
    assert pointer_problem(store, PUBLISH, "2026-11-29", TODAY) is None


def test_a_run_before_the_pointer_is_told_that_it_will_not_be_seen(tmp_path: Path) -> None:
    warning = pointer_problem(pointed(tmp_path, date(2026, 11, 22)), PUBLISH, "2026-11-15", TODAY)
    assert "published without becoming what readers see" in str(warning)


def test_a_damaged_pointer_is_named(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    store.write(pointer_uri(PUBLISH), b"")
    warning = pointer_problem(store, PUBLISH, "auto", TODAY)
    assert "latest.json: is damaged: it is empty. Roll back" in str(warning)
