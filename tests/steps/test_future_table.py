"""Rows that are known of the steps after the run date, from files of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from shard_build import DAILY_CONTRACT, Build, build, daily_rows, write_files

from batchcast.steps.history.folders import FUTURE_FOLDER, STATIC_FILE, history_folder

CONTRACT = DAILY_CONTRACT.replace('targets = ["sales"]', 'targets = ["sales"]\nfuture = ["price", "promo"]').replace(
    '{"item_id": $item_id,', '{"item_id": $item_id, "known": $future({"price": $price, "promo": $promo}),'
)
KNOWN = [[10, "a"], [11, None]] * 2


def history(days: int = 3, **columns: Any) -> pa.Table:
    """Rows of two items up to 2026-01-03, or on."""
    rows = daily_rows(["a", "b"], days)
    given = {"price": list(range(2 * days)), "promo": ["x"] * 2 * days} | columns
    for name, values in given.items():
        rows = rows.append_column(name, values if isinstance(values, pa.Array) else pa.array(values))
    return rows


def future(first: str = "2026-01-04", days: int = 2, **columns: Any) -> pa.Table:
    rows = daily_rows(["a", "b"], days, first=first).drop_columns(["sales"])
    given = {"price": [10, 11] * days, "promo": ["a", None] * days} | columns
    for name, values in given.items():
        rows = rows.append_column(name, pa.array(values))
    return rows


def made(
    root: Path, known: dict[str, pa.Table], contract: str = CONTRACT, rows: pa.Table | None = None, **flags: Any
) -> Build:
    folder = root / "processing/input/history"
    write_files(folder, [history() if rows is None else rows])
    for name, table in known.items():
        path = folder / FUTURE_FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)
    return build(root, contract, None, **({"forecast_horizon": 2} | flags))


def known_to(found: Build) -> dict[str, list[list[Any]]]:
    assert (found.exit_code, found.reasons) == (0, {})
    return {item: [[row["price"], row["promo"]] for row in body["known"]] for item, body in found.records.items()}


WANTED = {"a": [[10, "a"], [11, None]], "b": [[10, "a"], [11, None]]}


@pytest.mark.parametrize("types", [pa.int64(), pa.float64(), pa.decimal128(24, 2)])
def test_they_are_joined_with_the_items_whatever_type_the_targets_have(tmp_path: Path, types: pa.DataType) -> None:
    rows = history()
    rows = rows.set_column(2, "sales", rows.column("sales").cast(types))
    assert known_to(made(tmp_path, {"p.parquet": future()}, rows=rows)) == WANTED


def test_any_files_and_folders_give_the_same(tmp_path: Path) -> None:
    table = future(extra=[1] * 4)
    parts = {
        f"item={item}/p.parquet": table.filter(pa.array([name == item for name in table["item"].to_pylist()]))
        for item in "ab"
    }
    parts = {name: part.drop_columns(["item"]) for name, part in parts.items()}
    assert known_to(made(tmp_path, parts)) == WANTED


def test_rows_up_to_the_run_date_are_told_by_the_history_alone(tmp_path: Path) -> None:
    found = made(tmp_path, {"p.parquet": future("2026-01-02", 5, price=[7, 8, 10, 11, 9] * 2, promo=list("..ab.") * 2)})
    assert [[row["price"] for row in body["known"]] for body in found.records.values()] == [[10, 11]] * 2
    assert found.manifest.run_date.isoformat() == "2026-01-03"
    assert [row["actual"] for row in found.baseline if row["step"] in (-1, 0)] == [1.0, 2.0, 4.0, 5.0]


def test_plans_of_years_ahead_move_neither_run_date_nor_frequency(tmp_path: Path) -> None:
    found = made(tmp_path, {"p.parquet": future("2026-01-04", 900, price=[1] * 1800, promo=["a"] * 1800)})
    assert (found.manifest.run_date.isoformat(), found.manifest.frequency) == ("2026-01-03", "D")


def test_a_backfill_has_the_known_values_and_the_actual_ones(tmp_path: Path) -> None:
    later = history(
        5, price=[0, 1, 2, 10, None, 0, 1, 2, None, 11], promo=["x"] * 3 + [None] * 2 + ["x"] * 3 + ["a", None]
    )
    found = made(tmp_path, {"p.parquet": future()}, rows=later, run_date="2026-01-03")
    assert known_to(found) == WANTED
    assert [row["actual"] for row in found.baseline if row["step"] > 0] == [3.0, 4.0, 8.0, 9.0]


def test_rows_that_contradict_spoil_their_item_alone(tmp_path: Path) -> None:
    later = history(
        5, price=[0, 1, 2, 12, 11, 0, 1, 2, 10, 11], promo=["x"] * 3 + ["a", None] + ["x"] * 3 + ["a", None]
    )
    found = made(tmp_path, {"p.parquet": future()}, rows=later, run_date="2026-01-03")
    assert found.reasons == {"a": "duplicate_date"}
    assert list(found.records) == ["b"]


def test_a_moment_that_two_files_tell_apart_spoils_the_item(tmp_path: Path) -> None:
    again = future("2026-01-05", 1, price=[11, 12], promo=[None, None]).slice(1)
    found = made(tmp_path, {"p.parquet": future(), "q.parquet": again})
    assert found.reasons == {"b": "duplicate_date"}


def test_an_item_without_known_rows_is_quarantined(tmp_path: Path) -> None:
    assert made(tmp_path, {"p.parquet": future().slice(0, 3)}).reasons == {"b": "missing_future"}


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({}, "_future: there is no Parquet file, and future = ['price', 'promo'] needs one"),
        ({"p.parquet": future(sales=[None] * 4)}, "_future/p.parquet: has the target 'sales'"),
        ({"p.parquet": future().drop_columns(["promo"])}, "_future/p.parquet: has no column 'promo'"),
        ({"p.parquet": future(price=[1.5] * 4)}, "column 'price' is double here and int64 in part-0.parquet"),
    ],
)
def test_a_table_that_cannot_be_joined_is_refused(tmp_path: Path, known: Any, expected: str) -> None:
    found = made(tmp_path, known)
    assert found.exit_code == 3
    assert expected in found.message


@pytest.mark.parametrize(
    ("future_columns", "expected"),
    [
        ('["price"]', "future = ['price'], and $future or $both name price, promo"),
        ('["price", "promo", "x"]', "name price, promo"),
        ('["price", "promo", "sales"]', "column 'sales' is named twice"),
    ],
)
def test_a_declaration_that_contradicts_the_template_is_refused(
    tmp_path: Path, future_columns: str, expected: str
) -> None:
    found = made(tmp_path, {"p.parquet": future()}, CONTRACT.replace('["price", "promo"]', future_columns))
    assert found.exit_code == 2
    assert expected in found.message


def test_beside_a_history_of_one_file(tmp_path: Path) -> None:
    pq.write_table(history(), tmp_path / "sales.parquet")
    (tmp_path / FUTURE_FOLDER).mkdir()
    folder = history_folder(str(tmp_path / "sales.parquet"), tmp_path / "linked")
    assert sorted(path.name for path in folder.iterdir()) == [FUTURE_FOLDER, "sales.parquet"]
    assert STATIC_FILE not in {path.name for path in folder.iterdir()}
