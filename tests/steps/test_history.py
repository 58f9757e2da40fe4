"""A history that is not what the contract declares: each fault is named with file, column and remedy."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from shard_build import DAILY_CONTRACT, build, daily_rows

PROMO = DAILY_CONTRACT.replace('{"date": $date,', '{"promo": $promo, "date": $date,')
LIST = pa.array([[1], [2]], pa.list_(pa.int8()))
ZONED = pa.array([dt.datetime(2026, 1, 1)] * 2, pa.timestamp("us", tz="Europe/Berlin"))


def with_column(name: str, column: pa.Array) -> pa.Table:
    table = daily_rows(["a"], 2).append_column("promo", pa.array([1, 2]))
    return table.set_column(table.schema.get_field_index(name), name, column)


@pytest.mark.parametrize(
    ("name", "column", "expected"),
    [
        ("date", ZONED, "column 'date' is timestamp[us, tz=Europe/Berlin]; with a time zone the day of a row depends"),
        ("date", pa.array(["2026-01-01"] * 2), "column 'date' is string; the date must be a date or a timestamp"),
        ("date", pa.nulls(2), "column 'date' is null in every file"),
        ("sales", pa.array(["1", "2"]), "column 'sales' is string; a target must be a number"),
        ("sales", pa.array([True, False]), "column 'sales' is bool; a target must be a number"),
        ("item", pa.array([1.0, 2.0]), "column 'item' is double; an id must be text or a whole number"),
        ("promo", LIST, "column 'promo' is list<element: int8>; it has no exact JSON form"),
        ("promo", pa.array([b"x", b"y"]), "column 'promo' is binary; it has no exact JSON form"),
        ("promo", ZONED, "column 'promo' is timestamp[us, tz=Europe/Berlin]; with a time zone"),
        ("promo", pa.array([1, 2], pa.time32("s")), "column 'promo' is time32"),
        ("promo", pa.array(np.array([1, 2], np.float16)), "column 'promo' is halffloat; it has no exact JSON form"),
    ],
)
def test_a_type_that_cannot_be_used_is_named(tmp_path: Path, name: str, column: pa.Array, expected: str) -> None:
    made = build(tmp_path, PROMO, [with_column(name, column)])
    assert made.exit_code == 3
    assert expected in made.message


def test_a_column_that_is_missing_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    made = build(tmp_path, PROMO, [daily_rows(["a"])])
    assert made.exit_code == 3
    assert "part-0.parquet: has no column 'promo', or has it twice; it has item, date, sales." in made.message


@pytest.mark.parametrize(
    ("one", "two", "first", "second"),
    [
        (pa.array([1, 2]), pa.array([1.0, 2.5]), "int64", "double"),
        (pa.array([1.0, 2.0], pa.float32()), pa.array([1.0, 2.0]), "float", "double"),
        (pa.array([1, 2], pa.uint64()), pa.array([1, 2]), "uint64", "int64"),
        (pa.array([1, 2]), pa.array(["1", "2"]), "int64", "string"),
        (pa.array([True, False]), pa.array([1, 0]), "bool", "int64"),
        (pa.array([1, 2], pa.decimal128(5, 1)), pa.array([1, 2], pa.decimal128(5, 2)), "decimal128(5, 1)", "(5, 2)"),
    ],
)
def test_types_that_drift_from_file_to_file_are_refused_with_both_files(
    tmp_path: Path, one: pa.Array, two: pa.Array, first: str, second: str
) -> None:
    empty = with_column("promo", pa.nulls(2))
    same, other = with_column("promo", one), with_column("promo", two)
    made = build(tmp_path, PROMO, [empty, same, same, other])
    assert made.exit_code == 3
    assert "part-3.parquet: column 'promo' is " in made.message
    assert f"{second} here and {first} in part-1.parquet" in made.message


def test_all_that_is_wrong_is_reported_together(tmp_path: Path) -> None:
    table = with_column("date", ZONED).drop_columns(["promo"])
    made = build(tmp_path, PROMO, [table])
    assert made.message.count("DataError") == 2


def test_an_empty_prefix_is_refused(tmp_path: Path) -> None:
    made = build(tmp_path, DAILY_CONTRACT, None)
    assert made.exit_code == 3
    assert "there is no Parquet file. Check HistoryUri." in made.message


def test_a_file_that_is_not_parquet_is_named(tmp_path: Path) -> None:
    build(tmp_path, DAILY_CONTRACT, [daily_rows(["a"])])
    (tmp_path / "processing/input/history/notes.csv").write_text("a,b\n1,2\n")
    made = build(tmp_path, DAILY_CONTRACT, None)
    assert made.exit_code == 3
    assert "notes.csv: is a CSV file, not Parquet" in made.message


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    build(tmp_path, DAILY_CONTRACT, [daily_rows(["a"], 500)])
    path = tmp_path / "processing/input/history/part-0.parquet"
    data = bytearray(path.read_bytes())
    data[4:400] = bytes(396)
    path.write_bytes(data)
    made = build(tmp_path, DAILY_CONTRACT, None)
    assert made.exit_code == 3
    assert "part-0.parquet: cannot be read" in made.message


def test_text_that_is_not_utf8_is_named_with_its_column(tmp_path: Path) -> None:
    bad = pa.Array.from_buffers(pa.string(), 2, pa.array([b"\xff", b"y"]).buffers())
    made = build(tmp_path, PROMO, [with_column("promo", bad)])
    assert made.exit_code == 3
    assert "part-0.parquet: column 'promo' cannot be read as string" in made.message
    made = build(tmp_path, PROMO, [with_column("item", bad)])
    assert made.exit_code == 3
    assert "part-0.parquet: column 'item' cannot be read as" in made.message


def test_hidden_files_are_no_data_and_folders_are_searched(tmp_path: Path) -> None:
    history = tmp_path / "processing/input/history"
    build(tmp_path, DAILY_CONTRACT, [daily_rows(["a"])])
    (history / "_SUCCESS").touch()
    (history / ".part.parquet.crc").write_bytes(b"x")
    (history / ".checkpoints").mkdir()
    pq.write_table(daily_rows(["a"]), history / ".checkpoints/part-0.parquet")
    (history / "2026/02").mkdir(parents=True)
    pq.write_table(daily_rows(["b"]), history / "2026/02/more")
    made = build(tmp_path, DAILY_CONTRACT, None)
    assert (list(made.records), made.reasons) == (["a", "b"], {})


@pytest.mark.parametrize(
    ("folder", "expected"),
    [("_delta_log", "Delta table"), (".hoodie", "Hudi table"), ("_temporary", "unfinished output")],
)
def test_a_table_whose_files_are_not_all_data_is_refused(tmp_path: Path, folder: str, expected: str) -> None:
    build(tmp_path, DAILY_CONTRACT, [daily_rows(["a"])])
    (tmp_path / "processing/input/history" / folder).mkdir()
    made = build(tmp_path, DAILY_CONTRACT, None)
    assert made.exit_code == 3
    assert expected in made.message


def test_a_directory_date_that_is_no_date_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "processing/input/history/date=soon"
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"item": ["a"], "sales": [1]}), folder / "part.parquet")
    made = build(tmp_path, DAILY_CONTRACT, None, run_date="2026-01-01")
    assert made.exit_code == 3
    assert "date=soon/part.parquet: its folder says date = 'soon', which is no day." in made.message


def test_a_directory_value_that_is_null_has_no_item(tmp_path: Path) -> None:
    history = tmp_path / "processing/input/history"
    for value in ("x", "__HIVE_DEFAULT_PARTITION__"):
        (history / f"item={value}").mkdir(parents=True)
        pq.write_table(daily_rows(["a"], 2).drop_columns(["item"]), history / f"item={value}" / "part.parquet")
    made = build(tmp_path, DAILY_CONTRACT, None)
    assert made.reasons == {"(null)": "null_key"}
    assert list(made.records) == ["x"]


def test_two_items_with_one_id_are_refused(tmp_path: Path) -> None:
    table = pa.table({"item": ["a/b", "a"], "part": ["c", "b/c"], "date": [dt.date(2026, 1, 1)] * 2, "sales": [1, 2]})
    made = build(tmp_path, DAILY_CONTRACT.replace('item_id = ["item"]', 'item_id = ["item", "part"]'), [table])
    assert made.exit_code == 3
    assert "both give the item id 'a/b/c'" in made.message


def test_timestamps_of_old_spark_files_are_read(tmp_path: Path) -> None:
    table = daily_rows(["a"], 2)
    table = table.set_column(1, "date", table.column("date").cast(pa.timestamp("ns")))
    history = tmp_path / "processing/input/history"
    history.mkdir(parents=True)
    pq.write_table(table, history / "spark.parquet", use_deprecated_int96_timestamps=True)
    contract = DAILY_CONTRACT.replace("[series]", '[series]\ntimezone = "UTC"')
    assert build(tmp_path, contract, None).records["a"]["rows"][1]["date"] == "2026-01-02T00:00:00"


def test_a_history_without_any_value_has_no_automatic_run_date(tmp_path: Path) -> None:
    made = build(tmp_path, DAILY_CONTRACT, [daily_rows(["a"], 2, sales=[None, None]).cast(daily_rows(["a"], 2).schema)])
    assert made.exit_code == 3
    assert "no row up to now has a date and one of the targets sales" in made.message


@pytest.mark.parametrize("form", ["%Y-%m-%d", "%Y%m%d", "%Y-%m-%d 00%%3A00%%3A00"])
def test_a_folder_names_a_day_as_hive_and_pandas_do(tmp_path: Path, form: str) -> None:
    for row in range(3):
        table = daily_rows(["a"], 3).slice(row, 1)
        day = table["date"][0].as_py()
        folder = tmp_path / "processing/input/history" / f"date={day.strftime(form)}"
        folder.mkdir(parents=True)
        pq.write_table(table.drop_columns(["date"]), folder / "part.parquet")
    made = build(tmp_path, DAILY_CONTRACT, None)
    assert made.exit_code == 0, made.message


@pytest.mark.parametrize("text", ["05-01-2026", "2026-01", "2026-W05", "2026-01-05 12%3A00%3A00", "20261301"])
def test_a_folder_that_names_no_day_is_told_how(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "processing/input/history" / f"date={text}"
    folder.mkdir(parents=True)
    pq.write_table(daily_rows(["a"], 1).drop_columns(["date"]), folder / "part.parquet")
    made = build(tmp_path, DAILY_CONTRACT, None)
    assert "which is no day. Name the folder date=2026-01-31." in made.message


@pytest.mark.parametrize(
    ("name", "column", "remedy"),
    [
        ("date", pa.array([20260101, 20260102]), "pandas.to_datetime(frame['date'].astype(str), format=\"%Y%m%d\")"),
        (
            "date",
            pa.array(["01/02/2026"] * 2),
            "pandas.to_datetime(frame['date'], format=\"%Y-%m-%d\"), with the format",
        ),
        ("item", pa.array([1.0, 2.0]), "frame['item'].astype(\"Int64\")"),
        ("sales", pa.array([True, False]), "frame['sales'].astype(int)"),
        ("sales", pa.array(["1,5", "2"]), "after a decimal comma is a point"),
    ],
)
def test_a_remedy_does_not_guess_what_a_value_means(tmp_path: Path, name: str, column: pa.Array, remedy: str) -> None:
    assert remedy in build(tmp_path, PROMO, [with_column(name, column)]).message
