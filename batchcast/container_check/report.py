"""What a check of a container finds, measures and advises, and what is held of an answer.

Is it what a job needs, the same as another, and the forecast that a record asked for, judged by the record itself and
the contract file?
"""

import json
import math
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

from batchcast.steps.contract.answer import AnswerError, Expected, answered_item, read_answer, split_answers
from batchcast.steps.contract.answer_path import compile_path, value_at
from batchcast.steps.contract.frequency import DAILY
from batchcast.steps.contract.model_contract import ModelContract
from batchcast.steps.contract.series import ITEM_ID_KEY
from batchcast.steps.contract.template import Part, Period, Value
from batchcast.steps.outcome.answer_types import decode_stored_answer

Verdict = Literal["works", "note", "risk", "breaks"]
"""A contract that is kept; good to know; what a job may suffer from; what fails a job."""


@dataclass(frozen=True, slots=True)
class CheckFinding:
    """One thing that was found: `check` is a stable name, `what` has the numbers, `remedy` says what to do."""

    check: str
    verdict: Verdict
    what: str
    remedy: str = ""


_TEXTS = tomllib.loads(Path(__file__).with_name("findings.toml").read_text(encoding="utf-8"))


def found(check: str, kind: str, verdict: Verdict | None = None, **values: object) -> CheckFinding:
    """A finding of findings.toml with these values in its words; `verdict` instead of its own."""
    row = _TEXTS[check][kind]
    what, remedy = (row.get(name, "").format(**values) for name in ("what", "remedy"))
    return CheckFinding(check, verdict or row["verdict"], what, remedy)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadLevel:
    """A while of `in_flight` requests at once. `failed` and `wrong` count the requests without an answer, and those
    with another answer than the same record had alone; `failure` is one of them, in words."""

    in_flight: int
    requests: int
    seconds: float
    slowest_seconds: float
    failed: int = 0
    wrong: int = 0
    failure: str = ""

    @property
    def per_second(self) -> float:
        """Answered requests a second."""
        return (self.requests - self.failed) / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendedSettings:
    """What to give a transform job of this container, under CreateTransformJob's names."""

    max_concurrent_transforms: int
    max_payload_in_mb: int
    invocations_timeout_in_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerReport:
    """Everything found, in the order it was checked. `settings` is None where too little worked to say."""

    findings: tuple[CheckFinding, ...]
    levels: tuple[LoadLevel, ...] = ()
    settings: RecommendedSettings | None = None

    @property
    def compatible(self) -> bool:
        """Whether a job with these settings can be expected to work."""
        return self.settings is not None and all(finding.verdict != "breaks" for finding in self.findings)


Judge = Callable[[bytes, bytes], str | None]
"""What is wrong with the answer (second) to a record (first), in words; None for a good answer."""

Likeness = Literal["same", "close", "different"]

_RELATIVE_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredRecords:
    """Records that were answered well when asked alone, their answers in the same order, and how long it took:
    `first_seconds` the very first, `slowest_seconds` the slowest after it."""

    records: Sequence[bytes]
    answers: Sequence[bytes]
    first_seconds: float
    slowest_seconds: float
    judge: Judge

    @property
    def record(self) -> bytes:
        """The smallest."""
        return min(self.records, key=len)

    @property
    def answer(self) -> bytes:
        return self.answers[self.records.index(self.record)]

    def fits(self, answer: bytes) -> bool:
        """Whether the smallest record could have such an answer."""
        return self.judge(self.record, answer) is None


def judge_json(record: bytes, answer: bytes) -> str | None:
    """The least a job with JoinSource Input needs: one JSON document."""
    del record
    try:
        json.loads(answer)
    except ValueError as error:
        return f"the answer is not JSON ({error}): {answer[:60]!r}"
    return None


def compare_answers(one: bytes, other: bytes) -> Likeness:
    """Whether two answers say the same: `close` are numbers that differ by less than a millionth."""
    if one == other:
        return "same"
    try:
        left, right = json.loads(one), json.loads(other)
    except ValueError:
        return "different"
    if left == right:
        return "same"
    return "close" if _close(left, right) else "different"


def _close(left: Any, right: Any) -> bool:
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_close(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_close, left, right))
    if isinstance(left, float) or isinstance(right, float):
        try:
            return math.isclose(left, right, rel_tol=_RELATIVE_TOLERANCE)
        except TypeError:
            return False
    return bool(left == right)


def forecast_judge(contract: ModelContract) -> Callable[[bytes, bytes], str | None]:
    """A function from a record and its answer to what is wrong with the answer, None for nothing.

    The days expected are those the record asks for; where it does not say, the answer's own.
    """

    def judge(record: bytes, answer: bytes) -> str | None:
        body = _document(record)
        sent = _series_sent(contract, body)
        try:
            document = decode_stored_answer(answer, contract.request)
            answers = split_answers(document, contract.outputs, len(sent))
            named = {answered_item(one, contract.outputs): one for one in answers}
            for series, one in zip(sent, answers, strict=True):
                item = _value(contract.request.series, ITEM_ID_KEY, series)
                _check_answer(contract, body, series, item, named.get(item, one))
        except AnswerError as error:
            return f"{error.reason}: {error.detail}"
        except (ValueError, RecursionError) as error:
            return f"the answer cannot be read: {error}: {answer[:60]!r}"
        return None

    return judge


def _check_answer(contract: ModelContract, body: Any, series: Any, item: Any, answer: object) -> None:
    """Raises AnswerError for an answer that is not the series' own forecast."""
    dates = _dates_asked_for(contract, body, series) or _dates_answered(contract, answer)
    frequency = contract.series.frequency or DAILY
    expected = Expected.of(contract.outputs, frequency.before(dates[0], 2)[0], len(dates), frequency)
    read_answer(answer, expected)
    echoed = answered_item(answer, contract.outputs)
    if item is not None and echoed not in (None, item):
        raise AnswerError("wrong_id", f"the answer is of item {echoed!r}, the record of {item!r}")


def _document(text: bytes) -> Any:
    """The request as JSON, empty for what is none."""
    try:
        return json.loads(text)
    except ValueError:
        return {}


def _series_sent(contract: ModelContract, body: Any) -> list[Any]:
    """What the request holds of each of its series."""
    for part in contract.request.body:
        if isinstance(part, Value) and part.name in ("record", "records"):
            found = value_at(body, part.path)
            return found if part.name == "records" and isinstance(found, list) and found else [found]
    return [body]


def _value(parts: Sequence[Part], name: str, document: Any) -> Any:
    """What stands for the placeholder in such a document, None where nothing does."""
    found = (value_at(document, part.path) for part in parts if isinstance(part, Value) and part.name == name)
    return next(found, None)


def _dates_asked_for(contract: ModelContract, body: Any, series: Any) -> list[date]:
    """The days the request names or counts for a series, empty where it does neither in full."""
    future = _row_dates(contract, series, "future")
    if future:
        return future
    history = _row_dates(contract, series, "history")
    request = contract.request
    days = _value(request.series, "horizon", series) or _value(request.body, "horizon", body)
    # Where neither the request nor the answer has dates, any days will do.
    last = max(history) if history else None if contract.outputs.timestamps else date(2000, 1, 1)
    if last is None or not isinstance(days, int):
        return []
    return (contract.series.frequency or DAILY).after(last, days)


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


def _row_dates(contract: ModelContract, series: Any, period: Period) -> list[date]:
    for part in contract.request.row_lists:
        texts = part.values(series, contract.series.timestamp) if part.period == period else None
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
