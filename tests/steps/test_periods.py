"""A history of any frequency: what it is turned into, held against pandas, and what contradicts it."""

from __future__ import annotations

import datetime as dt
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from shard_build import DAILY_CONTRACT, Build, build

EDGES = [
    ("W-WED", "2025-11-05", 12),
    ("MS", "2023-08-01", 12),
    ("ME", "2023-09-30", 9),
    ("QS", "2022-01-01", 9),
    ("B", "2026-02-12", 30),
    ("h", "2026-03-28T10:00:00", 30),
    ("h", "2026-10-24T10:00:00", 30),
    ("15min", "2025-12-31T20:00:00", 40),
    ("D", "2024-02-20", 20),
    ("2W-SUN", "2025-10-12", 12),
    ("4h", "2026-03-06T02:00:00", 30),
]


def with_series(*lines: str, future: bool = False) -> str:
    text = DAILY_CONTRACT.replace("[series]\n", "\n".join(["[series]", *lines, ""]))
    known = ', "known": $future({"date": $date, "promo": $promo})}\'\'\''
    return text.replace("}'''", known) if future else text


def rows(item: str, moments: Any, values: Any = None) -> pa.Table:
    stamps = pa.array([pd.Timestamp(moment).to_pydatetime() for moment in moments], pa.timestamp("us"))
    sales = [float(n) for n in range(len(stamps))] if values is None else list(values)
    return pa.table({"item": [item] * len(stamps), "date": stamps, "sales": pa.array(sales, pa.float64())})


def sent(made: Build, item: str) -> list[tuple[str, float | None]]:
    return [(row["date"], row["sales"]) for row in made.records[item]["rows"]]


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize(("alias", "first", "count"), EDGES)
def test_run_date_and_frequency_are_found_and_written(
    tmp_path: Path, alias: str, first: str, count: int, declared: bool
) -> None:
    moments = pd.date_range(first, periods=count, freq=alias)
    contract = with_series(f'frequency = "{alias}"') if declared else with_series()
    made = build(tmp_path, contract, [rows("a", moments), rows("b", moments)])
    assert made.exit_code == 0, made.message
    assert (made.manifest.frequency, made.manifest.frequency_inferred) == (alias, not declared)
    last = moments[-1].to_pydatetime()
    assert made.manifest.run_date == (last if alias in ("h", "15min", "4h") else last.date())
    assert sent(made, "a") == [(moment.isoformat(), float(n)) for n, moment in enumerate(moments)]


@pytest.mark.parametrize(("alias", "first", "count"), EDGES)
def test_known_future_rows_and_the_naive_follow_the_frequency(
    tmp_path: Path, alias: str, first: str, count: int
) -> None:
    moments = pd.date_range(first, periods=count + 3, freq=alias)
    table = rows("a", moments, [*range(count), math.nan, math.nan, math.nan])
    table = table.append_column("promo", pa.array(range(count + 3)))
    made = build(tmp_path, with_series("season = 5", future=True), [table], forecast_horizon=3)
    assert [row["date"] for row in made.records["a"]["known"]] == [one.isoformat() for one in moments[count:]]
    assert [row["naive"] for row in made.baseline if row["step"] > 0] == [count - 5, count - 4, count - 3]


@pytest.mark.parametrize(
    ("declared", "given", "reason"),
    [
        ("D", pd.date_range("2016-01-01 23:00", periods=40, freq="D"), "off_grid"),
        ("D", pd.date_range("2016-01-01", periods=80, freq="12h"), "off_grid"),
        ("D", pd.date_range("2016-01-01", periods=40, freq="W-SUN"), "gap"),
        ("W-SUN", pd.date_range("2016-01-01", periods=40, freq="W-WED"), "off_grid"),
        ("W-SUN", pd.date_range("2016-01-04", periods=40, freq="2W-SUN"), "gap"),
        ("2W-SUN", pd.date_range("2016-01-04", periods=40, freq="W-SUN"), "off_grid"),
        ("W-WED", pd.date_range("2016-01-04", periods=40, freq="W-SUN"), "off_grid"),
        ("W-WED", pd.date_range("2016-01-06", periods=41, freq="D"), "off_grid"),
        ("MS", pd.date_range("2016-01-01", periods=40, freq="ME"), "off_grid"),
        ("MS", pd.date_range("2016-01-01", periods=40, freq="QS"), "gap"),
        ("h", pd.date_range("2016-01-01", periods=40, freq="15min"), "off_grid"),
        ("15min", pd.date_range("2016-01-01", periods=40, freq="h"), "gap"),
        ("15min", pd.date_range("2016-01-01 00:01", periods=40, freq="5min"), "off_grid"),
        ("B", pd.date_range("2016-01-01", periods=40, freq="D"), "off_grid"),
    ],
)
def test_a_history_that_contradicts_the_declared_frequency_is_refused_with_an_example(
    tmp_path: Path, declared: str, given: Any, reason: str
) -> None:
    run_date = {"h": "T00:00:00", "15min": "T00:00:00"}.get(declared, "")
    on_grid = pd.date_range(given[-1].normalize(), periods=1, freq=declared.lstrip("2"))[0]
    made = build(
        tmp_path,
        with_series(f'frequency = "{declared}"'),
        [rows("a", given)],
        run_date=on_grid.date().isoformat() + run_date if declared != "2W-SUN" else "auto",
    )
    assert made.exit_code == 3
    assert f"1 are {reason}" in made.message
    assert "a: " in made.message
    assert declared in made.message


def test_one_contradicting_item_is_quarantined_or_all_refused_as_declared(tmp_path: Path) -> None:
    days = pd.date_range("2026-01-01", periods=10)
    tables = [rows("good", days), rows("late", days + pd.Timedelta(hours=6)), rows("holes", days[[0, 1, 5, 9]])]
    made = build(tmp_path, with_series('frequency = "D"'), tables)
    assert made.reasons == {"late": "off_grid", "holes": "gap"}
    details = {row["item_id"]: row["quarantine_detail"] for row in made.table}
    assert details["late"] == "10 rows are not on the grid of the frequency D, the first on 2026-01-01 06:00:00"
    assert details["holes"] == "6 steps of D are missing up to the run date, the first after 2026-01-02"
    refused = build(tmp_path, with_series('frequency = "D"', 'off_grid = "refuse"'), None)
    assert refused.exit_code == 3
    assert "off_grid" in refused.message
    assert "late: 10 rows are not on the grid" in refused.message
    assert "(part-1.parquet row 0)" in refused.message


def test_an_item_that_ends_before_the_run_date_has_a_gap(tmp_path: Path) -> None:
    days = pd.date_range("2026-01-01", periods=10)
    made = build(tmp_path, with_series(), [rows("a", days), rows("b", days), rows("ended", days[:8])])
    assert made.reasons == {"ended": "gap"}


@pytest.mark.parametrize("fill", ["null", "zero", "last", "none"])
@pytest.mark.parametrize(("alias", "first", "count"), EDGES)
def test_missing_steps_are_filled_as_declared(tmp_path: Path, fill: str, alias: str, first: str, count: int) -> None:
    moments = pd.date_range(first, periods=count, freq=alias)
    kept = [n for n in range(count) if n not in (2, 3, count - 1)]
    tables = [rows("whole", moments), rows("whole too", moments), rows("holes", moments[kept], kept)]
    contract = with_series(f'frequency = "{alias}"', f'fill = "{fill}"')
    made = build(tmp_path, contract, tables)
    assert made.exit_code == 0, made.message
    whole = pd.Series([float(n) for n in kept], moments[kept]).reindex(moments)
    expected = {"null": whole, "zero": whole.fillna(0.0), "last": whole.ffill(), "none": whole.dropna()}[fill]
    wanted = [(moment.isoformat(), None if math.isnan(value) else value) for moment, value in expected.items()]
    assert sent(made, "holes") == wanted
    assert sent(made, "whole") == [(moment.isoformat(), float(n)) for n, moment in enumerate(moments)]


def test_a_gap_beyond_the_largest_is_a_fault_even_where_gaps_are_filled(tmp_path: Path) -> None:
    days = pd.date_range("2026-01-01", periods=10)
    tables = [rows("a", days), rows("old", [dt.datetime(1926, 1, 1), *days])]
    made = build(tmp_path, with_series('frequency = "D"', 'fill = "zero"'), tables)
    assert made.reasons == {"old": "gap"}
    assert "more than largest_gap = 366 in a row" in made.table[1]["quarantine_detail"]


@pytest.mark.parametrize("how", ["sum", "mean", "last"])
@pytest.mark.parametrize(("alias", "finer"), [("D", "6h"), ("W-WED", "D"), ("MS", "D"), ("h", "15min"), ("QS", "MS")])
def test_finer_rows_are_put_together_as_pandas_does(tmp_path: Path, how: str, alias: str, finer: str) -> None:
    moments = pd.date_range("2015-10-01", periods=100, freq=finer)
    values = [float(n % 7) for n in range(100)]
    expected = pd.Series(values, moments).resample(alias).agg(how)
    contract = with_series(f'frequency = "{alias}"', f'aggregate = "{how}"')
    made = build(tmp_path, contract, [rows("a", moments, values)])
    assert made.exit_code == 0, made.message
    found = sent(made, "a")
    assert found == [(moment.isoformat(), value) for moment, value in expected.items()][: len(found)]
    assert len(found) >= len(expected) - 1


def test_the_newest_steps_alone_are_sent(tmp_path: Path) -> None:
    days = pd.date_range("2026-01-01", periods=40)
    made = build(tmp_path, with_series("max_history = 5", "min_history = 5"), [rows("a", days)])
    assert [value for _, value in sent(made, "a")] == [35.0, 36.0, 37.0, 38.0, 39.0]


@pytest.mark.parametrize(
    ("run_date", "frequency", "remedy"),
    [
        ("2026-01-07", "W-SUN", "Pass RunDate 2026-01-11, or auto"),
        ("2026-01-15", "MS", "Pass RunDate 2026-01-01"),
        ("2026-01-07T05:30:00", "h", "Pass RunDate 2026-01-07T05:00:00"),
    ],
)
def test_a_run_date_off_the_grid_is_refused_with_one_on_it(
    tmp_path: Path, run_date: str, frequency: str, remedy: str
) -> None:
    moments = pd.date_range("2026-01-01", periods=30, freq=frequency)
    made = build(tmp_path, with_series(f'frequency = "{frequency}"'), [rows("a", moments)], run_date=run_date)
    assert made.exit_code == 3
    assert f"is no period of the frequency {frequency}" in made.message
    assert remedy in made.message


def test_a_step_that_goes_on_is_no_history_and_no_actual_value(tmp_path: Path) -> None:
    days = pd.date_range("2026-01-05", "2026-03-05")
    weekly = with_series('frequency = "W-SUN"', 'aggregate = "sum"')
    tables = [rows(item, days, [1.0] * len(days)) for item in ("a", "b")]
    made = build(tmp_path, weekly, tables, forecast_horizon=2)
    assert made.manifest.run_date == dt.date(2026, 3, 1)
    assert {value for _, value in sent(made, "a")} == {7.0}
    assert [row["actual"] for row in made.baseline if row["step"] > 0] == [None] * 4


@pytest.mark.parametrize(("alias", "most"), [("3MS", 92.0), ("3ME", 92.0), ("10D", 10.0), ("2W-SUN", 14.0)])
def test_steps_of_several_periods_are_whole_at_the_end(tmp_path: Path, alias: str, most: float) -> None:
    days = pd.date_range("2023-01-01", "2026-02-25")
    contract = with_series(f'frequency = "{alias}"', 'aggregate = "sum"')
    made = build(tmp_path, contract, [rows("a", days, [1.0] * len(days))], forecast_horizon=2)
    assert sent(made, "a")[-1][1] == most
    assert [row["actual"] for row in made.baseline if row["step"] > 0] == [None] * 2


def test_a_run_date_of_other_quarters_is_taken(tmp_path: Path) -> None:
    days = pd.date_range("2024-01-01", "2026-02-28")
    contract = with_series('frequency = "3ME"', 'aggregate = "sum"')
    made = build(tmp_path, contract, [rows("a", days)], run_date=dt.date(2026, 2, 28))
    assert made.manifest.run_date == dt.date(2026, 2, 28)
    made = build(tmp_path, contract, None, run_date=dt.date(2026, 3, 31))
    assert "Pass RunDate 2025-12-31, or auto." in made.message


@pytest.mark.parametrize(
    ("alias", "moments", "within"),
    [
        (
            "MS",
            pd.date_range("2025-01-15", "2026-02-28"),
            "begins on 2025-01-15, and the step of 2025-01-01 on 2025-01-01: its sum",
        ),
        (
            "W-SUN",
            pd.date_range("2025-12-31", "2026-03-01"),
            "begins on 2025-12-31, and the step of 2026-01-04 on 2025-12-29: its sum",
        ),
        ("MS", pd.date_range("2025-01-01", "2026-02-28"), ""),
        ("W-SUN", pd.bdate_range("2025-12-30", "2026-02-27"), ""),
        ("MS", pd.date_range("2025-01-15", periods=12, freq=pd.DateOffset(months=1)), ""),
        ("MS", pd.date_range("2025-01-05", "2026-02-28", freq="W-SUN"), ""),
    ],
)
def test_a_history_that_begins_within_a_step_is_said(
    tmp_path: Path, alias: str, moments: pd.DatetimeIndex, within: str
) -> None:
    made = build(tmp_path, with_series(f'frequency = "{alias}"', 'aggregate = "sum"'), [rows("a", moments)])
    assert made.exit_code == 0, made.message
    assert [within in note for note in made.manifest.notes] == [True] * bool(within)


def test_the_last_value_of_a_step_lacks_nothing_where_the_history_begins_within_it(tmp_path: Path) -> None:
    days = pd.date_range("2025-01-15", "2026-02-28")
    made = build(tmp_path, with_series('frequency = "MS"', 'aggregate = "last"'), [rows("a", days)])
    assert made.manifest.notes == ()


def test_a_run_date_whose_step_goes_on_is_refused(tmp_path: Path) -> None:
    weekly = with_series('frequency = "W-SUN"', 'aggregate = "sum"')
    days = pd.date_range("2026-01-05", "2026-03-05")
    made = build(tmp_path, weekly, [rows("a", days)], run_date=dt.date(2026, 3, 8))
    assert "the rows end within the step of 2026-03-08" in made.message
    assert "Pass RunDate 2026-03-01, or auto." in made.message


def test_a_month_named_by_a_day_within_it_is_not_filled_to_days(tmp_path: Path) -> None:
    months = pd.date_range("2022-01-15", periods=40, freq=pd.DateOffset(months=1))
    made = build(tmp_path, with_series('fill = "zero"'), [rows("a", months)])
    assert "no frequency fits column 'date': the rows lie 31 days apart" in made.message
