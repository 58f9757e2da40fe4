"""What an output object holds, and what the container is sent with each request."""

from __future__ import annotations

import threading
from pathlib import Path

from scripted_model import Call, Reply
from transform_case import TransformCase

from batchcast.engine.transform.context import TransformProgress


def test_e45_without_assembly_answers_are_joined_as_they_are(tmp_path: Path) -> None:
    """E45: documented (API reference, TransformOutput)."""
    case = TransformCase(tmp_path)
    case.put(a=b'{"a":1}\n{"a":2}\n')
    case.run(AssembleWith=None)
    assert case.outputs() == {"a.out": b'{"a":1}{"a":2}'}


def test_e46_a_newline_ends_every_record_once(tmp_path: Path) -> None:
    """E46: documented; that an answer with a newline gets no second one is our pick."""
    case = TransformCase(tmp_path)
    case.put(a=b"1\n2\n")
    case.run(lambda call: b'{"a":%s}' % call.body + (b"\n" if call.body == b"2" else b""))
    assert case.outputs() == {"a.out": b'{"a":1}\n{"a":2}\n'}


def test_e46_a_batched_answer_is_ended_too(tmp_path: Path) -> None:
    """E46: the same for MultiRecord."""
    case = TransformCase(tmp_path)
    case.put(a=b"1\n2\n")
    case.run(BatchStrategy="MultiRecord")
    assert case.outputs() == {"a.out": b"1\n2\n"}


def test_e50_the_request_has_the_job_s_media_types_and_says_nothing_of_the_file(tmp_path: Path) -> None:
    """E50: documented (API reference); that nothing else is there was seen in sagemaker-python-sdk issue 1095."""
    case = TransformCase(tmp_path)
    case.put(a=b"1\n")
    case.run(ContentType="application/jsonlines", Accept="text/csv")
    (call,) = case.model.calls
    assert (call.headers["content-type"], call.headers["accept"]) == ("application/jsonlines", "text/csv")
    assert set(call.headers) == {"host", "user-agent", "content-type", "accept", "content-length"}


def test_e50_media_types_that_are_not_set_are_not_sent(tmp_path: Path) -> None:
    """E50: unknown; our pick."""
    case = TransformCase(tmp_path)
    case.put(a=b"1\n")
    case.run(ContentType=None, Accept=None)
    assert set(case.model.calls[0].headers) == {"host", "user-agent", "content-length"}


def test_e51_an_output_that_is_there_is_overwritten(tmp_path: Path) -> None:
    """E51: inferred."""
    case = TransformCase(tmp_path)
    case.put(a=b"1\n")
    case.store.write("s3://b/out/a.out", b"of an earlier run")
    case.run()
    assert case.outputs() == {"a.out": b"1\n"}


def test_e72_an_output_is_there_when_its_file_is_finished(tmp_path: Path) -> None:
    """E72: inferred."""
    case = TransformCase(tmp_path)
    case.put(a=b"1\n", b=b"2\n")
    seen: list[set[str]] = []

    def look(call: Call) -> bytes:
        seen.append(set(case.outputs()))
        return call.body

    case.run(look)
    assert seen == [set(), {"a.out"}]


def test_progress_counts_files_and_records(tmp_path: Path) -> None:
    case = TransformCase(tmp_path)
    case.put(a=b"1\n2\n", b=b"3\n", c=b"bad\n")
    case.run(lambda call: Reply(status=400 if call.body == b"bad" else 200))
    done = [(progress.files_done, progress.records_done) for progress in case.progress]
    assert done == sorted(done)
    assert case.progress[-1] == TransformProgress(files_done=3, files_total=3, records_done=3)


def test_answers_far_ahead_of_a_slow_record_are_kept_in_order(tmp_path: Path) -> None:
    """The bound on what waits in memory (64 MiB) neither loses anything nor stops the slow record."""
    case = TransformCase(tmp_path)
    case.put(a=b"".join(b"%d\n" % number for number in range(30)))
    others = threading.Semaphore(0)
    large = b"x" * (3 << 20)

    def first_waits(call: Call) -> bytes:
        if call.body == b"0":
            # 21 answers of 3 MiB fill the bound, four more may be under way.
            for _ in range(21):
                assert others.acquire(timeout=10)
        others.release()
        return call.body + large

    case.run(first_waits, MaxConcurrentTransforms=5)
    expected = b"".join(b"%d%s\n" % (number, large) for number in range(30))
    assert case.outputs()["a.out"] == expected
