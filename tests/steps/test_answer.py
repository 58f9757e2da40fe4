"""One answer against what was declared and asked for."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batchcast.steps.contract.answer import AnswerError, Expected, read_answer
from batchcast.steps.contract.outputs import Answer

RUN_DATE, DAYS = date(2026, 2, 26), 3
DATES = ["2026-02-27", "2026-02-28", "2026-03-01"]
ROWS = Answer(rows="forecast", date="date", targets={"sales": "daily_sales"}, arrays={})
TWO = Answer(rows="forecast", date="date", targets={"sales": "s", "returns": "r"}, arrays={})
BOUNDED = Answer(rows="forecast", date="date", targets={"sales": "daily_sales"}, arrays={}, minimum=0.0, maximum=9.0)
QUANTILES = Answer(
    rows="forecast", date="date", targets={"sales": "p50"}, arrays={}, quantiles=(("p10", "p50", "p90"),)
)
ARRAYS = Answer(targets={}, arrays={"sales": "mean", "returns": "other"})


def rows(*values: Any, key: str = "daily_sales") -> dict[str, Any]:
    return {"forecast": [{"date": day, key: value} for day, value in zip(DATES, values, strict=True)]}


def read(answer: object, shape: Answer = ROWS) -> list[list[float]]:
    found: list[list[float]] = read_answer(answer, Expected.of(shape, RUN_DATE, DAYS)).tolist()
    return found


def test_rows_become_values_in_date_order() -> None:
    assert read(rows(1, 2.5, 0)) == [[1.0], [2.5], [0.0]]


def test_several_targets_are_columns_in_the_declared_order() -> None:
    answer = {"forecast": [{"date": day, "r": 9, "s": 1} for day in DATES]}
    assert read(answer, TWO) == [[1.0, 9.0]] * 3


def test_arrays_have_implied_dates() -> None:
    assert read({"mean": [1, 2, 3], "other": [4, 5, 6]}, ARRAYS) == [[1, 4], [2, 5], [3, 6]]


@pytest.mark.parametrize("suffix", ["T00:00:00", " 00:00:00", "T00:00:00Z", "T00:00:00.000"])
def test_a_date_may_be_a_time_stamp_at_midnight(suffix: str) -> None:
    answer = {"forecast": [{"date": day + suffix, "daily_sales": 1} for day in DATES]}
    assert read(answer) == [[1.0]] * 3


def test_an_error_of_null_is_no_error() -> None:
    assert read({**rows(1, 2, 3), "error": None}) == [[1.0], [2.0], [3.0]]


def changed(**row: Any) -> dict[str, Any]:
    answer = rows(1, 2, 3)
    answer["forecast"][1].update(row)
    return answer


BAD = [
    ({"error": "no such store"}, "error_answer", "no such store"),
    ({"error": {"code": 7}, **rows(1, 2, 3)}, "error_answer", '{"code": 7}'),
    ({"error": "x" * 500}, "error_answer", "x" * 199 + "…"),
    ("ERROR", "wrong_shape", "the answer is text, not an object"),
    (None, "wrong_shape", "the answer is missing or null, not an object"),
    ([1.0], "wrong_shape", "the answer is a list, not an object"),
    ({}, "wrong_shape", "'forecast' is missing or null, not a list of rows"),
    ({"forecast": 3}, "wrong_shape", "'forecast' is a number, not a list of rows"),
    ({"forecast": [1, 2, 3]}, "wrong_shape", "'forecast' holds something that is not an object"),
    ({"forecast": []}, "wrong_days", "0 rows; 3 forecast days were asked for"),
    ({"forecast": rows(1, 2, 3)["forecast"][:2]}, "wrong_days", "2 rows; 3 forecast days were asked for"),
    ({"forecast": rows(1, 2, 3)["forecast"] * 2}, "wrong_days", "6 rows; 3 forecast days were asked for"),
    (changed(date="2026-02-27"), "wrong_dates", "row 2 is dated 2026-02-27; 2026-02-28 was expected"),
    (changed(date="2026-02-28T12:00:00"), "wrong_dates", "row 2 is dated 2026-02-28T12:00:00; 2026-02-28 was expected"),
    (changed(date="28.02.2026"), "wrong_dates", "row 2 is dated 28.02.2026; 2026-02-28 was expected"),
    (changed(date=None), "wrong_dates", "row 2 is dated null; 2026-02-28 was expected"),
    (changed(date=20260228), "wrong_dates", "row 2 is dated 20260228; 2026-02-28 was expected"),
    (changed(daily_sales=None), "not_a_number", "'daily_sales' on 2026-02-28 is missing or null"),
    (changed(daily_sales="12.5"), "not_a_number", "'daily_sales' on 2026-02-28 is text"),
    (changed(daily_sales=True), "not_a_number", "'daily_sales' on 2026-02-28 is a truth value"),
    (changed(daily_sales=[1]), "not_a_number", "'daily_sales' on 2026-02-28 is a list"),
    (changed(daily_sales=float("nan")), "not_finite", "'daily_sales' on 2026-02-28 is NaN"),
    (changed(daily_sales=float("inf")), "not_finite", "'daily_sales' on 2026-02-28 is Infinity"),
    (changed(daily_sales=10**400), "not_finite", "'daily_sales' on 2026-02-28 is 1" + "0" * 198 + "…"),
]


@pytest.mark.parametrize(("answer", "reason", "detail"), BAD, ids=[f"{bad[1]}-{at}" for at, bad in enumerate(BAD)])
def test_what_is_wrong_is_said(answer: object, reason: str, detail: str) -> None:
    with pytest.raises(AnswerError) as caught:
        read(answer)
    assert (caught.value.reason, caught.value.detail) == (reason, detail)


@pytest.mark.parametrize(
    ("shape", "answer", "reason", "detail"),
    [
        (BOUNDED, rows(1, -0.5, 2), "out_of_bounds", "'daily_sales' on 2026-02-28 is -0.5; the minimum is 0.0"),
        (BOUNDED, rows(1, 2, 9.5), "out_of_bounds", "'daily_sales' on 2026-03-01 is 9.5; the maximum is 9.0"),
        (ARRAYS, {"mean": [1, 2, 3]}, "wrong_shape", "'other' is missing or null, not a list of numbers"),
        (ARRAYS, {"mean": [1, 2], "other": [1, 2, 3]}, "wrong_days", "'mean' has 2 values; 3 days were asked for"),
    ],
)
def test_declared_bounds_and_arrays_are_held_to(shape: Answer, answer: object, reason: str, detail: str) -> None:
    with pytest.raises(AnswerError) as caught:
        read(answer, shape)
    assert (caught.value.reason, caught.value.detail) == (reason, detail)


def test_quantiles_may_touch_and_must_not_cross() -> None:
    answer = {"forecast": [{"date": day, "p10": 1, "p50": 1, "p90": 4} for day in DATES]}
    assert read(answer, QUANTILES) == [[1.0]] * 3
    answer["forecast"][2]["p10"] = 1.5
    with pytest.raises(AnswerError, match=r"on 2026-03-01 'p50' = 1 is below 'p10' = 1\.5"):
        read(answer, QUANTILES)
    del answer["forecast"][2]["p10"]
    with pytest.raises(AnswerError, match="not_a_number"):
        read(answer, QUANTILES)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=()), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["forecast", "date", "daily_sales", "error", "x"]), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(answer=json_values)
@example(answer={"error": "cut \ud83d"})
def test_any_json_at_all_is_either_read_whole_or_refused_with_a_reason(answer: object) -> None:
    try:
        values = read_answer(answer, Expected.of(ROWS, RUN_DATE, DAYS))
    except AnswerError as error:
        assert error.reason
        assert len(error.detail.encode()) < 2000  # Half a character (a lone surrogate) could not be encoded.
    else:
        assert values.shape == (DAYS, 1)
        assert np.isfinite(values).all()


@given(
    values=st.lists(
        st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**300), 10**300), min_size=3, max_size=3
    )
)
def test_finite_numbers_come_through_json_unchanged(values: list[float]) -> None:
    answer = json.loads(json.dumps(rows(*values)))
    assert read(answer) == [[float(value)] for value in values]
