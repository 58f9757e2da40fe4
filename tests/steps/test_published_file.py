"""What is read of published files where some items and dates are asked for."""

from __future__ import annotations

import hashlib
import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from failing_store import FailingStore

from batchcast.steps.publish.forecast_table import ForecastRows, write_forecasts
from batchcast.steps.publish.published_file import chosen_rows
from batchcast.steps.store.objects import DirectoryStore

PREFIX = "s3://bucket/run/"
ITEMS, STEPS = 30, 3
DAYS = [datetime(2026, 11, 23) + timedelta(days=step) for step in range(STEPS)]
ROWS = [
    {"item_id": f"item{item:03d}", "forecast_date": day.date(), "sales": 1.0 * item}
    for item in range(ITEMS)
    for day in DAYS
]
SCHEMA = pa.schema([("item_id", pa.string()), ("forecast_date", pa.date32()), ("sales", pa.float64())])


def published(root: Path, **options: Any) -> tuple[DirectoryStore, list[dict[str, Any]]]:
    """Nine files of ten rows in row groups of four, so that an item may be in two of either."""
    store, files = DirectoryStore(root), []
    for number in range(9):
        path = root / "file.parquet"
        table = pa.Table.from_pylist(ROWS[number * 10 : number * 10 + 10], schema=SCHEMA)
        pq.write_table(table, path, row_group_size=4, **options)
        data = path.read_bytes()
        store.write(f"{PREFIX}{number}.parquet", data)
        digest = hashlib.sha256(data).hexdigest()
        files.append({"name": f"{number}.parquet", "bytes": len(data), "sha256": digest})
    return store, files


@pytest.mark.parametrize("statistics", [True, False])
def test_the_rows_that_are_asked_for_are_there_in_order_and_no_other(tmp_path: Path, statistics: bool) -> None:
    store, files = published(tmp_path, write_statistics=statistics)
    dice = random.Random(1)
    names = [f"item{item:03d}" for item in range(-1, ITEMS + 1)]
    for _ in range(60):
        items = dice.choice([None, sorted(dice.sample(names, dice.randrange(6)))])
        days = dice.choice([None, dice.sample(DAYS, dice.randrange(STEPS))])
        dates = None if days is None else pa.array(days, pa.timestamp("us"))
        columns = dice.choice([None, ["sales"], ["sales", "item_id"]])
        found = pa.concat_tables(chosen_rows(store, PREFIX, files, columns, items, dates))
        wanted = [
            {name: row[name] for name in columns or SCHEMA.names}
            for row in ROWS
            if (items is None or row["item_id"] in items)
            and (days is None or row["forecast_date"] in [d.date() for d in days])
        ]
        assert found.to_pylist() == wanted
        assert found.column_names == (columns or SCHEMA.names)


def test_of_one_item_few_files_are_read(tmp_path: Path) -> None:
    store, files = published(tmp_path)
    for row in ROWS:
        counted: Any = FailingStore(store)
        assert sum(map(len, chosen_rows(counted, PREFIX, files, None, [row["item_id"]]))) == STEPS
        assert len(counted.operations) <= 4


@pytest.mark.parametrize(("repeated", "expected"), [(True, True), (False, False)])
def test_numbers_are_kept_by_a_dictionary_only_where_they_repeat(
    tmp_path: Path, repeated: bool, expected: bool
) -> None:
    items = 10_000
    values = np.random.default_rng(1).random((items, STEPS, 1)) * 100
    rows = ForecastRows(
        item_ids=pa.chunked_array([pa.array([f"item{item:05d}" for item in range(items)])]),
        values=np.round(values) if repeated else values,
        places=np.arange(items),
        dates=[day.date().isoformat() for day in DAYS],
        targets=["sales"],
    )
    [file] = write_forecasts(rows, tmp_path, lambda _: None)
    written = pq.ParquetFile(tmp_path / file["name"])
    columns = {each["path_in_schema"]: each for each in written.metadata.row_group(0).to_dict()["columns"]}
    assert columns["item_id"]["has_dictionary_page"]
    assert columns["sales"]["has_dictionary_page"] is expected
    assert written.read()["sales"].to_numpy().tolist() == rows.values.ravel().tolist()
