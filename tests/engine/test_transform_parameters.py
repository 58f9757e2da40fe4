"""Which parameters are in force, what the container is told, and how many requests are under way."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from recorded_model import RecordedModel
from scripted_model import Call, Reply
from transform_case import TransformCase, transform_request

from batchcast.engine.errors import NotEmulatedError
from batchcast.engine.server.model_server import ModelUrl
from batchcast.engine.transform.job import run_transform_job

UNSET: dict[str, Any] = {"MaxConcurrentTransforms": None, "BatchStrategy": None}


def container(answer: object, status: int = 200):  # type: ignore[no-untyped-def]
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return lambda path: Reply() if path == "/ping" else Reply(status=status, body=body)


@pytest.mark.parametrize("concurrency", [None, 0])
def test_e22_what_the_job_leaves_open_the_container_is_asked(tmp_path: Path, concurrency: int | None) -> None:
    """E22: documented (API reference, MaxConcurrentTransforms; developer guide, container contract)."""
    case = TransformCase(tmp_path)
    case.put(a=b"1\n2\n3\n")
    answer = {"MaxConcurrentTransforms": 3, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 2}
    case.run(get=container(answer), **{**UNSET, "MaxConcurrentTransforms": concurrency})
    assert case.model.gets == ["/ping", "/execution-parameters"]
    assert case.log() == ["MaxConcurrentTransforms=3, MaxPayloadInMB=2, BatchStrategy=SINGLE_RECORD"]
    assert sorted(case.model.bodies) == [b"1", b"2", b"3"]


def test_e22_a_container_without_the_route_means_the_defaults(tmp_path: Path) -> None:
    """E22: documented; each instance asks its own container."""
    case = TransformCase(tmp_path)
    case.put(a=b"1\n2\n", b=b"3\n")
    case.run(**UNSET, InstanceCount=2)
    assert case.model.gets.count("/execution-parameters") == 2
    assert case.log(0) == case.log(1) == ["MaxConcurrentTransforms=1, MaxPayloadInMB=6, BatchStrategy=MULTI_RECORD"]


def test_e22_a_container_is_not_asked_for_what_the_job_says(tmp_path: Path) -> None:
    """E22: our pick."""
    case = TransformCase(tmp_path)
    case.put(a=b"1\n")
    case.run(MaxPayloadInMB=6)
    assert case.model.gets == ["/ping"]


def test_e23_the_job_is_before_the_container(tmp_path: Path) -> None:
    """E23: documented (developer guide, container contract)."""
    case = TransformCase(tmp_path)
    case.put(a=b"1\n2\n")
    case.run(get=container({"BatchStrategy": "SINGLE_RECORD"}), BatchStrategy="MultiRecord")
    assert case.model.bodies == [b"1\n2"]


def test_e24_a_container_may_answer_a_part(tmp_path: Path) -> None:
    """E24: inferred."""
    case = TransformCase(tmp_path)
    case.put(a=b"1\n")
    case.run(get=container({"MaxConcurrentTransforms": 8}), **UNSET)
    assert case.log() == ["MaxConcurrentTransforms=8, MaxPayloadInMB=6, BatchStrategy=MULTI_RECORD"]


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"no JSON", 200),
        ([1], 200),
        ({"MaxConcurrentTransforms": 4}, 500),
        ({"MaxConcurrentTransforms": "4"}, 200),
        ({"MaxConcurrentTransforms": True}, 200),
        ({"MaxConcurrentTransforms": 0}, 200),
        ({"MaxPayloadInMB": 101}, 200),
        ({"MaxPayloadInMB": 5.5}, 200),
        ({"BatchStrategy": "SingleRecord"}, 200),
    ],
)
def test_e25_a_malformed_answer_is_not_used_and_logged(tmp_path: Path, answer: object, status: int) -> None:
    """E25: unknown; our pick."""
    case = TransformCase(tmp_path)
    case.put(a=b"1\n")
    case.run(get=container(answer, status), **UNSET)
    note, effective = case.log()
    assert note.startswith("/execution-parameters")
    assert effective == "MaxConcurrentTransforms=1, MaxPayloadInMB=6, BatchStrategy=MULTI_RECORD"


def test_e26_the_container_is_told_what_the_job_says(tmp_path: Path) -> None:
    """E26: documented (developer guide, container contract)."""
    case = TransformCase(tmp_path)
    case.put(a=b"1\n")
    model = RecordedModel(tmp_path)
    case.run(model.source, MaxConcurrentTransforms=2, MaxPayloadInMB=7, BatchStrategy="SingleRecord")
    (environment,) = model.environments()
    assert {name: value for name, value in environment.items() if name.startswith("SAGEMAKER_")} == {
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "2",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "7",
        "SAGEMAKER_BATCH_STRATEGY": "SINGLE_RECORD",
    }


def test_e26_the_container_is_told_nothing_the_job_does_not_say(tmp_path: Path) -> None:
    """E26: documented."""
    case = TransformCase(tmp_path)
    case.put(a=b"1\n")
    model = RecordedModel(tmp_path)
    case.run(model.source, **UNSET)
    (environment,) = model.environments()
    assert {name for name in environment if name.startswith("SAGEMAKER_")} == {"SAGEMAKER_BATCH"}


def test_e27_the_job_s_environment_is_over_the_model_s(tmp_path: Path) -> None:
    """E27: documented but for the precedence, which is our pick."""
    case = TransformCase(tmp_path)
    case.put(a=b"1\n")
    model = RecordedModel(tmp_path, environment={"OF_MODEL": "model", "OF_BOTH": "model"})
    case.run(model.source, Environment={"OF_BOTH": "job", "OF_JOB": "job"})
    (environment,) = model.environments()
    assert [environment[name] for name in ("OF_MODEL", "OF_BOTH", "OF_JOB")] == ["model", "job", "job"]


def test_r02_an_environment_for_a_server_that_runs_already_is_refused(tmp_path: Path) -> None:
    case = TransformCase(tmp_path)
    case.put(a=b"1\n")
    request = transform_request(Environment={"A": "b"})
    with pytest.raises(NotEmulatedError, match="Environment"):
        run_transform_job(request, store=case.store, model=ModelUrl(url="http://127.0.0.1:1"), workdir=tmp_path)


def test_e28_as_many_requests_as_allowed_are_in_flight_and_no_more(tmp_path: Path) -> None:
    """E28: documented. The model answers once four requests are there, which they would never be with fewer slots, and
    a moment later, in which a fifth would come."""
    case = TransformCase(tmp_path)
    case.put(a=b"1\n2\n3\n4\n5\n6\n7\n8\n")
    four = threading.Barrier(4, timeout=10)

    def meet(call: Call) -> Reply:
        four.wait()
        return Reply(body=call.body, seconds=0.1)

    assert case.run(meet, MaxConcurrentTransforms=4).status == "Completed"
    assert case.model.most_in_flight == 4


def test_p03_a_split_file_is_finished_before_the_next_begins(tmp_path: Path) -> None:
    """Unknown for several files; our pick is one at a time when it is split."""
    case = TransformCase(tmp_path)
    case.put(a=b"a1\na2\na3\n", b=b"b1\nb2\n")
    case.run(lambda call: Reply(body=call.body, seconds=0.02), MaxConcurrentTransforms=2)
    assert sorted(case.model.bodies[:3]) == [b"a1", b"a2", b"a3"]


def test_p03_objects_that_are_not_split_fill_the_slots(tmp_path: Path) -> None:
    """Seen in sagemaker-python-sdk issue 2084 (two images in flight)."""
    case = TransformCase(tmp_path)
    case.put(a=b"a", b=b"b", c=b"c", d=b"d")
    two = threading.Barrier(2, timeout=10)

    def meet(call: Call) -> bytes:
        two.wait()
        return call.body

    case.run(meet, MaxConcurrentTransforms=2, SplitType="None", AssembleWith=None)
    assert case.model.most_in_flight == 2
    assert case.outputs() == {f"{name}.out": name.encode() for name in "abcd"}


def test_e29_answers_out_of_order_are_written_in_order(tmp_path: Path) -> None:
    """E29: documented (developer guide)."""
    case = TransformCase(tmp_path)
    case.put(a=b"".join(b"%d\n" % number for number in range(12)))
    ended: list[bytes] = []

    def even_are_slow(call: Call) -> bytes:
        time.sleep(0.03 if int(call.body) % 2 == 0 else 0)
        ended.append(call.body)
        return call.body

    case.run(even_are_slow, MaxConcurrentTransforms=4)
    assert ended != sorted(ended, key=int)
    assert case.outputs()["a.out"].split() == sorted(ended, key=int)


@pytest.mark.parametrize(
    ("answer", "in_force"),
    [
        ({"MaxConcurrentTransforms": 100_000}, (16, 6)),
        ({"MaxConcurrentTransforms": 17, "MaxPayloadInMB": 6}, (16, 6)),
        ({"MaxConcurrentTransforms": 100_000, "MaxPayloadInMB": 0}, (100, 0)),
        ({"MaxConcurrentTransforms": 2, "MaxPayloadInMB": 100}, (1, 100)),
        ({"MaxConcurrentTransforms": 16}, (16, 6)),
    ],
)
def test_p18_what_a_container_may_ask_for_is_bounded(tmp_path: Path, answer: Any, in_force: tuple[int, int]) -> None:
    case = TransformCase(tmp_path)
    case.put(a=b"1\n")
    case.run(get=container(answer), **UNSET)
    *notes, parameters = case.log()
    assert parameters.startswith(f"MaxConcurrentTransforms={in_force[0]}, MaxPayloadInMB={in_force[1]},")
    assert len(notes) == (answer["MaxConcurrentTransforms"] > in_force[0])
