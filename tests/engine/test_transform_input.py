"""Which objects are transformed, by which instance, and what their outputs are called."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded_model import RecordedModel
from transform_case import TransformCase, transform_request

from batchcast.engine.errors import NotEmulatedError, ServiceException
from batchcast.engine.server.http_exchange import Connection
from batchcast.engine.transform.data.packing import InputObjects, input_objects
from batchcast.engine.transform.instance import Slots
from batchcast.engine.transform.request import check_transform_request
from batchcast.steps.store.objects import DirectoryStore, StoredObject


def manifest(store: DirectoryStore, content: object) -> dict[str, str]:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    store.write("s3://b/manifests/m.json", text)
    return {"S3DataType": "ManifestFile", "S3Uri": "s3://b/manifests/m.json"}


def test_e01_a_prefix_is_a_string_and_not_a_folder(tmp_path: Path) -> None:
    """E1: documented ("all objects with the specified key name prefix"), seen in sagemaker-python-sdk issue 3557."""
    case = TransformCase(tmp_path)
    case.store.write("s3://b/in/a", b"1\n")
    case.store.write("s3://b/input2/b", b"2\n")
    case.run(S3Uri="s3://b/in")
    assert sorted(case.model.bodies) == [b"1", b"2"]


def test_e02_sub_folders_are_found_and_kept_in_the_output_name(tmp_path: Path) -> None:
    """E2: seen in AWS's notebooks."""
    case = TransformCase(tmp_path)
    case.store.write("s3://b/in/x/y.jsonl", b"1\n")
    case.run()
    assert case.outputs() == {"x/y.jsonl.out": b"1\n"}


def test_e03_outputs_below_the_input_prefix_are_input_of_the_next_run(tmp_path: Path) -> None:
    """E3: seen in sagemaker-python-sdk issue 1106."""
    case = TransformCase(tmp_path)
    case.put(a=b"1\n")
    case.run(S3OutputPath="s3://b/in/results")
    case.run(S3OutputPath="s3://b/in/results")
    assert set(case.outputs("s3://b/in/")) == {"a", "results/a.out", "results/results/a.out.out"}


def test_e05_a_manifest_names_exactly_its_objects(tmp_path: Path) -> None:
    """E5: documented (API reference, TransformS3DataSource); names relative to its prefix were seen."""
    case = TransformCase(tmp_path)
    for number in range(10):
        case.store.write(f"s3://b/data/x/{number}", b"%d\n" % number)
    source = manifest(case.store, [{"prefix": "s3://b/data/"}, "x/7", "x/1", "x/4"])
    case.run(**source)
    assert case.outputs() == {"x/1.out": b"1\n", "x/4.out": b"4\n", "x/7.out": b"7\n"}


@pytest.mark.parametrize(
    "content",
    [
        b"[{'prefix': 's3://b/'}, 'a']",
        b"\xff\xfe",
        {"prefix": "s3://b/"},
        [],
        ["a", "b"],
        [{"prefix": 1}, "a"],
        [{"prefix": "s3://b/"}],
        [{"prefix": "s3://b/"}, {"key": "a"}],
    ],
)
def test_e06_an_unreadable_manifest_is_refused_at_create(tmp_path: Path, content: object) -> None:
    """E6: unknown; our pick. That it is strict JSON was seen in sagemaker-python-sdk issue 826."""
    store = DirectoryStore(tmp_path)
    source = manifest(store, content)
    with pytest.raises(ServiceException, match="manifest") as caught:
        check_transform_request(transform_request(**source), store=store, model={})
    assert caught.value.code == "ValidationException"


def test_e06_an_object_the_manifest_names_in_vain_fails_alone(tmp_path: Path) -> None:
    """E6: unknown; our pick."""
    case = TransformCase(tmp_path)
    case.put(a=b"1\n")
    result = case.run(**manifest(case.store, [{"prefix": "s3://b/in/"}, "a", "gone"]))
    assert (result.status, case.outputs()) == ("Failed", {"a.out": b"1\n"})
    assert [file.uri for file in result.failed_files] == ["s3://b/in/gone"]


@pytest.mark.parametrize("kind", ["AugmentedManifestFile", "Converse"])
def test_e07_other_kinds_of_input_are_refused(tmp_path: Path, kind: str) -> None:
    """E7: documented for augmented manifests (API reference, TransformS3DataSource); our pick for Converse."""
    store = DirectoryStore(tmp_path)
    store.write("s3://b/in/a", b"1\n")
    with pytest.raises(ServiceException, match=kind) as caught:
        check_transform_request(transform_request(S3DataType=kind), store=store, model={})
    assert caught.value.code == "ValidationException"


def test_e08_one_file_is_the_work_of_one_instance(tmp_path: Path) -> None:
    """E8: documented (developer guide, "Use Batch Transform")."""
    case = TransformCase(tmp_path)
    case.put(a=b"1\n2\n3\n4\n")
    model = RecordedModel(tmp_path)
    case.run(model.source, InstanceCount=4)
    assert sorted(map(len, model.bodies())) == [0, 0, 0, 4]
    assert all({"path": "/ping", "body": ""} in process for process in model.requests())


def test_e09_every_file_is_the_work_of_one_instance_by_its_place_in_key_order(tmp_path: Path) -> None:
    """E9: documented but for the algorithm; object i to instance i mod N is our pick."""
    case = TransformCase(tmp_path)
    case.put(**{name: f"{name}1\n{name}2\n".encode() for name in "abcdefgh"})
    model = RecordedModel(tmp_path)
    case.run(model.source, InstanceCount=4, BatchStrategy="MultiRecord")
    assert sorted(model.bodies()) == [[f"{name}1\n{name}2" for name in pair] for pair in ("ae", "bf", "cg", "dh")]


def test_e47_an_output_for_each_input_named_by_the_rest_of_its_key(tmp_path: Path) -> None:
    """E47: documented; that a slash at the end of S3OutputPath does not matter is our pick."""
    case = TransformCase(tmp_path)
    case.put(**{"a": b"1\n", "b/a": b"2\n"})
    case.run(S3OutputPath="s3://b/out")
    assert case.outputs() == {"a.out": b"1\n", "b/a.out": b"2\n"}
    case.run(S3OutputPath="s3://b/out/")
    assert case.outputs() == {"a.out": b"1\n", "b/a.out": b"2\n"}


def test_e48_a_prefix_that_is_a_whole_key_gives_the_base_name(tmp_path: Path) -> None:
    """E48: seen in OpenSearch's documentation of batch inference."""
    case = TransformCase(tmp_path)
    case.put(a=b"1\n")
    case.run(S3Uri="s3://b/in/a")
    assert case.outputs() == {"a.out": b"1\n"}


def test_e49_a_prefix_that_ends_inside_a_name_is_cut_at_its_last_slash(tmp_path: Path) -> None:
    """E49: unknown; our pick, for all keys of the job alike."""
    case = TransformCase(tmp_path)
    case.store.write("s3://b/in/part-0", b"1\n")
    case.store.write("s3://b/in/part/1", b"2\n")
    case.run(S3Uri="s3://b/in/part")
    assert set(case.outputs()) == {"part-0.out", "part/1.out"}


def test_a_prefix_may_be_a_whole_bucket(tmp_path: Path) -> None:
    case = TransformCase(tmp_path)
    case.store.write("s3://data/a/b", b"1\n")
    case.run(S3Uri="s3://data")
    assert set(case.outputs()) == {"a/b.out"}


class Listing(DirectoryStore):
    """A store that only lists, so that keys need not be file names."""

    def __init__(self, keys: list[str]) -> None:
        super().__init__(Path())
        self.uris = sorted((f"s3://b/{key}" for key in keys), key=str.encode)

    def list(self, prefix: str):  # type: ignore[no-untyped-def]
        return (StoredObject(uri, 1) for uri in self.uris if uri.startswith(prefix))


@settings(deadline=None)
@given(
    st.lists(st.text("ab/-é", min_size=1, max_size=6), min_size=1, max_size=8, unique=True),
    st.text("ab/-", max_size=3),
)
def test_no_two_inputs_share_an_output_name(keys: list[str], prefix: str) -> None:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://b/{prefix}"}
    objects = input_objects(source, "s3://o/out", Listing(keys))
    assert len({entry.output_uri for entry in objects.share(0, 1)}) == len(objects.names)


@settings(deadline=None)
@given(st.integers(0, 40), st.integers(1, 9))
def test_the_shares_of_the_instances_are_disjoint_and_whole(files: int, instances: int) -> None:
    objects = InputObjects("s3://b/", "s3://o/out", [f"{number:03d}" for number in range(files)])
    shares = [list(objects.share(number, instances)) for number in range(instances)]
    whole = list(objects.share(0, 1))
    assert sorted((entry for share in shares for entry in share), key=lambda entry: entry.uri) == whole
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_p20_a_leading_slash_of_a_manifest_s_name_is_not_in_the_output_s(tmp_path: Path) -> None:
    case = TransformCase(tmp_path)
    case.put(a=b"1\n")
    result = case.run(**manifest(case.store, [{"prefix": "s3://b/in"}, "/a"]))
    assert (result.status, case.outputs()) == ("Completed", {"a.out": b"1\n"})


@pytest.mark.parametrize("path", ["s3://b//out/", "s3://b/a//out", "s3://b/../out/", "s3://b/./out"])
def test_p20_an_output_path_that_no_directory_has_is_refused_before_the_work(tmp_path: Path, path: str) -> None:
    case = TransformCase(tmp_path)
    case.put(a=b"1\n")
    with pytest.raises(NotEmulatedError, match=r"TransformOutput\.S3OutputPath"):
        case.run(S3OutputPath=path)
    assert case.model.bodies == []


def test_p20_slashes_at_the_end_of_an_output_path_are_one(tmp_path: Path) -> None:
    case = TransformCase(tmp_path)
    case.put(a=b"1\n")
    case.run(S3OutputPath="s3://b/out//")
    assert case.outputs() == {"a.out": b"1\n"}


class Listed(DirectoryStore):
    """Lists what it was given, and nothing else of a store."""

    def __init__(self, count: int) -> None:
        self._count = count

    def list(self, prefix: str) -> Iterator[StoredObject]:
        return (StoredObject(f"{prefix}part-{number:07d}.json", 1) for number in range(self._count))


def test_a_hundred_thousand_inputs_take_the_memory_of_their_names() -> None:
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://a-bucket/runs/a-run-id/input/r0/"}
    tracemalloc.start()
    objects = input_objects(source, "s3://a-bucket/runs/a-run-id/output/r0/", Listed(100_000))
    mine = objects.share(1, 2)
    first = next(mine)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (first.below, len(list(mine))) == ("part-0000001.json", 49_999)
    assert first.output_uri == "s3://a-bucket/runs/a-run-id/output/r0/part-0000001.json.out"
    assert held < 100 * 100_000


def test_a_whole_object_is_taken_when_a_slot_is_idle_and_no_sooner() -> None:
    made: list[int] = []

    def works() -> Iterator[Callable[[Connection], None]]:
        for number in range(1000):
            made.append(number)
            yield lambda _: ahead.append(len(made) - len(ahead))

    ahead: list[int] = []
    connections = [Connection("127.0.0.1", 9) for _ in range(3)]
    with Slots(connections, "slot") as slots:
        slots.in_one_slot_each(works())
    assert len(ahead) == 1000
    assert max(ahead) <= 3


def test_no_further_object_is_taken_after_one_has_broken_the_engine() -> None:
    taken = []

    def work(_: Connection) -> None:
        taken.append(1)
        raise OSError("no space left")

    with Slots([Connection("127.0.0.1", 9)], "slot") as slots, pytest.raises(OSError, match="no space left"):
        slots.in_one_slot_each(work for _ in range(1000))
    assert len(taken) == 1
