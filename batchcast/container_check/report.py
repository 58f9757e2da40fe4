"""What a check of a container finds, measures and advises, and what is held of an answer: is it what a job needs, and
the same as another?"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["works", "note", "risk", "breaks"]
"""A contract that is kept; good to know; what a job may suffer from; what fails a job."""


@dataclass(frozen=True, slots=True)
class CheckFinding:
    """One thing that was found: `check` is a stable name, `what` has the numbers, `remedy` says what to do."""

    check: str
    verdict: Verdict
    what: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadLevel:
    """A while of `in_flight` requests at once. `failed` and `wrong` count the requests without an answer, and those
    with another answer than the same record had alone; `failure` is the first of them, in words."""

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
    def smallest(self) -> int:
        """The place of the smallest record."""
        return min(range(len(self.records)), key=lambda place: len(self.records[place]))


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
