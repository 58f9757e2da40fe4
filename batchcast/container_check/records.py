"""What a container tells before it is sent anything, and good records, one at a time.

Are they answered, in which forms, and always with the same?
"""

import statistics
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from batchcast.container_check.container import JSON_HEADERS, Container
from batchcast.container_check.report import AnsweredRecords, CheckFinding, Judge, compare_answers
from batchcast.engine.limits import MAX_PAYLOAD_IN_MB
from batchcast.engine.server.model_server import PING_TIMEOUT_SECONDS
from batchcast.engine.transform.plan import ExecutionParameters, ask_container

_PINGS = 5
_finding = partial(CheckFinding, "execution_parameters")


def check_ping(container: Container) -> list[CheckFinding]:
    """Whether /ping keeps answering, well within its time limit."""
    pings = [container.ping() for _ in range(_PINGS)]
    bad = [ping for ping in pings if ping.status != 200]
    if bad:
        what = f"{len(bad)} of {_PINGS} pings after the start were not answered with 200: {bad[0]}"
        return [CheckFinding("ping", "risk", what, "Answer /ping from the first 200 on.")]
    seconds = statistics.median(ping.seconds for ping in pings)
    what = f"/ping answers 200 in {seconds * 1000:,.1f} ms; the limit is {PING_TIMEOUT_SECONDS:g} s."
    return [CheckFinding("ping", "works", what)]


def ask_parameters(container: Container) -> tuple[Mapping[str, Any], list[CheckFinding]]:
    """The container's usable execution parameters by name, and what is to be said about them."""
    connection = container.connect()
    usable, notes = ask_container(connection, timeout=container.limits.answer)
    connection.close()
    remedy = "Answer a whole number, 0 to 100 MB, and SINGLE_RECORD or MULTI_RECORD; or answer 404."
    findings = [_finding("risk", f"{note}.", remedy) for note in notes]
    if not usable:
        return usable, findings or [_finding("note", "/execution-parameters is not offered: the job's values count.")]
    said = ExecutionParameters(**usable)
    in_flight = said.max_concurrent_transforms * said.max_payload_in_mb
    if in_flight > MAX_PAYLOAD_IN_MB:
        what = f"{said}: {in_flight} MB in flight, where a job may have {MAX_PAYLOAD_IN_MB} MB."
        findings.append(_finding("risk", what, "Lower one of the two."))
    else:
        findings.append(_finding("works", f"/execution-parameters leads to {said}."))
    return usable, findings


_SLOW_FIRST = 10
_SLOW_FIRST_SECONDS = 1.0
_REPEATS = 3
_MULTI_RECORDS = 3
_KEEP_ALIVE_REQUESTS = 8
_QUICK_REQUESTS = 2
# Linux holds an acknowledgement back for 40 ms, and a server that writes head and body apart waits for it.
_DELAY_SECONDS = 0.03
_LONG_SECONDS = 2.0
_HEADERS: Mapping[str, Mapping[str, str]] = {
    "application/jsonlines": {"Content-Type": "application/jsonlines", "Accept": "application/jsonlines"},
    "no Accept": {"Content-Type": "application/json"},
    "no Content-Type": {"Accept": "application/json"},
}


def answer_each(
    container: Container, records: Sequence[bytes], judge: Judge
) -> tuple[AnsweredRecords | None, list[CheckFinding]]:
    """Ask every record alone, as SingleRecord does; the sample of those that were answered well, None for none."""
    good: list[tuple[bytes, bytes]] = []
    bad: list[str] = []
    slowest = 0.0
    connection = container.connect()
    first = container.ask(records[0], connection=connection)
    for record in records:
        outcome = container.ask(record, connection=connection)
        wrong = judge(record, outcome.body) if outcome.answered else str(outcome)
        if wrong:
            bad.append(wrong)
        else:
            good.append((record, outcome.body))
            slowest = max(slowest, outcome.seconds)
    connection.close()
    findings = [_single_record(len(records), bad, slowest)]
    findings += [*_several_lines(good), *_slow_first(first.seconds, slowest)]
    if not good:
        return None, findings
    container.expect_answers_within(slowest)
    sent, answers = zip(*good, strict=True)
    sample = AnsweredRecords(
        records=sent, answers=answers, first_seconds=first.seconds, slowest_seconds=slowest, judge=judge
    )
    return sample, findings


def _single_record(asked: int, bad: Sequence[str], slowest: float) -> CheckFinding:
    if bad:
        what = f"{len(bad)} of {asked} records sent alone were not answered as they should be: {bad[0]}"
        remedy = "Each of them would fail its whole file. Look into the container's log, or at the records."
        return CheckFinding("single_record", "breaks", what, remedy)
    what = f"{asked} records sent alone are answered well, the slowest in {slowest:,.3f} s."
    return CheckFinding("single_record", "works", what)


def _several_lines(good: Sequence[tuple[bytes, bytes]]) -> list[CheckFinding]:
    if not any(b"\n" in answer.strip(b"\n") for _, answer in good):
        return []
    what = "An answer spreads over several lines: only joined output, which is written anew, has a line a record."
    return [CheckFinding("single_record", "note", what, "Answer compact JSON.")]


def _slow_first(first: float, slowest: float) -> list[CheckFinding]:
    if first < max(_SLOW_FIRST_SECONDS, _SLOW_FIRST * slowest):
        return []
    what = f"The very first answer takes {first:,.1f} s, later ones {slowest:,.3f} s at most: /ping answers too early."
    remedy = "Answer /ping with 200 once the model is loaded, or the first requests use up their time-out."
    return [CheckFinding("single_record", "note", what, remedy)]


def check_trailing_newline(container: Container, sample: AnsweredRecords) -> CheckFinding:
    """Whether a newline after the record changes the answer: AWS does not say whether SingleRecord keeps it."""
    outcome = container.ask(sample.record + b"\n")
    same = compare_answers(sample.answer, outcome.body) != "different"
    if outcome.answered and (same or sample.fits(outcome.body)):
        what = "A record is answered with or without a newline at its end."
        return CheckFinding("trailing_newline", "works", what)
    what = f"A record with a newline at its end is answered differently: {outcome}"
    remedy = "Ignore white space around the record: AWS does not say whether the service sends the newline."
    return CheckFinding("trailing_newline", "risk", what, remedy)


def check_multi_record(container: Container, sample: AnsweredRecords, *, asked_for: bool) -> CheckFinding:
    """Whether several records in one request are answered with a line each. `asked_for`: the container says so."""
    places = [place % len(sample.records) for place in range(_MULTI_RECORDS)]
    outcome = container.ask(b"\n".join(sample.records[place] for place in places))
    lines = outcome.body.removesuffix(b"\n").split(b"\n")
    if not outcome.answered:
        what = f"MultiRecord does not work: {len(places)} records in one request give {outcome}"
    elif len(lines) != len(places):
        what = f"MultiRecord loses records: {len(places)} in one request were answered with {len(lines)} lines."
    elif any(sample.judge(sample.records[place], line) for place, line in zip(places, lines, strict=True)):
        what = f"MultiRecord is answered with {len(lines)} lines, but not with those of the records."
    else:
        return CheckFinding("multi_record", "works", f"{len(places)} records in one request: a line each.")
    remedy = "Set SingleRecord, as batchcast does: MultiRecord is what a job uses when it is told nothing."
    return CheckFinding("multi_record", "risk" if asked_for else "note", what, remedy)


def check_content_types(container: Container, sample: AnsweredRecords) -> CheckFinding:
    """Which other headers work; application/json in both is what the pipeline sends."""
    works = [f"{JSON_HEADERS['Content-Type']} both ways"]
    fails: list[str] = []
    for name, headers in _HEADERS.items():
        outcome = container.ask(sample.record, headers=headers)
        (works if outcome.answered and sample.fits(outcome.body) else fails).append(name)
    what = f"Works with {', '.join(works)}." + (f" Not with {', '.join(fails)}." if fails else "")
    return CheckFinding("content_types", "works", what)


def check_determinism(container: Container, sample: AnsweredRecords) -> tuple[CheckFinding, bool]:
    """Whether a record gets the same answer again, and whether that can be relied upon."""
    outcomes = [container.ask(sample.record) for _ in range(_REPEATS)]
    failed = [outcome for outcome in outcomes if not outcome.answered]
    if failed:
        what = f"{len(failed)} of {_REPEATS} repeats of a record that was answered before failed: {failed[0]}"
        return CheckFinding("determinism", "breaks", what, "Look into the container's log."), False
    likeness = [compare_answers(sample.answer, outcome.body) for outcome in outcomes]
    if "different" in likeness:
        what = f"{likeness.count('different')} of {_REPEATS} repeats of one record had another answer."
        remedy = "Fix the model's seed: a retry or a rerun would publish other numbers."
        return CheckFinding("determinism", "risk", what, remedy), False
    close = " but for the last digits of some numbers" if "close" in likeness else ""
    what = f"{_REPEATS} repeats of one record had the same answer{close}."
    return CheckFinding("determinism", "works", what), True


def check_keep_alive(container: Container, sample: AnsweredRecords) -> CheckFinding:
    """Whether answers come late on a connection that is used again."""
    if sample.slowest_seconds > _LONG_SECONDS:
        what = "Not measured: a delay of some hundredths of a second does not matter for such long requests."
        return CheckFinding("keep_alive", "note", what)
    kept = container.connect()
    again, anew = [], []
    for _ in range(_KEEP_ALIVE_REQUESTS):  # in turn, so that both meet the same load of the machine
        again.append(container.ask(sample.record, connection=kept).seconds)
        anew.append(container.ask(sample.record).seconds)
    kept.close()
    # A new connection acknowledges at once, and so does this one at first.
    slower, faster = min(again[_QUICK_REQUESTS:]), min(anew)
    delay = slower - faster
    if delay < _DELAY_SECONDS or slower < 2 * faster:
        what = "Answers come as fast on a connection that is used again as on a new one."
        return CheckFinding("keep_alive", "works", what)
    what = (
        f"Answers come {delay * 1000:.0f} ms late on a connection that is used again ({slower * 1000:.0f} ms; "
        f"{faster * 1000:.0f} ms on a new one)."
    )
    remedy = "Nagle's algorithm meets delayed acknowledgement: write head and body at once, and set TCP_NODELAY."
    return CheckFinding("keep_alive", "risk", what, remedy)
