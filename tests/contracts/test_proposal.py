"""What is proposed for a history: the roles of its columns, and a question where they cannot be told."""

from __future__ import annotations

from pathlib import Path

import histories
import pandas as pd
import pytest

from batchcast.contracts.proposal import propose
from batchcast.steps.errors import ConfigError, DataError


def test_two_ids_a_past_covariate_and_a_text_are_told_apart(tmp_path: Path) -> None:
    found = propose(histories.daily_two_ids(tmp_path / "history"))
    assert (found.item_id, found.timestamp, found.target) == (("store", "sku"), "day", "units")
    assert (found.known, found.past) == ((), ("promo",))
    assert any(line.startswith("note are left out: text") for line in found.assumptions)
    assert any("note" in line and "left out" in line for line in found.assumptions)


def test_what_goes_on_after_the_target_is_known(tmp_path: Path) -> None:
    found = propose(histories.hourly_known(tmp_path / "history"))
    assert (found.item_id, found.known, found.past) == (("location",), ("temperature",), ())


def test_the_row_numbers_of_pandas_are_no_column(tmp_path: Path) -> None:
    frame = pd.read_parquet(histories.weekly_plain(tmp_path / "history"))
    (tmp_path / "kept").mkdir()
    frame.iloc[::-1].to_parquet(tmp_path / "kept" / "part.parquet", index=True)
    found = propose(tmp_path / "kept")
    assert (found.item_id, found.known, found.past) == (("unique_id",), (), ())


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (histories.weekly_plain, (("unique_id",), "ds", "y")),
        (histories.monthly_text_id, (("item_id",), "month", "demand")),
    ],
)
def test_plain_histories(make: object, expected: object, tmp_path: Path) -> None:
    found = propose(make(tmp_path / "history"))  # type: ignore[operator]
    assert (found.item_id, found.timestamp, found.target) == expected


def test_a_wide_history_is_refused_with_the_line_that_makes_it_long(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="looks wide") as refused:
        propose(histories.wide(tmp_path / "history"))
    assert "melt" in str(refused.value)


def test_the_index_that_pandas_stores_is_no_column(tmp_path: Path) -> None:
    frame = pd.DataFrame({"item_id": "a", "day": pd.date_range("2026-01-01", periods=30), "sales": range(30)})
    frame.iloc[::2].to_parquet(tmp_path / "history.parquet")
    found = propose(tmp_path / "history.parquet")
    assert (found.known, found.past) == ((), ())


def test_an_index_of_dates_without_a_name_is_the_timestamp(tmp_path: Path) -> None:
    days = pd.date_range("2026-01-01", periods=30)
    pd.DataFrame({"item_id": "a", "sales": range(30)}, index=days[::-1]).to_parquet(tmp_path / "history.parquet")
    assert propose(tmp_path / "history.parquet").timestamp == "__index_level_0__"


def test_dates_as_text_are_asked_for_as_dates(tmp_path: Path) -> None:
    pd.DataFrame({"item_id": ["a"], "day": ["2026-01-01"], "sales": [1.0]}).to_parquet(tmp_path / "text.parquet")
    with pytest.raises(ConfigError, match=r"none of item_id, day, sales.*pandas\.to_datetime"):
        propose(tmp_path / "text.parquet")


def test_given_columns_are_taken_and_unknown_ones_refused(tmp_path: Path) -> None:
    folder = histories.daily_two_ids(tmp_path / "history")
    assert propose(folder, target="promo").target == "promo"
    with pytest.raises(ConfigError, match="no column shop"):
        propose(folder, item_id=["shop"])


def test_what_is_no_parquet_is_a_data_error(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"date,sales\n")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        propose(tmp_path)


def test_a_history_of_less_than_two_seasons_has_the_last_value_as_its_naive(tmp_path: Path) -> None:
    dates = pd.date_range("2024-01-07", periods=60, freq="W-SUN")
    frame = pd.DataFrame({"item_id": "a", "week": dates, "sales": range(60)})
    frame.to_parquet(tmp_path / "short.parquet")
    short = propose(tmp_path / "short.parquet")
    assert (short.frequency, short.season) == ("W-SUN", 1)
    assert "60 steps are less than two seasons of 52, so the naive is the last value" in short.assumptions
    longer = pd.date_range("2022-01-02", periods=104, freq="W-SUN")
    pd.DataFrame({"item_id": "a", "week": longer, "sales": range(104)}).to_parquet(tmp_path / "long.parquet")
    assert propose(tmp_path / "long.parquet").season is None


def test_instants_are_proposed_in_their_zone(tmp_path: Path) -> None:
    days = pd.date_range("2026-03-01", periods=60, tz="Europe/Berlin")
    pd.DataFrame({"item_id": "a", "day": days, "sales": range(60)}).to_parquet(tmp_path / "zoned.parquet")
    found = propose(tmp_path / "zoned.parquet")
    assert (found.timezone, found.frequency) == ("Europe/Berlin", "D")


def test_rows_on_no_grid_have_no_frequency_and_say_so(tmp_path: Path) -> None:
    months = pd.date_range("2022-01-15", periods=40, freq=pd.DateOffset(months=1))
    pd.DataFrame({"item_id": "a", "day": months, "sales": range(40)}).to_parquet(tmp_path / "months.parquet")
    found = propose(tmp_path / "months.parquet")
    assert found.frequency is None
    assert "no frequency fits the rows: declare it" in found.assumptions


def test_a_single_series_without_an_id_is_told_to_write_one(tmp_path: Path) -> None:
    days = pd.date_range("2026-03-01", periods=60)
    pd.DataFrame({"day": days, "sales": range(60)}).to_parquet(tmp_path / "alone.parquet")
    with pytest.raises(ConfigError, match=r"frame\['item_id'\] = 'total'"):
        propose(tmp_path / "alone.parquet")
