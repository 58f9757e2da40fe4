"""The decision, as a table."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchcast.steps.outcome.decision import Findings, Tolerance, decide, held_error
from batchcast.steps.outcome.ledger import Tally


def findings(*, ok: int = 0, quarantined: int = 0, failed: int = 0, missing: int = 0, **more: Any) -> Findings:
    """One record a file unless told otherwise; what is missing has no file, what failed an unreadable one."""
    expected = ok + quarantined + failed + missing
    tally = Tally(expected=expected, ok=ok, quarantined=quarantined, failed=failed, missing=missing, carried=0)
    lost = min(missing, more.get("retryable", 0))
    again = more.get("retryable", 0)
    silent = min(again, more.get("shards_lost", lost) + again - lost)
    usual = {"shards": expected, "shards_lost": lost, "unreadable": again - lost, "silent": silent}
    return Findings(tally=tally, **{**usual, **more})


def tolerance(**changed: Any) -> Tolerance:
    usual: dict[str, Any] = {
        "max_failed_records": 0,
        "max_failed_percent": 0.0,
        "systemic_failure_percent": 20.0,
        "max_retry_records": 1000,
    }
    return Tolerance(**{**usual, **changed})


TABLE = [
    # what was found, what is tolerated, the outcome, who must act
    ({"ok": 100}, {}, "COMPLETE", None),
    ({"ok": 100, "wrong": ("sales: the sum differs by +9900%",)}, {}, "HELD", "forecasts"),
    ({"ok": 0, "failed": 100, "misread": "'mean' is missing or null"}, {}, "HELD", "contract"),
    ({"ok": 99, "failed": 1}, {}, "HELD", "coverage"),
    ({"ok": 99, "failed": 1}, {"max_failed_records": 1}, "COMPLETE_WITH_QUARANTINE", None),
    ({"ok": 99, "failed": 1, "wrong": ("x",)}, {"max_failed_records": 1}, "HELD", "forecasts"),
    ({"ok": 99, "missing": 1, "wrong": ("x",), "retryable": 1}, {}, "RETRY", None),
    ({"ok": 98, "failed": 1, "quarantined": 1}, {"max_failed_records": 1}, "HELD", "coverage"),
    ({"ok": 98, "quarantined": 2}, {"max_failed_records": 1}, "HELD", "data"),
    ({"ok": 98, "quarantined": 2}, {"max_failed_percent": 2.0}, "COMPLETE_WITH_QUARANTINE", None),
    ({"ok": 98, "quarantined": 2}, {"max_failed_percent": 1.99}, "HELD", "data"),
    ({"ok": 98, "failed": 2}, {"max_failed_percent": 1.0, "max_failed_records": 2}, "COMPLETE_WITH_QUARANTINE", None),
    # missing records are sent once more, if that can still make the run whole
    ({"ok": 90, "missing": 10, "retryable": 10}, {}, "RETRY", None),
    ({"ok": 90, "missing": 8, "failed": 2, "retryable": 10}, {}, "RETRY", None),
    ({"ok": 90, "missing": 10, "retryable": 10}, {"max_failed_records": 10}, "RETRY", None),
    ({"ok": 90, "missing": 10, "retryable": 10}, {"max_retry_records": 10}, "RETRY", None),
    # more than may be sent alone share files, where these are likelier to come back than not
    ({"ok": 90, "missing": 10, "retryable": 10}, {"max_retry_records": 9}, "RETRY", None),
    ({"ok": 90, "missing": 10, "retryable": 10}, {"max_retry_records": 1}, "HELD", "coverage"),
    ({"ok": 90, "missing": 10, "retryable": 10, "shared_files": False}, {"max_retry_records": 9}, "HELD", "coverage"),
    (
        {"ok": 900, "missing": 100, "retryable": 100, "shards": 10, "shards_lost": 1},
        {"max_retry_records": 9},
        "RETRY",
        None,
    ),
    (
        {"ok": 90, "missing": 10, "retryable": 10},
        {"max_retry_records": 0, "max_failed_records": 10},
        "COMPLETE_WITH_QUARANTINE",
        None,
    ),
    # lost beyond the tolerance, and yet retried: the report then names the bad records alone
    ({"ok": 89, "missing": 10, "failed": 1, "retryable": 10}, {}, "RETRY", None),
    ({"ok": 89, "missing": 10, "failed": 1, "retryable": 10}, {"max_failed_records": 1}, "RETRY", None),
    # systemic: no retry would help
    ({"ok": 80, "missing": 20, "retryable": 20}, {}, "RETRY", None),
    ({"ok": 79, "missing": 21, "retryable": 21}, {}, "HELD", "model"),
    ({"ok": 79, "failed": 21, "retryable": 21}, {}, "HELD", "model"),
    ({"ok": 79, "missing": 21, "retryable": 21}, {"max_failed_percent": 50.0}, "HELD", "model"),
    ({"ok": 79, "missing": 21, "retryable": 21}, {"systemic_failure_percent": 21.0}, "RETRY", None),
    ({"missing": 1, "retryable": 1}, {"systemic_failure_percent": 100.0}, "RETRY", None),
    ({"missing": 1, "retryable": 1, "served": False}, {"systemic_failure_percent": 100.0}, "HELD", "model"),
    # every file lost, each by one record of many: nobody knows yet which
    ({"missing": 105, "retryable": 105, "shards": 4, "shards_lost": 4}, {}, "RETRY", None),
    ({"missing": 105, "retryable": 105, "shards": 4, "shards_lost": 4}, {"max_retry_records": 50}, "HELD", "model"),
    ({"failed": 5}, {"max_failed_percent": 100.0}, "HELD", "model"),
    ({"quarantined": 5}, {"max_failed_percent": 100.0}, "HELD", "model"),
    # a lost file speaks of one bad record, not of all its records
    ({"ok": 53, "missing": 52, "retryable": 52, "shards": 6, "shards_lost": 3}, {}, "RETRY", None),
    ({"ok": 18, "missing": 87, "retryable": 87, "shards": 6, "shards_lost": 5}, {}, "RETRY", None),
    ({"ok": 4, "missing": 12, "retryable": 12, "shards": 8, "shards_lost": 6}, {}, "HELD", "model"),
    # after the retry round nothing is retryable any more
    ({"ok": 79, "failed": 21}, {"max_failed_percent": 50.0}, "COMPLETE_WITH_QUARANTINE", None),
    ({"ok": 79, "failed": 21, "silent": 21}, {"max_failed_percent": 50.0}, "HELD", "model"),
    ({"ok": 80, "failed": 20, "silent": 20}, {"max_failed_percent": 50.0}, "COMPLETE_WITH_QUARANTINE", None),
    # answers in another item's place
    ({"ok": 98, "failed": 2, "mismatches": ("x",)}, {"max_failed_percent": 100.0}, "HELD", "model"),
    ({"ok": 100, "mismatches": ("x",)}, {}, "HELD", "model"),
]


@pytest.mark.parametrize(("found", "tolerated", "outcome", "kind"), TABLE)
def test_the_outcome(found: dict[str, Any], tolerated: dict[str, Any], outcome: str, kind: str | None) -> None:
    decision = decide(findings(**found), tolerance(**tolerated))
    assert (decision.outcome, decision.cause_kind) == (outcome, kind)
    assert (decision.cause is None) == (kind is None)


BOUNDS = [
    # as many as may be sent alone are sent, whatever is known of the files
    ({"ok": 80, "missing": 20, "retryable": 20, "shards": 4, "shards_lost": 4}, {"max_retry_records": 20}, "RETRY"),
    # half of the files lost, and two to a file: as likely to come back as not; one file more is not
    ({"ok": 50, "missing": 50, "retryable": 50, "shards_lost": 50, "silent": 1}, {"max_retry_records": 49}, "HELD"),
    (
        {"ok": 2, "missing": 2, "retryable": 2, "shards": 4, "shards_lost": 1, "silent": 0},
        {"max_retry_records": 1},
        "RETRY",
    ),
    (
        {"ok": 2, "missing": 2, "retryable": 2, "shards": 4, "shards_lost": 2, "silent": 0},
        {"max_retry_records": 1},
        "HELD",
    ),
    # the numerator of SystemicFailurePercent is what is silent, its denominator what was asked for
    ({"ok": 79, "quarantined": 5, "failed": 21, "silent": 20}, {"max_failed_records": 30}, "COMPLETE_WITH_QUARANTINE"),
    ({"ok": 79, "quarantined": 5, "failed": 21, "silent": 21}, {"max_failed_records": 30}, "HELD"),
    ({"ok": 75, "quarantined": 25, "silent": 16}, {"max_failed_records": 30}, "HELD"),
    ({"ok": 75, "quarantined": 25, "silent": 15}, {"max_failed_records": 30}, "COMPLETE_WITH_QUARANTINE"),
    # nothing was asked for, so nothing failed
    ({"ok": 0, "quarantined": 3}, {"max_failed_records": 3, "systemic_failure_percent": 0.0}, "HELD"),
    # an unreadable answer speaks of its own record alone
    ({"ok": 96, "failed": 4, "retryable": 4, "shards": 4, "unreadable": 4}, {"max_retry_records": 2}, "RETRY"),
    ({"ok": 94, "failed": 6, "retryable": 6, "shards": 4, "unreadable": 6}, {"max_retry_records": 2}, "RETRY"),
    # where no file is known of, nothing is held against the records
    ({"ok": 2, "missing": 2, "retryable": 2, "shards": 0, "silent": 0}, {"max_retry_records": 1}, "RETRY"),
    # quarantined records were not sent, and are not among those that the lost files speak of
    (
        {"ok": 6, "quarantined": 90, "missing": 4, "retryable": 4, "shards": 5, "shards_lost": 2},
        {"max_retry_records": 1, "max_failed_records": 99, "systemic_failure_percent": 100.0},
        "COMPLETE_WITH_QUARANTINE",
    ),
]


@pytest.mark.parametrize(("found", "tolerated", "outcome"), BOUNDS)
def test_the_outcome_on_each_side_of_a_limit(found: dict[str, Any], tolerated: dict[str, Any], outcome: str) -> None:
    assert decide(findings(**found), tolerance(**tolerated)).outcome == outcome


def test_reused_answers_are_not_among_those_that_were_sent() -> None:
    """Of ten records sent four are lost in one file of two: retried where the ninety reused ones counted as sent."""
    tally = Tally(expected=100, ok=96, quarantined=0, failed=0, missing=4, carried=90)
    found = Findings(tally=tally, shards=5, shards_lost=2, retryable=4, silent=2)
    assert decide(found, tolerance(max_retry_records=1, max_failed_records=9)).outcome == "COMPLETE_WITH_QUARANTINE"


def test_nothing_was_found_until_it_is_said() -> None:
    tally = Tally(expected=1, ok=1, quarantined=0, failed=0, missing=0, carried=0)
    found = Findings(tally=tally)
    names = ("shards", "shards_lost", "retryable", "unreadable", "silent", "refused")
    assert {name: getattr(found, name) for name in names} == dict.fromkeys(names, 0)
    assert found.served
    assert decide(found, tolerance(systemic_failure_percent=0.0)).outcome == "COMPLETE"


@pytest.mark.parametrize(
    ("refused", "said"), [(1, "1 request was answered 429 or 503"), (2, "2 requests were answered")]
)
def test_requests_that_were_refused_are_counted_in_the_cause(refused: int, said: str) -> None:
    cause = decide(findings(ok=90, failed=10, refused=refused), tolerance()).cause
    assert cause is not None
    assert said in cause


@pytest.mark.parametrize(
    ("expected", "records", "percent", "allowed"),
    [
        (105, 0, 1.0, 1),
        (105, 2, 1.0, 2),
        (100_000, 0, 0.29, 290),
        (100_000, 0, 0.0, 0),
        (7, 0, 99.9, 6),
        (10, 0, 100.0, 10),
    ],
)
def test_how_many_items_may_go_without_a_forecast(expected: int, records: int, percent: float, allowed: int) -> None:
    assert tolerance(max_failed_records=records, max_failed_percent=percent).allowed(expected) == allowed


def test_the_cause_says_how_many_against_which_limit_why_and_what_to_do() -> None:
    found = findings(ok=79, missing=21, retryable=21, main_reason="the shard of this record has no output (21 items)")
    assert decide(found, tolerance()).cause == (
        "21 of 100 items or more have no readable answer; that is 21.0 %, SystemicFailurePercent is 20, "
        "mainly because the shard of this record has no output (21 items). Look at the transform job's log."
    )
    found = findings(ok=96, failed=3, quarantined=1, main_reason="the model answered with an error (3 items)")
    assert decide(found, tolerance(max_failed_records=2)).cause == (
        "4 of 100 items have no forecast (1 quarantined, 3 failed, 0 missing); 2 are allowed, mainly because the model "
        "answered with an error (3 items). Rerun the run for what is missing, or raise MaxFailedRecords."
    )


def test_for_answers_that_were_read_and_are_wrong_the_cause_says_what_to_correct() -> None:
    reason = {"main_reason": "a higher quantile is below a lower one (2 items)", "correction": "Correct the model"}
    assert decide(findings(failed=2, **reason), tolerance()).cause == (
        "No item of 2 has a usable forecast, mainly because a higher quantile is below a lower one (2 items). "
        "Correct the model, then start the run again."
    )
    cause = decide(findings(ok=8, failed=2, **reason), tolerance()).cause
    assert str(cause).endswith("(2 items). Correct the model, or raise MaxFailedRecords.")


@pytest.mark.parametrize(
    ("wrong", "named"), [("abc", "a; b; c"), ("abcd", "a; b; c; and 1 more"), ("a" * 2003, "a; a; a; and 2,000 more")]
)
def test_three_of_what_is_wrong_are_named_and_the_others_counted(wrong: str, named: str) -> None:
    cause = decide(findings(ok=1, wrong=tuple(wrong)), tolerance()).cause
    assert cause == f"The forecasts look wrong: {named}."


def test_the_error_of_a_held_run_has_the_remedy_of_its_cause() -> None:
    assert "correct the model" in str(held_error("Why.", "model"))
    assert "correct the data or raise MaxFailedRecords" in str(held_error("Why.", "data"))
    assert "raise MaxFailedRecords or correct the data" in str(held_error("Why."))


counts = st.integers(0, 30)


@given(
    ok=counts,
    quarantined=counts,
    failed=counts,
    missing=counts,
    tried=st.booleans(),
    records=counts,
    percent=st.floats(0, 100),
    retries=counts,
)
def test_whatever_is_found_only_a_tolerated_run_is_published(
    ok: int, quarantined: int, failed: int, missing: int, tried: bool, records: int, percent: float, retries: int
) -> None:
    if ok + quarantined + failed + missing == 0:
        return
    limits = tolerance(max_failed_records=records, max_failed_percent=percent, max_retry_records=retries)
    found = findings(ok=ok, quarantined=quarantined, failed=failed, missing=missing, retryable=0 if tried else missing)
    decision = decide(found, limits)
    without = quarantined + failed + missing
    if decision.outcome == "COMPLETE":
        assert without == 0
    if decision.outcome == "COMPLETE_WITH_QUARANTINE":
        assert 0 < without <= limits.allowed(found.tally.expected)
        assert ok > 0
    if decision.outcome == "RETRY":
        assert found.retryable > 0
        assert retries > 0
    assert (decision.outcome == "HELD") == (decision.cause is not None)


def test_a_tally_that_does_not_add_up_is_a_bug_and_never_a_report() -> None:
    with pytest.raises(AssertionError, match="unaccounted"):
        Tally(expected=3, ok=1, quarantined=0, failed=1, missing=0, carried=0)


def test_a_run_that_resumes_another_is_judged_by_all_of_its_items() -> None:
    def resumed(carried: int) -> str:
        tally = Tally(expected=carried + 2, ok=carried, quarantined=0, failed=0, missing=2, carried=carried)
        return decide(Findings(tally=tally, retryable=2, shards=2, shards_lost=2, silent=2), tolerance()).outcome

    assert (resumed(98), resumed(7)) == ("RETRY", "HELD")
