"""Past dates in order: which are run, with what, and what becomes of the rest when one is held."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from batchcast.runs.rerun import backfill, backfill_dates, backfill_parameters
from batchcast.session.session import WorkspaceSession
from batchcast.steps.errors import ConfigError
from batchcast.steps.publish.forecast_table import forecast_schema
from batchcast.steps.publish.publication import publish
from batchcast.steps.store.objects import ObjectStore

PUBLISH = "s3://batchcast/published"
VALUES = {
    "HistoryUri": "s3://history/",
    "RunsUri": "s3://batchcast/runs",
    "PublishUri": PUBLISH,
    "ModelName": "model",
}
DATES = [date(2026, 1, 4), date(2026, 1, 11), date(2026, 1, 18)]


@pytest.fixture
def session(tmp_path: Path) -> WorkspaceSession:
    return WorkspaceSession(tmp_path)


def put(store: ObjectStore, run_date: date, *, days: int = 31, items: str = "all") -> str:
    """Publish a run of one item; its run id."""
    run_id = f"run{run_date:%m%d}{days}{len(items)}"
    row = {"item_id": "a", "forecast_date": run_date, "step": 1, "sales": 1.0, "source": "model"}
    manifest: dict[str, Any] = {
        "run_id": run_id,
        "run_date": run_date.isoformat(),
        "outcome": "COMPLETE",
        "counts": {"ok": 1},
        "previous": None,
        "targets": ["sales"],
        "parameters": {"forecast_horizon": days, "items_uri": items},
    }
    publish(store, PUBLISH, pa.Table.from_pylist([row], schema=forecast_schema(["sales"])), manifest)
    return run_id


class Attended:
    """Takes every run as ended; those of the dates `held` were held."""

    def __init__(self, *held: date) -> None:
        self._held = {each.isoformat() for each in held}
        self.started: list[Mapping[str, str]] = []

    def __call__(self, values: Mapping[str, str]) -> tuple[dict[str, Any], int]:
        self.started.append(values)
        held = values["RunDate"] in self._held
        counts = {"expected": 10, "ok": 9 if held else 10}
        document = {
            "run_id": f"run{len(self.started)}",
            "outcome": "HELD" if held else "COMPLETE",
            "counts": counts,
            "score": None if held else {"wape_model": 0.2},
        }
        return document, 5 if held else 0


@pytest.mark.parametrize(
    ("last", "every", "count"), [(date(2026, 1, 4), 7, 1), (date(2026, 1, 24), 7, 3), (date(2026, 1, 25), 7, 4)]
)
def test_dates_go_from_the_first_to_the_last_at_most(last: date, every: int, count: int) -> None:
    dates = backfill_dates(date(2026, 1, 4), last, every)
    assert len(dates) == count
    assert dates[:3] == DATES[: len(dates)]


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ConfigError, match="2026-01-05 is after 2026-01-04"):
        backfill_dates(date(2026, 1, 5), date(2026, 1, 4), 7)


def test_every_date_is_a_run_of_its_own_label_in_order(session: WorkspaceSession) -> None:
    attended = Attended()
    ended = list(backfill(session, DATES, VALUES, attended))
    assert [one.run_date for one in ended] == DATES
    assert [values["RunDate"] for values in attended.started] == [str(each) for each in DATES]
    assert [values["RunLabel"] for values in attended.started] == [f"backfill-{each}" for each in DATES]


def test_dates_that_are_published_are_skipped_and_told(session: WorkspaceSession) -> None:
    run_id = put(session.store, DATES[1])
    attended = Attended()
    ended = list(backfill(session, DATES, VALUES, attended))
    assert [(one.skipped, one.run_date) for one in ended] == [(False, DATES[0]), (True, DATES[1]), (False, DATES[2])]
    assert (ended[1].run_id, ended[1].outcome, ended[1].ok) == (run_id, "COMPLETE", 1)
    assert len(attended.started) == 2


def test_a_publication_of_other_days_or_of_chosen_items_does_not_count(session: WorkspaceSession) -> None:
    put(session.store, DATES[0], days=14)
    put(session.store, DATES[1], items="s3://batchcast/runs/items/few.jsonl")
    attended = Attended()
    assert [one.skipped for one in backfill(session, DATES, VALUES, attended)] == [False, False, False]


def test_a_held_date_does_not_keep_the_later_ones_from_running(session: WorkspaceSession) -> None:
    ended = list(backfill(session, DATES, VALUES, Attended(DATES[1])))
    assert [(one.outcome, one.exit_code) for one in ended] == [("COMPLETE", 0), ("HELD", 5), ("COMPLETE", 0)]
    assert [one.wape for one in ended] == [0.2, None, 0.2]
    assert str(ended[1].run_date) == "2026-01-11"


def test_values_are_checked_for_all_dates_before_the_first_runs(session: WorkspaceSession) -> None:
    attended = Attended()
    with pytest.raises(ConfigError, match="ForecastHorizon"):
        list(backfill(session, DATES, {**VALUES, "ForecastHorizon": "0"}, attended))
    assert attended.started == []


def test_a_run_date_of_the_callers_is_refused_and_a_label_is_kept() -> None:
    with pytest.raises(ConfigError, match="RunDate: is set by backfill itself"):
        backfill_parameters({**VALUES, "RunDate": "2026-01-04"}, DATES[0])
    assert backfill_parameters({**VALUES, "RunLabel": "again"}, DATES[0])["RunLabel"] == "again"
