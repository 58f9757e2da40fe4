"""Readers of a real S3 server through a network that breaks and a server that is busy, while runs come and go."""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from breaking_proxy import SLOW_DOWN, breaking_proxy
from seaweed import Seaweed, running_seaweed

from batchcast.runs.published import list_published, prune, read_forecasts, rollback
from batchcast.steps.errors import BatchcastError, ServiceError
from batchcast.steps.publish.forecast_table import forecast_schema
from batchcast.steps.publish.lock import free_lock, take_lock
from batchcast.steps.publish.publication import Publication, publish
from batchcast.steps.store.s3 import S3Store

PUBLISH = "s3://batchcast/published"
READS, READERS = int(os.environ.get("BATCHCAST_READS", 800)), 8
RETRIES = {"mode": "standard", "max_attempts": 8}
ITEMS, STEPS = 40, 3


@pytest.fixture(scope="module")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    with running_seaweed(tmp_path_factory.mktemp("weed"), "batchcast") as server:
        yield server


def store_of(seaweed: Seaweed, endpoint: str | None = None) -> S3Store:
    return S3Store(seaweed.client(endpoint, retries=RETRIES), seaweed.environ)


def publish_run(store: S3Store, number: int, publish_uri: str = PUBLISH) -> Publication:
    """Publish run `number`, each of its values that number, a week after the run before it."""
    run_date = date(2024, 1, 7) + timedelta(weeks=number)
    rows = [
        {
            "item_id": f"i{item:03d}",
            "forecast_date": run_date + timedelta(days=step),
            "step": step,
            "sales": float(number),
            "source": "model",
        }
        for item in range(ITEMS)
        for step in range(1, STEPS + 1)
    ]
    manifest: dict[str, Any] = {
        "run_id": f"run{number:09d}",
        "run_date": run_date.isoformat(),
        "outcome": "COMPLETE",
        "counts": {"ok": ITEMS},
        "outputs": [{"name": "sales"}],
        "previous": {"run_id": f"run{number - 1:09d}", "run_date": (run_date - timedelta(weeks=1)).isoformat()}
        if number
        else None,
    }
    return publish(store, publish_uri, pa.Table.from_pylist(rows, schema=forecast_schema(["sales"])), manifest)


@dataclass
class Weather:
    """One request in five meets trouble: the server is busy, or the reply breaks off somewhere."""

    seed: int = 13
    met: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, _head: bytes, number: int) -> int | None:
        chance = random.Random(self.seed * 1_000_003 + number)
        draw = chance.random()
        kind = "busy" if draw < 0.1 else "cut" if draw < 0.2 else "fine"
        with self._lock:
            self.met[kind] += 1
        return {"busy": SLOW_DOWN, "cut": chance.randrange(0, 3000)}.get(kind)


def read_all(store: S3Store, count: int) -> tuple[Counter[str], list[str]]:
    """So many reads of the current run: how they ended, and what was wrong with a frame."""
    ends: Counter[str] = Counter()
    wrong = []
    for _ in range(count):
        try:
            frame = read_forecasts(PUBLISH, store=store)
        except ServiceError:
            ends["try again"] += 1
            continue
        ends["read"] += 1
        number = float(frame.attrs["run_id"].removeprefix("run"))
        if len(frame) != ITEMS * STEPS or set(frame["sales"]) != {number}:
            wrong.append(f"{frame.attrs['run_id']}: {len(frame)} rows of {set(frame['sales'])}")
    return ends, wrong


def come_and_go(store: S3Store, over: threading.Event) -> tuple[int, list[str]]:
    """Publish, roll back and prune until the readers are done; the number of runs, and which were lost."""
    number, lost = 0, []
    while not over.is_set():
        number += 1
        for act in (
            lambda number=number: publish_run(store, number),
            lambda: rollback(PUBLISH, store=store),
            lambda number=number: publish_run(store, number),
            lambda: prune(PUBLISH, keep=3, store=store),
        ):
            try:
                act()
            except BatchcastError as error:
                if error.problems[0].code not in ("s3", "download", "conditional_put", "no_previous", "not_published"):
                    lost.append(str(error))
    return number, lost


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:tzname:dateutil.parser.UnknownTimezoneWarning")
def test_readers_see_whole_runs_through_publishes_rollbacks_prunes_and_a_busy_server(seaweed: Seaweed) -> None:
    direct, weather, over = store_of(seaweed), Weather(), threading.Event()
    publish_run(direct, 0)
    with breaking_proxy(seaweed.endpoint, weather) as proxy, ThreadPoolExecutor(READERS + 1) as pool:
        changes = pool.submit(come_and_go, store_of(seaweed, proxy.endpoint), over)
        readers = [pool.submit(read_all, store_of(seaweed, proxy.endpoint), READS // READERS) for _ in range(READERS)]
        try:
            ended = [reader.result(timeout=240) for reader in readers]
        finally:
            over.set()
        number, lost = changes.result(timeout=60)
    assert [what for _, wrong in ended for what in wrong] == []
    assert lost == []
    total = sum((ends for ends, _ in ended), Counter())
    assert total["read"] >= 0.98 * READS, total
    assert min(weather.met["busy"], weather.met["cut"]) > 100
    assert number > 3
    # Nothing is lost: the next run becomes what readers see, and all that is listed can be read.
    assert publish_run(direct, number + 1).pointer_moved
    for run in list_published(PUBLISH, store=direct):
        assert set(read_forecasts(PUBLISH, run_id=run.run_id, store=direct)["sales"]) == {float(run.run_id[3:])}


@pytest.mark.parametrize("hours", [-80, 80])
def test_two_publishers_with_clocks_days_apart_on_a_real_server(seaweed: Seaweed, hours: int, tmp_path: Path) -> None:
    publish_uri = f"s3://batchcast/{tmp_path.name}"
    one, other = store_of(seaweed), store_of(seaweed)
    now = datetime.now(UTC)
    take_lock(one, publish_uri, run_id="run000000001", run_label="week", now=now)
    with pytest.raises(ServiceError, match="run run000000001, label week, has had it for 0 h 0"):
        take_lock(other, publish_uri, run_id="run000000002", run_label="week", now=now + timedelta(hours=hours))
    # The operator ends the first run, whose last step nevertheless goes on later.
    assert free_lock(other, publish_uri, "run000000001")
    take_lock(other, publish_uri, run_id="run000000002", run_label="week", now=now + timedelta(hours=hours))
    assert publish_run(other, 2, publish_uri).pointer_moved
    late = publish_run(one, 1, publish_uri)
    assert not late.pointer_moved
    assert "run run000000002, which took over this run's lock" in late.pointer_note
    assert read_forecasts(publish_uri, store=one).attrs["run_id"] == "run000000002"
