"""What a refused history is answered with leads out of the fault."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pytest
from shard_build import DAILY_CONTRACT, build, daily_rows

from batchcast.steps.shards.manifest import QuarantineReason
from batchcast.steps.shards.quarantine import REMEDIES

GAP = pa.concat_tables([daily_rows(["a"], 3), daily_rows(["a"], 3, first="2026-01-07")])
WITHOUT = daily_rows(["a"], 3, sales=[1.0, None, 3.0])
LARGE = daily_rows(["a"], 2, sales=[1, 2**60])
TWICE = pa.concat_tables([daily_rows(["a"], 3), daily_rows(["a"], 1)])


def with_series(*lines: str) -> str:
    return DAILY_CONTRACT.replace("[series]\n", "\n".join(["[series]", *lines, ""]))


def test_every_reason_to_leave_an_item_out_has_a_remedy() -> None:
    assert {*REMEDIES} == {*QuarantineReason}


@pytest.mark.parametrize(
    ("contract", "history", "remedy"),
    [
        (with_series(), GAP, "Declare fill in [series], write the missing rows, or pass an earlier RunDate."),
        (with_series('nulls = "quarantine"'), WITHOUT, 'Fill the cells, or set nulls = "null" in model.toml.'),
        (with_series(), LARGE, "Write such values as floats or as text, or correct them."),
        (with_series(), TWICE, "Write one row an item and date."),
        (with_series("min_history = 9"), daily_rows(["a"], 3), "Lower min_history, or leave these items out"),
    ],
)
def test_a_run_that_is_left_without_items_says_what_to_do(
    tmp_path: Path, contract: str, history: pa.Table, remedy: str
) -> None:
    made = build(tmp_path, contract, [history])
    assert made.exit_code == 3
    assert "nothing_to_forecast" in made.message
    assert remedy in made.message


@pytest.mark.parametrize(
    ("contract", "history"),
    [
        (with_series('nulls = "quarantine"', 'fill = "zero"'), WITHOUT.set_column(2, "sales", [[1.0, 0.0, 3.0]])),
        (with_series('fill = "zero"'), GAP),
        (with_series(), WITHOUT),
        (with_series(), LARGE.set_column(2, "sales", [[1.0, float(2**60)]])),
        (with_series("min_history = 3"), daily_rows(["a"], 3)),
    ],
)
def test_what_it_says_helps(tmp_path: Path, contract: str, history: pa.Table) -> None:
    assert build(tmp_path, contract, [history]).exit_code == 0


def test_where_every_item_begins_after_the_run_date_a_later_one_is_asked_for(tmp_path: Path) -> None:
    made = build(tmp_path, DAILY_CONTRACT, [daily_rows(["a", "b"], 3)], run_date=dt.date(2025, 12, 1))
    assert "2 more begin after the run date" in made.message
    assert "Pass a later RunDate, or auto." in made.message


def test_where_every_row_is_later_than_now_that_is_said(tmp_path: Path) -> None:
    made = build(tmp_path, DAILY_CONTRACT, [daily_rows(["a"], 3, first="2199-01-01")])
    assert made.exit_code == 3
    assert (
        "Check the dates and the target columns: every row is later, of a step that goes on, or empty." in made.message
    )
