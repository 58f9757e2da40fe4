"""What no job should send, and what it costs when one does: empty, oversized and bad records, and a good one after."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from batchcast.container_check.container import Container, Outcome
from batchcast.container_check.report import AnsweredRecords, CheckFinding, Verdict, judge_json
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
        what = f"A record of {in_mb} MB is answered in {outcomes[in_mb].seconds:,.3f} s."
        return in_mb, CheckFinding("payload_limit", "works", what)
    fits, fails = 0, in_mb
    while fails - fits > 1:
        middle = (fits + fails) // 2
        fits, fails = (middle, fails) if takes(middle) else (fits, middle)
    most = f"; the most it takes is {fits} MB." if fits else ""
    what = f"A record of {fails} MB gets {outcomes[fails]}{most}"
    largest = max(map(len, sample.records))
    remedy = "Raise the container's own limit of a request, which MaxPayloadInMB does not change, or send less."
    verdict: Verdict = "risk" if largest < max(fits, 1) * SMALLEST_MB_BYTES else "breaks"
    return fits, CheckFinding("payload_limit", verdict, what, remedy)


def check_empty_body(container: Container) -> CheckFinding:
    """A blank line, as a job would send it: batchcast never writes one."""
    outcome = container.ask(b"")
    what = f"An empty body gets {outcome.status or outcome}"
    if outcome.status is not None and outcome.status < 500:
        return CheckFinding("empty_body", "works", f"{what}.")
    verdict: Verdict = "risk" if outcome.status is None else "note"
    return CheckFinding("empty_body", verdict, f"{what}: {_RETRIED}.", "Answer it with 400.")


def check_oversized_body(container: Container, sample: AnsweredRecords, in_mb: int) -> CheckFinding:
    """A record just above the limit, which the service would not send."""
    outcome = container.ask(sample.record.ljust(in_mb * BYTES_PER_MB + 1))
    body = f"A body of more than {in_mb} MB"
    if outcome.answered:
        return CheckFinding("oversized_body", "works", f"{body} is taken too: MaxPayloadInMB may be higher.")
    if outcome.status is not None and outcome.status < 500:
        return CheckFinding("oversized_body", "works", f"{body} gets {outcome.status}.")
    return CheckFinding("oversized_body", "note", f"{body} gets {outcome}", "Read the body, then answer 413.")


def check_bad_record(
    container: Container, sample: AnsweredRecords, in_flight: int, name: str, body: bytes
) -> list[CheckFinding]:
    """A bad record with good ones in flight beside it, as far as the container works on several at once."""
    neighbours = [place % len(sample.records) for place in range(min(_NEIGHBOURS, in_flight - 1))]
    with ThreadPoolExecutor(len(neighbours) + 1, thread_name_prefix="container-check") as threads:
        others = [threads.submit(container.ask, sample.records[place]) for place in neighbours]
        outcome = threads.submit(container.ask, body).result()
        beside = [other.result() for other in others]
    return [_bad_record(sample, name, body, outcome), *_neighbours(name, beside)]


def _bad_record(sample: AnsweredRecords, name: str, body: bytes, outcome: Outcome) -> CheckFinding:
    """Of a 2xx, an error that is told spares the file, a text or a forecast misleads."""
    finding = partial(CheckFinding, "bad_record")
    if outcome.status is None:
        remedy = "Answer 400 with what is wrong, or 200 with an error that the payload file names."
        return finding("risk", f"{name} gets {outcome}: {_RETRIED}.", remedy)
    if outcome.status >= 500:
        remedy = (
            "Answer 400: a bad record does not get better. Or 200 with an error, which spares the rest of its file."
        )
        return finding("note", f"{name} gets {outcome.status}: {_RETRIED}.", remedy)
    if not outcome.answered:
        return finding("works", f"{name} gets {outcome.status}: its file fails, the others go on.")
    if judge_json(body, outcome.body):
        what = f"{name} gets {outcome}, which is not JSON: joining it to its record fails the whole file."
        return finding("risk", what, "Answer 400, or 200 with a JSON object that says the error.")
    if wrong := sample.judge(body, outcome.body):
        what = f"{name} gets {outcome.status} with an error ({wrong}): it alone fails, its file goes on."
        return finding("works", what)
    remedy = "Check records and answer 400, or a JSON object with the key that the payload file calls error."
    return finding("risk", f"{name} gets {outcome}, as if it were a good one.", remedy)


def _neighbours(name: str, beside: Sequence[Outcome]) -> list[CheckFinding]:
    failed = [outcome for outcome in beside if not outcome.answered]
    if not failed:
        return []
    what = f"{name} takes {len(failed)} of {len(beside)} good ones in flight with it: {failed[0]}"
    return [CheckFinding("recovery", "risk", what, "Keep a request's failure to that request.")]


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
    what = f"After {after} good records fail for {seconds:.1f} s."
    remedy = "Keep a request's failure to that request: a job's retries follow at once."
    return True, [CheckFinding("recovery", "risk", what, remedy)]


def _dead(container: Container, after: str, code: int | None, outcome: Outcome) -> tuple[bool, list[CheckFinding]]:
    how = f"the server has exited with code {code}" if code is not None else f"a good record gets {outcome}"
    remedy = "One such record ends an instance: catch the error and answer 400."
    finding = CheckFinding("recovery", "breaks", f"After {after} {how}.", remedy)
    if not container.is_ours:
        return False, [finding]
    try:
        container.start()
    except StartError as error:
        again = CheckFinding("start", "breaks", f"It did not start a second time: {error}")
        return False, [finding, again]
    return True, [finding]
