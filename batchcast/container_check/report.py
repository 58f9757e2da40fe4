"""What a check of a container finds, measures and advises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["works", "note", "risk", "breaks"]
"""A contract that is kept; good to know; what a job may suffer from; what fails a job."""


@dataclass(frozen=True, slots=True, kw_only=True)
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
