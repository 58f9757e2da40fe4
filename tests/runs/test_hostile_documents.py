"""What lies in the store may be empty, cut, foreign, deep or huge: it is named, passed over where that is safe, and
removed or written anew; nothing crashes on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from engine_client import EngineClient
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_store import MemoryStore
from sample_run import PUBLISH, RUNS, SampleRun

from batchcast.cli.publish.prune import prune_command
from batchcast.cli.publish.published import published_command
from batchcast.engine.server.model_server import ModelUrl
from batchcast.runs.published import list_publications, list_published, prune, read_forecasts, rollback
from batchcast.session.workspace_models import read_models
from batchcast.steps.errors import BatchcastError, ConfigError, DataError
from batchcast.steps.outcome.stored_report import read_report
from batchcast.steps.publish.lock import read_lock, take_lock
from batchcast.steps.publish.publication import MANIFEST_NAME, pointer_uri, publication_uri, read_pointer
from batchcast.steps.shards.manifest import Manifest

WRECKS = {
    "empty": b"",
    "cut": b'{"run_id": "runaaaaaaaaa", "run_d',
    "deep": b"[" * 200_000,
    "deep object": b'{"a":' * 100_000,
    "a list": b"[]",
    "null": b"null",
    "foreign": b'{"schema": 1, "name": "Iceberg"}',
    "numbers": b'{"run_id": 1, "run_date": 2, "files": 3, "counts": 4, "replaced": 5, "outcome": 6}',
    "not text": bytes(range(256)),
    "escaping": b'{"run_id": "../../x", "run_date": "2026-11-22", "replaced": []}',
}


def weeks(tmp_path: Path, count: int = 3) -> list[SampleRun]:
    """A published run a week, the first one the oldest."""
    runs = []
    for number in range(count):
        run = SampleRun(root=tmp_path, run_id=f"run{number:09d}", run_date=date(2026, 11, 1 + 7 * number))
        run.transform()
        assert run.step()["outcome"] == "COMPLETE"
        runs.append(run)
    return runs


def manifest_uri(run: SampleRun) -> str:
    return publication_uri(PUBLISH, run.run_date, run.run_id) + MANIFEST_NAME


@pytest.mark.parametrize("wreck", WRECKS.values(), ids=WRECKS.keys())
def test_a_damaged_manifest_is_listed_passed_over_and_pruned(tmp_path: Path, wreck: bytes) -> None:
    old, middle, last = weeks(tmp_path)
    store = last.store
    store.write(manifest_uri(middle), wreck)
    assert [run.run_id for run in list_published(PUBLISH, store=store)] == [old.run_id, last.run_id]
    [damaged] = list_publications(PUBLISH, store)[1]
    assert (damaged.run_id, damaged.current) == (middle.run_id, False)
    assert "is damaged" in damaged.what
    with pytest.raises(DataError):
        rollback(PUBLISH, to=middle.run_id, store=store)
    assert read_forecasts(PUBLISH, store=store).attrs["run_id"] == last.run_id
    fourth = SampleRun(root=tmp_path, run_id="run000000009", run_date=date(2026, 11, 22))
    fourth.transform()
    assert fourth.step()["pointer_moved"]
    assert prune(PUBLISH, keep=5, store=store, dry_run=True) == [damaged]
    assert prune(PUBLISH, keep=5, store=store) == [damaged]
    assert list_publications(PUBLISH, store)[1] == []
    assert not list(store.list(damaged.uri))


@pytest.mark.parametrize(
    ("approved", "said"),
    [
        ("yes", "'approved' is a str and no object"),
        ({"by": "ana"}, "it has no 'approved.at'"),
        ({"by": 1, "at": "", "reason": "", "as_reference": True}, "'approved.by' is int"),
    ],
)
def test_an_approval_that_is_none_is_named(tmp_path: Path, approved: object, said: str) -> None:
    [run] = weeks(tmp_path, 1)
    manifest = json.loads(run.store.read(manifest_uri(run)))
    run.store.write(manifest_uri(run), json.dumps(manifest | {"approved": approved}).encode())
    [damaged] = list_publications(PUBLISH, run.store)[1]
    assert said in damaged.what
    uri = f"{RUNS}{run.run_id}/report/report.json"
    report = json.loads(run.store.read(uri))
    for name in ("approved", "rejected"):
        broken = approved if name == "approved" and not isinstance(approved, dict) else {"by": 1}
        run.store.write(uri, json.dumps(report | {name: broken}).encode())
        with pytest.raises(DataError, match=rf"is damaged: .*'{name}"):
            read_report(run.store, RUNS, run.run_id)


@pytest.mark.parametrize("wreck", WRECKS.values(), ids=WRECKS.keys())
def test_a_damaged_manifest_of_the_run_that_readers_see_is_left_and_the_way_out_works(
    tmp_path: Path, wreck: bytes
) -> None:
    old, middle, last = weeks(tmp_path)
    store = last.store
    store.write(manifest_uri(last), wreck)
    assert [run.current for run in list_publications(PUBLISH, store)[1]] == [True]
    assert prune(PUBLISH, keep=5, store=store) == []
    with pytest.raises(DataError, match="is damaged"):
        read_forecasts(PUBLISH, store=store)
    # The same step again writes it anew; a later run does not need it.
    assert last.step()["pointer_moved"]
    assert read_forecasts(PUBLISH, store=store).attrs["run_id"] == last.run_id
    store.write(manifest_uri(last), wreck)
    assert rollback(PUBLISH, store=store).run_id == middle.run_id
    assert old.run_id in {run.run_id for run in list_published(PUBLISH, store=store)}


@pytest.mark.parametrize("wreck", WRECKS.values(), ids=WRECKS.keys())
def test_a_damaged_pointer_stops_no_run_and_is_written_anew(tmp_path: Path, wreck: bytes) -> None:
    *_, last = weeks(tmp_path)
    store = last.store
    store.write(pointer_uri(PUBLISH), wreck)
    assert len(list_published(PUBLISH, store=store)) == 3
    with pytest.raises(DataError, match="Roll back"):
        prune(PUBLISH, keep=1, store=store)
    following = SampleRun(root=tmp_path, run_id="run000000009", run_date=date(2026, 11, 22))
    following.transform()
    assert following.step()["pointer_moved"]
    store.write(pointer_uri(PUBLISH), wreck)
    assert rollback(PUBLISH, to=last.run_id, store=store).current


def test_a_damaged_file_of_the_last_run_is_not_compared_with_and_stops_no_run(tmp_path: Path) -> None:
    *_, last = weeks(tmp_path)
    [data] = [one.uri for one in last.store.list(PUBLISH) if f"run_id={last.run_id}/part" in one.uri]
    last.store.write(data, b"PAR1 no more")
    following = SampleRun(root=tmp_path, run_id="run000000009", run_date=date(2026, 11, 22))
    following.transform()
    assert following.step()["outcome"] == "COMPLETE"
    with pytest.raises(DataError, match="manifest promises"):
        read_forecasts(PUBLISH, run_id=last.run_id, store=last.store)


documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = ["run_id", "run_date", "replaced", "files", "counts", "outcome", "targets", "previous", "taken", "order"]
KEYS += ["schema", "totals", "shards", "mismatches", "published", "parameters"]
wrecks = st.binary(max_size=60) | st.builds(
    lambda document: json.dumps(document).encode(),
    documents | st.dictionaries(st.sampled_from(KEYS), documents, max_size=len(KEYS)),
)
READERS: list[Callable[[MemoryStore], object]] = [
    lambda store: read_pointer(store, PUBLISH),
    lambda store: list_published(PUBLISH, store=store),
    lambda store: list_publications(PUBLISH, store)[1],
    lambda store: prune(PUBLISH, keep=1, store=store),
    lambda store: rollback(PUBLISH, store=store),
    lambda store: read_forecasts(PUBLISH, store=store),
    lambda store: read_lock(store, PUBLISH),
    lambda store: read_report(store, "s3://b/runs", "runaaaaaaaaa"),
    lambda store: Manifest.from_json(store.read("s3://b/runs/runaaaaaaaaa/report/report.json")),
]


@settings(max_examples=150, deadline=None)
@given(pointer=wrecks, manifest=wrecks, lock=wrecks, report=wrecks, reader=st.sampled_from(READERS))
def test_whatever_lies_there_is_an_error_that_names_it_or_is_passed_over(
    pointer: bytes, manifest: bytes, lock: bytes, report: bytes, reader: Callable[[MemoryStore], object]
) -> None:
    store = MemoryStore()
    store.write(pointer_uri(PUBLISH), pointer)
    store.write(publication_uri(PUBLISH, date(2026, 11, 22), "runaaaaaaaaa") + MANIFEST_NAME, manifest)
    store.write(f"{PUBLISH}lock.json", lock)
    store.write("s3://b/runs/runaaaaaaaaa/report/report.json", report)
    try:
        reader(store)
    except BatchcastError as error:
        assert all(problem.what for problem in error.problems)


@pytest.mark.parametrize("wreck", [wreck for name, wreck in WRECKS.items() if name != "escaping"])
def test_a_damaged_lock_keeps_nobody_out(wreck: bytes) -> None:
    store = MemoryStore()
    store.write(f"{PUBLISH}lock.json", wreck)
    take_lock(store, PUBLISH, run_id="runbbbbbbbbb", run_label="week", now=datetime.now(UTC))
    lock = read_lock(store, PUBLISH)
    assert lock is not None
    assert lock.run_id == "runbbbbbbbbb"


@pytest.mark.parametrize("wreck", [b"", b"\xff\xfe", b"[" * 50_000, b"a = " + b"[" * 50_000, b"[m]\ncommand = 3"])
def test_a_damaged_models_file_is_named(tmp_path: Path, wreck: bytes) -> None:
    (tmp_path / "models.toml").write_bytes(wreck)
    if not wreck:
        assert read_models(tmp_path) == {}
        return
    with pytest.raises(ConfigError, match=r"models\.toml"):
        read_models(tmp_path)


@pytest.mark.parametrize("wreck", [wreck for name, wreck in WRECKS.items() if name != "escaping"])
def test_a_damaged_record_of_the_engine_is_set_aside(
    tmp_path: Path, wreck: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    client = EngineClient(tmp_path, {"m": ModelUrl(url="http://127.0.0.1:9")})
    for folder in ("pipelines", "executions", "models", "transform-jobs", "processing-jobs"):
        path = tmp_path / "state" / folder / "damaged.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wreck)
    looks: list[Callable[[], Any]] = [
        client.list_pipelines,
        client.list_models,
        client.list_transform_jobs,
        client.list_processing_jobs,
        client.interrupted,
    ]
    for look in looks:
        look()
    assert len(list(tmp_path.rglob("*.damaged"))) == 5
    assert "It was set aside as damaged.damaged." in capsys.readouterr().err
    assert client.interrupted() == []


def test_the_commands_name_what_is_damaged(tmp_path: Path) -> None:
    _, middle, _ = weeks(tmp_path)
    middle.store.write(manifest_uri(middle), b"")
    where = ["--workspace", str(tmp_path), "--publish-uri", PUBLISH]
    listed = CliRunner().invoke(published_command, where)
    assert listed.exit_code == 0
    assert f"Run {middle.run_id} of 2026-11-08 is damaged: it is empty. `prune` removes it." in listed.output
    dry = CliRunner().invoke(prune_command, [*where, "--keep", "3", "--dry-run"])
    assert f"Would remove the published run {middle.run_id} of 2026-11-08." in dry.output
    assert (
        f"Removed the published run {middle.run_id}"
        in CliRunner().invoke(prune_command, [*where, "--keep", "3"]).output
    )
