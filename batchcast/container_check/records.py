"""What a container tells before it is sent anything, and good records, one at a time.

Are they answered, in which forms, and always with the same?
"""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from batchcast.container_check.container import JSON_HEADERS, Container
from batchcast.container_check.report import AnsweredRecords, CheckFinding, Judge, compare_answers, found
from batchcast.engine.limits import MAX_PAYLOAD_IN_MB
from batchcast.engine.server.model_server import PING_TIMEOUT_SECONDS
from batchcast.engine.transform.plan import ExecutionParameters, ask_container

_PINGS = 5


def check_ping(container: Container) -> CheckFinding:
    """Whether /ping keeps answering, well within its time limit."""
    pings = [container.ping() for _ in range(_PINGS)]
    bad = [ping for ping in pings if ping.status != 200]
    if bad:
        return found("ping", "lost", count=len(bad), pings=_PINGS, outcome=bad[0])
    seconds = statistics.median(ping.seconds for ping in pings)
    return found("ping", "answered", ms=seconds * 1000, limit=PING_TIMEOUT_SECONDS)


def ask_parameters(container: Container) -> tuple[Mapping[str, Any], list[CheckFinding]]:
    """The container's usable execution parameters by name, and what is to be said about them."""
    connection = container.connect()
    usable, notes = ask_container(connection, timeout=container.limits.answer)
    connection.close()
    findings = [found("execution_parameters", "unusable", note=note) for note in notes]
    if not usable:
        return usable, findings or [found("execution_parameters", "none")]
    said = ExecutionParameters(**usable)
    in_flight = said.max_concurrent_transforms * said.max_payload_in_mb
    kind = "too_much" if in_flight > MAX_PAYLOAD_IN_MB else "usable"
    more = found("execution_parameters", kind, said=said, in_flight=in_flight, most=MAX_PAYLOAD_IN_MB)
    return usable, [*findings, more]


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
    findings = list(_single_record(len(records), good, bad, first.seconds, slowest))
    if not good:
        return None, findings
    container.expect_answers_within(slowest)
    sent, answers = zip(*good, strict=True)
    sample = AnsweredRecords(
        records=sent, answers=answers, first_seconds=first.seconds, slowest_seconds=slowest, judge=judge
    )
    return sample, findings


def _single_record(
    asked: int, good: Sequence[tuple[bytes, bytes]], bad: Sequence[str], first: float, slowest: float
) -> Iterator[CheckFinding]:
    if bad:
        yield found("single_record", "failed", count=len(bad), asked=asked, first=bad[0])
    else:
        yield found("single_record", "answered", asked=asked, slowest=slowest)
    if any(b"\n" in answer.strip(b"\n") for _, answer in good):
        yield found("single_record", "several_lines")
    if first >= max(_SLOW_FIRST_SECONDS, _SLOW_FIRST * slowest):
        yield found("single_record", "slow_first", first=first, slowest=slowest)


def check_trailing_newline(container: Container, sample: AnsweredRecords) -> CheckFinding:
    """Whether a newline after the record changes the answer: AWS does not say whether SingleRecord keeps it."""
    outcome = container.ask(sample.record + b"\n")
    same = compare_answers(sample.answer, outcome.body) != "different"
    ignored = outcome.answered and (same or sample.fits(outcome.body))
    return found("trailing_newline", "ignored" if ignored else "matters", outcome=outcome)


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
        return found("multi_record", "answered", count=len(places))
    return found("multi_record", "failed", "risk" if asked_for else "note", what=what)


def check_content_types(container: Container, sample: AnsweredRecords) -> CheckFinding:
    """Which other headers work; application/json in both is what the pipeline sends."""
    works = [f"{JSON_HEADERS['Content-Type']} both ways"]
    fails: list[str] = []
    for name, headers in _HEADERS.items():
        outcome = container.ask(sample.record, headers=headers)
        (works if outcome.answered and sample.fits(outcome.body) else fails).append(name)
    without = f" Not with {', '.join(fails)}." if fails else ""
    return found("content_types", "tried", works=", ".join(works), fails=without)


def check_determinism(container: Container, sample: AnsweredRecords) -> tuple[CheckFinding, bool]:
    """Whether a record gets the same answer again, and whether that can be relied upon."""
    outcomes = [container.ask(sample.record) for _ in range(_REPEATS)]
    failed = [outcome for outcome in outcomes if not outcome.answered]
    if failed:
        return found("determinism", "failed", count=len(failed), repeats=_REPEATS, outcome=failed[0]), False
    likeness = [compare_answers(sample.answer, outcome.body) for outcome in outcomes]
    if "different" in likeness:
        return found("determinism", "different", count=likeness.count("different"), repeats=_REPEATS), False
    close = " but for the last digits of some numbers" if "close" in likeness else ""
    return found("determinism", "same", repeats=_REPEATS, close=close), True


def check_keep_alive(container: Container, sample: AnsweredRecords) -> CheckFinding:
    """Whether answers come late on a connection that is used again."""
    if sample.slowest_seconds > _LONG_SECONDS:
        return found("keep_alive", "unmeasured")
    kept = container.connect()
    again, anew = [], []
    for _ in range(_KEEP_ALIVE_REQUESTS):  # in turn, so that both meet the same load of the machine
        again.append(container.ask(sample.record, connection=kept).seconds)
        anew.append(container.ask(sample.record).seconds)
    kept.close()
    # A new connection acknowledges at once, and so does this one at first.
    slower, faster = min(again[_QUICK_REQUESTS:]), min(anew)
    delay = slower - faster
    kind = "as_fast" if delay < _DELAY_SECONDS or slower < 2 * faster else "late"
    return found("keep_alive", kind, delay=delay * 1000, slower=slower * 1000, faster=faster * 1000)
