"""An answer is judged by what its record asked for."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from contract_text import contract_text

from batchcast.container_check.report import forecast_judge
from batchcast.steps.contract.model_contract import parse_contract

ROOT = Path(__file__).resolve().parents[2] / "examples"
BAKERY = (ROOT / "bakery" / "model.toml").read_bytes()
ARRAYS = contract_text(
    '{"item_id": $item_id, "past": $history($sales)}', item_id=["store"], sales="mean", answer=""
).encode()
HISTORY_ONLY = contract_text(
    '{"item_id": $item_id, "rows": $history({"day": $date, "sales": $sales}), "days": $horizon}', item_id=["store"]
).encode()
SEVERAL = (ROOT / "grocery" / "model.toml").read_bytes()
LINES = ARRAYS.replace(b"[request]", b'[request]\nmode = "object"\naccept = "application/jsonlines"')
RUN_DATE = date(2026, 1, 31)


def days(count: int) -> list[str]:
    return [(RUN_DATE + timedelta(days=day)).isoformat() for day in range(1, count + 1)]


def bakery_record(count: int = 3) -> dict[str, Any]:
    rows = [{"date": day} for day in days(count)]
    return {"item_id": "2/101", "historical_rows": [], "future_rows": rows, "forecast_days": count}


def bakery_answer(count: int = 3, **changes: Any) -> dict[str, Any]:
    rows = [{"date": day, "daily_sales": 1.5} for day in days(count)]
    return {"item_id": "2/101", "forecast": rows, **changes}


def judged(contract: bytes, record: Any, answer: Any) -> str | None:
    as_bytes = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (record, answer)]
    return forecast_judge(parse_contract(contract))(*as_bytes)


def test_the_forecast_of_the_days_asked_for_is_good() -> None:
    assert judged(BAKERY, bakery_record(), bakery_answer()) is None


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"ERROR", "cannot be read"),
        (b"[1]", "wrong_shape"),
        ({"error": "boom"}, "error_answer: boom"),
        ({"message": "boom"}, "wrong_shape"),
        (bakery_answer(2), "wrong_days: sales: forecast[*].daily_sales holds 2 values; 3 steps"),
        (bakery_answer(item_id="5/1"), "wrong_id: the answer is of item '5/1', the record of '2/101'"),
        (bakery_answer(forecast=[{"date": day, "daily_sales": -1} for day in days(3)]), "out_of_bounds"),
        (bakery_answer(forecast=[{"date": day, "daily_sales": 1} for day in days(4)[1:]]), "wrong_dates"),
    ],
)
def test_anything_else_is_named(answer: Any, said: str) -> None:
    assert said in (judged(BAKERY, bakery_record(), answer) or "good")


def test_an_answer_without_an_item_id_is_of_the_item_that_was_asked_for() -> None:
    answer = bakery_answer()
    del answer["item_id"]
    assert judged(BAKERY, bakery_record(), answer) is None


def test_without_known_future_rows_the_days_follow_the_last_of_the_history() -> None:
    record = {"item_id": "a", "rows": [{"day": "2026-01-30"}, {"day": "2026-01-31"}], "days": 2}
    rows = [{"date": day, "sales": 1.0} for day in days(2)]
    assert judged(HISTORY_ONLY, record, {"forecast": rows}) is None
    assert "wrong_dates" in (judged(HISTORY_ONLY, record, {"forecast": [rows[1], rows[0]]}) or "")
    assert "wrong_days" in (judged(HISTORY_ONLY, {**record, "days": 3}, {"forecast": rows}) or "")


def test_without_dates_in_the_record_the_answers_own_days_count() -> None:
    assert judged(ARRAYS, {"item_id": "a", "past": [1, 2]}, {"mean": [1.0, 2.0, 3.0]}) is None
    assert "wrong_shape" in (judged(ARRAYS, {"item_id": "a", "past": [1]}, {"median": [1.0]}) or "")
    assert "not_a_number" in (judged(ARRAYS, {"item_id": "a", "past": [1]}, {"mean": [None]}) or "")


@pytest.mark.parametrize("record", [b'{"item_id": "2/1', b"{}", b"[]"])
def test_an_answer_to_a_bad_record_is_judged_by_itself(record: bytes) -> None:
    assert judged(BAKERY, record, bakery_answer()) is None
    assert "error_answer" in (judged(BAKERY, record, {"error": "not a record"}) or "")
    assert "wrong_shape" in (judged(BAKERY, record, {"forecast": {}}) or "")


def test_days_that_are_counted_follow_the_declared_frequency() -> None:
    weekly = HISTORY_ONLY.replace(b"[series]", b'[series]\nfrequency = "W-WED"')
    record = {"item_id": "a", "rows": [{"day": "2025-12-17"}, {"day": "2025-12-24"}], "days": 2}
    rows = [{"date": "2025-12-31", "sales": 1.0}, {"date": "2026-01-07", "sales": 1.0}]
    assert judged(weekly, record, {"item_id": "a", "forecast": rows}) is None
    wrong = [{"date": "2025-12-25", "sales": 1.0}, {"date": "2025-12-26", "sales": 1.0}]
    assert "wrong_dates" in (judged(weekly, record, {"item_id": "a", "forecast": wrong}) or "")


def levels(steps: int) -> dict[str, list[float]]:
    return {"0.1": [1.0] * steps, "0.5": [2.0] * steps, "0.9": [3.0] * steps}


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([levels(6), levels(6)], "good"),
        ([levels(6)], "wrong_shape: predictions holds 1 answers; 2 records were sent"),
        ([levels(6), levels(5)], "wrong_days: sales"),
        ([levels(6), {"0.5": [2.0] * 6}], "wrong_shape: sales_p10"),
    ],
)
def test_every_answer_of_a_request_of_several_is_judged(answers: list[Any], said: str) -> None:
    known = {"display": [0.0] * 6, "mailer": [0.0] * 6}
    sent = [{"target": [1.0], "past_covariates": {}, "future_covariates": known}] * 2
    record = {"inputs": sent, "parameters": {"prediction_length": 6}}
    assert said in (judged(SEVERAL, record, {"predictions": answers}) or "good")


def test_an_answer_is_read_by_its_declared_type() -> None:
    assert judged(LINES, {"item_id": "a", "past": [1]}, b'{"mean": [1.0, 2.0]}\n') is None
    assert "wrong_shape" in (judged(LINES, {"item_id": "a", "past": [1]}, b'{"mean": [1.0]}\n{"mean": [2.0]}\n') or "")
