"""Both steps as the pipeline runs them, with a model of a few lines between them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from batchcast.steps.__main__ import main
from batchcast.steps.store.objects import DirectoryStore

__all__ = ["DAYS", "PUBLISH", "RUNS", "TwoSteps"]

RUNS, PUBLISH = "s3://bucket/runs/", "s3://bucket/published/"
CONTRACT = """
[series]
item_id = ["store", "product"]
timestamp = "date"
targets = ["sales"]
min_history = 20
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


class TwoSteps:
    """A history under `root`, and runs of it. `start` takes a step's command line and environment; its exit code."""

    def __init__(self, root: Path, start: Callable[[Sequence[str], Mapping[str, str]], int] = main) -> None:
        self.root, self.store, self.start = root, DirectoryStore(root / "s3"), start
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
        (container / "processing" / "input" / "contract").mkdir()
        (container / "processing" / "input" / "contract" / "model.toml").write_text(CONTRACT)
        for name in outputs:
            (container / "processing" / "output" / name).mkdir(parents=True)
        argv = [step, "--run-id", run_id, "--run-label", "manual", "--runs-uri", RUNS]
        argv += [text for name, value in flags.items() for text in (f"--{name.replace('_', '-')}", str(value))]
        code = self.start(argv, {"OPT_ML": str(container), "BATCHCAST_OBJECT_STORE": str(self.store.root)})
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
            forecast_horizon=DAYS,
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
