"""Five histories as unlike as teams have them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

__all__ = ["daily_two_ids", "hourly_known", "monthly_text_id", "weekly_plain", "wide"]


def daily_two_ids(folder: Path) -> Path:
    """Stores and products, a promotion that ends with the sales, a text that no model reads."""
    dates = pd.date_range("2025-11-01", "2026-02-28", freq="D")
    rows = [
        {"store": store, "sku": sku, "day": day, "promo": int(n % 9 == 0), "units": 5.0 + store + n % 7, "note": "x"}
        for store in (1, 2, 3)
        for sku in ("bread", "roll")
        for n, day in enumerate(dates)
    ]
    return _write(pd.DataFrame(rows).assign(day=lambda frame: frame["day"].dt.date), folder)


def weekly_plain(folder: Path) -> Path:
    """One id, a week that ends on Wednesday, nothing else."""
    dates = pd.date_range("2024-01-03", periods=110, freq="W-WED")
    return _write(_long("unique_id", "ds", "y", dates, ["a", "b", "c", "d"]), folder)


def hourly_known(folder: Path) -> Path:
    """Hourly load with a temperature forecast that goes on for two days after the last load."""
    dates = pd.date_range("2026-01-01", periods=24 * 30, freq="h")
    frame = _long("location", "timestamp", "load", dates, ["north", "south"])
    frame["temperature"] = np.sin(np.arange(len(frame)) / 24.0)
    frame.loc[frame["timestamp"] > dates[-49], "load"] = None
    return _write(frame, folder)


def monthly_text_id(folder: Path) -> Path:
    """Months by their first day."""
    dates = pd.date_range("2018-01-01", periods=96, freq="MS")
    return _write(_long("item_id", "month", "demand", dates, ["007", "008"]), folder)


def wide(folder: Path) -> Path:
    """A column a series: no contract can say that."""
    dates = pd.date_range("2026-01-01", periods=60, freq="D")
    return _write(pd.DataFrame({"date": dates, **{f"shop{n}": np.arange(60.0) + n for n in range(5)}}), folder)


def _long(item_id: str, timestamp: str, target: str, dates: pd.DatetimeIndex, items: list[str]) -> pd.DataFrame:
    parts = [
        pd.DataFrame({item_id: item, timestamp: dates, target: 20.0 + number + np.arange(len(dates)) % 5})
        for number, item in enumerate(items)
    ]
    return pd.concat(parts, ignore_index=True)


def _write(frame: pd.DataFrame, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    shuffled = frame.sample(frac=1.0, random_state=7)
    shuffled.to_parquet(folder / "part-0.parquet", index=False)
    return folder
