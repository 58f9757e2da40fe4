"""What a run may do with what it found: publish, try the missing records once more, or hold everything back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from batchcast.steps.errors import CoverageError, Problem

if TYPE_CHECKING:
    from batchcast.steps.outcome.ledger import Tally

Outcome = Literal["COMPLETE", "COMPLETE_WITH_QUARANTINE", "RETRY", "HELD"]
CauseKind = Literal["model", "data", "coverage", "forecasts", "contract"]
_WORTH_SENDING = 0.5
_NAMED = 3
_REMEDIES: Mapping[str, str] = {
    "coverage": "See the report for each record; raise MaxFailedRecords or correct the data, then run again.",
    "data": "See the report for each record; correct the data or raise MaxFailedRecords, then run again.",
    "model": "See the report for each record; correct the model, then run again.",
    "contract": "Correct [outputs] in model.toml: the report says what the answers hold. Deploy it, then run again.",
    "forecasts": "Look at the report. `approve RUN_ID --reason …` publishes them as they are, `reject` closes the run.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How much may go wrong; percentages are of all items of the run, 0 to 100."""

    max_failed_records: int
    max_failed_percent: float
    systemic_failure_percent: float
    max_retry_records: int

    def allowed(self, expected: int) -> int:
        """How many of `expected` items may go without a forecast of this run."""
        # Decimal: 100,000 items x 0.29 % are 290, and 289.99… in binary.
        return max(self.max_failed_records, int(expected * Decimal(str(self.max_failed_percent)) / 100))


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What the reconciliation found.

    Of `shards` files sent, `shards_lost` have no whole output. `retryable` of the failed and missing records may be
    answered when sent once more, 0 once that was tried; `unreadable` requests have an answer, though no readable one.
    `silent` records are known to have no readable answer whatever shares their file. `mismatches` are answers found in
    another item's place; `wrong` says what of the forecasts holds the run, the most important first. `main_reason` is
    the commonest reason of a failure; `misread` says what the first answer holds where that reason is the contract's:
    the model answers, and not as declared; `correction` says what to do where that reason is an answer's that was read.
    `served` is False where a log says that the model was sent nothing, `refused` counts the requests that it answered
    with 429 or 503. `shared_files`: more records than MaxRetryRecords can share that many files, as they cannot where
    an object is one request.
    """

    tally: Tally
    shards: int = 0
    shards_lost: int = 0
    retryable: int = 0
    unreadable: int = 0
    silent: int = 0
    served: bool = True
    refused: int = 0
    shared_files: bool = True
    mismatches: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    main_reason: str = ""
    misread: str = ""
    correction: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The outcome; a held run has a cause in words and says what to act on."""

    outcome: Outcome
    cause: str | None = None
    cause_kind: CauseKind | None = None


def decide(found: Findings, tolerance: Tolerance) -> Decision:
    """The outcome of a run. Pure: the same findings and tolerance give the same decision.

    What a round costs is bounded by MaxRetryRecords, and whether a record is bad is never told from its file's fate
    alone: so the outcome does not depend on how the records were cut into files.
    """
    return (
        _untrusted(found)
        or _retry(found, tolerance)
        or _systemic(found, tolerance)
        or _incomplete(found, tolerance)
        or _complete(found)
    )


def held_error(cause: str | None, kind: CauseKind | None = None) -> CoverageError:
    """The error with which a held run ends, from the cause of its decision."""
    remedy = _REMEDIES.get(kind or "coverage", _REMEDIES["coverage"])
    return CoverageError(Problem("held", f"{cause} Nothing was published.", remedy=remedy))


def _untrusted(found: Findings) -> Decision | None:
    if not found.mismatches:
        return None
    what = f"{len(found.mismatches)} answers are in another item's place, first {found.mismatches[0]}"
    return _held(
        "model", f"{what}. Nothing in these outputs can be trusted; fix the model server, then start a new run."
    )


def _retry(found: Findings, tolerance: Tolerance) -> Decision | None:
    """Also where too many are lost already: whoever reads the report then decides on the exact list of bad records."""
    files = tolerance.max_retry_records
    if not (found.retryable and files and found.served) or _silent_percent(found) > tolerance.systemic_failure_percent:
        return None
    if found.retryable > files and not found.shared_files:
        return None
    whole = (1 - _bad_share(found)) ** (found.retryable / files)
    # Where they share files, a file is worth sending when it is likelier to come back than not.
    return Decision(outcome="RETRY") if found.retryable <= files or whole >= _WORTH_SENDING else None


def _systemic(found: Findings, tolerance: Tolerance) -> Decision | None:
    tally = found.tally
    if not tally.ok:
        what = f"No item of {tally.expected} has a usable forecast"
        if found.misread:
            return _held("contract", f"{what}{_mainly(found)}. {found.misread}")
        remedy = found.correction or "Look at the transform job's log"
        return _held("model", f"{what}{_mainly(found)}. {_slower(found)}{remedy}, then start the run again.")
    percent = _silent_percent(found)
    if percent > tolerance.systemic_failure_percent:
        what = f"{found.silent} of {tally.expected} items or more have no readable answer"
        limit = f"that is {percent:.1f} %, SystemicFailurePercent is {tolerance.systemic_failure_percent:g}"
        return _held("model", f"{what}; {limit}{_mainly(found)}. {_slower(found)}Look at the transform job's log.")
    return None


def _silent_percent(found: Findings) -> float:
    """The share of records that are known to fail by themselves, among those sent and those carried over.

    A run that resumes another sends little but what failed there: its failing again says nothing about the others.
    """
    asked = found.tally.expected - found.tally.quarantined
    return 100 * found.silent / asked if asked else 0.0


def _bad_share(found: Findings) -> float:
    """The share of the records that fail by themselves, estimated from the lost files, 0 to 1.

    A file is lost by one bad record: were a share p of the records bad at random, 1 - (1 - p)^n of the files with n
    records would be lost. So three of six lost files of 17 records speak of 4 % bad records and not of 50 %.
    """
    sent = found.tally.expected - found.tally.quarantined - found.tally.carried
    if not sent or not found.shards:
        return 0.0
    by_files: float = 1 - (1 - found.shards_lost / found.shards) ** (found.shards / sent)
    return max(by_files, found.unreadable / sent)


def _incomplete(found: Findings, tolerance: Tolerance) -> Decision | None:
    tally = found.tally
    allowed = tolerance.allowed(tally.expected)
    without = tally.expected - tally.ok
    if without <= allowed:
        return None
    parts = f"{tally.quarantined} quarantined, {tally.failed} failed, {tally.missing} missing"
    what = f"{without} of {tally.expected} items have no forecast ({parts}); {allowed} are allowed{_mainly(found)}"
    if found.retryable:
        retry = f"{found.retryable} could be sent once more, in MaxRetryRecords = {tolerance.max_retry_records} files"
        return _held("coverage", f"{what}. {retry}. {_slower(found)}Raise it, or rerun the run for what is missing.")
    if tally.quarantined > allowed:
        return _held("data", f"{what}. Fix the history of the quarantined items, or raise MaxFailedRecords.")
    remedy = found.correction or "Rerun the run for what is missing"
    return _held("coverage", f"{what}. {_slower(found)}{remedy}, or raise MaxFailedRecords.")


def _complete(found: Findings) -> Decision:
    if found.wrong:
        more = len(found.wrong) - _NAMED
        named = "; ".join(found.wrong[:_NAMED]) + (f"; and {more:,} more" if more > 0 else "")
        return _held("forecasts", f"The forecasts look wrong: {named}.")
    complete = found.tally.ok == found.tally.expected
    return Decision(outcome="COMPLETE" if complete else "COMPLETE_WITH_QUARANTINE")


def _slower(found: Findings) -> str:
    if not found.refused:
        return ""
    one = found.refused == 1
    what = f"{found.refused:,} request{'s were' * (not one)}{' was' * one} answered 429 or 503"
    return f"{what}: the model takes fewer at once than it is sent. Lower MaxConcurrentTransforms. "


def _mainly(found: Findings) -> str:
    return f", mainly because {found.main_reason}" if found.main_reason else ""


def _held(kind: CauseKind, cause: str) -> Decision:
    return Decision(outcome="HELD", cause=cause, cause_kind=kind)
