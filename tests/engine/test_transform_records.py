"""How objects become requests: SplitType, BatchStrategy, the payload limit and compression."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_model import Call, Reply
from transform_case import TransformCase

from batchcast.engine.transform.data.packing import Packing, mini_batches
from batchcast.engine.transform.plan import TransformOptions

MB = 1 << 20


def test_e10_an_unsplit_object_is_one_request_with_its_exact_bytes(tmp_path: Path) -> None:
    """E10: documented (API reference, TransformInput)."""
    case = TransformCase(tmp_path)
    case.put(a=b'{"a":\r\n1}\n\n\x00\xff')
    case.run(SplitType="None", AssembleWith=None)
    assert case.model.bodies == [b'{"a":\r\n1}\n\n\x00\xff']
    assert case.outputs() == {"a.out": b'{"a":\r\n1}\n\n\x00\xff'}


@pytest.mark.parametrize("content", [b"a\nb\n", b"a\nb"])
def test_e11_a_newline_at_the_end_adds_no_record(tmp_path: Path, content: bytes) -> None:
    """E11: our pick, consistent with what AWS's notebooks show."""
    case = TransformCase(tmp_path)
    case.put(a=content)
    case.run()
    assert case.model.bodies == [b"a", b"b"]


def test_e12_a_blank_line_is_a_record_with_an_empty_body(tmp_path: Path) -> None:
    """E12: unknown; our pick. AWS's XGBoost container answers 204 to it."""
    case = TransformCase(tmp_path)
    case.put(a=b"a\n\nb\n")
    result = case.run(lambda call: call.body or Reply(status=204))
    assert (result.status, case.model.bodies) == ("Completed", [b"a", b"", b"b"])


def test_e12_blank_lines_can_be_refused(tmp_path: Path) -> None:
    """E12: the switch for who wants to be told."""
    case = TransformCase(tmp_path)
    case.put(a=b"a\n\nb\n", b=b"c\n")
    result = case.run(options=TransformOptions(time_scale=0.05, reject_blank_lines=True))
    assert (result.status, set(case.outputs())) == ("Failed", {"b.out"})
    assert "b/in/a: ClientError: line 2 is blank" in case.log()


def test_e13_a_carriage_return_stays_in_the_record(tmp_path: Path) -> None:
    """E13: unknown; our pick."""
    case = TransformCase(tmp_path)
    case.put(a=b"a\r\nb\r\n")
    case.run()
    assert case.model.bodies == [b"a\r", b"b\r"]


def test_e14_a_single_record_is_sent_without_its_newline(tmp_path: Path) -> None:
    """E14: unknown; our pick, with a switch for the other reading."""
    case = TransformCase(tmp_path)
    case.put(a=b"a\nb")
    case.run()
    assert case.model.bodies == [b"a", b"b"]
    case.run(options=TransformOptions(time_scale=0.05, keep_newline=True))
    assert case.model.bodies == [b"a\n", b"b"]


def test_e15_without_a_strategy_records_are_batched(tmp_path: Path) -> None:
    """E15: documented (developer guide, container contract; MULTI_RECORD is the default)."""
    case = TransformCase(tmp_path)
    case.put(a=b"a\nb\nc\n")
    case.run(BatchStrategy=None)
    assert case.model.bodies == [b"a\nb\nc"]


def test_e16_a_batch_takes_as_many_records_as_fit(tmp_path: Path) -> None:
    """E16: documented; that the limit itself fits and that a MB is 2**20 bytes are our picks."""
    case = TransformCase(tmp_path)
    lines = [bytes([letter]) * int(0.4 * MB) for letter in b"abc"]
    lines.append(b"d" * (MB - 1 - len(lines[2])))  # with the one before it, and the newline, the limit itself
    lines.append(b"e")
    case.put(a=b"\n".join(lines))
    case.run(BatchStrategy="MultiRecord", MaxPayloadInMB=1)
    assert case.model.bodies == [b"\n".join(lines[:2]), b"\n".join(lines[2:4]), b"e"]


def test_e17_a_batch_never_mixes_files(tmp_path: Path) -> None:
    """E17: documented (developer guide: each file is processed separately)."""
    case = TransformCase(tmp_path)
    case.put(a=b"1\n2\n", b=b"3\n4\n")
    case.run(BatchStrategy="MultiRecord")
    assert sorted(case.model.bodies) == [b"1\n2", b"3\n4"]


@pytest.mark.parametrize("strategy", ["SingleRecord", "MultiRecord"])
def test_e18_a_record_over_the_limit_is_not_sent_and_fails_its_file(tmp_path: Path, strategy: str) -> None:
    """E18: documented as an error; that it is not sent is inferred."""
    case = TransformCase(tmp_path)
    case.put(a=b"x" * (MB + 1) + b"\n", b=b"y" * MB + b"\n")
    result = case.run(MaxPayloadInMB=1, BatchStrategy=strategy)
    assert (result.status, set(case.outputs()), case.model.bodies) == ("Failed", {"b.out"}, [b"y" * MB])
    assert any("b/in/a: ClientError" in line and "MaxPayloadInMB" in line for line in case.log())
    assert result.failure_reason == "ClientError: See job logs for more information"


def test_e19_an_unsplit_object_over_the_limit_fails(tmp_path: Path) -> None:
    """E19: documented."""
    case = TransformCase(tmp_path)
    case.put(a=b"x" * (MB + 1), b=b"y" * MB)
    result = case.run(SplitType="None", AssembleWith=None, MaxPayloadInMB=1)
    assert (result.status, set(case.outputs()), case.model.bodies) == ("Failed", {"b.out"}, [b"y" * MB])


@pytest.mark.parametrize("split", ["None", "Line"])
def test_e20_payload_0_is_sent_in_chunks_of_any_size(tmp_path: Path, split: str) -> None:
    """E20: documented (API reference, MaxPayloadInMB)."""
    case = TransformCase(tmp_path)
    content = b"x" * (101 * MB)
    case.put(a=content)
    result = case.run(lambda call: b"%d" % len(call.body), MaxPayloadInMB=0, SplitType=split, AssembleWith=split)
    assert (result.status, case.outputs()["a.out"].strip()) == ("Completed", b"%d" % len(content))
    assert case.model.calls[0].headers["transfer-encoding"] == "chunked"


def test_e52_gzip_input_reaches_the_model_as_plain_text(tmp_path: Path) -> None:
    """E52: documented; the name of the output is our pick."""
    case = TransformCase(tmp_path)
    case.store.write("s3://b/in/k.gz", gzip.compress(b"a\nb\n"))
    case.run(CompressionType="Gzip")
    assert (case.model.bodies, case.outputs()) == ([b"a", b"b"], {"k.gz.out": b"a\nb\n"})


@pytest.mark.parametrize("limit", [0, 6])
@pytest.mark.parametrize("split", ["None", "Line"])
@pytest.mark.parametrize("broken", [b"a\nb\n", gzip.compress(b"a\nb\n" * 999, mtime=0)[:-9]])
def test_an_object_that_is_not_gzip_fails(tmp_path: Path, broken: bytes, split: str, limit: int) -> None:
    case = TransformCase(tmp_path)
    case.put(a=broken, b=gzip.compress(b"c\n"))
    result = case.run(CompressionType="Gzip", SplitType=split, AssembleWith=split, MaxPayloadInMB=limit)
    assert (result.status, set(case.outputs())) == ("Failed", {"b.out"})
    assert result.failure_reason == "ClientError: See job logs for more information"


def test_e63_an_empty_object_has_no_records_when_it_is_split(tmp_path: Path) -> None:
    """E63: unknown; our pick."""
    case = TransformCase(tmp_path)
    case.put(a=b"")
    result = case.run()
    assert (result.status, case.model.calls, case.outputs()) == ("Completed", [], {"a.out": b""})


def test_e63_an_empty_object_is_one_empty_request_when_it_is_not_split(tmp_path: Path) -> None:
    """E63: unknown; our pick."""
    case = TransformCase(tmp_path)
    case.put(a=b"")
    case.run(lambda _: b"empty", SplitType="None", AssembleWith=None)
    assert (case.model.bodies, case.outputs()) == ([b""], {"a.out": b"empty"})


@settings(deadline=None)
@given(
    st.lists(st.binary(max_size=12).map(lambda record: record.replace(b"\n", b"")), max_size=30),
    st.integers(12, 40),
    st.sampled_from(["SingleRecord", "MultiRecord"]),
    st.booleans(),
)
def test_packing_loses_nothing_and_keeps_the_limit(records: list[bytes], limit: int, strategy: str, ends: bool) -> None:
    content = b"\n".join(records) + (b"\n" if ends and records else b"")
    expected = content.removesuffix(b"\n").split(b"\n") if content else []
    packing = Packing(split="Line", strategy=strategy, limit=limit)  # type: ignore[arg-type]
    batches = list(mini_batches(lambda: io.BytesIO(content), packing))
    bodies = [batch.body for batch in batches if isinstance(batch.body, bytes)]
    assert [line for body in bodies for line in body.split(b"\n")] == expected
    assert all(len(body) <= limit for body in bodies)
    assert [batch.index for batch in batches] == list(range(len(batches)))
    assert [batch.line for batch in batches] == [sum(b.count for b in batches[:n]) for n in range(len(batches))]
    greedy = zip(bodies, batches[1:], bodies[1:], strict=False)
    if strategy == "MultiRecord":
        assert all(len(body) + 1 + len(after.split(b"\n")[0]) > limit for body, _, after in greedy)


def test_an_answer_to_every_call(tmp_path: Path) -> None:
    case = TransformCase(tmp_path)
    case.put(a=b"1\n2\n")

    def double(call: Call) -> bytes:
        return b"%d" % (2 * int(call.body))

    assert (case.run(double).status, case.outputs()) == ("Completed", {"a.out": b"2\n4\n"})
