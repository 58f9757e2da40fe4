"""What the check makes of its measurements, for any answers and any throughput."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchcast.container_check.load import LEVELS, check_concurrency, useful_level
from batchcast.container_check.report import LoadLevel, compare_answers, judge_json

pytestmark = pytest.mark.timed

DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


def level(in_flight: int, per_second: float, *, failed: int = 0, wrong: int = 0) -> LoadLevel:
    return LoadLevel(
        in_flight=in_flight,
        requests=round(per_second * 1000) + failed,
        seconds=1000.0,
        slowest_seconds=0.1,
        failed=failed,
        wrong=wrong,
        failure="503 full" if failed else "the answer of another record" if wrong else "",
    )


@given(document=DOCUMENTS, indent=st.none() | st.integers(0, 2), ascii_only=st.booleans())
def test_the_same_document_is_the_same_answer_however_it_is_written(
    document: Any, indent: int | None, ascii_only: bool
) -> None:
    one = json.dumps(document).encode()
    other = json.dumps(document, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert judge_json(b"", one) is None
    assert compare_answers(one, other) == compare_answers(other, one) == "same"


@given(value=st.floats(0.001, 1e9), shift=st.floats(1e-12, 1e-2))
def test_numbers_are_close_within_a_millionth_and_different_beyond(value: float, shift: float) -> None:
    moved = value * (1 + shift)
    one, other = (json.dumps({"forecast": [{"day": "d", "value": number}]}).encode() for number in (value, moved))
    expected = "same" if moved == value else "close" if math.isclose(value, moved, rel_tol=1e-6) else "different"
    assert compare_answers(one, other) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [(b"[1.0, 2.0]", b"[1.0]"), (b'{"a": 1.0}', b'{"b": 1.0}'), (b"[1.5]", b'["a"]'), (b"x", b"y"), (b"{}", b"[]")],
)
def test_other_shapes_are_different_answers(one: bytes, other: bytes) -> None:
    assert compare_answers(one, other) == "different"


def test_close_below_a_level_that_failed_nothing_is_useful() -> None:
    levels = [level(1, 10), level(4, 40), level(6, 60), level(8, 80, failed=1)]
    assert useful_level(levels).in_flight == 4


@given(
    rates=st.lists(st.floats(0.1, 1e4), min_size=4, max_size=4),
    failing=st.lists(st.booleans(), min_size=4, max_size=4),
)
def test_the_useful_level_is_the_least_that_comes_near_the_best_before_the_first_failure(
    rates: list[float], failing: list[bool]
) -> None:
    levels = [level(n, rate, failed=int(fails)) for n, rate, fails in zip(LEVELS, rates, failing, strict=True)]
    sound = levels[: failing.index(True)] if True in failing else levels
    useful = useful_level(levels)
    if not sound:
        assert useful is levels[0]
        return
    assert useful in sound
    assert useful.per_second >= 0.8 * max(each.per_second for each in sound)
    assert all(
        each.per_second < 0.8 * max(other.per_second for other in sound) for each in sound[: sound.index(useful)]
    )


def said(levels: list[LoadLevel], claimed: int | None = None, *, in_turn: bool = False) -> list[tuple[str, str]]:
    says = {} if claimed is None else {"max_concurrent_transforms": claimed}
    return [(finding.verdict, finding.what) for finding in check_concurrency(levels, says, in_turn=in_turn)]


def test_a_container_that_is_faster_with_more_in_flight_works() -> None:
    [(verdict, what)] = said([level(1, 10), level(2, 20), level(4, 39), level(8, 40)])
    assert verdict == "works"
    assert "4 in flight are 3.9 times as fast as one" in what


def test_a_claim_beyond_what_was_useful_here_is_a_note() -> None:
    [(verdict, what)] = said([level(1, 10), level(2, 20), level(4, 20), level(8, 20)], 8)
    assert verdict == "note"
    assert "The container says 8." in what


def test_a_busy_machine_is_not_taken_for_a_container_that_works_in_turn() -> None:
    busy = [level(1, 10), level(2, 11), level(4, 10), level(8, 10)]
    assert "hardly faster" in said(busy, 4)[0][1]
    assert "one request at a time" in said(busy, 4, in_turn=True)[0][1]
    faster = [level(1, 10), level(2, 18), level(4, 18), level(8, 18)]
    assert "one request at a time" not in said(faster, in_turn=True)[0][1]


def test_failures_break_a_job_only_where_it_may_come_to_them() -> None:
    levels = [level(1, 10), level(2, 20), level(4, 20, failed=3), level(8, 20, failed=9)]
    assert [verdict for verdict, _ in said(levels)] == ["risk", "works"]
    assert [verdict for verdict, _ in said(levels, 2)] == ["risk", "works"]
    assert said(levels, 4)[0][0] == "breaks"
    assert said([level(1, 10, failed=1), *levels[1:]])[0][0] == "breaks"


def test_answers_of_other_records_break_every_job() -> None:
    levels = [level(1, 10), level(2, 20, wrong=2), level(4, 20), level(8, 20)]
    assert said(levels)[0][0] == "breaks"
    assert "2 of 20000 answers are wrong with 2 in flight: the answer of another record." in said(levels)[0][1]
