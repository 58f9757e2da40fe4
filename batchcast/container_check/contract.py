"""What a container tells before it is sent anything: /ping and /execution-parameters."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from batchcast.container_check.container import Container
from batchcast.container_check.report import CheckFinding, Verdict
from batchcast.engine.limits import MAX_PAYLOAD_IN_MB
from batchcast.engine.server.model_server import PING_TIMEOUT_SECONDS
from batchcast.engine.transform.execution_parameters import ExecutionParameters, ask_container

_PINGS = 5


def check_ping(container: Container) -> list[CheckFinding]:
    """Whether /ping keeps answering, well within its time limit."""
    pings = [container.ping() for _ in range(_PINGS)]
    bad = [ping for ping in pings if ping.status != 200]
    if bad:
        what = f"{len(bad)} of {_PINGS} pings after the start were not answered with 200: {bad[0]}"
        return [CheckFinding(check="ping", verdict="risk", what=what, remedy="Answer /ping from the first 200 on.")]
    seconds = statistics.median(ping.seconds for ping in pings)
    what = f"/ping answers 200 in {seconds * 1000:,.1f} ms; the limit is {PING_TIMEOUT_SECONDS:g} s."
    return [CheckFinding(check="ping", verdict="works", what=what)]


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


def _finding(verdict: Verdict, what: str, remedy: str = "") -> CheckFinding:
    return CheckFinding(check="execution_parameters", verdict=verdict, what=what, remedy=remedy)
