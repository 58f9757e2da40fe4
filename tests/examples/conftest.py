"""The bakery sample as its users meet it: the files of its history, and its server over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bakery_server import BAKERY, Client, Record, RunningServer, running

RUN_DATE = date(2019, 3, 30)
KNOWN = ("promo", "holiday", "holiday_soon", "school_holiday")


@pytest.fixture(scope="session")
def bakery() -> Path:
    """The sample's folder."""
    return BAKERY


@pytest.fixture(scope="session")
def server() -> Iterator[RunningServer]:
    """A server with two workers that all tests share."""
    with running("--workers", "2") as shared:
        yield shared


@pytest.fixture
def client(server: RunningServer) -> Iterator[Client]:
    with server.connect() as connected:
        yield connected


@pytest.fixture(scope="session")
def history() -> pa.Table:
    """All rows, ordered by store, product and date, which is the order of their source."""
    rows = pa.concat_tables(pq.read_table(path) for path in sorted((BAKERY / "history").glob("*.parquet")))
    return rows.sort_by([("store", "ascending"), ("product", "ascending"), ("date", "ascending")])


@pytest.fixture(scope="session")
def records(history: pa.Table) -> dict[str, Record]:
    """A request for each item: the history up to the run date and what was known about the 31 days after it."""
    by_item: dict[str, Record] = {}
    for row in history.to_pylist():
        item_id = f"{row['store']}/{row['product']}"
        record = by_item.setdefault(
            item_id,
            {
                "request_type": "iterative_forecast",
                "item_id": item_id,
                "historical_rows": [],
                "future_rows": [],
                "forecast_days": 31,
                "target_cols": ["daily_sales"],
            },
        )
        known = {"date": row["date"].isoformat(), **{name: row[name] for name in KNOWN}}
        if row["date"] <= RUN_DATE:
            record["historical_rows"].append({**known, "sales": row["sales"]})
        else:
            record["future_rows"].append(known)
    return by_item
