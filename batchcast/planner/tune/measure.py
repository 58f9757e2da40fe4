"""Run the tuner's levels against one server, endpoint or other load_target."""

from __future__ import annotations

import hashlib
import math
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from batchcast.engine.limits import SMALLEST_MB_BYTES
from batchcast.engine.server.model_server import (
    ModelServer,
    ModelSource,
    StartError,
    free_ports,
    start_model_server,
    wait_until_ready,
)
from batchcast.engine.transform.plan import CONTAINER_SPELLING, ask_container
from batchcast.local.sample import bakery_records, read_sample_file
from batchcast.pipelines.parameters import Parameters
from batchcast.pipelines.tuning import Served
from batchcast.planner.tune.levels import LoadTarget, MeasuredLevel
from batchcast.planner.tune.load_generator import ClosedLoop, GroupUsage, server_slots
from batchcast.planner.tune.recommend import payload_cap
from batchcast.planner.tune.search import Limits, Measurements, measure
from batchcast.steps.errors import ModelError, Problem

Report = Callable[[str], None]
_BUSY_PERCENT = 10.0
# Whether the service's MB is 10**6 or 2**20 bytes is not published; with this room both readings hold.
_PAYLOAD_ROOM = 1.05
# A person waits: look four times a second whether the server answers, and give up after 7.5 minutes, not 30.
_TIME_SCALE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneOptions:
    """What was said on the command line."""

    levels: Sequence[int]
    vary: Mapping[str, Sequence[str]]
    sample: int
    block_seconds: float
    records: Path | None = None
    model_command: str | None = None
    model_url: str | None = None
    endpoint: str | None = None
    canary: str | None = None
    instance_type: str | None = None
    runs_uri: str | None = None
    workspace: Path | None = None
    region: str | None = None
    profile: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRecords:
    """The records to measure with, and what is known of all there are."""

    sample: Sequence[bytes]
    largest_bytes: int
    payload_mb: int


def records_of(options: TuneOptions) -> SampleRecords:
    """From the file that was given, else the bakery sample's. Raises ConfigError for a file without records."""
    whole = read_sample_file(options.records) if options.records else bakery_records()
    largest = max(map(len, whole))
    return SampleRecords(
        sample=stratified(whole, options.sample), largest_bytes=largest, payload_mb=payload_limit_mb(largest)
    )


def stratified(records: Sequence[bytes], count: int) -> list[bytes]:
    """`count` records (all, if there are fewer), evenly spread over the sizes.

    They come in van der Corput's order, so that a level measured with fewer of them sees the same mix.
    """
    by_size = sorted(records, key=lambda record: (len(record), record))
    count = min(count, len(by_size))
    if count == 0:
        return []
    chosen = [by_size[place * (len(by_size) - 1) // max(1, count - 1)] for place in range(count)]
    return [chosen[place] for place in sorted(range(count), key=_reversed_bits)]


def sample_digest(records: Sequence[bytes]) -> str:
    """SHA-256 over the records in order, a line feed after each."""
    digest = hashlib.sha256()
    for record in records:
        digest.update(record + b"\n")
    return digest.hexdigest()


def payload_limit_mb(largest_bytes: int) -> int:
    """MaxPayloadInMB for records up to this size."""
    return max(1, math.ceil(_PAYLOAD_ROOM * largest_bytes / SMALLEST_MB_BYTES))


def _reversed_bits(place: int) -> float:
    value, weight = 0.0, 0.5
    while place:
        value += weight * (place & 1)
        place >>= 1
        weight /= 2
    return value


@contextmanager
def started_server(source: ModelSource) -> Iterator[ModelServer]:
    """A server that answers /ping; it is ended again if this started it. Raises ModelError when it does not."""
    with tempfile.TemporaryDirectory(prefix="tune-") as folder:
        log = Path(folder, "server.log")
        log.touch()
        server = start_model_server(source, port=free_ports(1)[0], environment={"SAGEMAKER_BATCH": "true"}, log=log)
        try:
            wait_until_ready(server, aborted=threading.Event(), log=log, time_scale=_TIME_SCALE)
            yield server
        except StartError as error:
            raise ModelError(Problem("model_start", f"{error}.", remedy="`check-container` looks closer.")) from error
        finally:
            server.stop()


def server_rig(server: ModelServer, options: TuneOptions, records: SampleRecords) -> ClosedLoop:
    """Slots at a server, warmed up: what its first requests load is not measured."""
    group = GroupUsage(server.group) if server.group else None
    load_target = ClosedLoop(server_slots(server, limits_of(options, records).timeout), records.sample, group)
    load_target.run(1, [0, 0])
    return load_target


def measured_server(
    server: ModelServer, options: TuneOptions, records: SampleRecords, report: Report
) -> tuple[Measurements, Served]:
    """The levels of a server, and what it says of itself."""
    return measured_levels(server_rig(server, options, records), options, records, report), _served(server)


def measured_levels(
    load_target: LoadTarget, options: TuneOptions, records: SampleRecords, report: Report
) -> Measurements:
    """Up the levels, back, and between; every block is told to `report`, and a busy machine too."""

    def on_level(level: MeasuredLevel) -> None:
        failed = f", {level.failures} failed" if level.failures else ""
        report(f"  {level.concurrency:>3} in flight: {level.work:.2f} times one, P50 {level.p50:.3g} s{failed}")

    results = measure(load_target, len(records.sample), limits_of(options, records), on_level)
    if results.others_percent > _BUSY_PERCENT:
        report(
            f"  mind: other programs took up to {results.others_percent:.0f} % of this machine's processors meanwhile; "
            "measure again when it is quiet"
        )
    return results


def limits_of(options: TuneOptions, records: SampleRecords) -> Limits:
    """The levels asked for, within what the payload allows and the pipeline's own timeout."""
    timeout = Parameters.model_fields["invocations_timeout_in_seconds"].default
    return Limits(
        levels=options.levels,
        cap=payload_cap(records.payload_mb),
        timeout=float(timeout),
        block_seconds=options.block_seconds,
    )


def _served(server: ModelServer) -> Served:
    connection = server.connect()
    try:
        answered, _ = ask_container(connection, timeout=10.0)
    finally:
        connection.close()
    if not answered:
        return Served(source="absent")
    return Served.model_validate(
        {
            "source": "GET /execution-parameters",
            "MaxConcurrentTransforms": answered.get("max_concurrent_transforms"),
            "MaxPayloadInMB": answered.get("max_payload_in_mb"),
            "BatchStrategy": CONTAINER_SPELLING.get(answered.get("batch_strategy", "")),
        }
    )
