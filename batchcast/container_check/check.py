"""The whole check, in an order in which what may do harm comes last."""

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from batchcast.container_check import failures
from batchcast.container_check import records as record_checks
from batchcast.container_check.container import CheckLimits, Container
from batchcast.container_check.load import LEVELS, answers_in_turn, check_concurrency, measure_level, useful_level
from batchcast.container_check.report import (
    AnsweredRecords,
    CheckFinding,
    ContainerReport,
    Judge,
    LoadLevel,
    RecommendedSettings,
    found,
    judge_json,
)
from batchcast.engine.limits import DEFAULT_PAYLOAD_IN_MB, MAX_PAYLOAD_IN_MB
from batchcast.engine.server.model_server import ModelSource, StartError

_LEAST_TIMEOUT_SECONDS = 60
_MOST_TIMEOUT_SECONDS = 3600
_TIMEOUT_FACTOR = 10
_FIRST_FACTOR = 2
_BYTES_A_MB = 950_000
"""What a megabyte of MaxPayloadInMB holds under every reading, with 5 % to spare."""


def check_container(
    source: ModelSource,
    records: Sequence[bytes],
    *,
    judge: Judge = judge_json,
    limits: CheckLimits | None = None,
    on_check: Callable[[str], None] | None = None,
) -> ContainerReport:
    """Examine a container with good `records`: at least one, each a JSON document without a newline.

    A command is started and, whatever happens, ended. `on_check` is told what is done next. Raises ConfigError for a
    URL or a command that cannot be one.
    """
    with tempfile.TemporaryDirectory(prefix="container-check-") as folder:
        container = Container(source, limits or CheckLimits(), Path(folder))
        with closing(container):
            return _examine(container, records, judge, on_check or (lambda _: None))


def _examine(
    container: Container, records: Sequence[bytes], judge: Judge, on_check: Callable[[str], None]
) -> ContainerReport:
    """Everything, or as far as it goes."""
    on_check("start")
    try:
        seconds = container.start()
    except StartError as error:
        return ContainerReport(findings=(found("start", "failed", error=error),))
    findings = [found("start", "answered" if container.is_ours else "running", seconds=seconds)]
    on_check("ping")
    findings.append(record_checks.check_ping(container))
    says, of_parameters = record_checks.ask_parameters(container)
    on_check("records, one at a time")
    sample, of_records = record_checks.answer_each(container, records, judge)
    findings += of_parameters + of_records
    if sample is None:
        return ContainerReport(findings=tuple(findings))
    levels, of_good = _good_records(container, sample, says, on_check)
    payload, of_bad = _bad_records(container, sample, says, useful_level(levels).in_flight, on_check)
    findings += of_good + of_bad
    if container.is_ours and container.exit_code() is None:
        on_check("stop")
        ended = container.terminate()
        kind = "killed" if ended is None else "ended"
        findings.append(found("stop", kind, seconds=ended, limit=container.limits.stop))
    return ContainerReport(findings=tuple(findings), levels=tuple(levels), settings=_settings(sample, levels, payload))


def _good_records(
    container: Container, sample: AnsweredRecords, says: Mapping[str, Any], on_check: Callable[[str], None]
) -> tuple[list[LoadLevel], list[CheckFinding]]:
    asked_for = says.get("batch_strategy") == "MultiRecord"
    findings = [
        record_checks.check_trailing_newline(container, sample),
        record_checks.check_multi_record(container, sample, asked_for=asked_for),
        record_checks.check_content_types(container, sample),
    ]
    finding, deterministic = record_checks.check_determinism(container, sample)
    findings += [finding, record_checks.check_keep_alive(container, sample)]
    levels = []
    for in_flight in LEVELS:
        on_check(f"{in_flight} requests in flight")
        levels.append(measure_level(container, sample, in_flight, deterministic=deterministic))
    return levels, findings + check_concurrency(levels, says, in_turn=answers_in_turn(container, sample))


def _bad_records(
    container: Container,
    sample: AnsweredRecords,
    says: Mapping[str, Any],
    in_flight: int,
    on_check: Callable[[str], None],
) -> tuple[int, list[CheckFinding]]:
    """The payload limit in MB that was found; every try at it is followed by a good record."""
    largest = math.ceil(max(map(len, sample.records)) / _BYTES_A_MB)
    wanted = max(says.get("max_payload_in_mb") or DEFAULT_PAYLOAD_IN_MB, min(largest, MAX_PAYLOAD_IN_MB))
    on_check("large bodies")
    payload, finding = failures.accepted_payload(container, sample, wanted)
    half = sample.record[: len(sample.record) // 2]
    bad = partial(failures.check_bad_record, container, sample, in_flight)
    tries: Mapping[str, Callable[[], list[CheckFinding]]] = {
        "large bodies": lambda: [finding],
        "an oversized body": lambda: [failures.check_oversized_body(container, sample, wanted)],
        "an empty body": lambda: [failures.check_empty_body(container)],
        "half a record": lambda: bad("Half a record", half),
        "an empty JSON object": lambda: bad("An empty JSON object", b"{}"),
    }
    findings: list[CheckFinding] = []
    for name, attempt in tries.items():
        on_check(name)
        findings += attempt()
        recovered, more = failures.recover(container, sample, name)
        findings += more
        if not recovered:
            return payload, findings
    if not any(finding.check == "recovery" for finding in findings):
        findings.append(found("recovery", "always"))
    return payload, findings


def _settings(sample: AnsweredRecords, levels: Sequence[LoadLevel], payload: int) -> RecommendedSettings:
    """As many requests as were useful within the 100 MB a job may have in flight, and time for ten of the longest."""
    useful = useful_level(levels)
    in_mb = max(payload, 1)
    longest = max(useful.slowest_seconds, sample.slowest_seconds)
    seconds = math.ceil(max(_TIMEOUT_FACTOR * longest, _FIRST_FACTOR * sample.first_seconds))
    return RecommendedSettings(
        max_concurrent_transforms=max(1, min(useful.in_flight, MAX_PAYLOAD_IN_MB // in_mb)),
        max_payload_in_mb=in_mb,
        invocations_timeout_in_seconds=min(max(seconds, _LEAST_TIMEOUT_SECONDS), _MOST_TIMEOUT_SECONDS),
    )
