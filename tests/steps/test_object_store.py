"""Both object stores keep the same promises: a directory, and S3 against a real S3 server."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from breaking_proxy import breaking_proxy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from seaweed import Seaweed, running_seaweed

from batchcast.steps.errors import ConfigError, ServiceError
from batchcast.steps.store.environment import open_store
from batchcast.steps.store.objects import (
    ConflictError,
    DirectoryStore,
    ObjectMissingError,
    ObjectStore,
    StoredObject,
    join_uri,
    split_uri,
)
from batchcast.steps.store.s3 import S3Store

BUCKET = "s3://bucket"


@pytest.fixture(scope="module")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    with running_seaweed(tmp_path_factory.mktemp("weed"), "bucket") as server:
        yield server


@pytest.fixture(params=["directory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, seaweed: Seaweed) -> ObjectStore:
    return DirectoryStore(tmp_path) if request.param == "directory" else S3Store(seaweed.client())


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    """A prefix of the test's own: the server outlives it."""
    return f"{BUCKET}/{abs(hash(request.node.nodeid))}/"


def test_an_object_is_read_as_it_was_written(store: ObjectStore, prefix: str, tmp_path: Path) -> None:
    store.write(prefix + "a", b"one")
    assert store.read(prefix + "a") == b"one"
    assert store.exists(prefix + "a")
    with store.open(prefix + "a") as stream:
        assert (stream.read(2), stream.read(), stream.read()) == (b"on", b"e", b"")
    (tmp_path / "up").write_bytes(b"two")
    store.upload(tmp_path / "up", prefix + "a")
    store.download(prefix + "a", tmp_path / "deep" / "down")
    assert (tmp_path / "deep" / "down").read_bytes() == b"two"
    store.delete(prefix + "a")
    store.delete(prefix + "a")
    assert not store.exists(prefix + "a")


def test_an_empty_object_is_an_object(store: ObjectStore, prefix: str) -> None:
    store.write(prefix + "empty", b"")
    assert store.read(prefix + "empty") == b""
    assert list(store.list(prefix)) == [StoredObject(prefix + "empty", 0)]


def test_lines_are_streamed(store: ObjectStore, prefix: str) -> None:
    lines = [b"%d" % number * 1000 + b"\n" for number in range(3000)]
    store.write(prefix + "lines", b"".join(lines))
    with store.open(prefix + "lines") as stream:
        assert list(stream) == lines


def test_what_is_not_there_is_named(store: ObjectStore, prefix: str, tmp_path: Path) -> None:
    for read in (store.read, store.read_tagged, store.open):
        with pytest.raises(ObjectMissingError, match=prefix + "none"):
            read(prefix + "none")
    with pytest.raises(ObjectMissingError):
        store.download(prefix + "none", tmp_path / "none")
    assert not (tmp_path / "none").exists()
    assert list(store.list(prefix)) == []


def test_a_folder_is_no_object(store: ObjectStore, prefix: str) -> None:
    store.write(prefix + "folder/a", b"")
    assert not store.exists(prefix + "folder")
    with pytest.raises(ObjectMissingError):
        store.read(prefix + "folder")


def test_a_prefix_is_a_string_match(store: ObjectStore, prefix: str) -> None:
    names = ["in/b", "in/a/x", "in/a.b", "in/a-b", "in/ä", "in/Z", "input2/c", "other"]
    for name in names:
        store.write(prefix + name, name.encode())

    def listed(asked: str) -> set[str]:
        return {stored.uri.removeprefix(prefix) for stored in store.list(prefix + asked)}

    assert listed("in") == set(names) - {"other"}
    assert listed("in/a") == {"in/a/x", "in/a.b", "in/a-b"}
    assert [stored.size for stored in store.list(prefix + "in/a/x")] == [6]


def test_more_objects_than_a_page_holds_are_all_listed(store: ObjectStore, prefix: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: store.write(f"{prefix}{number:04d}", b""), range(1050)))
    assert [stored.uri for stored in store.list(prefix)] == [f"{prefix}{number:04d}" for number in range(1050)]


def test_a_conditional_put_writes_only_over_what_the_writer_saw(store: ObjectStore, prefix: str) -> None:
    first = store.put_if(prefix + "p", b"1", None)
    with pytest.raises(ConflictError):
        store.put_if(prefix + "p", b"other", None)
    assert store.read_tagged(prefix + "p") == (b"1", first)
    second = store.put_if(prefix + "p", b"2", first)
    with pytest.raises(ConflictError):
        store.put_if(prefix + "p", b"3", first)
    assert store.read_tagged(prefix + "p") == (b"2", second)
    with pytest.raises(ConflictError):
        store.put_if(prefix + "gone", b"x", first)
    assert not store.exists(prefix + "gone")


def test_of_sixteen_conditional_puts_at_once_one_wins(store: ObjectStore, prefix: str) -> None:
    for etag in (None, "seen"):
        tag = store.read_tagged(prefix + "p")[1] if etag else None
        barrier = threading.Barrier(16)

        def put(number: int, tag: str | None = tag, barrier: threading.Barrier = barrier) -> bytes | None:
            data = b"%d %d" % (number, tag is None)
            barrier.wait()
            try:
                store.put_if(prefix + "p", data, tag)
            except ConflictError:
                return None
            return data

        with ThreadPoolExecutor(16) as pool:
            winners = [data for data in pool.map(put, range(16)) if data is not None]
        assert winners == [store.read(prefix + "p")]


def test_a_reader_sees_the_old_object_or_the_new_and_nothing_between(store: ObjectStore, prefix: str) -> None:
    old, new = b"o" * 300_000, b"n" * 300_000
    store.write(prefix + "a", old)
    stop = threading.Event()

    def read() -> set[bytes]:
        seen = set()
        while not stop.is_set():
            seen.add(store.read(prefix + "a"))
        return seen

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        for number in range(40):
            store.write(prefix + "a", new if number % 2 else old)
        stop.set()
        assert reading.result() <= {old, new}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    keys=st.lists(
        st.lists(st.sampled_from(["a", "B", "b-", "ö", "0", "=x"]), min_size=1, max_size=3).map("/".join), max_size=8
    ),
    asked=st.sampled_from(["", "a", "a/", "b", "ö/", "0/0"]),
)
def test_a_directory_lists_as_a_flat_key_space_would(tmp_path: Path, keys: list[str], asked: str) -> None:
    keys = [key for key in keys if not any(other.startswith(key + "/") for other in keys)]
    store = DirectoryStore(tmp_path / str(abs(hash(tuple(keys)))))
    for key in keys:
        store.write(f"{BUCKET}/{key}", b"")
    expected = sorted({key for key in keys if key.startswith(asked)}, key=str.encode)
    assert [stored.uri for stored in store.list(f"{BUCKET}/{asked}")] == [f"{BUCKET}/{key}" for key in expected]


# --- S3 only: what boto3 leaves to its callers


def test_a_get_that_breaks_in_its_body_is_resumed_where_it_broke(seaweed: Seaweed, prefix: str) -> None:
    data = bytes(range(256)) * 12_000
    S3Store(seaweed.client()).write(prefix + "big", data)
    limits = {0: 1_000_000, 1: 700_000}
    with breaking_proxy(seaweed.endpoint, lambda _, number: limits.get(number)) as proxy:
        store = S3Store(seaweed.client(proxy.endpoint))
        assert store.read(prefix + "big") == data
    assert len(proxy.requests) == 3


def test_a_get_that_breaks_in_its_first_bytes_is_resumed_too(seaweed: Seaweed, prefix: str) -> None:
    data = b"x" * 50_000
    S3Store(seaweed.client()).write(prefix + "a", data)
    with breaking_proxy(seaweed.endpoint, lambda _, number: 900 if number < 2 else None) as proxy:
        assert S3Store(seaweed.client(proxy.endpoint)).read(prefix + "a") == data


def test_a_get_that_never_gets_through_ends_as_a_service_error(seaweed: Seaweed, prefix: str) -> None:
    S3Store(seaweed.client()).write(prefix + "a", b"x" * 50_000)
    with breaking_proxy(seaweed.endpoint, lambda *_: 2_000) as proxy:
        store = S3Store(seaweed.client(proxy.endpoint))
        with pytest.raises(ServiceError, match=r"the download broke 6 times, last at byte \d+"):
            store.read(prefix + "a")


def test_a_resumed_get_never_mixes_two_versions_of_an_object(seaweed: Seaweed, prefix: str) -> None:
    direct = S3Store(seaweed.client())
    direct.write(prefix + "a", b"o" * 2_000_000)

    with breaking_proxy(seaweed.endpoint, lambda _, number: 500_000 if number == 0 else None) as proxy:
        store = S3Store(seaweed.client(proxy.endpoint))
        with store.open(prefix + "a") as stream:
            first = stream.read(100_000)
            direct.write(prefix + "a", b"n" * 2_000_000)
            with pytest.raises(ServiceError):
                stream.read()
    assert set(first) == {ord("o")}


def test_a_conditional_put_whose_reply_was_lost_has_won(seaweed: Seaweed, prefix: str) -> None:
    with breaking_proxy(seaweed.endpoint, lambda _, number: 0 if number == 0 else None) as proxy:
        store = S3Store(seaweed.client(proxy.endpoint, retries={"mode": "standard", "max_attempts": 3}))
        etag = store.put_if(prefix + "p", b"mine", None)
    assert S3Store(seaweed.client()).read_tagged(prefix + "p") == (b"mine", etag)


def test_a_server_that_is_not_there_is_a_service_error_that_names_the_object(seaweed: Seaweed) -> None:
    config = {"retries": {"max_attempts": 1}, "connect_timeout": 1}
    store = S3Store(seaweed.client("http://127.0.0.1:9", **config))
    for call in (
        lambda: store.write(f"{BUCKET}/a", b""),
        lambda: store.read(f"{BUCKET}/a"),
        lambda: list(store.list(f"{BUCKET}/a")),
    ):
        with pytest.raises(ServiceError, match=f"{BUCKET}/a"):
            call()


def test_a_bucket_that_is_not_there_is_no_listing(seaweed: Seaweed) -> None:
    with pytest.raises((ServiceError, ObjectMissingError), match="nowhere"):
        list(S3Store(seaweed.client()).list("s3://nowhere/a"))


# --- names


@pytest.mark.parametrize("uri", ["bucket/key", "http://bucket/key", "s3://", "s3:///key", ""])
def test_what_is_no_s3_uri_is_refused(uri: str) -> None:
    with pytest.raises(ConfigError, match="is not an s3:// URI"):
        split_uri(uri)


@pytest.mark.parametrize("key", ["", "a//b", "../b", "a/./b", "a/", "a\0", "\udcff", "a" * 256, "a/" * 512 + "b"])
def test_a_directory_refuses_keys_that_would_leave_it_or_have_no_file(tmp_path: Path, key: str) -> None:
    with pytest.raises(ConfigError, match="cannot hold the key"):
        DirectoryStore(tmp_path).write(f"{BUCKET}/{key}", b"")


def test_names_are_joined_with_one_slash() -> None:
    assert join_uri("s3://b/x/", "/y/", "z") == "s3://b/x/y/z"


def test_the_environment_chooses_the_store(tmp_path: Path) -> None:
    found: Any = open_store({"BATCHCAST_OBJECT_STORE": str(tmp_path)})
    assert found.root == tmp_path
    again: Any = open_store(found.environment)
    assert again.root == tmp_path


def test_a_directory_named_from_here_is_told_to_a_process_that_is_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert DirectoryStore(Path("s3")).environment == {"BATCHCAST_OBJECT_STORE": str(tmp_path / "s3")}


def test_another_process_gets_to_the_endpoint_of_the_client_with_the_keys_of_this_process(
    seaweed: Seaweed, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = S3Store(seaweed.client())
    settings = {"AWS_PROFILE": "weekly", "https_proxy": "http://proxy", "AWS_ENDPOINT_URL_S3": "http://elsewhere"}
    for name, value in {**settings, "PYTHONPATH": "no matter of S3"}.items():
        monkeypatch.setenv(name, value)
    environment = store.environment
    assert {**settings, "AWS_ENDPOINT_URL_S3": seaweed.endpoint, "AWS_DEFAULT_REGION": "us-east-1"}.items() <= (
        environment.items()
    )
    assert "PYTHONPATH" not in environment


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1", "cn-north-1"])
def test_another_process_gets_to_s3_itself_as_the_client_does(region: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3

    store = S3Store(boto3.client("s3", region_name=region))
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://elsewhere")
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    elsewhere: Any = open_store({})
    assert elsewhere.environment == store.environment
    assert elsewhere.environment["AWS_DEFAULT_REGION"] == region
    assert "http://elsewhere" not in boto3.client("s3").meta.endpoint_url


def test_keys_given_beside_the_client_take_the_place_of_those_of_this_process(
    seaweed: Seaweed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of another role")
    environment = S3Store(seaweed.client(), seaweed.environ).environment
    assert seaweed.environ.items() <= environment.items()
    assert "AWS_SESSION_TOKEN" not in environment


def test_others_may_read_what_a_directory_store_holds(tmp_path: Path) -> None:
    DirectoryStore(tmp_path).write("s3://bucket/key", b"forecasts")
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    assert (tmp_path / "bucket" / "key").stat().st_mode == plain.stat().st_mode


@pytest.mark.parametrize("prefix", ["s3://b/../", "s3://b/../../etc/", "s3://b/a/../../", "s3://../", "s3://b//x"])
def test_a_directory_lists_nothing_outside_itself(tmp_path: Path, prefix: str) -> None:
    store = DirectoryStore(tmp_path / "inside")
    store.write("s3://b/x", b"x")
    (tmp_path / "outside").write_bytes(b"secret")
    assert list(store.list(prefix)) == []


def test_what_a_directory_took_is_synced_with_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced, fsync = [], os.fsync

    def seen(handle: int) -> None:
        synced.append(Path(f"/proc/self/fd/{handle}").resolve())
        fsync(handle)

    monkeypatch.setattr(os, "fsync", seen)
    DirectoryStore(tmp_path).write("s3://bucket/runs/manifest.json", b"{}")
    partial, folder = synced
    assert not partial.is_dir()
    assert folder == tmp_path / "bucket" / "runs"
