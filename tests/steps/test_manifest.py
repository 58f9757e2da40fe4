from __future__ import annotations

import dataclasses
import datetime as dt
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchcast.steps.errors import DataError
from batchcast.steps.shards.baseline import merged_baselines
from batchcast.steps.shards.manifest import (
    BASELINE_SCHEMA,
    RECORDS_FILE,
    RECORDS_SCHEMA,
    Manifest,
    Shard,
    Totals,
    code_version,
    first_step,
    read_baseline,
    read_manifest,
    read_records,
    write_manifest,
    write_table,
)

MANIFEST = Manifest(
    run_id="abc123def456",
    run_date=dt.date(2026, 11, 22),
    run_label="week é",
    forecast_horizon=31,
    resume_from=None,
    parameters={"forecast_horizon": 31, "run_date": "auto", "items_uri": "all"},
    contract_sha256="0" * 64,
    code_version="1" * 12,
    totals=Totals(items=2, records=1, quarantined=1, carried=0, bytes=9, rows=3, later_items=0, requests=1),
    quarantined_by_reason={"too_short": 1},
    shards=(Shard(name="part-00000.jsonl", records=1, bytes=9, first_item="a", last_item="a"),),
)


def test_a_manifest_reads_back_and_has_sorted_keys(tmp_path: Path) -> None:
    write_manifest(tmp_path, MANIFEST)
    assert read_manifest(tmp_path) == MANIFEST
    text = (tmp_path / "manifest.json").read_text(encoding="utf-8")
    assert text == json.dumps(json.loads(text), ensure_ascii=False, indent=2, sort_keys=True) + "\n"
    assert json.loads(text)["schema"] == 1
    assert "week é" in text


def test_a_manifest_of_the_first_version_has_a_digest_of_each_shard_that_nothing_reads() -> None:
    older = MANIFEST.to_json().replace(b'"bytes": 9,\n      "first_item"', b'"bytes": 9, "sha256": "22", "first_item"')
    assert older != MANIFEST.to_json()
    assert Manifest.from_json(older) == MANIFEST


def test_a_missing_manifest_says_that_the_build_did_not_finish(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="The build did not finish"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "is damaged: it is empty"),
        (b"{", "is damaged: it is not JSON"),
        (b"[" * 100_000, "is damaged: it is not JSON"),
        (b"[]", "is damaged: it is a list and no object"),
        (b"{}", "is damaged: it has no 'schema'"),
        (MANIFEST.to_json().replace(b'"schema": 1', b'"schema": 2'), "has schema 2; this version reads schema 1"),
        (MANIFEST.to_json().replace(b'"run_label"', b'"label"'), "is not a manifest: TypeError it has no 'run_label'"),
        (MANIFEST.to_json().replace(b"2026-11-22", b"22.11."), "is not a manifest: ValueError"),
    ],
)
def test_a_damaged_manifest_is_refused(data: bytes, expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        Manifest.from_json(data)


def test_tables_are_read_with_their_schema(tmp_path: Path) -> None:
    write_table(tmp_path / "records.parquet", [RECORDS_SCHEMA.empty_table()], RECORDS_SCHEMA)
    write_table(tmp_path / "baseline.parquet", [], BASELINE_SCHEMA)
    assert read_records(tmp_path).schema == RECORDS_SCHEMA
    assert read_baseline(tmp_path).schema == BASELINE_SCHEMA


def test_the_first_step_of_a_baseline_is_the_least_of_all_its_rows(tmp_path: Path) -> None:
    rows = [{"item_id": "a", "step": step, "target": "sales"} for step in (3, -5, 1)]
    tables = [BASELINE_SCHEMA.empty_table(), *(pa.Table.from_pylist([row], BASELINE_SCHEMA) for row in rows)]
    write_table(tmp_path / "baseline.parquet", tables, BASELINE_SCHEMA)
    assert first_step(tmp_path) == -5
    write_table(tmp_path / "baseline.parquet", tables[:2], BASELINE_SCHEMA)
    assert first_step(tmp_path) == 1
    (tmp_path / "baseline.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match="cannot be read"):
        first_step(tmp_path)


def test_a_table_of_other_columns_or_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_records(tmp_path)
    (tmp_path / RECORDS_FILE).write_bytes(b"no parquet")
    with pytest.raises(DataError, match="cannot be read"):
        read_records(tmp_path)
    other = pa.schema([("item", pa.string())])
    write_table(tmp_path / RECORDS_FILE, [other.empty_table()], other)
    with pytest.raises(DataError, match=r"its columns are item\."):
        read_records(tmp_path)


def test_a_table_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    wrong = pa.table({"x": [1]})
    with pytest.raises(ValueError, match="schema"):
        write_table(tmp_path / RECORDS_FILE, [wrong], RECORDS_SCHEMA)
    assert list(tmp_path.iterdir()) == []


def test_the_code_version_is_short_and_stays() -> None:
    assert code_version() == code_version()
    assert len(code_version()) == 12
    assert set(code_version()) <= set("0123456789abcdef")


def test_every_field_of_the_manifest_is_written() -> None:
    written = json.loads(MANIFEST.to_json())
    assert set(written) == {"schema", *(field.name for field in dataclasses.fields(Manifest))}


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(-3, 3)), unique=True), st.integers(1, 4), st.integers(1, 4))
def test_two_baselines_are_merged_part_by_part_as_sorting_them_would(
    rows: list[tuple[int, int]], one: int, other: int
) -> None:
    none = dict.fromkeys(("naive", "actual", "scale"))
    named = [{"item_id": f"ä{item}", "step": step, "target": "sales", **none} for item, step in sorted(rows)]
    table = pa.Table.from_pylist(named, schema=BASELINE_SCHEMA)
    odd = pa.array([item % 3 == 1 for item, _ in sorted(rows)], pa.bool_())
    sides = ((table.filter(odd), one), (table.filter(pc.invert(odd)), other))
    parts = (iter([side.slice(at, size) for at in range(0, len(side), size)]) for side, size in sides)
    assert pa.concat_tables([BASELINE_SCHEMA.empty_table(), *merged_baselines(*parts)]).equals(table)
