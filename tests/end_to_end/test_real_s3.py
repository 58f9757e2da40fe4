"""The whole pipeline and the engine on a real S3 server, over a network that breaks, with readers meanwhile."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from bakery_run import MODEL, bakery_history, execute, put_code, run_bakery
from breaking_proxy import breaking_proxy
from command import RUN_DATE
from engine_client import EngineClient
from local_pipeline import local, transform
from seaweed import Seaweed, running_seaweed

from batchcast.local.run import LOCAL_DEFAULTS
from batchcast.runs.follow import ExecutionView
from batchcast.runs.published import read_forecasts
from batchcast.steps.errors import DataError
from batchcast.steps.store.objects import ObjectStore
from batchcast.steps.store.s3 import S3Store

BUCKETS = ("batchcast", "history", "other")
CUT_BYTES = 4_000
"""Of a broken reply so much arrives: the head, and the beginning of the body."""
RETRIES = {"mode": "standard", "max_attempts": 8}


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bakery_history(tmp_path_factory.mktemp("bakery") / "history")


@pytest.fixture(scope="module")
def seaweed(tmp_path_factory: pytest.TempPathFactory, history: Path) -> Iterator[Seaweed]:
    """The server, with the code and the history of the small bakery."""
    with running_seaweed(tmp_path_factory.mktemp("weed"), *BUCKETS) as server:
        store = store_of(server)
        put_code(store)
        for path in history.iterdir():
            store.upload(path, f"s3://history/{path.name}")
        yield server


@pytest.fixture(scope="module")
def on_directory(tmp_path_factory: pytest.TempPathFactory, history: Path) -> dict[str, bytes]:
    """What the same run publishes where the store is a directory."""
    ended = run_bakery(tmp_path_factory.mktemp("directory"), history)
    return published_files(ended.store, ended.parameters["PublishUri"], ended.run_id)


def store_of(seaweed: Seaweed, endpoint: str | None = None) -> S3Store:
    """The store of a client with keys of its own: this process's environment knows nothing of the server."""
    return S3Store(seaweed.client(endpoint, retries=RETRIES), seaweed.environ)


def published_files(store: ObjectStore, publish_uri: str, run_id: str) -> dict[str, bytes]:
    """Name -> bytes of the data files of a published run, in the order of its manifest."""
    frame = read_forecasts(publish_uri, run_id=run_id, store=store)
    names = [one.uri.removeprefix(frame.attrs["uri"]) for one in store.list(frame.attrs["uri"])]
    return {name: store.read(frame.attrs["uri"] + name) for name in names if name.endswith(".parquet")}


@dataclass(frozen=True, kw_only=True)
class S3Bakery:
    """Runs of the small bakery that publish below one prefix of an S3 store."""

    workspace: Path
    store: S3Store
    publish_uri: str

    def run(self, *, weeks_ago: int = 0) -> ExecutionView:
        values = {
            **LOCAL_DEFAULTS,
            "RunDate": str(RUN_DATE - timedelta(weeks=weeks_ago)),
            "PublishUri": self.publish_uri,
        }
        return execute(EngineClient(self.workspace, {LOCAL_DEFAULTS["ModelName"]: MODEL}, self.store), values)

    def report(self, run_id: str) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.store.read(f"{LOCAL_DEFAULTS['RunsUri']}/{run_id}/report/report.json"))
        return loaded


def test_two_weeks_are_published_as_on_a_directory_and_a_reader_sees_one_or_the_other(
    seaweed: Seaweed, on_directory: dict[str, bytes], tmp_path: Path
) -> None:
    bakery = S3Bakery(workspace=tmp_path, store=store_of(seaweed), publish_uri="s3://batchcast/weekly")
    over = threading.Event()
    with ThreadPoolExecutor(1) as reader:
        reading = reader.submit(read_until, over, store_of(seaweed), bakery.publish_uri)
        try:
            runs = [bakery.run(weeks_ago=1), bakery.run()]
        finally:
            over.set()
        seen = reading.result()
    assert [bakery.report(run.run_id)["outcome"] for run in runs] == ["COMPLETE", "COMPLETE"]
    assert published_files(bakery.store, bakery.publish_uri, runs[1].run_id) == on_directory
    whole = {
        run.run_id: {read_forecasts(bakery.publish_uri, run_id=run.run_id, store=bakery.store).to_csv()} for run in runs
    }
    assert seen == whole
    assert keys_in_files(tmp_path, seaweed) == []


def read_until(over: threading.Event, store: S3Store, publish_uri: str) -> dict[str, set[str]]:
    """Every frame that a reader of the pointer got, by the run it says it is of; a last look after the end."""
    seen: dict[str, set[str]] = {}
    last = False
    while not last:
        last = over.is_set()
        try:
            frame = read_forecasts(publish_uri, store=store)
        except DataError as error:
            assert "nothing was published" in str(error)
        else:
            seen.setdefault(frame.attrs["run_id"], set()).add(frame.to_csv())
        time.sleep(0.02)
    return seen


def keys_in_files(folder: Path, seaweed: Seaweed) -> list[Path]:
    """The files that hold the server's secret key."""
    secret = seaweed.environ["AWS_SECRET_ACCESS_KEY"].encode()
    return [path for path in folder.rglob("*") if path.is_file() and secret in path.read_bytes()]


@dataclass
class Trouble:
    """Cuts replies after `left` bytes, each request's first `times` of them; `heads` are the requests it saw."""

    strikes: Callable[[bytes], bool]
    left: int
    times: int
    heads: list[bytes] = field(default_factory=list)
    _struck: Counter[bytes] = field(default_factory=Counter)

    def __call__(self, head: bytes, _: int) -> int | None:
        self.heads.append(head)
        line = head.split(b"\r\n", 1)[0]
        if not self.strikes(head) or self._struck[line] >= self.times:
            return None
        self._struck[line] += 1
        return self.left


def run_through(trouble: Trouble, seaweed: Seaweed, workspace: Path, published: dict[str, bytes]) -> None:
    """Run the bakery with the trouble between everything and the server; it publishes this all the same."""
    publish_uri = f"s3://batchcast/{workspace.name}"
    with breaking_proxy(seaweed.endpoint, trouble) as proxy:
        store = store_of(seaweed, proxy.endpoint)
        run = S3Bakery(workspace=workspace, store=store, publish_uri=publish_uri).run()
    direct = store_of(seaweed)
    assert run.status == "Succeeded", run
    assert published_files(direct, publish_uri, run.run_id) == published
    assert json.loads(direct.read(f"{publish_uri}/latest.json"))["run_id"] == run.run_id


def test_downloads_that_break_go_on_where_they_broke(
    seaweed: Seaweed, on_directory: dict[str, bytes], tmp_path: Path
) -> None:
    trouble = Trouble(lambda head: head.startswith(b"GET "), CUT_BYTES, times=2)
    run_through(trouble, seaweed, tmp_path, on_directory)
    resumed = {head.split(b" ")[1].rsplit(b"/")[-1] for head in trouble.heads if b"\r\nrange: bytes=" in head.lower()}
    assert resumed >= {b"app.pyz", b"a.parquet", b"b.parquet", b"part-00000.jsonl", b"part-00000.jsonl.out"}


def test_a_pointer_that_was_moved_without_the_writer_hearing_of_it_was_moved(
    seaweed: Seaweed, on_directory: dict[str, bytes], tmp_path: Path
) -> None:
    def moves_pointer(head: bytes) -> bool:
        return head.startswith(b"PUT ") and b"/latest.json " in head

    trouble = Trouble(moves_pointer, 0, times=1)
    run_through(trouble, seaweed, tmp_path, on_directory)
    puts = [head for head in trouble.heads if moves_pointer(head)]
    assert len(puts) == 2
    assert all(b"\r\nif-none-match: *" in head.lower() for head in puts)


def test_a_manifest_on_s3_names_the_objects_of_a_transform(seaweed: Seaweed, tmp_path: Path) -> None:
    store = store_of(seaweed)
    for name in ("one.jsonl", "deep/two.jsonl", "not-named.jsonl"):
        store.write(f"s3://other/in/{name}", b'{"a": 1}\n{"a": 2}\n')
    manifest = [{"prefix": "s3://other/in/"}, "one.jsonl", "deep/two.jsonl"]
    store.write("s3://other/manifest.json", json.dumps(manifest).encode())
    request = transform("T", "s3://other/manifest.json", "s3://other/out")["Arguments"]
    request["TransformInput"]["DataSource"]["S3DataSource"]["S3DataType"] = "ManifestFile"
    client = local(tmp_path, store=store)
    client.create_transform_job(TransformJobName="t", **request)
    while (job := client.describe_transform_job(TransformJobName="t"))["TransformJobStatus"] == "InProgress":
        time.sleep(0.01)
    assert job["TransformJobStatus"] == "Completed", job
    answers = {one.uri: store.read(one.uri) for one in store.list("s3://other/out/")}
    assert answers == {
        f"s3://other/out/{name}.out": b'{"forecast": [1.0]}\n' * 2 for name in ("deep/two.jsonl", "one.jsonl")
    }
