"""Whether an answer is the forecast that a record asked for, judged by the record itself and the contract file."""

import json
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from batchcast.steps.contract.answer import AnswerError, Expected, read_answer
from batchcast.steps.contract.answer_path import compile_path
from batchcast.steps.contract.frequency import DAILY
from batchcast.steps.contract.model_contract import ModelContract
from batchcast.steps.contract.series import ITEM_ID_KEY
from batchcast.steps.contract.template import Period, Value, value_at


def forecast_judge(contract: ModelContract) -> Callable[[bytes, bytes], str | None]:
    """A function from a record and its answer to what is wrong with the answer, None for nothing.

    The days expected are those the record asks for; where it does not say, the answer's own.
    """

    def judge(record: bytes, answer: bytes) -> str | None:
        asked, answered = _document(record), _document(answer)
        if answered is None:
            return f"the answer is not a JSON object: {answer[:60]!r}"
        dates = _dates_asked_for(contract, asked or {}) or _dates_answered(contract, answered)
        frequency = contract.series.frequency or DAILY
        expected = Expected.of(contract.outputs, frequency.before(dates[0], 2)[0], len(dates), frequency)
        try:
            read_answer(answered, expected)
        except AnswerError as error:
            return f"{error.reason}: {error.detail}"
        if asked and answered.get(ITEM_ID_KEY, asked.get(ITEM_ID_KEY)) != asked.get(ITEM_ID_KEY):
            return (
                f"wrong_id: the answer is of item {answered[ITEM_ID_KEY]!r}, the record of {asked.get(ITEM_ID_KEY)!r}"
            )
        return None

    return judge


def _document(text: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(text)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _dates_asked_for(contract: ModelContract, record: Mapping[str, Any]) -> list[date]:
    """The days the record names or counts, empty where it does neither in full."""
    future = _row_dates(contract, record, "future")
    if future:
        return future
    history = _row_dates(contract, record, "history")
    asked = [part.path for part in contract.request.series if isinstance(part, Value) and part.name == "horizon"]
    days = value_at(record, asked[0]) if asked else None
    if not history or not isinstance(days, int):
        return []
    return (contract.series.frequency or DAILY).after(max(history), days)


def _dates_answered(contract: ModelContract, answer: Any) -> list[date]:
    """As many days as the answer has, with its own dates where it has dates; one day where nothing can be read."""
    outputs = contract.outputs
    moments = compile_path(outputs.timestamps)(answer) if outputs.timestamps else None
    dates = [_day(moment) for moment in moments] if isinstance(moments, list) else [_day(moments)]
    first = compile_path(outputs.columns[0].path)(answer)
    steps = len(first) if isinstance(first, list) and first else 1
    found = [day for day in dates if day]
    if len(found) > 1:
        return found
    frequency = contract.series.frequency or DAILY
    return frequency.after(frequency.before(found[0], 2)[0] if found else date(2000, 1, 1), steps)


def _row_dates(contract: ModelContract, record: Mapping[str, Any], period: Period) -> list[date]:
    for part in contract.request.row_lists:
        texts = part.values(record, contract.series.timestamp) if part.period == period else None
        if texts is not None:
            return sorted(day for day in map(_day, texts) if day)
    return []


def _day(text: object) -> date | None:
    """The day of a date or of a time stamp at midnight, the moment of another, as the records have it."""
    try:
        moment = datetime.fromisoformat(text).replace(tzinfo=None) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment
