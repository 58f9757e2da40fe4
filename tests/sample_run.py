"""A run as the build step leaves it and as the transform answers it, for the tests of the publishing side."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from batchcast.steps import validate_and_publish
from batchcast.steps.container import ContainerPaths
from batchcast.steps.contract.model_contract import CONTRACT_FILE
from batchcast.steps.publish_arguments import parse_publish_arguments
from batchcast.steps.shards import manifest as manifests
from batchcast.steps.store.objects import DirectoryStore

RUN_DATE = date(2026, 11, 22)
RUNS, PUBLISH = "s3://bucket/runs/", "s3://bucket/published/"
CONTRACT = """
[series]
item_id = ["store", "product"]
timestamp = "date"
targets = ["sales"]
[[record]]
key = "item_id"
from = "item_id"
[[record]]
key = "rows"
from = "history"
columns = { date = "date", sales = "sales" }
[answer]
rows = "forecast"
date = "date"
targets = { sales = "daily_sales" }
minimum = 0.0
"""

Answers = dict[str, list[bytes]]
"""Shard name to the lines of its output object."""


@dataclass(kw_only=True)
class SampleRun:
    """One run below `root`: `s3/` holds its objects, `ml-<round>/` the container of each step that runs."""

    root: Path
    run_id: str = "runaaaaaaaaa"
    run_date: date = RUN_DATE
    days: int = 7
    items: Sequence[str] = field(
        default_factory=lambda: [f"shop-{number // 4}/item-{number:03d}" for number in range(12)]
    )
    quarantined: Mapping[str, str] = field(default_factory=dict)
    resume_from: str | None = None
    carried: frozenset[str] = frozenset()
    per_shard: int = 4
    contract: str = CONTRACT
    level: float = 10.0
    with_actuals: bool = False
    items_uri: str = "all"

    def __post_init__(self) -> None:
        self.items = sorted([*self.items, *self.quarantined])
        sent = [item for item in self.items if item not in self.quarantined and item not in self.carried]
        # Shards deal the items out so that line order and item order differ.
        count = math.ceil(len(sent) / self.per_shard)
        self.shards = {f"part-{number:05d}.jsonl": sent[number::count] for number in range(count)}
        self.store = DirectoryStore(self.root / "s3")
        self._build()

    # --- what the build step leaves

    def record(self, item: str) -> bytes:
        rows = [{"date": "2026-11-22", "sales": self.values(item)[0]}]
        return json.dumps({"item_id": item, "rows": rows}, separators=(",", ":")).encode()

    def _build(self) -> None:
        shards = []
        places: dict[str, tuple[str, int]] = {}
        for name, items in self.shards.items():
            data = b"".join(self.record(item) + b"\n" for item in items)
            self.store.write(f"{RUNS}{self.run_id}/input/r0/{name}", data)
            places.update({item: (name, line) for line, item in enumerate(items)})
            shards.append(
                manifests.Shard(
                    name=name,
                    records=len(items),
                    bytes=len(data),
                    sha256=hashlib.sha256(data).hexdigest(),
                    first_item=items[0],
                    last_item=items[-1],
                )
            )
        self.store.write(f"{RUNS}{self.run_id}/output/_batchcast", b"")
        folder = self.store.path(f"{RUNS}{self.run_id}/manifest/{manifests.MANIFEST_FILE}").parent
        manifests.write_table(folder / manifests.RECORDS_FILE, [self._records(places)], manifests.RECORDS_SCHEMA)
        (folder / CONTRACT_FILE).write_text(self.contract)
        manifests.write_table(folder / manifests.BASELINE_FILE, [self._baseline()], manifests.BASELINE_SCHEMA)
        manifests.write_manifest(
            folder,
            manifests.Manifest(
                run_id=self.run_id,
                run_date=self.run_date,
                run_label="manual",
                forecast_horizon=self.days,
                resume_from=self.resume_from,
                parameters={"forecast_horizon": self.days, "items_uri": self.items_uri},
                contract_sha256=hashlib.sha256(self.contract.encode()).hexdigest(),
                code_version="0123456789ab",
                totals=manifests.Totals(
                    items=len(self.items),
                    records=len(places),
                    quarantined=len(self.quarantined),
                    carried=len(self.carried),
                    bytes=sum(shard.bytes for shard in shards),
                    rows=len(places),
                    later_items=0,
                ),
                quarantined_by_reason={},
                shards=tuple(shards),
            ),
        )

    def _records(self, places: Mapping[str, tuple[str, int]]) -> pa.Table:
        rows = []
        for item in self.items:
            shard, line = places.get(item, (None, None))
            body = self.record(item) if shard else None
            rows.append(
                {
                    "item_id": item,
                    "shard": shard,
                    "line": line,
                    "bytes": len(body) if body else None,
                    "sha256": hashlib.sha256(body).hexdigest() if body else None,
                    "rows": 1,
                    "first_date": self.run_date,
                    "last_date": self.run_date,
                    "quarantine_reason": self.quarantined.get(item),
                    "quarantine_detail": "too few days" if item in self.quarantined else None,
                    "carried": item in self.carried,
                }
            )
        return pa.Table.from_pylist(rows, schema=manifests.RECORDS_SCHEMA)

    def _baseline(self) -> pa.Table:
        rows = [
            {
                "item_id": item,
                "step": step,
                "target": "sales",
                "naive": self.values(item)[step - 1] * 1.1,
                "actual": self.values(item)[step - 1] * 1.05 if self.with_actuals else None,
                "scale": self.level * 1.2,
            }
            for item in self.items
            if item not in self.quarantined
            for step in range(1, self.days + 1)
        ]
        return pa.Table.from_pylist(rows, schema=manifests.BASELINE_SCHEMA)

    # --- what the transform answers

    def dates(self) -> list[str]:
        return [(self.run_date + timedelta(days=step)).isoformat() for step in range(1, self.days + 1)]

    def values(self, item: str) -> list[float]:
        """A week with its own level and swing for every item."""
        seed = int.from_bytes(hashlib.sha256(item.encode()).digest()[:4], "big")
        phase, level = seed % 628 / 100, self.level * (0.5 + seed % 97 / 97)
        return [round(level * (1.3 + math.sin(phase + step)), 3) for step in range(self.days)]

    def answer(self, item: str) -> dict[str, Any]:
        rows = [{"date": day, "daily_sales": value} for day, value in zip(self.dates(), self.values(item), strict=True)]
        return {"item_id": item, "forecast": rows}

    def output_line(self, item: str, answer: Any = None) -> bytes:
        document = {"SageMakerOutput": self.answer(item) if answer is None else answer, "item_id": item}
        return json.dumps(document, separators=(",", ":")).encode()

    def answers(self) -> Answers:
        return {name: [self.output_line(item) for item in items] for name, items in self.shards.items()}

    def transform(self, answers: Answers | None = None, *, number: int = 0) -> None:
        for name, lines in (self.answers() if answers is None else answers).items():
            self.put_output(name, b"".join(line + b"\n" for line in lines), number=number)

    def put_output(self, shard: str, data: bytes, *, number: int = 0) -> None:
        self.store.write(f"{RUNS}{self.run_id}/output/r{number}/{shard}.out", data)

    def transform_retry(self, answer: Callable[[str], bytes | None]) -> None:
        """Answer each record of the retry round; None: no output for it."""
        prefix = f"{RUNS}{self.run_id}/input/r1/"
        for stored in self.store.list(prefix):
            item = json.loads(self.store.read(stored.uri))["item_id"]
            line = answer(item)
            if line is not None:
                self.put_output(stored.uri.removeprefix(prefix), line + b"\n", number=1)

    # --- the step in its container

    def step(self, number: int = 0, store: Any = None, **options: object) -> dict[str, Any]:
        """Run ValidateAndPublish as the service would, its outputs uploaded; the report."""
        container = self.root / f"ml-{self.run_id}-{number}"
        shutil.rmtree(container, ignore_errors=True)
        inputs, outputs = container / "processing" / "input", container / "processing" / "output"
        for name in ("manifest", "output"):
            shutil.copytree(self.store.root / "bucket" / "runs" / self.run_id / name, inputs / name)
        (inputs / "contract").mkdir()
        (inputs / "contract" / "model.toml").write_text(self.contract)
        for name in ("report", "retry"):
            (outputs / name).mkdir(parents=True)
        arguments = {
            "run_id": self.run_id,
            "run_label": "manual",
            "round": number,
            "runs_uri": RUNS,
            "publish_uri": PUBLISH,
            "max_failed_records": 0,
            "max_failed_percent": 0.0,
            "systemic_failure_percent": 60.0,
            "max_retry_records": 1000,
            "resume_from": self.resume_from or "none",
            **options,
        }
        argv = [text for name, value in arguments.items() for text in (f"--{name.replace('_', '-')}", str(value))]
        paths = ContainerPaths(root=container)
        validate_and_publish.validate_and_publish(parse_publish_arguments(argv), paths, store or self.store)
        for name, target in (("report", "report/"), ("retry", "input/r1/")):
            for path in sorted((outputs / name).iterdir()):
                self.store.upload(path, f"{RUNS}{self.run_id}/{target}{path.name}")
        report: dict[str, Any] = json.loads((outputs / "report" / "report.json").read_bytes())
        return report

    def report_file(self, name: str) -> Path:
        return self.store.path(f"{RUNS}{self.run_id}/report/{name}")


def published_objects(store: DirectoryStore) -> dict[str, bytes]:
    """Everything below PublishUri."""
    return {stored.uri: store.read(stored.uri) for stored in store.list(PUBLISH)}
