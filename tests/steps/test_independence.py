"""What is bad is a record: the published set and the ledger do not depend on how the records were cut into files."""

from __future__ import annotations

import io
import math
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_run import RUNS, SampleRun, published_objects

from batchcast.steps.outcome.ledger import read_ledger

ITEMS = [f"shop/{number:03d}" for number in range(30)]
SYSTEMIC = 20.0


def ended(root: Path, per_shard: int, bad: set[str], *, max_retry_records: int = 1000) -> SampleRun:
    """A run whose transform loses every file with a bad record, as the service does, to its end."""
    run = SampleRun(root=root, items=list(ITEMS), per_shard=per_shard)
    whole = {name: lines for name, lines in run.answers().items() if not bad.intersection(run.shards[name])}
    run.transform(whole)
    options = {
        "max_failed_percent": 40.0,
        "systemic_failure_percent": SYSTEMIC,
        "max_retry_records": max_retry_records,
    }
    report = run.step(**options)
    if report["outcome"] == "RETRY":
        run.transform_retry(lambda item: None if item in bad else run.output_line(item))
        report = run.step(1, **options)
    assert report["outcome"] != "RETRY"
    return run


def ledger(run: SampleRun) -> list[tuple[str, str, str]]:
    return [(row.item_id, row.status, row.reason) for row in read_ledger(run.report_file("ledger.parquet"))]


def published(run: SampleRun) -> set[str]:
    files = [data for uri, data in published_objects(run.store).items() if uri.endswith(".parquet")]
    tables = [pq.read_table(io.BytesIO(data), columns=["item_id"]) for data in files]
    return set(pa.concat_tables(tables)["item_id"].to_pylist()) if tables else set()


@pytest.mark.long
@settings(max_examples=40, deadline=None)
@given(
    bad=st.sets(st.sampled_from(ITEMS), max_size=12),
    cuts=st.tuples(st.integers(1, len(ITEMS)), st.integers(1, len(ITEMS))),
)
def test_what_is_published_does_not_depend_on_the_shards(bad: set[str], cuts: tuple[int, int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        one, other = (ended(Path(folder) / str(number), cut, bad) for number, cut in enumerate(cuts))
        tolerated = 100 * len(bad) <= SYSTEMIC * len(ITEMS)
        assert published(one) == published(other) == (set(ITEMS) - bad if tolerated else set())
        if tolerated:
            assert ledger(one) == ledger(other)
            assert {item for item, status, _ in ledger(one) if status != "ok"} == bad


@pytest.mark.parametrize("per_shard", [1, 8, 30])
def test_four_bad_records_are_four_bad_records_in_one_file_or_in_thirty(tmp_path: Path, per_shard: int) -> None:
    bad = set(ITEMS[::8])
    assert published(ended(tmp_path, per_shard, bad)) == set(ITEMS) - bad


def test_more_than_may_be_sent_alone_share_files_and_the_innocent_are_published(tmp_path: Path) -> None:
    bad = {ITEMS[3]}
    run = ended(tmp_path, 15, bad, max_retry_records=6)
    names = [stored.uri.rsplit("/", 1)[-1] for stored in run.store.list(f"{RUNS}{run.run_id}/input/r1/")]
    assert len(names) == 6
    lost = [row for row in read_ledger(run.report_file("ledger.parquet")) if row.status != "ok"]
    assert bad <= {row.item_id for row in lost}
    assert len(lost) <= math.ceil(15 / 6)
    assert {row.status for row in lost} == {"missing"}
    assert published(run) == set(ITEMS) - {row.item_id for row in lost}


def test_what_the_job_said_of_a_lost_record_stands_in_the_ledger(tmp_path: Path) -> None:
    run = SampleRun(root=tmp_path, items=list(ITEMS), per_shard=15)
    run.transform({})
    head = "2026-11-22T00:00:00.000:[sagemaker logs]: bucket/runs"
    logs = [
        f"{head}/{run.run_id}/input/r0/part-00000.jsonl: {line}" for line in ("ClientError: 400", "Message:", "NaN")
    ]
    assert run.step(logs=logs)["outcome"] == "RETRY"
    bad = ITEMS[0]
    run.transform_retry(lambda item: None if item == bad else run.output_line(item))
    logs += [f"{head}/{run.run_id}/input/r1/record-000000.jsonl: ClientError: Unable to parse NaN"]
    report = run.step(1, logs=logs, max_failed_records=1)
    assert report["outcome"] == "COMPLETE_WITH_QUARANTINE"
    [failed] = report["failed"]
    assert failed["reason"] == "no_answer_after_retry"
    assert failed["detail"].endswith("; the job's log: ClientError: Unable to parse NaN")
    rows = {row.item_id: row for row in read_ledger(run.report_file("ledger.parquet"))}
    assert rows[bad].detail == failed["detail"]
    assert "Unable to parse NaN" in run.report_file("report.html").read_text()
