"""One answer against what was declared and asked for."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import jmespath
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batchcast.steps.contract.answer import AnswerError, Expected, answered_item, read_answer, split_answers
from batchcast.steps.contract.answer_path import compile_path
from batchcast.steps.contract.outputs import Output, Outputs

RUN_DATE, DAYS = date(2026, 2, 26), 3
DATES = ["2026-02-27", "2026-02-28", "2026-03-01"]


def outputs(*columns: str | Output, **answer: Any) -> Outputs:
    """Columns as name=path texts, or as they are."""
    made = [
        column
        if isinstance(column, Output)
        else Output(name=column.split("=", 1)[0], path=column.split("=", 1)[1], target=column.split("=", 1)[0])
        for column in columns
    ]
    return Outputs(columns=tuple(made), **answer)


def quantile(level: float) -> Output:
    return Output(name=f"p{level * 100:.0f}", path=f"forecast[*].p{level * 100:.0f}", target="sales", quantile=level)


ROWS = outputs("sales=forecast[*].daily_sales", timestamps="forecast[*].date")
TWO = outputs("sales=forecast[*].s", "returns=forecast[*].r")
BOUNDED = outputs("sales=forecast[*].daily_sales", minimum=0.0, maximum=9.0)
QUANTILES = outputs(quantile(0.9), quantile(0.5), quantile(0.1))
ARRAYS = outputs("sales=mean", "returns=other")


def rows(*values: Any, key: str = "daily_sales") -> dict[str, Any]:
    return {"forecast": [{"date": day, key: value} for day, value in zip(DATES, values, strict=True)]}


def read(answer: object, shape: Outputs = ROWS) -> list[list[float]]:
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


PATH = "forecast[*].daily_sales"
NOTHING = f"{PATH} finds nothing:"
ONE = '{"a": 1}'
ASKED = "steps were asked for"
BAD = [
    ({"error": "no such store"}, "error_answer", "no such store"),
    ({"error": {"code": 7}, **rows(1, 2, 3)}, "error_answer", '{"code": 7}'),
    ({"error": "x" * 500}, "error_answer", "x" * 199 + "…"),
    ("ERROR", "wrong_shape", f"sales: {NOTHING} the answer is text; the answer begins ERROR"),
    (None, "wrong_shape", f"sales: {NOTHING} the answer is missing or null; the answer begins null"),
    ([1.0], "wrong_shape", f"sales: {NOTHING} the answer is a list of 1, the first a number; the answer begins [1.0]"),
    ({}, "wrong_shape", f"sales: {NOTHING} the answer is an object with no key; the answer begins {{}}"),
    (
        {"a": 1},
        "wrong_shape",
        f'sales: {NOTHING} the answer is an object with the keys a; the answer begins {{"a": 1}}',
    ),
    ({"forecast": 3}, "wrong_shape", f'sales: {NOTHING} forecast is a number; the answer begins {{"forecast": 3}}'),
    (
        {"forecast": [1, 2, 3]},
        "wrong_shape",
        f'sales: {PATH} finds nothing: forecast[*] is a number; the answer begins {{"forecast": [1, 2, 3]}}',
    ),
    ({"forecast": []}, "wrong_days", f"sales: {PATH} holds 0 values; 3 {ASKED}"),
    (
        {"forecast": rows(1, 2, 3)["forecast"][:2]},
        "wrong_days",
        f"sales: {PATH} holds 2 values; 3 {ASKED}",
    ),
    (
        {"forecast": rows(1, 2, 3)["forecast"] * 2},
        "wrong_days",
        f"sales: {PATH} holds 6 values; 3 {ASKED}",
    ),
    (changed(date="2026-02-27"), "wrong_dates", "step 2 is dated 2026-02-27; 2026-02-28 was expected"),
    (
        changed(date="2026-02-28T12:00:00"),
        "wrong_dates",
        "step 2 is dated 2026-02-28T12:00:00; 2026-02-28 was expected",
    ),
    (changed(date="28.02.2026"), "wrong_dates", "step 2 is dated 28.02.2026; 2026-02-28 was expected"),
    (changed(date=None), "wrong_dates", "step 2 is dated null; 2026-02-28 was expected"),
    (changed(date=20260228), "wrong_dates", "step 2 is dated 20260228; 2026-02-28 was expected"),
    (changed(daily_sales=None), "not_a_number", "sales on 2026-02-28 is missing or null"),
    (changed(daily_sales="12.5"), "not_a_number", "sales on 2026-02-28 is text"),
    (changed(daily_sales=True), "not_a_number", "sales on 2026-02-28 is a truth value"),
    (changed(daily_sales=[1]), "not_a_number", "sales on 2026-02-28 is a list"),
    (changed(daily_sales=float("nan")), "not_finite", "sales on 2026-02-28 is NaN"),
    (changed(daily_sales=float("inf")), "not_finite", "sales on 2026-02-28 is Infinity"),
    (changed(daily_sales=10**400), "not_finite", "sales on 2026-02-28 is 1" + "0" * 198 + "…"),
]


@pytest.mark.parametrize(("answer", "reason", "detail"), BAD, ids=[f"{bad[1]}-{at}" for at, bad in enumerate(BAD)])
def test_what_is_wrong_is_said(answer: object, reason: str, detail: str) -> None:
    with pytest.raises(AnswerError) as caught:
        read(answer)
    assert (caught.value.reason, caught.value.detail) == (reason, detail)


@pytest.mark.parametrize(
    ("shape", "answer", "reason", "detail"),
    [
        (BOUNDED, rows(1, -0.5, 2), "out_of_bounds", "sales on 2026-02-28 is -0.5; the minimum is 0.0"),
        (BOUNDED, rows(1, 2, 9.5), "out_of_bounds", "sales on 2026-03-01 is 9.5; the maximum is 9.0"),
        (
            ARRAYS,
            {"mean": [1, 2, 3]},
            "wrong_shape",
            "returns: other finds nothing: the answer is an object with the keys mean; "
            'the answer begins {"mean": [1, 2, 3]}',
        ),
        (
            ARRAYS,
            {"mean": [1, 2], "other": [1, 2, 3]},
            "wrong_days",
            "sales: mean holds 2 values; 3 steps were asked for",
        ),
    ],
)
def test_declared_bounds_and_arrays_are_held_to(shape: Outputs, answer: object, reason: str, detail: str) -> None:
    with pytest.raises(AnswerError) as caught:
        read(answer, shape)
    assert (caught.value.reason, caught.value.detail) == (reason, detail)


def test_quantiles_may_touch_and_must_not_cross() -> None:
    answer = {"forecast": [{"date": day, "p10": 1, "p50": 1, "p90": 4} for day in DATES]}
    assert read(answer, QUANTILES) == [[4.0, 1.0, 1.0]] * 3
    answer["forecast"][2]["p10"] = 1.5
    with pytest.raises(AnswerError, match=r"on 2026-03-01 p50 = 1 is below p10 = 1\.5"):
        read(answer, QUANTILES)
    answer["forecast"][2]["p10"] = 1 + 1e-12
    with pytest.raises(AnswerError, match=r"p50 = 1 is below p10 = 1\.000000000001"):
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


ISO = [f"{day}T00:00:00" for day in DATES]


@pytest.mark.parametrize(
    ("paths", "answer"),
    [
        (outputs("sales=predictions[0].mean"), {"predictions": [{"mean": [1, 2, 3]}]}),
        (outputs("sales=@"), [1, 2, 3]),
        (outputs("sales=[0]"), [[1, 2, 3]]),
        (outputs("sales=[*].yhat", timestamps="[*].ds"), [{"ds": day, "yhat": n} for n, day in enumerate(ISO, 1)]),
        (outputs('sales=quantiles."0.5"'), {"quantiles": {"0.5": [1, 2, 3]}}),
        (outputs('sales="0.5"', timestamps="start"), {"0.5": [1, 2, 3], "start": ISO[0]}),
        (outputs("sales=[h1, h2, h3]"), {"h1": 1, "h2": 2, "h3": 3}),
        (outputs("sales=data[*][1]"), {"data": [["a", 1], ["b", 2], ["c", 3]]}),
        (outputs("sales=rows[?target=='sales'].value | [0]"), {"rows": [{"target": "sales", "value": [1, 2, 3]}]}),
        (outputs("sales=y", timestamps="t"), {"y": [1, 2, 3], "t": [1772150400000, 1772236800000, 1772323200000]}),
    ],
)
def test_each_shape_of_answer_is_read(paths: Outputs, answer: object) -> None:
    assert read(answer, paths) == [[1.0], [2.0], [3.0]]


def test_one_number_is_the_forecast_of_one_step() -> None:
    expected = Expected.of(outputs("sales=prediction"), RUN_DATE, 1)
    assert read_answer({"prediction": 7}, expected).tolist() == [[7.0]]
    with pytest.raises(AnswerError, match="holds 2 values; 1 steps"):
        read_answer({"prediction": [7, 8]}, expected)


def test_a_list_in_a_list_is_refused_with_the_place_that_is_meant() -> None:
    with pytest.raises(AnswerError, match=r"predictions\[0\] is one of 3"):
        read({"predictions": [[1, 2, 3]]}, outputs("sales=predictions"))


def test_timestamps_of_another_year_are_wrong_dates() -> None:
    with pytest.raises(AnswerError, match="step 1 is dated 1803686400000; 2026-02-27 was expected"):
        read({"y": [1, 2, 3], "t": [1803686400000] * 3}, outputs("sales=y", timestamps="t"))


def test_a_batch_is_split_into_its_answers() -> None:
    many = outputs("sales=mean", records="predictions", item_id="item_id")
    body = {"predictions": [{"mean": [1], "item_id": 7}, {"mean": [2]}]}
    answers = split_answers(body, many, 2)
    assert [answered_item(answer, many) for answer in answers] == ["7", None]
    with pytest.raises(AnswerError, match="predictions holds 2 answers; 3 records were sent"):
        split_answers(body, many, 3)
    with pytest.raises(AnswerError, match="out of memory"):
        split_answers({"error": "out of memory"}, many, 2)
    with pytest.raises(AnswerError, match="declares no records"):
        split_answers([1, 2], outputs("sales=@"), 2)


plain_paths = st.lists(st.sampled_from(["a", "b", '"0.5"', "[0]", "[-1]", "[*]"]), min_size=1, max_size=4).map(
    lambda steps: "".join(step if step.startswith("[") or not n else f".{step}" for n, step in enumerate(steps))
)
documents = st.recursive(
    st.integers() | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "0.5"]), inner, max_size=3),
    max_leaves=12,
)


@given(path=plain_paths, document=documents)
def test_plain_paths_find_what_jmespath_finds(path: str, document: object) -> None:
    """Where JMESPath leaves a null out of a projection, the plain way keeps it."""
    found = compile_path(path)(document)
    if isinstance(found, list) and "[*]" in path:
        found = [value for value in found if value is not None]
    assert found == jmespath.search(path, document)


@pytest.mark.parametrize("path", ["values(mean)", "mean.*"])
@pytest.mark.parametrize("key", ["{}", "h{}", "2026-01-{:02}"])
def test_steps_under_keys_are_in_the_order_of_their_numbers(path: str, key: str) -> None:
    steps = {key.format(step): step for step in sorted(range(1, 13), key=str)}
    found = read_answer({"mean": steps}, Expected.of(outputs(f"sales={path}"), RUN_DATE, 12))
    assert found[:, 0].tolist() == list(range(1, 13))


def test_keys_without_an_order_are_none_of_steps() -> None:
    answer = {"mean": {"today": 1, "tomorrow": 2, "later": 3}}
    with pytest.raises(AnswerError, match="keys have no order unless they are numbered"):
        read(answer, outputs("sales=values(mean)"))
    assert read({"a/b": {"mean": [1, 2, 3]}, "note": "x"}, outputs("sales=*.mean | [0]")) == [[1], [2], [3]]


def test_a_decimal_is_a_number() -> None:
    assert read(rows(Decimal("1.5"), Decimal(2), 3)) == [[1.5], [2.0], [3.0]]


def test_of_several_answers_none_of_which_names_its_item_nobody_knows_the_order() -> None:
    shape = outputs("sales=mean", records="@", item_id="id")
    answers: list[dict[str, Any]] = [{"item_id": "b", "mean": [1]}, {"item_id": "a", "mean": [2]}]
    with pytest.raises(AnswerError, match="item_id = id finds nothing"):
        split_answers(answers, shape, 2)
    assert len(split_answers([{"error": "x"}, {"error": "y"}], shape, 2)) == 2
    assert len(split_answers(answers[:1], shape, 1)) == 1


def test_the_column_of_the_targets_name_is_its_point() -> None:
    columns = [Output(name=name, path=name, target="sales") for name in ("low", "sales", "high")]
    assert outputs(*columns).point("sales") == 1
