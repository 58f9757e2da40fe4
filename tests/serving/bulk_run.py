"""A run of many small records without data files, and a model that answers them, for the bulk submitter."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import date
from typing import Any

from emulators.async_inference.endpoint import ModelAnswer
from memory_store import MemoryStore

from batchcast.serving.bulk.run import AsyncRun, BulkRecord
from batchcast.steps.shards.manifest import Manifest, Totals
from batchcast.steps.shards.request_text import PLAIN_TEXT

RUNS = "s3://bucket/runs/"


def bulk_run(store: MemoryStore, records: int, shards: int, run_id: str = "run0aaaaaaaa") -> AsyncRun:
    """A run whose records hold their number."""
    numbers = range(records)
    made = []
    for shard in range(shards):
        name = f"part-{shard:05d}.jsonl"
        mine = numbers[shard::shards]
        text = b"".join(enveloped(f"item-{number}") + b"\n" for number in mine)
        store.write(f"{RUNS}{run_id}/input/r0/{name}", text)
        made += [BulkRecord(number, f"item-{number}", name, line) for line, number in enumerate(mine)]
    totals = Totals(
        items=records, records=records, quarantined=0, carried=0, bytes=0, rows=records, later_items=0, requests=records
    )
    manifest = Manifest(
        run_id=run_id,
        run_date=date(2026, 11, 22),
        run_label="manual",
        forecast_horizon=1,
        resume_from=None,
        parameters={},
        contract_sha256="",
        code_version="",
        totals=totals,
        quarantined_by_reason={},
        shards=(),
    )
    return AsyncRun(run_id=run_id, runs_uri=RUNS, manifest=manifest, records=made)


def enveloped(item_id: str) -> bytes:
    return PLAIN_TEXT.request([item_id], [json.dumps({"item_id": item_id}).encode()])


class CountingModel:
    """Echoes the item; `fails` says how many times an item fails first."""

    def __init__(self, seconds: float, fails: Mapping[str, int] | None = None) -> None:
        self.seconds = seconds
        self.calls: Counter[str] = Counter()
        self._fails = fails or {}

    def __call__(self, body: bytes, _: Mapping[str, str]) -> ModelAnswer:
        item = json.loads(body)["item_id"]
        self.calls[item] += 1
        if self.calls[item] <= self._fails.get(item, 0):
            return ModelAnswer(body=b"out of memory", seconds=1, status=500)
        return ModelAnswer(body=json.dumps({"item_id": item}).encode(), seconds=self.seconds)


def lines_of(store: MemoryStore, run: AsyncRun) -> list[Any]:
    """Every line of every output object."""
    folder = f"{RUNS}{run.run_id}/output/r0/"
    return [json.loads(line) for stored in store.list(folder) for line in store.read(stored.uri).splitlines()]
