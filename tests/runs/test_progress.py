"""How far a run is, at the size of a million requests."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

from batchcast.runs.progress import shard_records
from batchcast.steps.store.objects import DirectoryStore

SHARD = """{{
  "bytes": 4000, "first_item": "a-{0}", "last_item": "b-{0}",
  "name": "part-{0:07d}.jsonl", "records": {0}, "sha256": "{1}"
}}"""


def test_of_a_shard_no_more_is_kept_than_its_name_and_its_records(tmp_path: Path) -> None:
    store, count = DirectoryStore(tmp_path), 20_000
    shards = ", ".join(SHARD.format(number, "0" * 64) for number in range(count))
    data = f'{{"schema": 1, "shards": [{shards}], "totals": {{"records": 1}}}}'.encode()
    store.write("s3://b/runs/abc/manifest/manifest.json", data)
    tracemalloc.start()
    records = shard_records(store, "s3://b/runs", "abc")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(records) == count
    assert records["part-0000042.jsonl"] == 42
    # The text is there twice, as bytes and as characters.
    assert peak < 2 * len(data) + 250 * count
