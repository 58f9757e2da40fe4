from __future__ import annotations

import datetime as dt
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from contract_text import contract_text
from shard_build import DAILY_CONTRACT, build, daily_rows

ITEMS = [f"item-{n:02d}" for n in range(20)]
FUTURE = DAILY_CONTRACT.replace(")}'''", '), "future_rows": $future({"date": $date, "promo": $promo})}\'\'\'')
NOTES = DAILY_CONTRACT.replace('{"date": $date,', '{"note": $note, "date": $date,')
ARRAYS = contract_text(
    '{"start": $start_time, "target": $target_time_series, "item_id": $item_id}', sales="mean", answer=""
)


def with_series(*lines: str, contract: str = DAILY_CONTRACT) -> str:
    """The contract with more lines in [series]."""
    return contract.replace("[series]\n", "\n".join(["[series]", *lines, ""]))


def test_shards_manifest_and_records_agree(tmp_path: Path) -> None:
    sales = [n * 10 for n in range(200)]
    made = build(tmp_path, DAILY_CONTRACT, [daily_rows(ITEMS, sales=sales)])
    assert made.exit_code == 0
    manifest = made.manifest
    assert [shard.name for shard in manifest.shards] == list(made.shards)
    assert len(manifest.shards) % 2 == 0
    for shard in manifest.shards:
        text = made.shards[shard.name]
        lines = text.split(b"\n")
        assert lines.pop() == b""
        assert (shard.records, shard.bytes) == (len(lines), len(text))
        assert json.loads(lines[0])["item_id"] == shard.first_item
        assert json.loads(lines[-1])["item_id"] == shard.last_item
    assert [row["item_id"] for row in made.table] == ITEMS
    for row in made.table:
        line = made.shards[row["shard"]].split(b"\n")[row["line"]]
        assert json.loads(line)["item_id"] == row["item_id"]
        record = line.removeprefix(b'{"body":').removesuffix(f',"item_id":"{row["item_id"]}"}}'.encode())
        assert (row["bytes"], row["sha256"]) == (len(record), hashlib.sha256(record).hexdigest())
        assert (row["rows"], row["first_date"], row["last_date"]) == (10, dt.date(2026, 1, 1), dt.date(2026, 1, 10))
        assert (row["quarantine_reason"], row["carried"]) == (None, False)
    totals = manifest.totals
    assert (totals.items, totals.records, totals.quarantined, totals.carried) == (20, 20, 0, 0)
    assert (totals.rows, totals.bytes) == (200, sum(map(len, made.shards.values())))
    assert manifest.run_date == dt.date(2026, 1, 10)
    assert manifest.parameters["run_date"] == "auto"
    assert "processes" not in manifest.parameters
    assert (tmp_path / "processing/output/marker/_batchcast").is_file()


def test_a_second_run_leaves_the_same_bytes_and_nothing_of_a_killed_one(tmp_path: Path) -> None:
    first = build(tmp_path, DAILY_CONTRACT, [daily_rows(ITEMS)]).files
    for left_over in (
        "output/shards/part-99999.jsonl",
        "output/shards/.partial-x",
        "output/manifest/x",
        "scratch/y/spill-0.arrow",
    ):
        path = tmp_path / "processing" / left_over
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("left over")
    assert build(tmp_path, DAILY_CONTRACT, None).files == first
    assert not (tmp_path / "processing/scratch").exists()


def test_an_error_leaves_no_output_of_this_or_an_earlier_run(tmp_path: Path) -> None:
    build(tmp_path, DAILY_CONTRACT, [daily_rows(ITEMS)])
    made = build(tmp_path, DAILY_CONTRACT.replace('targets = ["sales"]', 'target = ["sales"]'), None)
    assert made.exit_code == 2
    assert made.files == {}


def test_the_run_date_cuts_the_history(tmp_path: Path) -> None:
    made = build(tmp_path, DAILY_CONTRACT, [daily_rows(["a"])], run_date="2026-01-04")
    assert [row["date"] for row in made.records["a"]["rows"]] == [f"2026-01-0{day}" for day in (1, 2, 3, 4)]
    assert made.table[0]["last_date"] == dt.date(2026, 1, 4)


def test_the_automatic_run_date_is_the_last_one_with_a_target(tmp_path: Path) -> None:
    tables = [
        daily_rows(["a"], 3, sales=[1.0, 2.0, None]),
        daily_rows(["a"], 2, first="2026-01-04", sales=[float("nan"), float("inf")]),
        daily_rows(["b"], 1, first="2025-12-01", sales=[1.0]),
    ]
    assert build(tmp_path, DAILY_CONTRACT, tables).manifest.run_date == dt.date(2026, 1, 2)


def test_items_that_begin_after_the_run_date_are_no_items_of_the_run(tmp_path: Path) -> None:
    tables = [daily_rows(["a"], 5), daily_rows(["b"], 2, first="2026-01-04")]
    made = build(tmp_path, DAILY_CONTRACT, tables, run_date="2026-01-03")
    assert list(made.records) == ["a"]
    assert (made.manifest.totals.items, made.manifest.totals.later_items) == (1, 1)


def test_known_future_rows_follow_the_run_date_for_the_forecast_days(tmp_path: Path) -> None:
    table = daily_rows(["a", "b"], 10).append_column("promo", pa.array([day % 2 == 0 for day in range(20)]))
    contract = FUTURE
    made = build(tmp_path, contract, [table], run_date="2026-01-06", forecast_horizon=3)
    assert made.records["b"]["future_rows"] == [
        {"date": "2026-01-07", "promo": True},
        {"date": "2026-01-08", "promo": False},
        {"date": "2026-01-09", "promo": True},
    ]
    assert len(made.records["b"]["rows"]) == 6


def test_items_without_all_future_rows_are_quarantined(tmp_path: Path) -> None:
    tables = [daily_rows(["a"], 10), daily_rows(["b"], 8)]
    tables = [table.append_column("promo", pa.array([True] * table.num_rows)) for table in tables]
    contract = FUTURE
    made = build(tmp_path, contract, tables, run_date="2026-01-06", forecast_horizon=3)
    assert made.reasons == {"b": "missing_future"}
    assert made.table[1]["quarantine_detail"] == "2 of the 3 steps after 2026-01-06 have a row"


def test_the_first_name_in_a_row_may_have_letters_of_several_bytes(tmp_path: Path) -> None:
    contract = DAILY_CONTRACT.replace('{"date": $date,', '{"日付": $date,')
    assert build(tmp_path, contract, [daily_rows(["a"], 2)]).records["a"]["rows"][0]["日付"] == "2026-01-01"


def test_a_contract_of_flat_arrays(tmp_path: Path) -> None:
    table = daily_rows(["a", "b"], 3, sales=[1.5, None, 3.0, 4.0, 5.0, 6.0])
    made = build(tmp_path, ARRAYS, [table])
    assert b"".join(made.shards.values()) == (
        b'{"body":{"start":"2026-01-01","target":[1.5,null,3.0],"item_id":"a"},"item_id":"a"}\n'
        b'{"body":{"start":"2026-01-01","target":[4.0,5.0,6.0],"item_id":"b"},"item_id":"b"}\n'
    )


@pytest.mark.parametrize(
    ("stored", "declared", "written"),
    [
        (pa.timestamp("ns"), "date", "2026-01-01"),
        (pa.timestamp("us"), "timestamp", "2026-01-01T00:00:00"),
        (pa.timestamp("ms"), None, "2026-01-01T00:00:00"),
        (pa.date32(), "timestamp", "2026-01-01T00:00:00"),
        (pa.date32(), "date", "2026-01-01"),
    ],
)
def test_the_date_column_is_written_as_declared(
    tmp_path: Path, stored: pa.DataType, declared: str | None, written: str
) -> None:
    table = daily_rows(["a"], 2)
    table = table.set_column(1, "date", table.column("date").cast(stored))
    contract = (
        ARRAYS.replace('timestamp = "date"', f'timestamp = "date"\ntimestamp_format = "{declared}"')
        if declared
        else ARRAYS
    )
    assert build(tmp_path, contract, [table]).records["a"]["start"] == written


def test_a_time_of_day_is_quarantined_where_dates_are_declared(tmp_path: Path) -> None:
    table = daily_rows(["a", "b"], 1)
    times = pa.array([dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 1, 5)], pa.timestamp("us"))
    contract = ARRAYS.replace('timestamp = "date"', 'timestamp = "date"\nfrequency = "D"\ntimestamp_format = "date"')
    made = build(tmp_path, contract, [table.set_column(1, "date", times)])
    assert made.reasons == {"b": "out_of_range"}
    assert "2026-01-01 05:00:00" in made.table[1]["quarantine_detail"]


@pytest.mark.parametrize("value", [2**53 + 1, -(2**53) - 1])
def test_whole_numbers_beyond_what_every_json_reader_keeps_are_quarantined(tmp_path: Path, value: int) -> None:
    sales = [value, value // abs(value) * 2**53]
    made = build(tmp_path, DAILY_CONTRACT, [daily_rows(["beyond", "within"], 1, sales=sales)])
    assert made.reasons == {"beyond": "out_of_range"}
    assert made.records["within"]["rows"][0]["sales"] == sales[1]


def test_each_spoiled_item_is_quarantined_with_its_reason_and_the_others_are_built(tmp_path: Path) -> None:
    contract = DAILY_CONTRACT.replace(
        'targets = ["sales"]', 'targets = ["sales"]\nmin_history = 3\nnulls = "quarantine"'
    )
    tables = [
        daily_rows(["good"], 5),
        daily_rows(["short"], 2, first="2026-01-04"),
        daily_rows(["twice"], 5),
        daily_rows(["twice"], 1, first="2026-01-03"),
        daily_rows(["empty"], 5, sales=[1, 2, None, 4, 5]),
        daily_rows(["beyond"], 5, sales=[1, 2, 3, 2**53 + 1, 5]),
        daily_rows(["dateless"], 5),
        pa.table({"item": ["dateless", None], "date": pa.array([None, None], pa.date32()), "sales": [1, 1]}),
    ]
    made = build(tmp_path, contract, tables)
    assert list(made.records) == ["good"]
    assert {row["item_id"]: (row["quarantine_reason"], row["quarantine_detail"]) for row in made.table} == {
        "(null)": ("null_key", "1 rows have no item id"),
        "beyond": ("out_of_range", "sales is beyond 2^53 on 2026-01-04"),
        "dateless": ("null_key", "1 rows have no date"),
        "empty": ("null_cell", "sales is null, NaN or infinite on 2026-01-03"),
        "good": (None, None),
        "short": ("too_short", "2 steps of history; min_history is 3"),
        "twice": ("duplicate_date", "there are several rows on 2026-01-03"),
    }
    assert made.manifest.totals.items == 7
    assert made.manifest.quarantined_by_reason == {
        "duplicate_date": 1, "null_cell": 1, "null_key": 2, "out_of_range": 1, "too_short": 1
    }  # fmt: skip
    assert all(row["shard"] is None for row in made.table if row["item_id"] != "good")


@pytest.mark.parametrize(("extra", "fits"), [(0, True), (1, False)])
def test_a_record_may_have_95_percent_of_the_payload_limit_and_not_a_byte_more(
    tmp_path: Path, extra: int, fits: bool
) -> None:
    contract = NOTES

    def table(item: str, length: int) -> pa.Table:
        return daily_rows([item], 1).append_column("note", pa.array(["x" * length]))

    frame = len('{"body":{"item_id":"big","rows":[{"note":"","date":"2026-01-01","sales":0}]},"item_id":"big"}')
    tables = [table("big", 950_000 - frame + extra), table("small", 1)]
    made = build(tmp_path, contract, tables, max_payload_in_mb=1)
    assert ("big" in made.records) is fits
    assert ("big" in {row["item_id"] for row in made.baseline}) is fits
    if not fits:
        assert made.table[0]["quarantine_detail"] == "the record has 950,001 bytes; MaxPayloadInMB less 5 % are 950,000"


def test_a_record_too_large_by_its_rows_or_texts_is_found_before_it_is_rendered(tmp_path: Path) -> None:
    contract = with_series('frequency = "h"', 'fill = "none"', contract=NOTES)
    hours = pa.array(np.arange(40_000) * 3600).cast(pa.timestamp("s"))
    many = pa.table({"item": ["many"] * 40_000, "date": hours, "sales": [1] * 40_000, "note": [""] * 40_000})
    wide = pa.table({"item": ["wide"] * 2, "date": hours[:2], "sales": [1, 1], "note": ["x" * 500_000] * 2})
    fine = pa.table({"item": ["fine"], "date": hours[:1], "sales": [1], "note": [None]}).cast(many.schema)
    made = build(tmp_path, contract, [many, wide, fine], max_payload_in_mb=1)
    details = {row["item_id"]: row["quarantine_detail"] for row in made.table}
    assert made.reasons == {"many": "too_large", "wide": "too_large"}
    assert "40000 rows and so more than" in details["many"]
    assert "texts of 1,000,000 bytes" in details["wide"]


def test_id_columns_and_the_date_may_come_from_the_directories(tmp_path: Path) -> None:
    contract = DAILY_CONTRACT.replace('item_id = ["item"]', 'item_id = ["store", "item"]').replace(
        '{"item_id":', '{"shop": $store, "item_id":'
    )
    history = tmp_path / "processing/input/history"
    for store in ("007", "a%2Fb%20c"):
        for day in ("2026-01-01", "2026-01-02"):
            folder = history / f"store={store}" / f"date={day}"
            folder.mkdir(parents=True)
            pq.write_table(pa.table({"item": [5, 6], "sales": [1, 2]}), folder / "part.parquet")
    made = build(tmp_path, contract, None)
    assert sorted(made.records) == ["007/5", "007/6", "a/b c/5", "a/b c/6"]
    assert made.records["007/5"]["shop"] == "007"
    assert made.records["a/b c/6"]["rows"] == [{"date": "2026-01-01", "sales": 2}, {"date": "2026-01-02", "sales": 2}]


def test_whole_number_ids_stay_numbers_as_values_and_become_text_in_the_item_id(tmp_path: Path) -> None:
    contract = DAILY_CONTRACT.replace('{"item_id":', '{"n": $item, "item_id":')
    table = daily_rows(["7"], 1)
    table = table.set_column(0, "item", table.column("item").cast(pa.int32()))
    assert build(tmp_path, contract, [table]).records["7"]["n"] == 7


def test_files_of_mixed_but_equivalent_types_are_one_history(tmp_path: Path) -> None:
    one = daily_rows(["a"], 2).append_column("note", pa.array(["x", "y"], pa.dictionary(pa.int8(), pa.string())))
    two = daily_rows(["a"], 2, first="2026-01-03").append_column("note", pa.array([None, None], pa.null()))
    two = two.set_column(1, "date", two.column("date").cast(pa.date64()))
    two = two.set_column(2, "sales", two.column("sales").cast(pa.int8()))
    contract = NOTES
    assert [row["note"] for row in build(tmp_path, contract, [one, two]).records["a"]["rows"]] == ["x", "y", None, None]


def test_the_baseline_is_last_week_the_days_that_came_and_the_size_of_the_values(tmp_path: Path) -> None:
    sales = [float(day + 1) for day in range(33)]
    sales[30] = float("nan")
    made = build(
        tmp_path,
        DAILY_CONTRACT,
        [daily_rows(["b", "a"], 33, sales=sales * 2)],
        run_date="2026-01-30",
        forecast_horizon=9,
    )
    rows = [row for row in made.baseline if row["item_id"] == "a" and row["step"] > 0]
    assert [row["step"] for row in rows] == list(range(1, 10))
    # The 30th is a Friday: step 1 is a Saturday, as the 24th was.
    assert [row["naive"] for row in rows] == [24.0, 25.0, 26.0, 27.0, 28.0, 29.0, 30.0, 24.0, 25.0]
    assert [row["actual"] for row in rows] == [None, 32.0, 33.0, *[None] * 6]
    assert {row["scale"] for row in rows} == {sum(range(3, 31)) / 28}
    before = [row for row in made.baseline if row["item_id"] == "b" and row["step"] <= 0]
    assert [(row["step"], row["naive"], row["actual"]) for row in before] == [
        (step, None, 30.0 + step) for step in range(-27, 1)
    ]
    assert [row["item_id"] for row in made.baseline] == ["a"] * 37 + ["b"] * 37


def test_the_baseline_reaches_back_a_season_before_the_run_whose_last_step_is_known_now(tmp_path: Path) -> None:
    made = build(tmp_path, DAILY_CONTRACT, [daily_rows(["a"], 60)], forecast_horizon=23)
    assert [row["step"] for row in made.baseline] == list(range(-34, 24))


def test_the_baseline_has_nothing_where_the_history_has_nothing(tmp_path: Path) -> None:
    tables = [daily_rows(["old"], 3, first="2025-06-01"), daily_rows(["new"], 1, first="2026-01-30")]
    made = build(tmp_path, with_series('fill = "none"'), tables, forecast_horizon=2)
    rows = [row for row in made.baseline if row["step"] > 0]
    old = [row for row in rows if row["item_id"] == "old"]
    assert [(row["naive"], row["actual"], row["scale"]) for row in old] == [(None, None, None)] * 2
    new = [row for row in rows if row["item_id"] == "new"]
    assert [(row["naive"], row["scale"]) for row in new] == [(None, 0.0), (None, 0.0)]


def test_the_baseline_has_a_row_a_target_in_order_of_their_names(tmp_path: Path) -> None:
    table = daily_rows(["a"], 8).append_column("lost", pa.array([100 + day for day in range(8)]))
    contract = DAILY_CONTRACT.replace('["sales"]', '["sales", "lost"]').replace(
        "[answer]", 'lost = "forecast[*].lost"\n[answer]'
    )
    made = build(tmp_path, contract, [table], run_date="2026-01-07", forecast_horizon=2)
    ahead = [row for row in made.baseline if row["step"] > 0]
    assert [(row["step"], row["target"], row["naive"], row["actual"]) for row in ahead] == [
        (1, "lost", 100.0, 107.0),
        (1, "sales", 0.0, 7.0),
        (2, "lost", 101.0, None),
        (2, "sales", 1.0, None),
    ]


def test_the_baseline_of_a_day_with_several_rows_is_their_sum(tmp_path: Path) -> None:
    hours = [dt.datetime(2026, 1, 1, hour) for hour in range(24)]
    table = pa.table({"item": ["a"] * 24, "date": pa.array(hours, pa.timestamp("s")), "sales": [-1] * 24})
    made = build(tmp_path, with_series('frequency = "D"', 'aggregate = "sum"'), [table], forecast_horizon=7)
    assert [row["naive"] for row in made.baseline if row["step"] > 0] == [None] * 6 + [-24.0]
    assert {row["scale"] for row in made.baseline} == {24.0}


def test_fewer_records_than_instances_are_a_shard_each_and_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = build(tmp_path, DAILY_CONTRACT, [daily_rows(["a", "b", "c"])], transform_instance_count=5)
    assert [shard.records for shard in made.manifest.shards] == [1, 1, 1]
    assert "2 instances will have nothing to do" in capsys.readouterr().err


def test_the_records_a_shard_can_be_given(tmp_path: Path) -> None:
    made = build(tmp_path, DAILY_CONTRACT, [daily_rows(ITEMS)], records_per_shard=3)
    assert [shard.records for shard in made.manifest.shards] == [3, 3, 3, 3, 2, 2, 2, 2]


def test_a_shard_whose_records_are_all_quarantined_is_not_written(tmp_path: Path) -> None:
    tables = [daily_rows(["a"], 3), daily_rows(["b"], 2), daily_rows(["b"], 1)]
    made = build(tmp_path, DAILY_CONTRACT, tables)
    assert made.reasons == {"b": "duplicate_date"}
    assert len(made.shards) == len(made.manifest.shards) == 1


def test_the_last_line_of_stdout_sums_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(tmp_path, DAILY_CONTRACT, [daily_rows(["a", "b"], 3), daily_rows(["b"], 1)])
    assert capsys.readouterr().out == (
        "run date 2026-01-03, frequency D (inferred): 2 items = 1 records + 1 quarantined + 0 carried over; 3 rows, "
        "0.0 MB in 1 shards\n"
    )


def test_texts_wider_than_a_bucket_make_more_buckets_and_the_same_records(tmp_path: Path) -> None:
    contract = NOTES
    rng = np.random.default_rng(3)
    table = daily_rows([f"i{n}" for n in range(30)], 60)
    notes = pa.array([f"{n}{'x' * 40_000}" for n in range(table.num_rows)])
    table = table.append_column("note", notes).take(pa.array(rng.permutation(table.num_rows)))
    made = build(tmp_path, contract, [table.slice(0, 700), table.slice(700)], group_rows=100, records_per_shard=20)
    assert len(made.records) == 30
    assert [shard.records for shard in made.manifest.shards] == [15, 15]
    for item, record in made.records.items():
        first = int(item[1:]) * 60
        assert [row["note"][:-40_000] for row in record["rows"]] == [str(first + day) for day in range(60)]


def test_spark_without_pyspark_is_refused_with_a_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    made = build(tmp_path, DAILY_CONTRACT, [daily_rows(ITEMS[:1])], build_engine="spark")
    assert (made.exit_code, made.shards) == (2, {})
    assert "Install pyspark 3.5 or later and Java 17" in made.message
