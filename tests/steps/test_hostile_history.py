"""Histories that cannot be what they look like: each is refused by name, none hangs or ends without saying why."""

from __future__ import annotations

import datetime as dt
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from shard_build import DAILY_CONTRACT, Build, build, build_arguments, build_environment, daily_rows

from batchcast.steps.errors import ConfigError, DataError, parse_error
from batchcast.steps.history.folders import history_folder

FIXTURES = Path(__file__).parents[1] / "fixtures"
STORE = DAILY_CONTRACT.replace('item_id = ["item"]', 'item_id = ["store", "item"]')
BERLIN = DAILY_CONTRACT.replace("[series]", '[series]\ntimezone = "Europe/Berlin"')


def history(root: Path) -> Path:
    folder = root / "processing/input/history"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write(path: Path, table: pa.Table, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, **options)


def refused(made: Build) -> str:
    assert made.exit_code == 3
    assert made.message.startswith("DataError")
    return made.message


def in_a_process(root: Path, contract: str = DAILY_CONTRACT, **flags: object) -> tuple[int, str]:
    """Exit code and exit message of the step as a process of its own."""
    (root / "processing/input/contract").mkdir(parents=True, exist_ok=True)
    (root / "processing/input/contract/model.toml").write_text(contract)
    command = [sys.executable, "-m", "batchcast.steps", *build_arguments(**flags)]
    ended = subprocess.run(command, env={**os.environ, **build_environment(root)}, capture_output=True, timeout=60)
    message = root / "output/message"
    return ended.returncode, message.read_text() if message.is_file() else ""


@pytest.mark.parametrize("name", ["encrypted-date.parquet", "footer-abort.parquet"])
def test_a_file_on_which_readers_abort_is_named(tmp_path: Path, name: str) -> None:
    column = "day" if name == "footer-abort.parquet" else "date"
    contract = DAILY_CONTRACT.replace('timestamp = "date"', f'timestamp = "{column}"').replace("$date", f"${column}")
    rows = daily_rows(["a"], sales=[float(day) for day in range(10)])
    write(history(tmp_path) / "a.parquet", rows.rename_columns(["item", column, "sales"]))
    shutil.copy(FIXTURES / name, history(tmp_path) / f"z-{name}")
    code, message = in_a_process(tmp_path, contract)
    if name == "footer-abort.parquet" and pa.__version__.startswith("17."):
        assert (code, message) == (0, "")  # that release does not look at what is damaged, and reads every value right
        return
    assert code != 0
    assert isinstance(parse_error(message), DataError)
    # Newer releases of Arrow raise an error where older ones end the process.
    assert re.match(rf"DataError \[(unreadable|reader_aborted)\] z-{re.escape(name)}: ", message), message


def test_a_run_leaves_no_note_of_what_it_read(tmp_path: Path) -> None:
    write(history(tmp_path) / "a.parquet", daily_rows(["a"]))
    assert in_a_process(tmp_path) == (0, "")


def test_a_page_whose_checksum_is_wrong_is_refused(tmp_path: Path) -> None:
    shutil.copy(FIXTURES / "page-checksum-wrong.parquet", history(tmp_path) / "bad.parquet")
    contract = DAILY_CONTRACT.replace('timestamp = "date"', 'timestamp = "day"').replace("$date", "$day")
    message = refused(build(tmp_path, contract, None))
    assert "bad.parquet: cannot be read" in message
    assert "CRC checksum" in message


def test_a_flipped_bit_in_a_page_with_a_checksum_is_refused(tmp_path: Path) -> None:
    path = history(tmp_path) / "a.parquet"
    write(path, daily_rows(["a"], 200), write_page_checksum=True, compression="none", use_dictionary=False)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert "a.parquet" in refused(build(tmp_path, DAILY_CONTRACT, None))


def test_a_file_that_gives_fewer_rows_than_its_footer_says_is_refused(tmp_path: Path) -> None:
    write(history(tmp_path) / "whole.parquet", daily_rows(["z"], 100))
    shutil.copy(FIXTURES / "rows-missing.parquet", history(tmp_path) / "short.parquet")
    message = refused(build(tmp_path, DAILY_CONTRACT, None))
    assert "short.parquet: cannot be read: 0 rows are there of 300" in message


def test_a_column_name_that_is_not_utf8_is_one_clear_error(tmp_path: Path) -> None:
    shutil.copy(FIXTURES / "latin1-column.parquet", history(tmp_path) / "latin.parquet")
    assert "latin.parquet: has a column whose name is not UTF-8" in refused(build(tmp_path, DAILY_CONTRACT, None))


@pytest.mark.parametrize(("key", "table"), [("iceberg.schema", "Iceberg"), ("hoodie_bloom_filter_type_code", "Hudi")])
def test_a_data_file_of_a_table_format_is_refused_by_its_name(tmp_path: Path, key: str, table: str) -> None:
    write(history(tmp_path) / "f.parquet", daily_rows(["a"]).replace_schema_metadata({key: "{}"}))
    assert f"f.parquet: is a data file of {table}" in refused(build(tmp_path, DAILY_CONTRACT, None))


@pytest.mark.parametrize("name", ["v3.metadata.json", "version-hint.text"])
def test_the_root_of_an_iceberg_table_is_refused(tmp_path: Path, name: str) -> None:
    write(history(tmp_path) / "data/f.parquet", daily_rows(["a"]))
    (history(tmp_path) / "metadata").mkdir()
    (history(tmp_path) / "metadata" / name).write_text("{}")
    assert "is an Iceberg table" in refused(build(tmp_path, DAILY_CONTRACT, None))


def test_one_key_with_two_values_in_the_path_is_refused_and_an_equal_one_passes(tmp_path: Path) -> None:
    write(history(tmp_path) / "store=1/store=1/f.parquet", daily_rows(["a"]))
    assert list(build(tmp_path, STORE, None).records) == ["1/a"]
    write(history(tmp_path) / "store=1/store=2/f.parquet", daily_rows(["a"]))
    assert "store=1/store=2/f.parquet: its folders say store = '1' and store = '2'" in refused(
        build(tmp_path, STORE, None)
    )


def test_a_folder_that_is_no_utf8_is_refused_with_the_name_to_give_it(tmp_path: Path) -> None:
    for folder in ("store=a%FFb", "store=a%FEb"):
        write(history(tmp_path) / folder / "f.parquet", daily_rows(["a"]))
    message = refused(build(tmp_path, STORE, None))
    assert "the folder store=a%FEb is not percent-encoded UTF-8" in message
    assert "if that is Latin-1, to store=a%C3%BEb." in message


@pytest.mark.parametrize(
    ("folder", "column"),
    [("store=7", [7]), ("store=07", [7]), ("store=7", ["7"]), ("store=__HIVE_DEFAULT_PARTITION__", [None])],
)
def test_a_column_that_repeats_its_folder_passes(tmp_path: Path, folder: str, column: list[object]) -> None:
    table = daily_rows(["a"]).append_column("store", pa.array(column * 10))
    write(history(tmp_path) / folder / "f.parquet", table)
    write(
        history(tmp_path) / "store=8/f.parquet",
        table.set_column(3, "store", pa.array([8 if column == [7] else "8"] * 10)),
    )
    assert build(tmp_path, STORE, None).exit_code == 0


@pytest.mark.parametrize(
    ("folder", "column", "said"),
    [
        ("store=7", pa.array([7] * 9 + [8]), "store = '7', and a row says 8"),
        ("store=7", pa.array(["7"] * 9 + ["07"]), "store = '7', and a row says 07"),
        ("store=7", pa.array([7] * 9 + [None], pa.int32()), "store = '7', and a row says None"),
        ("store=x", pa.array([7] * 10), "store = 'x', and a row says 7"),
    ],
)
def test_a_row_that_contradicts_its_folder_is_refused(tmp_path: Path, folder: str, column: pa.Array, said: str) -> None:
    write(history(tmp_path) / folder / "f.parquet", daily_rows(["a"]).append_column("store", column))
    assert f"{folder}/f.parquet: its folder says {said}" in refused(build(tmp_path, STORE, None))


@pytest.mark.parametrize("kind", [pa.date32(), pa.timestamp("us"), pa.timestamp("ns")])
def test_the_day_of_a_folder_is_that_of_its_rows(tmp_path: Path, kind: pa.DataType) -> None:
    for day in (1, 2, 3):
        table = daily_rows(["a"], 1, first=f"2026-01-0{day}")
        table = table.set_column(1, "date", table.column("date").cast(kind))
        write(history(tmp_path) / f"date=2026-01-0{day}/f.parquet", table)
    assert build(tmp_path, DAILY_CONTRACT, None).exit_code == 0
    shutil.move(history(tmp_path) / "date=2026-01-03", history(tmp_path) / "date=2026-01-04")
    message = refused(build(tmp_path, DAILY_CONTRACT, None))
    assert "its folder says date = '2026-01-04', and a row says 2026-01-03" in message


@pytest.mark.parametrize("links", [["again"], ["again", "and"], ["sub/again"]])
def test_a_link_that_leads_back_is_refused(tmp_path: Path, links: list[str]) -> None:
    write(history(tmp_path) / "sub/f.parquet", daily_rows(["a"]))
    for link in links:
        (history(tmp_path) / link).symlink_to(history(tmp_path), target_is_directory=True)
    assert "a second time: its rows would count twice" in refused(build(tmp_path, DAILY_CONTRACT, None))


def test_a_link_to_another_folder_is_followed(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere/f.parquet", daily_rows(["a"]))
    (history(tmp_path) / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert list(build(tmp_path, DAILY_CONTRACT, None).records) == ["a"]


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(history(tmp_path) / "f.parquet")
    assert "f.parquet: is a pipe, socket or device" in refused(build(tmp_path, DAILY_CONTRACT, None))


def test_a_dangling_link_is_refused(tmp_path: Path) -> None:
    (history(tmp_path) / "f.parquet").symlink_to(tmp_path / "gone")
    assert "f.parquet: cannot be read: No such file" in refused(build(tmp_path, DAILY_CONTRACT, None))


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    write(history(tmp_path) / "good.parquet", daily_rows(["a"]))
    os.link(history(tmp_path) / "good.parquet", os.fsencode(history(tmp_path)) + b"/b\xf6se.parquet")
    assert "the name b'b\\xf6se.parquet' is not UTF-8" in refused(build(tmp_path, DAILY_CONTRACT, None))


@pytest.mark.parametrize(
    ("name", "said"),
    [("sales.csv", "is a CSV file, not Parquet"), ("sales.csv.gz", "CSV"), ("s.arrow", "Arrow"), ("s.jsonl", "JSON")],
)
def test_another_format_is_refused_with_the_line_that_converts_it(tmp_path: Path, name: str, said: str) -> None:
    path = history(tmp_path) / name
    if name.endswith(".arrow"):
        pyarrow.feather.write_feather(daily_rows(["a"]), path, compression="uncompressed")
    else:
        path.write_text("item,date,sales\na,2026-01-01,1\n")
    message = refused(build(tmp_path, DAILY_CONTRACT, None))
    assert said in message
    assert "import pandas as pd; pd.read_" in message
    assert ".to_parquet('s" in message


def instants(count: int = 40) -> pa.Array:
    """Midnights of Berlin, in UTC."""
    first = dt.datetime(2025, 12, 31, 23)
    return pa.array([first + dt.timedelta(days=day) for day in range(count)], pa.timestamp("us"))


def test_int96_is_refused_without_a_zone_and_read_in_the_declared_one(tmp_path: Path) -> None:
    table = daily_rows(["a"], 40).set_column(1, "date", instants().cast(pa.timestamp("ns")))
    write(history(tmp_path) / "f.parquet", table, use_deprecated_int96_timestamps=True)
    message = refused(build(tmp_path, DAILY_CONTRACT, None))
    assert "column 'date' is INT96, an instant in UTC" in message
    assert "Declare timezone" in message
    made = build(tmp_path, BERLIN, None)
    assert (made.manifest.run_date, made.manifest.frequency) == (dt.date(2026, 2, 9), "D")


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_a_zoned_timestamp_is_read_in_the_declared_zone_over_a_change_of_the_clocks(tmp_path: Path, zone: str) -> None:
    midnights = pa.array([dt.datetime(2026, 3, 20) + dt.timedelta(days=day) for day in range(20)], pa.timestamp("us"))
    stored = pa.compute.assume_timezone(midnights, "Europe/Berlin").cast(pa.timestamp("us", zone))
    made = build(tmp_path, BERLIN, [daily_rows(["a"], 20).set_column(1, "date", stored)])
    assert made.exit_code == 0, made.message
    assert [row["date"] for row in made.records["a"]["rows"]] == [
        moment.isoformat() for moment in midnights.to_pylist()
    ]


def test_a_daily_history_at_another_hour_is_refused(tmp_path: Path) -> None:
    message = refused(build(tmp_path, DAILY_CONTRACT, [daily_rows(["a"], 40).set_column(1, "date", instants())]))
    assert "24 hours apart and not at midnight, as 2026-02-08T23:00:00" in message
    assert "timezone" in message


def test_a_zone_that_is_not_known_is_refused(tmp_path: Path) -> None:
    made = build(tmp_path, BERLIN.replace("Europe/Berlin", "Europe/Nowhere"), [daily_rows(["a"])])
    assert made.exit_code == 2
    assert "timezone = 'Europe/Nowhere' is not known" in made.message


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 3000, '"\\ud800"'])
def test_a_contract_that_no_parser_takes_is_a_config_error(tmp_path: Path, value: str) -> None:
    made = build(tmp_path, DAILY_CONTRACT.replace("[series]", f"[series]\nmin_history = {value}"), [daily_rows(["a"])])
    assert made.exit_code == 2
    assert "is not TOML" in made.message


def test_a_history_may_be_one_file_that_a_folder_then_links_to(tmp_path: Path) -> None:
    write(tmp_path / "mine/sales.parquet", daily_rows(["a"]))
    folder = history_folder(str(tmp_path / "mine/sales.parquet"), tmp_path / "processing/input/history")
    assert history_folder(str(tmp_path / "mine/sales.parquet"), folder) == folder
    assert history_folder(str(tmp_path / "mine"), tmp_path / "unused") == tmp_path / "mine"
    assert list(build(tmp_path, DAILY_CONTRACT, None).records) == ["a"]


@pytest.mark.parametrize(("name", "said"), [("sales.csv", "pd.read_csv('sales.csv'"), ("gone.parquet", "no such")])
def test_another_file_is_no_history(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "sales.csv").write_text("item,date,sales\n")
    with pytest.raises(ConfigError, match=re.escape(said)):
        history_folder(str(tmp_path / name), tmp_path / "folder")
