"""What no job should send, and what it costs when one does: empty, oversized and bad records, and a good one after."""

import time
from concurrent.futures import ThreadPoolExecutor

from batchcast.container_check.container import Container, Outcome
from batchcast.container_check.report import AnsweredRecords, CheckFinding, Verdict, found, judge_json
from batchcast.engine.limits import BYTES_PER_MB, SMALLEST_MB_BYTES
from batchcast.engine.server.model_server import StartError
from batchcast.engine.transform.plan import DEFAULT_MAX_RETRIES

_RETRY_SECONDS = 0.1
_NEIGHBOURS = 3
_ATTEMPTS = DEFAULT_MAX_RETRIES + 1
_RETRIED = f"a job tries it {_ATTEMPTS} times before it fails the file"


def accepted_payload(container: Container, sample: AnsweredRecords, in_mb: int) -> tuple[int, CheckFinding]:
    """The most whole megabytes up to `in_mb` that a record may have, 0 for less than one; padded with white space."""
    outcomes: dict[int, Outcome] = {}

    def takes(megabytes: int) -> bool:
        outcomes[megabytes] = outcome = container.ask(sample.record.ljust(megabytes * SMALLEST_MB_BYTES))
        return outcome.answered and sample.fits(outcome.body)

    if takes(in_mb):
        return in_mb, found("payload_limit", "taken", mb=in_mb, outcome=outcomes[in_mb])
    fits, fails = 0, in_mb
    while fails - fits > 1:
        middle = (fits + fails) // 2
        fits, fails = (middle, fails) if takes(middle) else (fits, middle)
    most = f"; the most it takes is {fits} MB." if fits else ""
    largest = max(map(len, sample.records))
    verdict: Verdict = "risk" if largest < max(fits, 1) * SMALLEST_MB_BYTES else "breaks"
    return fits, found("payload_limit", "refused", verdict, mb=fails, outcome=outcomes[fails], most=most)


def check_empty_body(container: Container) -> CheckFinding:
    """A blank line, as a job would send it: batchcast never writes one."""
    outcome = container.ask(b"")
    kind = "unanswered" if outcome.status is None else "answered" if outcome.status < 500 else "failed"
    return found("empty_body", kind, outcome=outcome, retried=_RETRIED)


def check_oversized_body(container: Container, sample: AnsweredRecords, in_mb: int) -> CheckFinding:
    """A record just above the limit, which the service would not send."""
    outcome = container.ask(sample.record.ljust(in_mb * BYTES_PER_MB + 1))
    refused = outcome.status is not None and outcome.status < 500
    kind = "taken" if outcome.answered else "refused" if refused else "failed"
    return found("oversized_body", kind, mb=in_mb, outcome=outcome)


def check_bad_record(
    container: Container, sample: AnsweredRecords, in_flight: int, name: str, body: bytes
) -> list[CheckFinding]:
    """A bad record with good ones in flight beside it, as far as the container works on several at once."""
    neighbours = [place % len(sample.records) for place in range(min(_NEIGHBOURS, in_flight - 1))]
    with ThreadPoolExecutor(len(neighbours) + 1, thread_name_prefix="container-check") as threads:
        others = [threads.submit(container.ask, sample.records[place]) for place in neighbours]
        outcome = threads.submit(container.ask, body).result()
        beside = [other.result() for other in others]
    findings = [_bad_record(sample, name, body, outcome)]
    if failed := [other for other in beside if not other.answered]:
        count = len(failed)
        findings.append(found("recovery", "neighbours", name=name, count=count, beside=len(beside), outcome=failed[0]))
    return findings


def _bad_record(sample: AnsweredRecords, name: str, body: bytes, outcome: Outcome) -> CheckFinding:
    """Of a 2xx, an error that is told spares the file, a text or a forecast misleads."""
    wrong = None
    if outcome.status is None:
        kind = "unanswered"
    elif not outcome.answered:
        kind = "failed" if outcome.status >= 500 else "refused"
    elif judge_json(body, outcome.body):
        kind = "no_json"
    else:
        wrong = sample.judge(body, outcome.body)
        kind = "error_told" if wrong else "taken"
    return found("bad_record", kind, name=name, outcome=outcome, retried=_RETRIED, wrong=wrong)


def recover(container: Container, sample: AnsweredRecords, after: str) -> tuple[bool, list[CheckFinding]]:
    """Whether good records are answered after what came before; a command that died is started again to go on."""
    began = time.monotonic()
    deadline = began + container.limits.recovery
    while True:
        outcome = container.ask(sample.record)
        if outcome.answered and sample.fits(outcome.body):
            break
        time.sleep(_RETRY_SECONDS)
        code = container.exit_code()
        if code is not None or time.monotonic() > deadline:
            return _dead(container, after, code, outcome)
    seconds = time.monotonic() - began - outcome.seconds
    if seconds < _RETRY_SECONDS:
        return True, []
    return True, [found("recovery", "slow", after=after, seconds=seconds)]


def _dead(container: Container, after: str, code: int | None, outcome: Outcome) -> tuple[bool, list[CheckFinding]]:
    how = f"the server has exited with code {code}" if code is not None else f"a good record gets {outcome}"
    finding = found("recovery", "dead", after=after, how=how)
    if not container.is_ours:
        return False, [finding]
    try:
        container.start()
    except StartError as error:
        return False, [finding, found("start", "failed_again", error=error)]
    return True, [finding]
