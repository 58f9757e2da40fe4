"""The history is the data set it says it is, in the shape that real ones come in."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from collections import Counter
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bakery_server import Record

from batchcast.steps.contract.answer_path import value_at
from batchcast.steps.contract.model_contract import read_contract

FIRST_DAY, LAST_DAY = date(2016, 1, 2), date(2019, 4, 30)
KEYS = ("store", "product", "date")


@pytest.fixture(scope="module")
def files(bakery: Path) -> dict[str, pa.Table]:
    """Each file's rows in the order of the file."""
    return {path.name: pq.read_table(path) for path in sorted((bakery / "history").iterdir())}


def test_it_is_one_file_a_month_from_january_2016_to_april_2019(files: dict[str, pa.Table]) -> None:
    months = [f"{year}-{month:02}" for year in range(2016, 2020) for month in range(1, 13)][:40]
    assert list(files) == [f"sales-{month}.parquet" for month in months]
    for name, rows in files.items():
        assert {f"sales-{day:%Y-%m}.parquet" for day in rows["date"].to_pylist()} == {name}


def test_each_of_105_series_has_every_day_once(history: pa.Table) -> None:
    days = [FIRST_DAY + timedelta(days=step) for step in range((LAST_DAY - FIRST_DAY).days + 1)]
    assert len(history) == 127_575 == 105 * len(days)
    series = Counter(zip(history["store"].to_pylist(), history["product"].to_pylist(), strict=True))
    assert len(series) == 105
    assert history["date"].to_pylist() == days * 105


def test_every_series_spans_all_files(files: dict[str, pa.Table]) -> None:
    for rows in files.values():
        assert rows.group_by(["store", "product"]).aggregate([]).num_rows == 105


def test_rows_of_a_file_come_in_no_order(files: dict[str, pa.Table]) -> None:
    for rows in files.values():
        for key in KEYS:
            values = rows[key].to_pylist()
            descents = sum(later < earlier for earlier, later in pairwise(values))
            assert descents > len(values) / 4  # half of all pairs, less those that are equal


def test_columns_have_plain_types_and_no_nulls(files: dict[str, pa.Table]) -> None:
    flags = ("promo", "holiday", "holiday_soon", "school_holiday")
    expected = pa.schema(
        [
            ("store", pa.int32()),
            ("product", pa.int32()),
            ("date", pa.date32()),
            ("sales", pa.float64()),
            *((flag, pa.bool_()) for flag in flags),
            ("rain", pa.float32()),
            ("temperature", pa.float32()),
        ]
    )
    for rows in files.values():
        assert rows.schema.equals(expected, check_metadata=True)
        assert all(column.null_count == 0 for column in rows.columns)


def test_values_are_those_of_the_source(history: pa.Table) -> None:
    first = history.slice(0, 1).to_pylist()[0]
    assert (first["store"], first["product"], first["date"], first["sales"]) == (2, 101, FIRST_DAY, 254.0)
    sales = history["sales"].to_pylist()
    assert sum(value % 1 != 0 for value in sales) == 42
    assert (min(sales), max(sales)) == (0.0, 1783.0)
    assert sum(history["promo"].to_pylist()) == 12_495


def test_making_it_again_from_its_rows_gives_the_same_files(
    bakery: Path, history: pa.Table, files: dict[str, pa.Table], tmp_path: Path
) -> None:
    program = (
        "import sys, pyarrow.parquet as pq; from pathlib import Path; from make_history import write_history;"
        "list(write_history(pq.read_table(sys.argv[1]), Path(sys.argv[2])))"
    )
    pq.write_table(history, tmp_path / "rows.parquet")
    command = [sys.executable, "-c", program, str(tmp_path / "rows.parquet"), str(tmp_path / "history")]
    subprocess.run(command, cwd=bakery, check=True)
    again = {path.name: pq.read_table(path) for path in sorted((tmp_path / "history").iterdir())}
    assert again == files


def test_another_archive_is_refused_by_its_sha256(bakery: Path, tmp_path: Path) -> None:
    archive = tmp_path / "ddop-0.7.6.tar.gz"
    with tarfile.open(archive, "w:gz") as members:
        for name in ("bakery_data.csv", "bakery_target.csv"):
            content = b"demand\n1.0\n"
            member = tarfile.TarInfo(f"ddop-0.7.6/ddop/datasets/data/{name}")
            member.size = len(content)
            members.addfile(member, io.BytesIO(content))
    command = [sys.executable, str(bakery / "make_history.py"), str(archive), "--output", str(tmp_path / "history")]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "bakery_data.csv has SHA-256" in refused.stderr
    assert not (tmp_path / "history").exists()


def test_the_licence_of_the_data_lies_beside_it(bakery: Path) -> None:
    text = (bakery / "LICENSE-ddop.txt").read_text()
    assert "BSD 3-Clause License" in text
    assert "The ddop developers" in text


def test_the_contract_declares_the_record_that_the_server_reads(bakery: Path, records: dict[str, Record]) -> None:
    contract = read_contract(bakery / "model.toml")
    record = records["2/101"]
    assert [part.path for part in contract.request.row_lists] == [("historical_rows",), ("future_rows",)]
    for part in contract.request.row_lists:
        for column in part.columns:
            values = part.values(record, column.name)
            assert values and all(value is not None for value in values)
    assert value_at(record, ("forecast_days",)) == len(contract.request.row_lists[1].rows(record))
