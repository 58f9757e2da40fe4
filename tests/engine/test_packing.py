"""How the records of an object become requests, without a server: limits to the byte, places and counts."""

from __future__ import annotations

import io
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchcast.engine.transform.data.data_processing import DataProcessing
from batchcast.engine.transform.data.json_path import parse_json_path
from batchcast.engine.transform.data.packing import MiniBatch, Packing, PackingError, mini_batches

Strategy = st.sampled_from(["SingleRecord", "MultiRecord"])


def packed(content: bytes, **changed: object) -> list[MiniBatch]:
    packing = Packing(**{"split": "Line", "strategy": "MultiRecord", "limit": 10, **changed})  # type: ignore[arg-type]
    return list(mini_batches(lambda: io.BytesIO(content), packing))


def bodies(content: bytes, **changed: object) -> list[bytes]:
    return [batch.body for batch in packed(content, **changed) if isinstance(batch.body, bytes)]


def processing(kind: str = "application/jsonlines", *, sent: str = "$.b", join: bool = False) -> DataProcessing:
    """Sends the member `b` of a JSON line."""
    whole, part = parse_json_path("$"), parse_json_path(sent)
    return DataProcessing(media_type=kind, input_filter=part, output_filter=whole, join=join)


@pytest.mark.parametrize("strategy", ["SingleRecord", "MultiRecord"])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_record_of_exactly_the_limit_is_sent_and_one_byte_more_is_not(strategy: str, end: bytes) -> None:
    assert bodies(b"x" * 10 + end, strategy=strategy) == [b"x" * 10]
    with pytest.raises(PackingError, match="the record on line 1 exceeds"):
        packed(b"x" * 11 + end, strategy=strategy)


@pytest.mark.parametrize("strategy", ["SingleRecord", "MultiRecord"])
def test_with_its_newline_a_record_has_a_byte_less(strategy: str) -> None:
    assert bodies(b"x" * 9 + b"\n", strategy=strategy, keep_newline=True) == [b"x" * 9 + b"\n"]
    with pytest.raises(PackingError):
        packed(b"x" * 10 + b"\n", strategy=strategy, keep_newline=True)


def test_the_line_of_a_record_over_the_limit_is_counted_from_one() -> None:
    with pytest.raises(PackingError, match="the record on line 3 exceeds"):
        packed(b"a\nb\n" + b"x" * 11 + b"\nc\n")


def test_an_object_of_exactly_the_limit_is_sent_and_one_byte_more_is_not() -> None:
    assert bodies(b"x" * 10, split="None") == [b"x" * 10]
    with pytest.raises(PackingError, match="the object exceeds"):
        packed(b"x" * 11, split="None")


def test_a_batch_is_filled_to_exactly_the_limit_newlines_counted() -> None:
    assert bodies(b"aaaa\nbbbbb\ncc\n") == [b"aaaa\nbbbbb", b"cc"]
    assert bodies(b"aaaaa\nbbbbb\ncc\n") == [b"aaaaa", b"bbbbb\ncc"]
    assert bodies(b"aaa\nbbb\ncc\nd") == [b"aaa\nbbb\ncc", b"d"]
    assert bodies(b"aaaa\nbbbb\ncc\n", keep_newline=True) == [b"aaaa\nbbbb\n", b"cc\n"]


def test_without_a_limit_one_batch_holds_all() -> None:
    assert bodies(b"a\n" * 1000, limit=None) == [b"\n".join([b"a"] * 1000)]


@given(st.lists(st.binary(max_size=10).filter(lambda record: b"\n" not in record), max_size=30), Strategy)
def test_batches_keep_every_record_in_order_and_say_where_it_was(records: list[bytes], strategy: str) -> None:
    content = b"".join(record + b"\n" for record in records)
    batches = packed(content, strategy=strategy)
    sent = [record for batch in batches if isinstance(batch.body, bytes) for record in batch.body.split(b"\n")]
    assert sent == records
    assert [batch.index for batch in batches] == list(range(len(batches)))
    counts = [batch.count for batch in batches]
    assert [batch.line for batch in batches] == [sum(counts[:number]) for number in range(len(batches))]
    assert all(count == 1 for count in counts) or strategy == "MultiRecord"
    assert all(batch.records == () for batch in batches)
    for batch, following in pairwise(batches):
        assert isinstance(batch.body, bytes) and len(batch.body) <= 10
        assert isinstance(following.body, bytes)
        first = following.body.split(b"\n")[0]
        assert strategy == "SingleRecord" or len(batch.body) + 1 + len(first) > 10


def test_only_a_filter_keeps_the_records_and_bounds_what_is_sent_rather_than_what_is_read() -> None:
    line = b'{"a": "' + b"x" * 50 + b'", "b": 1}'
    for strategy in ("SingleRecord", "MultiRecord"):
        batches = packed(line + b"\n" + line, strategy=strategy, processing=processing())
        assert [record for batch in batches for record in batch.records] == [line, line]
        assert b"\n".join(body for body in (batch.body for batch in batches) if isinstance(body, bytes)) == b"1\n1"
    (whole,) = packed(line, split="None", limit=100, processing=processing())
    assert (whole.body, whole.records, whole.count) == (b"1", (line,), 1)


def test_a_joined_object_keeps_its_records_though_nothing_is_filtered() -> None:
    joined = processing(sent="$", join=True)
    (batch,) = packed(b"1\n2\n", processing=joined)
    assert (batch.body, batch.records) == (b"1\n2", (b"1", b"2"))
    with pytest.raises(PackingError):
        packed(b"x" * 11 + b"\n", processing=joined)


def test_an_unsplit_object_has_the_place_of_its_first_line() -> None:
    (whole,) = packed(b"a\nb\n", split="None")
    assert (whole.index, whole.line, whole.count, whole.records) == (0, 0, 1, ())


def test_blank_lines_are_records_unless_they_are_refused() -> None:
    assert bodies(b"a\n\nb\n") == [b"a\n\nb"]
    with pytest.raises(PackingError, match="line 2 is blank"):
        packed(b"a\n\nb\n", reject_blank_lines=True)
    assert bodies(b"a\nb\n", reject_blank_lines=True) == [b"a\nb"]


def test_an_object_without_a_limit_is_passed_on_in_pieces_unless_something_is_done_to_it() -> None:
    (streamed,) = packed(b"a\nb\n" * 999, split="None", limit=None)
    assert callable(streamed.body)
    assert b"".join(streamed.body()) == b"a\nb\n" * 999
    assert (streamed.index, streamed.line, streamed.count) == (0, 0, 1)
    (read,) = packed(b'{"b": 1}', split="None", limit=None, processing=processing())
    assert read.body == b"1"


@pytest.mark.parametrize(
    ("split", "strategy", "kind", "one"),
    [
        ("Line", "SingleRecord", None, True),
        ("Line", "MultiRecord", None, False),
        ("None", "MultiRecord", None, True),
        ("None", "MultiRecord", "application/json", True),
        ("None", "MultiRecord", "application/jsonlines", False),
    ],
)
def test_an_answer_is_one_document_where_one_record_was_sent(
    split: str, strategy: str, kind: str | None, one: bool
) -> None:
    done = processing(kind) if kind else None
    packing = Packing(split=split, strategy=strategy, limit=None, processing=done)  # type: ignore[arg-type]
    assert packing.one_document is one


def test_the_limit_is_named_in_megabytes_and_bytes() -> None:
    assert Packing(split="Line", strategy="SingleRecord", limit=6 << 20).limit_text == (
        "MaxPayloadInMB (6 MB = 6291456 bytes)"
    )
    assert Packing(split="Line", strategy="SingleRecord", limit=None).limit_text == ""
