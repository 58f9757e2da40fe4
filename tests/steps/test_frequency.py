"""Each alias is held against pandas: the grid, the next steps, the period a moment belongs to, and inference."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchcast.steps.arguments import parse_moment
from batchcast.steps.contract.frequency import (
    Frequency,
    infer_frequency,
    parse_frequency,
    to_second,
)

WEEKS = [f"W-{day}" for day in ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")]
ALIASES = ["D", "B", *WEEKS, "MS", "ME", "QS", "QS-FEB", "h", "min", "15min", "4h", "2W-WED", "3D", "2MS", "2ME", "5B"]
# A year's end, a leap day, and the days on which European and American clocks change.
EDGES = ["2019-12-30", "2024-02-27", "2026-03-28", "2026-03-08", "2026-10-24", "2026-11-01", "1999-12-31", "1969-12-29"]
MOMENTS = st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2199, 12, 31)).map(
    lambda found: found.replace(microsecond=0)
)


def first_on_grid(moment: dt.datetime, alias: str) -> pd.Timestamp:
    base = alias.lstrip("0123456789")
    return pd.date_range(pd.Timestamp(moment).floor({"h": "h", "min": "min"}.get(base, "D")), periods=1, freq=base)[0]


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("edge", EDGES)
def test_the_next_steps_are_those_of_pandas(alias: str, edge: str) -> None:
    start = first_on_grid(dt.datetime.fromisoformat(edge), alias)
    expected = pd.date_range(start, periods=41, freq=alias)
    found = parse_frequency(alias).after(start.to_pydatetime(), 40)
    assert [pd.Timestamp(moment) for moment in found] == list(expected[1:])


@settings(max_examples=60, deadline=None)
@given(moment=MOMENTS, alias=st.sampled_from(ALIASES), steps=st.integers(1, 60))
def test_any_next_steps_are_those_of_pandas(moment: dt.datetime, alias: str, steps: int) -> None:
    start = first_on_grid(moment, alias)
    frequency = parse_frequency(alias)
    expected = pd.date_range(start, periods=steps + 1, freq=alias)
    assert [pd.Timestamp(found) for found in frequency.after(start.to_pydatetime(), steps)] == list(expected[1:])
    seconds = np.array([to_second(one.to_pydatetime()) for one in expected])
    origin = frequency.ordinal(start.to_pydatetime())
    assert frequency.steps(seconds, origin).tolist() == list(range(steps + 1))
    assert frequency.on_grid(seconds, origin).all()


@settings(max_examples=60, deadline=None)
@given(moment=MOMENTS, alias=st.sampled_from([alias for alias in ALIASES if not alias[0].isdigit()]))
def test_a_moment_is_on_the_grid_where_pandas_says_so(moment: dt.datetime, alias: str) -> None:
    frequency = parse_frequency(alias)
    for found in (moment, moment.replace(hour=0, minute=0, second=0)):
        second = np.array([to_second(found)])
        # pandas leaves the time of day out of account: a day on the grid at 14:00 is on its offset.
        expected = pd.tseries.frequencies.to_offset(alias).is_on_offset(pd.Timestamp(found))
        sizes = {"h": 3600, "min": 60}
        expected = bool(expected) and to_second(found) % sizes.get(alias, 86_400) == 0
        assert bool(frequency.on_grid(second, frequency.ordinal(found))[0]) == expected


@settings(max_examples=60, deadline=None)
@given(moment=MOMENTS, alias=st.sampled_from(["D", *WEEKS, "MS", "ME", "QS", "h", "min"]))
def test_a_finer_row_counts_to_the_period_that_pandas_resamples_it_to(moment: dt.datetime, alias: str) -> None:
    frequency = parse_frequency(alias)
    label = pd.Series([1], index=[pd.Timestamp(moment)]).resample(alias).sum().index[0]
    origin = frequency.ordinal(label.to_pydatetime())
    assert frequency.steps(np.array([to_second(moment)]), origin).tolist() == [0]
    assert frequency.begin(origin, 0) <= to_second(moment) < frequency.begin(origin, 1)


@pytest.mark.parametrize(
    ("alias", "season"),
    [
        ("D", 7),
        ("B", 5),
        ("W-WED", 52),
        ("MS", 12),
        ("ME", 12),
        ("QS", 4),
        ("h", 24),
        ("15min", 96),
        ("4h", 6),
        ("2W-SUN", 26),
        ("2D", 7),
        ("30min", 48),
        ("5h", 24),
    ],
)
def test_the_season_follows_from_the_frequency(alias: str, season: int) -> None:
    assert parse_frequency(alias).season == season


@pytest.mark.parametrize("alias", [*(alias for alias in ALIASES if alias != "5B"), "3ME", "12MS", "6MS"])
def test_the_frequency_is_found_in_the_moments(alias: str) -> None:
    moments = pd.date_range("2025-11-05", periods=60, freq=alias)
    seconds = np.array([to_second(moment.to_pydatetime()) for moment in moments])
    assert infer_frequency(seconds, np.ones(60, np.int64)).alias == alias


def test_a_few_stray_rows_do_not_change_what_is_inferred() -> None:
    days = np.arange(20_000, 20_100) * 86_400
    seconds = np.sort(np.append(days, days[50] + 43_200))
    assert infer_frequency(seconds, np.where(seconds % 86_400 == 0, 50, 1)) == Frequency(unit="D")


@pytest.mark.parametrize(
    ("moments", "apart"),
    [
        (pd.date_range("2022-01-15", periods=40, freq=pd.DateOffset(months=1)), 31),
        (pd.date_range("2022-01-01", periods=40, freq="BME"), 30),
        (pd.to_datetime(["2026-01-01", "2026-01-03", "2026-01-09", "2026-02-01", "2026-02-20"]), 12),
    ],
)
def test_rows_days_apart_on_no_grid_are_no_daily_history(moments: pd.DatetimeIndex, apart: int) -> None:
    seconds = np.array([to_second(moment.to_pydatetime()) for moment in moments])
    with pytest.raises(ValueError, match=f"the rows lie {apart} days apart as a rule"):
        infer_frequency(seconds, np.ones(len(seconds), np.int64))


@pytest.mark.parametrize("hour", [22, 23])
def test_days_that_begin_elsewhere_are_no_frequency(hour: int) -> None:
    seconds = np.arange(20_000, 20_040) * 86_400 + hour * 3_600
    with pytest.raises(ValueError, match=f"24 hours apart and not at midnight, as 2024-11-12T{hour}:00:00"):
        infer_frequency(seconds, np.ones(40, np.int64))


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("H", "write h"),
        ("M", "write ME"),
        ("15T", "write 15min"),
        ("QE-DEC", "write 3ME$"),
        ("2Q-FEB", "write 6ME, or with aggregate 2QS-MAR$"),
        ("2YS", "write 24MS$"),
        ("W-XYZ", "no such anchor"),
        ("D-MON", "no such anchor"),
        ("0D", "not known"),
        ("-1D", "not known"),
        ("daily", "write D, B, W-SUN"),
        ("", "write D, B, W-SUN"),
    ],
)
def test_another_alias_is_refused_with_what_to_write(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        parse_frequency(text)


@pytest.mark.parametrize("text", ["2026-11-22", "2026-11-22T14:00:00"])
def test_a_moment_is_a_date_or_a_time(text: str) -> None:
    assert parse_moment(text).isoformat() == text


@pytest.mark.parametrize("text", ["20261122", "2026-W47-7", "2026-11-22T14", "2026-11-22T14:00:00Z", "22.11.2026", ""])
def test_another_text_is_no_moment(text: str) -> None:
    with pytest.raises(ValueError, match=r"neither|Invalid|isoformat"):
        parse_moment(text)
