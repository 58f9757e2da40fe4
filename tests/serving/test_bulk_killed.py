"""Submitter and collector as processes that are killed with SIGKILL, and started again: every record once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sample_run import PUBLISH, SampleRun, published_objects

ROOT = Path(__file__).resolve().parents[2]
ITEMS, PER_SHARD = 120, 10


class Endpoint:
    """Answers the requests that lie in the queue, in a thread of this process, which nobody kills."""

    def __init__(self, run: SampleRun) -> None:
        self._run = run
        self._queue = run.root / "queue"
        self._queue.mkdir()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self.requests: Counter[str] = Counter()

    def __enter__(self) -> Endpoint:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _serve(self) -> None:
        while not self._stop.wait(0.005):
            for path in sorted(self._queue.glob("*.json")):
                request = json.loads(path.read_text())
                item = json.loads(request["body"])["item_id"]
                self.requests[item] += 1
                self._run.store.write(request["OutputLocation"], json.dumps(self._run.answer(item)).encode())
                path.unlink()


@pytest.fixture
def run(tmp_path: Path) -> SampleRun:
    items = [f"shop-{number // 4}/item-{number:03d}" for number in range(ITEMS)]
    return SampleRun(root=tmp_path, items=items, per_shard=PER_SHARD)


@pytest.fixture
def endpoint(run: SampleRun) -> Iterator[Endpoint]:
    with Endpoint(run) as endpoint:
        yield endpoint


def begin(run: SampleRun, what: str) -> subprocess.Popen[bytes]:
    program = Path(__file__).with_name("bulk_process.py")
    path = os.pathsep.join(map(str, (ROOT, ROOT / "tests", ROOT / "tests" / "fixtures")))
    command = [sys.executable, str(program), str(run.root), what, run.run_id]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path})


def kill_when(process: subprocess.Popen[bytes], reached: Callable[[], bool]) -> bool:
    """Kill the process at that moment; whether it was not yet at its end."""
    deadline = time.monotonic() + 60
    while process.poll() is None and not reached():
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.kill()
    return process.wait() == -9


def finish(run: SampleRun, what: str) -> None:
    assert begin(run, what).wait(60) == 0


def published(run: SampleRun) -> dict[str, bytes]:
    return published_objects(run.store)


@pytest.mark.long
def test_killed_again_and_again_every_record_is_sent_and_in_the_ledger_once(run: SampleRun, endpoint: Endpoint) -> None:
    killed = [
        kill_when(begin(run, "submit"), lambda most=most: endpoint.requests.total() >= most)  # type: ignore[misc]
        for most in (1, 20, 49, 60, 95, 130, 150)
    ]
    assert killed.count(True) >= 4
    finish(run, "submit")
    assert set(endpoint.requests) == set(run.items)
    # A kill costs what was on its way and not yet written down: at most one batch.
    assert endpoint.requests.total() <= ITEMS + 50 * killed.count(True)
    stored = f"{run.root}/s3/bucket"
    objects = [0]

    def written(more: int) -> Callable[[], bool]:
        objects[0] = sum(1 for path in Path(stored).rglob("*") if path.is_file())
        return lambda: sum(1 for path in Path(stored).rglob("*") if path.is_file()) >= objects[0] + more

    # One after the other it gets to the outputs, which are written over, and to the data, the manifest and the pointer.
    killed = [kill_when(begin(run, "collect"), written(more)) for more in (1, 5, 6, 1, 1, 1, 1)]
    assert killed.count(True) >= 4
    finish(run, "collect")
    ledger = pq.read_table(run.report_file("ledger.parquet"))
    assert Counter(ledger["item_id"].to_pylist()) == Counter(run.items)
    assert set(ledger["status"].to_pylist()) == {"ok"}
    (data,) = [uri for uri in published(run) if uri.endswith(".parquet")]
    forecasts = pq.read_table(run.store.path(data), partitioning=None)
    assert Counter(forecasts["item_id"].to_pylist()) == Counter(dict.fromkeys(run.items, run.days))
    assert json.loads(run.store.read(f"{PUBLISH}latest.json"))["run_id"] == run.run_id
    before = published(run)
    finish(run, "collect")
    assert published(run) == before
