"""Which steps the rows fill that are put together, and where steps of several base periods begin."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from batchcast.steps.contract.frequency import parse_frequency, to_moment, to_second
from batchcast.steps.history.whole_steps import last_whole_step, step_origin


@pytest.mark.parametrize(
    ("rows", "alias", "last", "whole"),
    [
        (pd.date_range("2026-01-05", "2026-03-05"), "W-SUN", "2026-03-08", False),
        (pd.date_range("2026-01-05", "2026-03-08"), "W-SUN", "2026-03-08", True),
        (pd.bdate_range("2026-01-05", "2026-03-06"), "W-SUN", "2026-03-08", True),
        (pd.bdate_range("2025-01-01", "2026-01-30"), "MS", "2026-01-01", True),
        (pd.date_range("2025-01-01", "2026-01-27"), "ME", "2026-01-31", False),
        (pd.date_range("2026-01-05", "2026-01-20T04:00", freq="h"), "D", "2026-01-20", False),
        (pd.date_range("2026-01-05", "2026-01-20T23:00", freq="h"), "D", "2026-01-20", True),
        (pd.date_range("2025-01-15", periods=12, freq=pd.DateOffset(months=1)), "MS", "2025-12-01", True),
        (pd.date_range("2026-01-05", "2026-01-06"), "W-SUN", "2026-01-11", False),
    ],
)
def test_the_last_whole_step(rows: pd.DatetimeIndex, alias: str, last: str, whole: bool) -> None:
    frequency = parse_frequency(alias)
    seconds = np.array([to_second(moment.to_pydatetime()) for moment in rows])
    assert last_whole_step(seconds, frequency, frequency.ordinal(dt.date.fromisoformat(last))) == -(not whole)


@pytest.mark.parametrize(
    ("alias", "rows", "run_date"),
    [
        # the calendar's steps
        ("3ME", pd.date_range("2024-01-01", "2026-02-28"), "2025-12-31"),
        ("3ME", pd.date_range("2024-01-31", "2026-02-28", freq="ME"), "2025-12-31"),
        ("3MS", pd.date_range("2024-01-01", "2026-02-28"), "2025-10-01"),
        ("12ME", pd.date_range("2020-01-01", "2026-02-28"), "2025-12-31"),
        ("4h", pd.date_range("2026-01-05", "2026-01-20T22:00", freq="h"), "2026-01-20T16:00:00"),
        ("4h", pd.date_range("2026-01-05", "2026-01-20T23:00", freq="h"), "2026-01-20T20:00:00"),
        ("15min", pd.date_range("2026-01-05", "2026-01-05T10:10", freq="5min"), "2026-01-05T10:00:00"),
        # the rows' own
        ("3ME", pd.date_range("2022-02-28", "2026-02-28", freq="3ME"), "2026-02-28"),
        ("2MS", pd.date_range("2024-02-01", "2026-02-01", freq="2MS"), "2026-02-01"),
        ("2h", pd.date_range("2026-01-05T01:00", "2026-01-20T23:00", freq="2h"), "2026-01-20T23:00:00"),
        # no calendar's: the last that has ended ends a step
        ("2D", pd.date_range("2026-01-05", "2026-01-20T05:00", freq="h"), "2026-01-18"),
        ("2W-SUN", pd.date_range("2025-01-05", "2026-03-04"), "2026-03-01"),
        ("5MS", pd.date_range("2024-01-01", "2026-02-28"), "2025-10-01"),
    ],
)
def test_the_last_whole_step_of_several_base_periods(alias: str, rows: pd.DatetimeIndex, run_date: str) -> None:
    frequency = parse_frequency(alias)
    seconds = np.array([to_second(moment.to_pydatetime()) for moment in rows])
    origin = step_origin(seconds, frequency)
    last = origin + last_whole_step(seconds, frequency, origin) * frequency.multiple
    assert to_moment(int(frequency.seconds(np.array([last]))[0]), frequency).isoformat() == run_date
