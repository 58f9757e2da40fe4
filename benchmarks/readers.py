"""Peak memory of what reads a published table of 14 steps an item: merge, comparison, diff, read_forecasts, bulk.

python benchmarks/readers.py                    # 200,000 and 1,000,000 items; into benchmarks/results/merge.md
python benchmarks/readers.py --items 5000       # a look, written nowhere
python benchmarks/readers.py --before c6cb0df   # the same of an older commit beside it, checked out in /tmp
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

HERE = Path(__file__).resolve().parent
TREE = Path(os.environ.get("BENCHMARK_TREE", HERE.parent))
sys.path[:0] = [str(TREE), str(HERE), str(TREE / "tests" / "fixtures")]

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
from measured import machine, measure, table, tree_of  # noqa: E402
from sample_run import PUBLISH, RUN_DATE, RUNS, SampleRun  # noqa: E402

from batchcast.runs.compare import compare_runs  # noqa: E402
from batchcast.runs.published import read_forecasts  # noqa: E402
from batchcast.runs.run_record import RunRecord  # noqa: E402
from batchcast.serving.bulk.collect import collect_run  # noqa: E402
from batchcast.serving.bulk.run import open_async_run  # noqa: E402
from batchcast.steps.answers.item_arrays import arrays_in  # noqa: E402
from batchcast.steps.outcome.last_run import current_run, values_of  # noqa: E402
from batchcast.steps.outcome.ledger import Ledger, write_ledger  # noqa: E402
from batchcast.steps.publish.forecast_table import ForecastRows  # noqa: E402
from batchcast.steps.publish.publication import publish  # noqa: E402
from batchcast.steps.shards.manifest import (  # noqa: E402
    RECORDS_FILE,
    RECORDS_SCHEMA,
    Shard,
    read_manifest,
    write_manifest,
    write_table,
)
from batchcast.steps.store.objects import DirectoryStore, StoredObject  # noqa: E402

RESULTS = HERE / "results" / "merge.md"
TITLE = "# Memory of readers"
SIZES, DAYS, FEW, PER_SHARD = (200_000, 1_000_000), 14, 3, 1000
FIRST, OTHER, BULK = "runaaaaaaaaa", "runbbbbbbbbb", "runcccccccccc"
ANSWERS = "s3://answers/"


class Answered(DirectoryStore):
    """Every record of the run BULK was sent and is answered; nothing of it is written."""

    def __init__(self, root: Path, items: int) -> None:
        super().__init__(root)
        self._items = items

    def list(self, prefix: str) -> Iterator[StoredObject]:
        if prefix.startswith(ANSWERS):
            shard = int(prefix.rstrip("/").rsplit("-", 1)[-1])
            lines = range(min(PER_SHARD, self._items - shard * PER_SHARD))
            return (StoredObject(uri=answer(shard, line), size=2) for line in lines)
        if prefix.endswith("/async/sent/"):
            return (StoredObject(uri=f"{prefix}{first:08d}.json", size=1) for first in range(0, self._items, 50))
        return super().list(prefix)

    def read(self, uri: str) -> bytes:
        if uri.startswith(ANSWERS):
            return b'{"forecast":[]}'
        if "/async/sent/" not in uri:
            return super().read(uri)
        first = int(uri[-13:-5])
        sent = [
            [
                at,
                0,
                answer(at // PER_SHARD, at % PER_SHARD),
                f"{answer(at // PER_SHARD, at % PER_SHARD)}.failed",
                1e12,
                0.0,
            ]
            for at in range(first, min(first + 50, self._items))
        ]
        return json.dumps({"schema": 1, "sent": sent}).encode()

    def write(self, uri: str, data: bytes) -> None:
        if "/output/" not in uri:
            super().write(uri, data)


def answer(shard: int, line: int) -> str:
    return f"{ANSWERS}{BULK}/part-{shard:05d}/{line:06d}-0.out"


def ids(items: int) -> pa.ChunkedArray:
    return pa.chunked_array([[f"shop-{number // 400:05d}/item-{number:07d}" for number in range(items)]])


def records(items: int) -> pa.Table:
    at = np.arange(items)
    names = pa.array([f"part-{number:05d}.jsonl" for number in range(-(-items // PER_SHARD))])
    digests = pa.array([f"{number % 97:064x}" for number in range(items)])
    numbers = {"line": at % PER_SHARD, "position": at * 0, "bytes": at % 1000, "rows": at * 0 + 30}
    given = {"item_id": ids(items), "shard": names.take(pa.array(at // PER_SHARD)), "sha256": digests, **numbers}
    given["carried"] = np.zeros(items, bool)
    columns = [given.get(field.name, pa.nulls(items, field.type)) for field in RECORDS_SCHEMA]
    return pa.table(columns, names=RECORDS_SCHEMA.names).cast(RECORDS_SCHEMA)


def make(root: Path, items: int) -> None:
    """Two published runs and one that was sent in bulk, with their records, ledgers and reports."""
    store, whole = DirectoryStore(root / "s3"), records(items)
    sample = SampleRun(root=root / "sample")
    sample.transform()
    report, small = sample.step(), sample.store.path(f"{RUNS}{sample.run_id}/manifest/{RECORDS_FILE}").parent
    dates = [(RUN_DATE + timedelta(days=step + 1)).isoformat() for step in range(DAYS)]
    for number, run_id in enumerate((FIRST, OTHER)):
        values = np.random.default_rng(number).random((items, DAYS, 1)) * 100
        rows = ForecastRows(
            item_ids=whole["item_id"], values=values, places=np.arange(items), dates=dates, targets=["sales"]
        )
        counts = {"expected": items, "ok": items, "quarantined": 0, "failed": 0, "missing": 0}
        manifest = {
            "run_id": run_id,
            "run_date": RUN_DATE.isoformat(),
            "outcome": "COMPLETE",
            "counts": counts,
            "outputs": [{"name": "sales"}],
            "previous": None,
            "forecast_horizon": DAYS,
            "frequency": "D",
            "parameters": {"forecast_horizon": DAYS, "items_uri": "all"},
        }
        publish(store, PUBLISH, rows, manifest)
        store.write(f"{RUNS}{run_id}/report/report.json", json.dumps(report | {"counts": counts}).encode())
    totals = replace(read_manifest(small).totals, items=items, records=items, requests=items)
    sizes = np.bincount(np.arange(items) // PER_SHARD).tolist()
    rest = {"bytes": 0, "first_item": "", "last_item": ""}
    shards = [Shard(name=f"part-{at:05d}.jsonl", records=size, **rest) for at, size in enumerate(sizes)]
    for run_id in (FIRST, OTHER, BULK):
        folder = store.path(f"{RUNS}{run_id}/manifest/{RECORDS_FILE}").parent
        folder.mkdir(parents=True)
        write_table(folder / RECORDS_FILE, [whole], RECORDS_SCHEMA)
        write_manifest(folder, replace(read_manifest(small), run_id=run_id, totals=totals, shards=tuple(shards)))
        path = store.path(f"{RUNS}{run_id}/report/ledger.parquet")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_ledger(Ledger(whole, run_id, np.zeros((items, 32), np.uint8)), path)


def merge(root: Path, items: int) -> object:
    names = ids(items)[:FEW].to_pylist()
    few = SampleRun(root=root, run_id="runeeeeeeeee", items=names, items_uri="s3://b/few.txt", days=DAYS, level=50.0)
    few.transform()
    found = few.step(systemic_failure_percent=100.0)["merged"]
    assert found == {"run_id": OTHER, "replaced": FEW, "items": items}, found
    return found


def compare_all(root: Path, items: int) -> object:
    store = DirectoryStore(root / "s3")
    dates = [(RUN_DATE + timedelta(days=step + 1)).isoformat() for step in range(DAYS)]
    with tempfile.TemporaryDirectory(dir=root) as scratch, arrays_in(Path(scratch)):
        values, _ = values_of(store, current_run(store, PUBLISH), ids(items), ["sales"], dates)
        assert np.isfinite(values[-1]).all()
        return float(values[0, 0, 0])


def diff(root: Path, items: int) -> object:
    parameters = {"RunsUri": RUNS, "PublishUri": PUBLISH}
    runs = [
        RunRecord(arn=f"arn/{run_id}", status="Succeeded", parameters=parameters, store=DirectoryStore(root / "s3"))
        for run_id in (FIRST, OTHER)
    ]
    found = compare_runs(*runs)
    assert (found["forecasts"]["items"], found["items"]["carried"]) == (items, 0)
    return found["forecasts"]["targets"]


def read_all(root: Path, items: int) -> object:
    frame = read_forecasts(PUBLISH, store=DirectoryStore(root / "s3"))
    assert len(frame) == items * DAYS
    return frame["sales"].sum()


def read_few(root: Path, items: int) -> object:
    names = ids(items)[:: items // FEW].to_pylist()
    return len(read_forecasts(PUBLISH, items=names, store=DirectoryStore(root / "s3")))


def bulk_collect(root: Path, items: int) -> object:
    store = Answered(root / "s3", items)
    shards, failed = collect_run(open_async_run(store, RUNS, BULK), store, now=0.0, error_key="error")
    assert shards and not failed
    return shards


READERS = {
    "merge of 3 items": merge,
    "comparison with a run": compare_all,
    "`diff`": diff,
    "`read_forecasts()`": read_all,
    "`read_forecasts(items=3)`": read_few,
    "bulk collect": bulk_collect,
}


def measured(sizes: Sequence[int], trees: Mapping[str, Path]) -> list[str]:
    """A row a reader, a column a tree and size."""
    cells: dict[str, list[str]] = {name: [name] for name in READERS}
    heads = ["peak memory, MB (CPU seconds)"]
    for items in sizes:
        for of, tree in trees.items():
            heads.append(f"{of} {items:,}".strip())
            with tempfile.TemporaryDirectory() as folder:
                child = [
                    "env",
                    f"BENCHMARK_TREE={tree}",
                    sys.executable,
                    __file__,
                    "--items",
                    str(items),
                    "--in",
                    folder,
                ]
                measure([*child, "--do", "make"])
                for name in READERS:
                    found = measure([*child, "--do", name])
                    cells[name].append(f"{found.peak / 1e6:,.0f} ({found.cpu:,.0f})")
                    sys.stderr.write(f"{heads[-1]}: {cells[name]} {found.said.decode().strip()[-300:]}\n")
    return table(heads, cells.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int)
    parser.add_argument("--before", default="")
    parser.add_argument("--in", dest="folder", type=Path)
    parser.add_argument("--do", default="")
    given = parser.parse_args()
    if given.do:
        print((READERS | {"make": make})[given.do](given.folder, given.items))
        return
    trees = {"": HERE.parent}
    if given.before:
        trees = {"before": tree_of(given.before, Path(f"/tmp/readers-{given.before}")), "now": HERE.parent}
    rows = measured([given.items] if given.items else SIZES, trees)
    command = " ".join(["python benchmarks/readers.py", *sys.argv[1:]])
    text = "\n".join(
        [
            TITLE,
            "",
            f"`{command}` on {machine()}: anonymous memory of the process tree, {DAYS} steps an item.",
            "",
            *rows,
            "",
        ]
    )
    sys.stdout.write(text)
    if not given.items:
        RESULTS.write_text(RESULTS.read_text().split(TITLE)[0].rstrip() + "\n\n" + text)


if __name__ == "__main__":
    main()
