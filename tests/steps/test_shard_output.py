"""An output object against the records of its shard."""

from __future__ import annotations

import json
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchcast.steps.contract.answer import Expected
from batchcast.steps.contract.outputs import Output, Outputs
from batchcast.steps.contract.request import PLAIN_REQUEST
from batchcast.steps.outcome.ledger import REASONS
from batchcast.steps.outcome.shard_output import RecordFault, ShardReading, Usable, read_documents, read_shard

EXPECTED = Expected.of(
    Outputs(columns=(Output(name="sales", path="mean", target="sales"),), item_id="item_id"), date(2026, 2, 26), 2
)
IDS = ["a", "b", "c", "d"]
REQUESTS = [[item] for item in IDS]


def line(item: str, value: float = 1.0, echo: object = None) -> bytes:
    answer: dict[str, object] = {"mean": [value, value]}
    if echo is not None:
        answer["item_id"] = echo
    return json.dumps({"SageMakerOutput": answer, "item_id": item}).encode()


def read(*lines: bytes) -> ShardReading:
    return read_shard("p.jsonl", b"".join(each + b"\n" for each in lines), REQUESTS, EXPECTED)


def reasons(found: ShardReading) -> list[str]:
    return ["ok" if isinstance(reading, Usable) else reading.reason for reading in found.readings]


def test_a_whole_output_is_paired_line_by_line() -> None:
    found = read(*(line(item, number) for number, item in enumerate(IDS)))
    assert (found.status, reasons(found), found.mismatches) == ("ok", ["ok"] * 4, ())
    assert [reading.values[0, 0] for reading in found.readings if isinstance(reading, Usable)] == [0, 1, 2, 3]


def test_no_output_object_is_missing() -> None:
    found = read_shard("p.jsonl", None, REQUESTS, EXPECTED)
    assert (found.status, reasons(found)) == ("missing", ["no_output"] * 4)


def test_blank_lines_at_record_boundaries_and_a_lost_last_newline_are_harmless() -> None:
    data = b"\n" + b"\n\n".join(line(item) for item in IDS)
    found = read_shard("p.jsonl", data, REQUESTS, EXPECTED)
    assert (found.status, reasons(found)) == ("ok", ["ok"] * 4)


def test_two_documents_on_a_line_are_two() -> None:
    found = read(line("a") + line("b"), line("c") + b"  " + line("d"))
    assert (found.status, reasons(found)) == ("ok", ["ok"] * 4)


def test_a_short_output_keeps_what_its_ids_say() -> None:
    found = read(line("a"), line("c"))
    assert (found.status, reasons(found)) == ("short", ["ok", "short_output", "ok", "short_output"])
    assert found.mismatches == ()


def test_an_answer_twice_is_no_answer() -> None:
    found = read(line("a"), line("b"), line("b"), line("c"), line("d"))
    assert (found.status, reasons(found)) == ("long", ["ok", "answered_twice", "ok", "ok"])


def test_an_unreadable_line_is_named_with_its_place() -> None:
    found = read(line("a"), line("b")[:-9], line("c"), line("d"))
    assert (found.status, reasons(found)) == ("garbled", ["ok", "unparsable", "ok", "ok"])
    fault = found.readings[1]
    assert isinstance(fault, RecordFault)
    assert fault.detail.startswith("p.jsonl.out line 2: not JSON in UTF-8: ")


@pytest.mark.parametrize(
    "bad",
    [
        b"ERROR",
        b"\xff\xfe{}",
        b"[1, 2]",
        b'{"item_id": "b"}',
        b'{"SageMakerOutput": {"mean": [1, 1]}}',
        b'{"SageMakerOutput": {"mean": [1, 1]}, "item_id": 7}',
        b"[" * 100_000,
        b'{"SageMakerOutput": ' + b"9" * 5000 + b', "item_id": "b"}',
        line("b") + b"x",
    ],
    ids=lambda bad: bad[:20].decode("latin-1"),
)
def test_whatever_stands_in_a_line_spoils_that_record_alone(bad: bytes) -> None:
    found = read(line("a"), bad, line("c"), line("d"))
    assert found.status in ("garbled", "ok")
    assert [reason == "ok" for reason in reasons(found)] == [True, False, True, True]
    assert found.mismatches == ()


def test_swapped_lines_are_a_mismatch_of_both() -> None:
    found = read(line("b"), line("a"), line("c"), line("d"))
    assert reasons(found) == ["wrong_id", "wrong_id", "ok", "ok"]
    assert found.mismatches[0] == "p.jsonl.out line 1: answers 'b'; 'a' was expected"


def test_an_answer_that_echoes_another_id_is_a_mismatch() -> None:
    found = read(line("a"), line("b", echo="a"), line("c", echo="c"), line("d"))
    assert reasons(found) == ["ok", "wrong_id", "ok", "ok"]
    assert found.mismatches == ("p.jsonl.out line 2: answers 'a'; 'b' was expected",)


def test_an_id_echoed_as_a_number_is_the_same_id() -> None:
    found = read_shard("p.jsonl", line("7", echo=7), [["7"]], EXPECTED)
    assert reasons(found) == ["ok"]


@pytest.mark.parametrize(
    "lines",
    [
        [line("x"), line("y"), line("z"), line("w")],
        [line("a"), line("x")],
        [line("c"), line("a")],
        [line("a"), line("b"), line("c"), line("d"), line("x")],
    ],
    ids=["another-shard", "short-with-a-stranger", "short-out-of-order", "long-with-a-stranger"],
)
def test_answers_of_items_that_are_not_in_their_place_are_mismatches(lines: list[bytes]) -> None:
    assert read(*lines).mismatches


@given(keep=st.lists(st.booleans(), min_size=4, max_size=4))
def test_whatever_lines_are_lost_the_others_keep_their_own_answers(keep: list[bool]) -> None:
    lines = [line(item, number) for number, item in enumerate(IDS)]
    found = read(*(each for each, kept in zip(lines, keep, strict=True) if kept))
    assert [reason == "ok" for reason in reasons(found)] == keep
    for number, reading in enumerate(found.readings):
        if isinstance(reading, Usable):
            assert reading.values.tolist() == [[number], [number]]


@given(data=st.binary(max_size=200))
def test_any_bytes_at_all_give_every_record_one_reading(data: bytes) -> None:
    found = read_shard("p.jsonl", data, REQUESTS, EXPECTED)
    assert len(found.readings) == 4
    assert set(reasons(found)) <= set(REASONS)


@given(blanks=st.lists(st.sampled_from([b"", b" ", b"\r", b"\t\n"]), min_size=5, max_size=5))
def test_documents_are_counted_whatever_blank_space_is_between_them(blanks: list[bytes]) -> None:
    lines = [line(item) for item in IDS]
    data = blanks[4] + b"".join(each + b"\n" + blank for each, blank in zip(lines, blanks[:4], strict=True))
    assert [item for document in read_documents(data, PLAIN_REQUEST) for item in document.item_ids] == IDS
