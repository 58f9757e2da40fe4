"""The run date is the last step that most items reach; a single date is not believed, and is named."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shard_build import DAILY_CONTRACT, Build, build, daily_rows

from batchcast.steps.contract.frequency import DAILY
from batchcast.steps.contract.model_contract import parse_contract
from batchcast.steps.history.items import ItemSurvey
from batchcast.steps.history.run_date import find_axis

ITEMS = [f"I{n:02d}" for n in range(24)]
LAST = dt.date(2026, 2, 9)


def with_series(*lines: str) -> str:
    return DAILY_CONTRACT.replace("[series]\n", "\n".join(["[series]", *lines, ""]))


def panel(days: int = 40) -> pa.Table:
    return daily_rows(ITEMS, days)


def one_row(day: str, item: str = "I00") -> pa.Table:
    return daily_rows([item], 1, first=day, sales=[1])


@pytest.mark.parametrize("day", ["2206-02-09", "2062-02-09", "9999-12-31", "2040-01-01"])
def test_one_row_in_the_future_moves_nothing_and_is_named(tmp_path: Path, day: str) -> None:
    made = build(tmp_path, with_series(), [panel(), one_row(day)])
    assert made.exit_code == 0, made.message
    assert made.manifest.run_date == LAST
    assert made.reasons == {"I00": "implausible_date"}
    assert made.table[0]["quarantine_detail"] == f"a row is dated {day}, which cannot be"
    refused = build(tmp_path, with_series('off_grid = "refuse"'), None)
    assert refused.exit_code == 3
    assert f"I00: a row is dated {day}, which cannot be (part-1.parquet row 0)" in refused.message


def test_a_day_that_is_assumed_of_a_single_date_is_said(tmp_path: Path) -> None:
    made = build(tmp_path, with_series(), [daily_rows(ITEMS, 1)])
    assert made.manifest.notes == (
        "One date in the history: steps of a day are assumed. Declare frequency in [series] of model.toml.",
    )
    declared = build(tmp_path, with_series('frequency = "D"'), None)
    assert declared.manifest.notes == build(tmp_path, with_series(), [panel()]).manifest.notes == ()


@pytest.mark.parametrize("day", ["2026-02-10", "2026-03-01", "2026-07-01"])
def test_one_row_that_could_be_does_not_make_the_run_date(tmp_path: Path, day: str) -> None:
    made = build(tmp_path, with_series(), [panel(), one_row(day)])
    assert made.manifest.run_date == LAST
    assert made.reasons == {}


def test_a_single_item_with_one_flipped_date_keeps_its_own_end(tmp_path: Path) -> None:
    made = build(tmp_path, with_series(), [daily_rows(["a"], 40), daily_rows(["b"], 40), one_row("2031-01-01", "a")])
    assert made.manifest.run_date == LAST
    assert made.reasons == {"a": "implausible_date"}


def test_a_few_rows_far_after_the_others_are_not_believed(tmp_path: Path) -> None:
    tables = [daily_rows(ITEMS, 40, first="2020-01-01"), daily_rows(["I01"], 2, first="2024-01-01", sales=[1, 2])]
    made = build(tmp_path, with_series(), tables)
    assert made.manifest.run_date == dt.date(2020, 2, 9)
    assert made.reasons == {"I01": "implausible_date"}


def test_items_that_ended_long_ago_do_not_hold_the_run_date_back(tmp_path: Path) -> None:
    old = [f"old{n}" for n in range(60)]
    tables = [daily_rows(ITEMS, 801, first="2023-12-02"), daily_rows(old, 40, first="2023-12-02")]
    made = build(tmp_path, with_series('fill = "none"'), tables)
    assert made.manifest.run_date == LAST


@pytest.mark.parametrize(
    ("share", "last"),
    [("0.5", dt.date(2026, 2, 9)), ("0.6", dt.date(2026, 2, 8)), ("1.0", dt.date(2026, 2, 7))],
)
def test_the_share_of_the_items_is_declared(tmp_path: Path, share: str, last: dt.date) -> None:
    tables = [daily_rows(ITEMS[:12], 40), daily_rows(ITEMS[12:20], 39), daily_rows(ITEMS[20:], 38)]
    made = build(tmp_path, with_series(f"run_date_share = {share}", 'fill = "none"'), tables)
    assert made.manifest.run_date == last


def test_values_of_days_that_have_not_come_are_no_history_whoever_has_them(tmp_path: Path) -> None:
    first = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=39)
    made = build(tmp_path, with_series(), [daily_rows(ITEMS, 60, first=str(first))])
    assert made.exit_code == 3
    assert "24 are implausible_date; I00: a row is dated " in made.message


@pytest.mark.parametrize("day", ["2062-02-09", "9999-12-31"])
def test_a_run_date_in_the_future_is_refused(tmp_path: Path, day: str) -> None:
    made = build(tmp_path, with_series(), [panel()], run_date=day)
    assert made.exit_code == 2
    assert f"RunDate: {day} lies in the future" in made.message


def test_known_future_rows_are_no_dates_of_the_history(tmp_path: Path) -> None:
    later = daily_rows(ITEMS, 31, first="2026-02-10", sales=[None] * 31 * 24).cast(panel().schema)
    made = build(tmp_path, with_series(), [panel(), later])
    assert (made.manifest.run_date, made.reasons) == (LAST, {})


def survey(last: list[dt.date]) -> ItemSurvey:
    keys = np.array([(day - dt.date(1970, 1, 1)).days for day in last], np.int64)
    moments = np.unique(np.concatenate([np.arange(key - 40, key + 1) for key in keys]))
    ones = np.ones(len(moments), np.int64)
    return ItemSurvey(
        names=[pa.array([f"{n}" for n in range(len(last))])],
        dateless=np.zeros(len(last), np.int64),
        last=keys,
        nameless=0,
        moments=(moments, ones, ones),
    )


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.dates(dt.date(2020, 1, 1), dt.date(2020, 3, 1)), min_size=5, max_size=30), st.dates())
def test_no_single_date_moves_the_run_date_beyond_the_others(ends: list[dt.date], odd: dt.date) -> None:
    contract = parse_contract(DAILY_CONTRACT.encode()).series
    now = dt.datetime(2026, 11, 28, tzinfo=dt.UTC)
    ends = sorted(ends)
    surveys = [survey(ends), survey([max(odd, dt.date(2, 1, 1))])]
    axis = find_axis(surveys, contract, pa.date32(), run_date=None, horizon=1, now=now)
    assert ends[0] <= axis.run_date <= ends[-1]
    assert axis.frequency == DAILY


def test_the_build_says_the_run_date(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made: Build = build(tmp_path, with_series(), [panel()])
    assert made.exit_code == 0
    assert capsys.readouterr().out.startswith("run date 2026-02-09, frequency D (inferred): 24 items")
