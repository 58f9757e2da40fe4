"""Requests that are tables, as CSV and Parquet: what the model reads, and each record found again as it was sent."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from random import Random

import pandas as pd
import pyarrow as pa
import pytest
from shard_build import DAILY_CONTRACT, Build, build, daily_rows

from batchcast.steps.contract.answer import AnswerError, split_answers
from batchcast.steps.contract.model_contract import parse_contract
from batchcast.steps.contract.outputs import Output, Outputs
from batchcast.steps.errors import ConfigError
from batchcast.steps.outcome.answer_types import decode_body
from batchcast.steps.shards.sent_records import SentRecords

ITEMS = ['a,"1"', "b\n2", "ü", "007", "plain"]
LONG = '$history({"item_id": $item_id, "when": $date, "y": $sales, "kind": "x,y", "n": 3, "flag": true, "none": null})'
VALUES = [1.0, None, float("nan"), 4.5] * len(ITEMS)


def contract(row: str, *, kind: str = "text/csv", items: int = 1, series: str = "") -> str:
    body = f'items_per_request = {items}\nbody = "$records"\nrecord' if items > 1 else "body"
    head, tail = DAILY_CONTRACT.split("[request]")
    _, outputs = tail.split("[outputs]")
    request = f"[request]\ncontent_type = \"{kind}\"\nmode = \"object\"\n{body} = '''{row}'''\n\n[outputs]"
    return f"{head}{series}{request}{outputs}"


def read(kind: str, data: bytes) -> pd.DataFrame:
    if kind == "text/csv":
        return pd.read_csv(io.BytesIO(data), dtype={"item_id": str})
    return pd.read_parquet(io.BytesIO(data))


def records(made: Build) -> dict[str, tuple[bytes, bytes]]:
    sent = SentRecords.of(made.manifest, made.records_table)
    return {
        one.item_id: (one.record, one.body) for one in sent.read(made.records_table, lambda name: made.shards[name])
    }


@pytest.mark.parametrize("kind", ["text/csv", "application/x-parquet"])
@pytest.mark.parametrize("items", [1, 3])
def test_a_table_holds_what_the_template_says(tmp_path: Path, kind: str, items: int) -> None:
    table = daily_rows(ITEMS, 4, sales=VALUES)
    made = build(tmp_path, contract(LONG, kind=kind, items=items), [table])
    assert made.exit_code == 0, made.message
    assert len(made.shards) == -(-len(ITEMS) // items)
    assert {Path(name).suffix for name in made.shards} == {".csv" if kind == "text/csv" else ".parquet"}
    found = pd.concat([read(kind, data) for data in made.shards.values()])
    assert list(found.columns) == ["item_id", "when", "y", "kind", "n", "flag", "none"]
    assert set(found["kind"]) == {"x,y"}
    assert set(found["n"]) == {3}
    assert found["flag"].all()
    assert found["none"].isna().all()
    wanted = table.to_pandas()
    for item, rows in found.groupby("item_id", sort=False):
        own = wanted[wanted["item"] == item]
        assert pd.to_datetime(rows["when"]).tolist() == pd.to_datetime(own["date"]).tolist()
        pd.testing.assert_series_equal(rows["y"], own["sales"], check_index=False, check_names=False)
    assert set(found["item_id"]) == set(ITEMS)


@pytest.mark.parametrize("kind", ["text/csv", "application/x-parquet"])
def test_a_record_cut_out_of_a_table_is_what_is_sent_of_it_alone(tmp_path: Path, kind: str) -> None:
    table = daily_rows(ITEMS, 4, sales=VALUES)
    alone = records(build(tmp_path / "alone", contract(LONG, kind=kind), [table]))
    assert records(build(tmp_path / "several", contract(LONG, kind=kind, items=3), [table])) == alone


@pytest.mark.parametrize("kind", ["text/csv", "application/x-parquet"])
def test_a_table_never_passes_the_payload_limit(tmp_path: Path, kind: str) -> None:
    """Of Parquet, as long as its records alone are together: a joined file is never longer."""
    names = ", ".join(f'"column_{number}": $note' for number in range(3))
    table = daily_rows([f"{n:02d}" for n in range(12)], 1)
    notes = pa.array([Random(n).randbytes(60_000).hex() for n in range(12)])
    row = '$history({"y": $sales, ' + names + "})"
    made = build(
        tmp_path, contract(row, kind=kind, items=12), [table.append_column("note", notes)], max_payload_in_mb=1
    )
    assert made.exit_code == 0, made.message
    assert len(made.shards) > 1
    assert max(map(len, made.shards.values())) <= 950_000
    assert sum(row["quarantine_reason"] is None for row in made.table) == 12


@pytest.mark.parametrize(
    ("row", "series", "expected"),
    [
        ("[$target_time_series]", "", "1.0,,,4.5\n"),
        ('["x", $item_id, $history($sales), $horizon, $run_date]', "", "x,a,1.0,,,4.5,7,2026-01-04\n"),
        ("$history([$sales])", "", '1.0\n""\n""\n4.5\n'),
        ("$history([$date, $sales])", 'nulls = "drop"\n', "2026-01-01,1.0\n2026-01-04,4.5\n"),
        ("$history([$sales, $date])", 'nulls = "nan"\ntimestamp_format = "%d.%m., %Y"\n', None),
    ],
)
def test_a_row_of_csv(tmp_path: Path, row: str, series: str, expected: str | None) -> None:
    made = build(tmp_path, contract(row, series=series), [daily_rows(["a"], 4, sales=VALUES[:4])])
    (text,) = made.shards.values()
    if expected is None:
        assert list(csv.reader(io.StringIO(text.decode()))) == [
            [value, f"{day:02d}.01., 2026"] for day, value in enumerate(["1.0", "NaN", "NaN", "4.5"], 1)
        ]
    else:
        assert text.decode() == expected


def test_a_table_of_history_and_future_has_no_target_in_the_future(tmp_path: Path) -> None:
    table = daily_rows(["a"], 6, sales=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    table = table.append_column("promo", pa.array(range(6)))
    made = build(
        tmp_path,
        contract('$both({"y": $sales, "promo": $promo})', kind="application/x-parquet"),
        [table],
        run_date="2026-01-04",
        forecast_horizon=2,
    )
    (data,) = made.shards.values()
    assert decode_body(data, "application/x-parquet") == [
        {"y": float(n + 1) if n < 4 else None, "promo": n} for n in range(6)
    ]


def test_a_table_may_hold_the_rows_to_predict_alone(tmp_path: Path) -> None:
    table = daily_rows(["a"], 6).append_column("promo", pa.array(range(6)))
    made = build(tmp_path, contract("$future([$promo])"), [table], run_date="2026-01-04", forecast_horizon=2)
    assert list(made.shards.values()) == [b"4\n5\n"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('mode = "object"', "", ["text/csv cannot travel in lines", 'Write mode = "object"']),
        (LONG, '{"rows": $history($sales)}', ["is no table: the cell 'rows' holds rows"]),
        (LONG, "$history($sales)", ["is no table: a row of it is no list of cells"]),
        (LONG, '$history({"a": {"b": $sales}})', ["is no table: the cell 'a' holds"]),
        (LONG, "[$history($sales), $future_timestamps]", ["$future_timestamps is a list"]),
        ("text/csv", "application/x-parquet", []),
        ('"text/csv"', '"application/x-parquet"\naccept = "text/csv"', []),
        (f"'''{LONG}'''", "'[$target_time_series]'", []),
        (f"body = '''{LONG}'''", f"items_per_request = 2\nbody = '[$records]'\nrecord = '''{LONG}'''", ["around its"]),
    ],
)
def test_what_is_no_table_is_refused(old: str, new: str, expected: list[str]) -> None:
    text = contract(LONG).replace(old, new)
    assert text != contract(LONG)
    try:
        parse_contract(text.encode())
        found = ""
    except ConfigError as error:
        found = "\n".join(map(str, error.problems))
    assert all(part in found for part in expected), found
    assert bool(expected) == bool(found), found


def test_parquet_needs_names_and_a_row_a_row() -> None:
    for row in ("[$target_time_series]", "$history([$sales])"):
        with pytest.raises(ConfigError, match="a table without names"):
            parse_contract(contract(row, kind="application/x-parquet").encode())


GROUPED = Outputs(columns=(Output(name="y", path="[*].mean", target="y"),), group_by="item_id", item_id='[0]."item_id"')


def test_rows_of_several_items_are_told_apart_by_their_key() -> None:
    rows = [{"item_id": name, "mean": n} for n in range(2) for name in ("b", 7)]
    assert split_answers(rows, GROUPED, 2) == [[rows[0], rows[2]], [rows[1], rows[3]]]
    with pytest.raises(AnswerError, match="item_id holds 2 answers; 3 records were sent"):
        split_answers(rows, GROUPED, 3)
    with pytest.raises(AnswerError, match="group_by = item_id: row 2 is an object with the keys mean"):
        split_answers([rows[0], {"mean": 1}], GROUPED, 1)
    with pytest.raises(AnswerError, match="out of memory"):
        split_answers({"error": "out of memory"}, GROUPED, 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.5\n2\n", [1.5, 2]),
        ("mean\n1.5\n", [{"mean": 1.5}]),
        ("item_id,mean,0.9\n007,1,2\n", [{"item_id": "007", "mean": 1, "0.9": 2}]),
        ("007,1.5\n008,2.5\n", [["007", 1.5], ["008", 2.5]]),
        ("1_000,.5,1e3\n", [["1_000", 0.5, 1000.0]]),
        ("", []),
    ],
)
def test_an_answer_in_csv(text: str, expected: object) -> None:
    assert decode_body(text.encode(), "text/csv") == expected


def test_a_byte_order_mark_before_a_table_is_no_part_of_a_name() -> None:
    assert decode_body(b"\xef\xbb\xbfid,mean\na,1\n", "text/csv") == [{"id": "a", "mean": 1}]


def test_a_table_of_another_separator_is_shown_by_its_names() -> None:
    with pytest.raises(ValueError, match="a row has 2 fields, the line of names 1: id;mean"):
        decode_body(b"id;mean\na;1,5\n", "text/csv")
