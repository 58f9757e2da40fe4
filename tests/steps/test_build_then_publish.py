"""Both steps on the same run: what the first writes is what the second expects."""

from __future__ import annotations

import json
import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.published import read_forecasts
from steps.__main__ import main
from steps.object_store import DirectoryStore

RUNS, PUBLISH = "s3://bucket/runs/", "s3://bucket/published/"
PAYLOAD = """
[history]
item_id = ["store", "product"]
date = "date"
targets = ["sales"]
min_days = 20
[[record]]
key = "item_id"
from = "item_id"
[[record]]
key = "rows"
from = "history"
columns = { date = "date", sales = "sales" }
[[record]]
key = "days"
from = "forecast_days"
[answer]
rows = "forecast"
date = "date"
targets = { sales = "daily_sales" }
"""
FIRST, DAYS, HISTORY_DAYS = date(2026, 1, 1), 5, 40


class Pipeline:
    """The two processing steps, with a model of a few lines between them."""

    def __init__(self, root: Path) -> None:
        self.root, self.store = root, DirectoryStore(root / "s3")
        days = [FIRST + timedelta(days=day) for day in range(HISTORY_DAYS)]
        rows = [
            {"store": store, "product": product, "date": day, "sales": float(number + day.weekday())}
            for number, (store, product) in enumerate([("a", "x"), ("a", "y"), ("b", "x"), ("b", "y"), ("c", "z")])
            for day in (days if product != "z" else days[:7])
        ]
        rows.append({"store": None, "product": "x", "date": days[0], "sales": 1.0})
        (root / "history").mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(rows), root / "history" / "sales.parquet")

    def run(self, step: str, run_id: str, inputs: dict[str, Path], outputs: dict[str, str], **flags: object) -> int:
        container = self.root / f"ml-{run_id}-{step}-{flags.get('round', '')}"
        for name, path in inputs.items():
            shutil.copytree(path, container / "processing" / "input" / name)
        (container / "processing" / "input" / "payload").mkdir()
        (container / "processing" / "input" / "payload" / "payload.toml").write_text(PAYLOAD)
        for name in outputs:
            (container / "processing" / "output" / name).mkdir(parents=True)
        argv = [step, "--run-id", run_id, "--run-label", "manual", "--runs-uri", RUNS]
        argv += [text for name, value in flags.items() for text in (f"--{name.replace('_', '-')}", str(value))]
        code = main(argv, {"OPT_ML": str(container), "BATCHCAST_OBJECT_STORE": str(self.store.root)})
        for name, place in outputs.items():
            for path in (container / "processing" / "output" / name).iterdir():
                self.store.upload(path, f"{RUNS}{run_id}/{place}{path.name}")
        return code

    def build(self, run_id: str, resume_from: str = "none") -> int:
        return self.run(
            "build_shards",
            run_id,
            {"history": self.root / "history"},
            {"shards": "input/r0/", "manifest": "manifest/", "marker": "output/"},
            run_date=FIRST + timedelta(days=HISTORY_DAYS - DAYS - 1),
            forecast_days=DAYS,
            transform_instance_count=2,
            max_concurrent_transforms=1,
            max_payload_in_mb=6,
            records_per_shard=1,
            systemic_failure_percent=60.0,
            items_uri="all",
            resume_from=resume_from,
            publish_uri=PUBLISH,
        )

    def transform(self, run_id: str, number: int, failing: set[str]) -> None:
        prefix = f"{RUNS}{run_id}/input/r{number}/"
        for stored in self.store.list(prefix):
            records = [json.loads(line) for line in self.store.read(stored.uri).splitlines()]
            if failing.isdisjoint(record["item_id"] for record in records):
                name = stored.uri.removeprefix(prefix)
                data = b"".join(self.answer(record) for record in records)
                self.store.write(f"{RUNS}{run_id}/output/r{number}/{name}.out", data)

    def answer(self, record: dict[str, Any]) -> bytes:
        last = date.fromisoformat(record["rows"][-1]["date"])
        week = [row["sales"] for row in record["rows"][-7:]]
        forecast = [
            {"date": (last + timedelta(days=step)).isoformat(), "daily_sales": week[(step - 1) % 7]}
            for step in range(1, record["days"] + 1)
        ]
        return json.dumps({"SageMakerOutput": {"forecast": forecast}, "item_id": record["item_id"]}).encode() + b"\n"

    def publish(self, run_id: str, number: int, resume_from: str = "none") -> dict[str, Any]:
        assert self.publish_step(run_id, number, resume_from) == 0
        report: dict[str, Any] = json.loads(self.store.read(f"{RUNS}{run_id}/report/report.json"))
        return report

    def publish_step(self, run_id: str, number: int, resume_from: str = "none") -> int:
        run = self.store.root / "bucket" / "runs" / run_id
        return self.run(
            "validate_and_publish",
            run_id,
            {"manifest": run / "manifest", "output": run / "output"},
            {"report": "report/", "retry": "input/r1/"},
            round=number,
            publish_uri=PUBLISH,
            max_failed_records=2,
            max_failed_percent=0.0,
            systemic_failure_percent=60.0,
            max_retry_records=10,
            resume_from=resume_from,
        )


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    return Pipeline(tmp_path)


def test_a_history_becomes_published_forecasts_with_a_score(pipeline: Pipeline) -> None:
    assert pipeline.build("run1") == 0
    pipeline.transform("run1", 0, set())
    report = pipeline.publish("run1", 0)
    assert report["outcome"] == "COMPLETE_WITH_QUARANTINE"
    assert [(each["item_id"], each["reason"]) for each in report["quarantined"]] == [
        ("(null)", "null_key"),
        ("c/z", "too_short"),
    ]
    # The sales repeat every week, so that the naive and a model that copies the last week are both right.
    assert (report["score"]["wape_model"], report["score"]["wape_naive"]) == (0.0, 0.0)
    frame = read_forecasts(PUBLISH, store=pipeline.store)
    assert list(frame["item_id"].unique()) == ["a/x", "a/y", "b/x", "b/y"]
    assert len(frame) == 4 * DAYS


def test_a_failed_record_is_retried_held_and_resumed_into_the_same_forecasts(tmp_path: Path) -> None:
    straight, crooked = Pipeline(tmp_path / "straight"), Pipeline(tmp_path / "crooked")
    straight.build("run1")
    straight.transform("run1", 0, set())
    straight.publish("run1", 0)

    crooked.build("run1")
    crooked.transform("run1", 0, {"b/x"})
    assert crooked.publish("run1", 0)["outcome"] == "RETRY"
    crooked.transform("run1", 1, {"b/x"})
    held = crooked.publish("run1", 1)
    assert (held["outcome"], [each["reason"] for each in held["failed"]]) == ("HELD", ["no_answer_after_retry"])

    crooked.build("run2", resume_from="run1")
    assert len(list(crooked.store.list(f"{RUNS}run2/input/r0/"))) == 1
    crooked.transform("run2", 0, set())
    report = crooked.publish("run2", 0, resume_from="run1")
    assert (report["outcome"], report["counts"]["carried"]) == ("COMPLETE_WITH_QUARANTINE", 3)

    frames = [read_forecasts(PUBLISH, store=each.store) for each in (straight, crooked)]
    assert frames[0].to_dict("list") == frames[1].to_dict("list")
    parts = [
        [each.store.read(stored.uri) for stored in each.store.list(PUBLISH) if stored.uri.endswith(".parquet")]
        for each in (straight, crooked)
    ]
    assert parts[0] == parts[1]


def test_a_broken_manifest_ends_the_step_with_a_code_and_a_message(pipeline: Pipeline) -> None:
    pipeline.build("run1")
    pipeline.store.write(f"{RUNS}run1/manifest/manifest.json", b"{}")
    assert pipeline.publish_step("run1", 0) == 3
    message = pipeline.root / "ml-run1-validate_and_publish-0" / "output" / "message"
    assert "DataError [manifest]" in message.read_text()
    assert not pipeline.store.exists(f"{RUNS}run1/report/report.json")
