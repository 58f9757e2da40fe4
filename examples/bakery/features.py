"""What the model is told about a day, computed the same way for training and for serving.

A `Panel` holds series side by side, one a row, one day a column. Training walks the days of the panel of all series;
serving walks the forecast days of a panel of one. A day's features use the sales of earlier days and what is known
about the day beforehand: calendar, holidays, promotion. The weather is not among them: it is unknown on a forecast day.
Sales enter as a share of the series' recent level, so small and large series teach each other and no id is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["FEATURES", "KNOWN", "Matrix", "Panel", "Vector", "day_features"]

Matrix: TypeAlias = NDArray[np.float64]  # (series, days) or (series, features)
Vector: TypeAlias = NDArray[np.float64]  # (series,)

KNOWN = ("promo", "holiday", "holiday_soon", "school_holiday")
FEATURES = (
    "weekday",
    "day_of_year",
    "promo",
    "promo_last_week",
    "holiday",
    "holiday_yesterday",
    "holiday_last_week",
    "holiday_soon",
    "school_holiday",
    "school_holiday_last_week",
    "sales_yesterday",
    "sales_1_week_ago",
    "sales_2_weeks_ago",
    "sales_3_weeks_ago",
    "sales_4_weeks_ago",
    "mean_of_7_days",
    "mean_of_28_days",
    "mean_of_4_weekdays",
    "mean_of_8_weekdays",
    "median_of_8_weekdays",
    "mean_of_holidays",
    "mean_of_promos",
    "same_day_last_year",
    "same_fortnight_last_year",
    "level",
)
LEVEL_DAYS = 56
LEVEL_FLOOR = 0.1  # pieces a day; keeps the shares of a series that sold nothing finite
YEAR = 364  # 52 weeks: the same weekday


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Series of consecutive days: `sales` and each of `KNOWN` are (series, days) matrices, NaN where unknown."""

    first_day: date
    sales: Matrix
    known: dict[str, Matrix]


def day_features(panel: Panel, day: int) -> tuple[Matrix, Vector]:
    """The features (series, len(FEATURES)) of the day in column `day`, and the levels (series,) they are shares of."""
    sales, known = panel.sales, panel.known
    past = sales[:, :day]
    level = np.maximum(_level(past), LEVEL_FLOOR)
    typical = np.maximum(_mean(past), LEVEL_FLOOR)
    last_year = np.maximum(_mean(_days(sales, day - YEAR - 28, day - YEAR + 28)), LEVEL_FLOOR)
    weekdays = sales[:, day - 7 :: -7][:, :8] if day >= 7 else sales[:, :0]
    when = panel.first_day + timedelta(days=day)
    columns = (
        np.full(len(sales), float(when.weekday())),
        np.full(len(sales), float(when.timetuple().tm_yday)),
        known["promo"][:, day],
        _ago(known["promo"], day, 7),
        known["holiday"][:, day],
        _ago(known["holiday"], day, 1),
        _ago(known["holiday"], day, 7),
        known["holiday_soon"][:, day],
        known["school_holiday"][:, day],
        _ago(known["school_holiday"], day, 7),
        _ago(sales, day, 1) / level,
        _ago(sales, day, 7) / level,
        _ago(sales, day, 14) / level,
        _ago(sales, day, 21) / level,
        _ago(sales, day, 28) / level,
        _mean(past[:, -7:]) / level,
        _mean(past[:, -28:]) / level,
        _mean(weekdays[:, :4]) / level,
        _mean(weekdays) / level,
        _median(weekdays) / level,
        _mean(np.where(known["holiday"][:, :day] > 0, past, np.nan)) / typical,
        _mean(np.where(known["promo"][:, :day] > 0, past, np.nan)) / typical,
        _ago(sales, day, YEAR) / last_year,
        _mean(_days(sales, day - YEAR - 7, day - YEAR + 8)) / last_year,
        level,
    )
    return np.column_stack(columns), level


def _level(past: Matrix) -> Vector:
    recent = _mean(past[:, -LEVEL_DAYS:])
    return np.where(np.isnan(recent), _mean(past), recent)


def _days(values: Matrix, start: int, end: int) -> Matrix:
    return values[:, max(start, 0) : max(end, 0)]


def _ago(values: Matrix, day: int, days: int) -> Vector:
    return values[:, day - days] if day >= days else np.full(len(values), np.nan)


def _mean(values: Matrix) -> Vector:
    known = ~np.isnan(values)
    count = known.sum(axis=1)
    total = np.where(known, values, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _median(values: Matrix) -> Vector:
    if values.shape[1] == 0:
        return np.full(len(values), np.nan)
    ordered = np.sort(values, axis=1)  # NaN last
    count = (~np.isnan(values)).sum(axis=1)
    middle = np.stack([np.maximum(count - 1, 0) // 2, count // 2], axis=1)
    return _mean(np.take_along_axis(ordered, middle, axis=1))
