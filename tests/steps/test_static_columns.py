"""Columns that are the same in all rows of an item, from a table of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from shard_build import DAILY_CONTRACT, Build, build, daily_rows, write_files

from batchcast.steps.history.folders import STATIC_FILE, history_folder

CONTRACT = DAILY_CONTRACT.replace('targets = ["sales"]', 'targets = ["sales"]\nstatic = ["cat", "color"]').replace(
    '{"item_id": $item_id,', '{"item_id": $item_id, "cat": [$cat, $color],'
)
ITEMS: dict[str, list[Any]] = {"item": ["c", "a", "b"], "cat": [3, 1, None], "color": ["rot", 'g"ü', "blue"]}


def made(root: Path, table: dict[str, list[Any]] | None, contract: str = CONTRACT) -> Build:
    history = root / "processing/input/history"
    write_files(history, [daily_rows(["a", "b", "c"], 2)])
    if table is not None:
        pq.write_table(pa.table(table), history / STATIC_FILE)
    return build(root, contract, None)


def test_each_item_has_its_own(tmp_path: Path) -> None:
    found = made(tmp_path, ITEMS).records
    assert {item: body["cat"] for item, body in found.items()} == {
        "a": [1, 'g"ü'],
        "b": [None, "blue"],
        "c": [3, "rot"],
    }


def test_they_may_stand_in_rows_and_in_csv(tmp_path: Path) -> None:
    rows = CONTRACT.replace('"date": $date', '"color": $color')
    assert [row["color"] for row in made(tmp_path / "rows", ITEMS, rows).records["c"]["rows"]] == ["rot", "rot"]
    body = 'content_type = "text/csv"\nmode = "object"\nbody = \'[$color, $cat, $history($sales)]\'\n\n[outputs]'
    head, tail = CONTRACT.split("body = ")[0], CONTRACT.split("[outputs]")[1]
    shards = made(tmp_path / "csv", ITEMS, head + body + tail).shards
    assert sorted(shards.values()) == [b'"g""\xc3\xbc",1,0,1\n', b"blue,,2,3\n", b"rot,3,4,5\n"]


def test_an_item_without_a_row_is_quarantined_by_name(tmp_path: Path) -> None:
    found = made(tmp_path, {name: values[:2] for name, values in ITEMS.items()})
    assert found.reasons == {"b": "no_static"}
    assert sorted(found.records) == ["a", "c"]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (None, "_items.parquet: cannot be read, and static = ['cat', 'color'] needs it"),
        ({**ITEMS, "item": ["a", "b", "a"]}, "1 rows are of an item that another row is of: a"),
        ({**ITEMS, "item": ["a", None, "c"]}, "1 rows have no item id"),
        ({"item": ["a"], "cat": [1]}, "has no column color"),
        ({**ITEMS, "color": [[1], [2], [3]]}, "it has no exact JSON form"),
        ({**ITEMS, "item": [1.0, 2.0, 3.0]}, "an id must be text or a whole number"),
    ],
)
def test_a_table_that_cannot_be_joined_is_refused(tmp_path: Path, table: Any, expected: str) -> None:
    found = made(tmp_path, table)
    assert found.exit_code == 3
    assert expected in found.message


def test_ids_of_whole_numbers_and_several_columns(tmp_path: Path) -> None:
    history = tmp_path / "processing/input/history"
    rows = daily_rows(["a", "b"], 2).append_column("store", pa.array([7, 7, 12, 12], pa.int16()))
    write_files(history, [rows])
    static = pa.table({"store": pa.array([12, 7]), "item": pa.array(["b", "a"]).dictionary_encode(), "cat": [1.5, 2.5]})
    pq.write_table(static, history / STATIC_FILE)
    contract = CONTRACT.replace('["cat", "color"]', '["cat"]').replace("[$cat, $color]", "$cat")
    found = build(tmp_path, contract.replace('["item"]', '["store", "item"]'), None)
    assert {item: body["cat"] for item, body in found.records.items()} == {"12/b": 1.5, "7/a": 2.5}


def test_beside_a_history_of_one_file(tmp_path: Path) -> None:
    pq.write_table(daily_rows(["a"], 2), tmp_path / "sales.parquet")
    pq.write_table(pa.table({"item": ["a"]}), tmp_path / STATIC_FILE)
    folder = history_folder(str(tmp_path / "sales.parquet"), tmp_path / "linked")
    assert sorted(path.name for path in folder.iterdir()) == [STATIC_FILE, "sales.parquet"]
    (tmp_path / STATIC_FILE).unlink()
    assert [path.name for path in history_folder(str(tmp_path / "sales.parquet"), folder).iterdir()] == [
        "sales.parquet"
    ]
