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

__all__ = ["KNOWN", "Matrix", "Panel", "Vector", "day_features", "feature_names"]

Matrix: TypeAlias = NDArray[np.float64]  # (series, days) or (series, features)
Vector: TypeAlias = NDArray[np.float64]  # (series,)

KNOWN = ("promo", "holiday", "holiday_soon", "school_holiday")
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
    """The features of the day in column `day`, one column each, and the level of each series before that day."""
    level = _level(panel.sales[:, :day])
    return np.column_stack(list(_columns(panel, day, level).values())), level


def feature_names() -> list[str]:
    """The names of the features, in the order of their columns."""
    nothing = np.zeros((0, 1))
    panel = Panel(first_day=date(2000, 1, 1), sales=nothing, known=dict.fromkeys(KNOWN, nothing))
    return list(_columns(panel, 0, nothing[:, 0]))


def _columns(panel: Panel, day: int, level: Vector) -> dict[str, Vector]:
    sales, known = panel.sales, panel.known
    past = sales[:, :day]
    typical = np.maximum(_mean(past), LEVEL_FLOOR)
    last_year = np.maximum(_mean(_days(sales, day - YEAR - 28, day - YEAR + 28)), LEVEL_FLOOR)
    weekdays = sales[:, day - 7 :: -7][:, :8] if day >= 7 else sales[:, :0]
    when = panel.first_day + timedelta(days=day)
    return {
        "weekday": np.full(len(sales), float(when.weekday())),
        "day_of_year": np.full(len(sales), float(when.timetuple().tm_yday)),
        "promo": known["promo"][:, day],
        "promo_last_week": _ago(known["promo"], day, 7),
        "holiday": known["holiday"][:, day],
        "holiday_yesterday": _ago(known["holiday"], day, 1),
        "holiday_last_week": _ago(known["holiday"], day, 7),
        "holiday_soon": known["holiday_soon"][:, day],
        "school_holiday": known["school_holiday"][:, day],
        "school_holiday_last_week": _ago(known["school_holiday"], day, 7),
        "sales_yesterday": _ago(sales, day, 1) / level,
        "sales_1_week_ago": _ago(sales, day, 7) / level,
        "sales_2_weeks_ago": _ago(sales, day, 14) / level,
        "sales_3_weeks_ago": _ago(sales, day, 21) / level,
        "sales_4_weeks_ago": _ago(sales, day, 28) / level,
        "mean_of_7_days": _mean(past[:, -7:]) / level,
        "mean_of_28_days": _mean(past[:, -28:]) / level,
        "mean_of_4_weekdays": _mean(weekdays[:, :4]) / level,
        "mean_of_8_weekdays": _mean(weekdays) / level,
        "median_of_8_weekdays": _median(weekdays) / level,
        "mean_of_holidays": _mean(np.where(known["holiday"][:, :day] > 0, past, np.nan)) / typical,
        "mean_of_promos": _mean(np.where(known["promo"][:, :day] > 0, past, np.nan)) / typical,
        "same_day_last_year": _ago(sales, day, YEAR) / last_year,
        "same_fortnight_last_year": _mean(_days(sales, day - YEAR - 7, day - YEAR + 8)) / last_year,
        "level": level,
    }


def _level(past: Matrix) -> Vector:
    recent = _mean(past[:, -LEVEL_DAYS:])
    return np.maximum(np.where(np.isnan(recent), _mean(past), recent), LEVEL_FLOOR)


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
