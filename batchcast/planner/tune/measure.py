"""Run the tuner's levels against one server, endpoint or other load_target."""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from batchcast.engine.limits import MAX_PAYLOAD_IN_MB, SMALLEST_MB_BYTES
from batchcast.engine.server.model_server import ModelServer, ModelSource
from batchcast.engine.transform.plan import CONTAINER_SPELLING, ask_container
from batchcast.local.inputs import with_items_per_request
from batchcast.local.sample import bakery_records, built_records, evenly_spread, read_sample_file
from batchcast.pipelines.parameters import Parameters
from batchcast.pipelines.tuning import Served
from batchcast.planner.tune.levels import LoadTarget, MeasuredLevel
from batchcast.planner.tune.load_generator import ClosedLoop, GroupUsage, server_slots
from batchcast.planner.tune.recommend import payload_cap
from batchcast.planner.tune.search import Limits, Measurements, measure
from batchcast.session.workspace_models import started_server
from batchcast.steps.contract.model_contract import read_contract
from batchcast.steps.errors import ConfigError, Problem
from batchcast.steps.shards.request_text import RequestText
from batchcast.steps.shards.sent_records import SentRecord

Report = Callable[[str], None]
_BUSY_PERCENT = 10.0
# Other programs are waited for so many times as long as a block lasts, and no longer than so.
_PATIENCE, _MOST_PATIENCE = 15, 30.0
# Whether the service's MB is 10**6 or 2**20 bytes is not published; with this room both readings hold.
_PAYLOAD_ROOM = 1.05
# A person waits: look four times a second whether the server answers, and give up after 7.5 minutes, not 30.
_TIME_SCALE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneOptions:
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
    history: Path | None = None
    contract: Path | None = None
    items_per_request: Sequence[int] = ()
    workspace: Path | None = None
    region: str | None = None
    profile: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRecords:
    """The requests to measure with, and the largest of all there are; `together` records each, None: not known."""

    sample: Sequence[bytes]
    largest_bytes: int
    payload_mb: int
    together: int | None = None


def samples_of(options: TuneOptions) -> list[SampleRecords]:
    """One for each number of records a request. From the history or the file that was given, else the bakery sample's.

    Raises ConfigError for a file without records, and for requests that cannot be sent.
    """
    if options.contract is not None and options.history is not None and options.records is None:
        sizes = options.items_per_request or (read_contract(options.contract).request.items_per_request,)
        for size in sizes:
            with_items_per_request(options.contract.read_bytes(), size)  # refuses what the contract cannot send
        text, sent = built_records(options.history, options.contract)
        return [_sample_of(_full_requests(text, sent, size), options.sample, size) for size in sizes]
    if options.contract or options.history or options.items_per_request:
        what = "--history, --contract and --items-per-request go together, without --records."
        raise ConfigError(Problem("tune", what, remedy="Give --history and --contract, or --records."))
    return [_sample_of(read_sample_file(options.records) if options.records else bakery_records(), options.sample)]


def _sample_of(whole: Sequence[bytes], count: int, together: int | None = None) -> SampleRecords:
    largest = max(map(len, whole))
    payload = payload_limit_mb(largest)
    if payload > MAX_PAYLOAD_IN_MB:
        what = f"a request of {together or 1} records has {largest:,} bytes; SageMaker takes {MAX_PAYLOAD_IN_MB} MB."
        raise ConfigError(Problem("tune", what, "--items-per-request", "Send fewer records a request."))
    return SampleRecords(sample=stratified(whole, count), largest_bytes=largest, payload_mb=payload, together=together)


def _full_requests(text: RequestText, sent: Sequence[SentRecord], together: int) -> list[bytes]:
    """What the model gets of requests of so many records each, every record in one at least.

    Raises ConfigError where there are fewer records than that.
    """
    if together > len(sent):
        what = f"{together} records a request, and the history has {len(sent)} items."
        raise ConfigError(Problem("tune", what, "--items-per-request", "Give no more than there are items."))
    requests = []
    for first in range(0, len(sent), together):
        own = [sent[place % len(sent)] for place in range(first, first + together)]
        requests.append(text.body(text.request([one.item_id for one in own], [one.record for one in own])))
    return requests


def stratified(records: Sequence[bytes], count: int) -> list[bytes]:
    """`count` records (all, if there are fewer), evenly spread over the sizes.

    They come in van der Corput's order, so that a level measured with fewer of them sees the same mix.
    """
    chosen = evenly_spread(sorted(records, key=lambda record: (len(record), record)), count)
    return [chosen[place] for place in sorted(range(len(chosen)), key=_reversed_bits)]


def sample_digest(records: Sequence[bytes]) -> str:
    """SHA-256 over the records in order, a line feed after each."""
    return hashlib.sha256(b"".join(record + b"\n" for record in records)).hexdigest()


def payload_limit_mb(largest_bytes: int) -> int:
    """MaxPayloadInMB for records up to this size."""
    return max(1, math.ceil(_PAYLOAD_ROOM * largest_bytes / SMALLEST_MB_BYTES))


def _reversed_bits(place: int) -> float:
    return float(int(f"{place:b}"[::-1], 2) / (1 << place.bit_length()))


def batch_server(source: ModelSource) -> AbstractContextManager[ModelServer]:
    """A server that is told that it works in a batch."""
    return started_server(source, {"SAGEMAKER_BATCH": "true"}, time_scale=_TIME_SCALE)


def server_rig(server: ModelServer, options: TuneOptions, records: SampleRecords) -> ClosedLoop:
    """Slots at a server, warmed up: what its first requests load is not measured."""
    group = GroupUsage(server.group) if server.group else None
    load_target = ClosedLoop(server_slots(server, limits_of(options, records).timeout), records.sample, group)
    load_target.run(1, [0, 0])
    return load_target


def measured_server(
    server: ModelServer, options: TuneOptions, records: SampleRecords, report: Report
) -> tuple[Measurements, Served]:
    return measured_levels(server_rig(server, options, records), options, records, report), _served(server)


def measured_levels(
    load_target: LoadTarget, options: TuneOptions, records: SampleRecords, report: Report
) -> Measurements:
    """Up the levels, back, and between; every block is told to `report`, and a busy machine too."""

    def on_level(level: MeasuredLevel) -> None:
        failed = f", {level.failures} failed" if level.failures else ""
        report(f"  {level.concurrency:>3} in flight: {level.work:.2f} times one, P50 {level.p50:.3g} s{failed}")

    limits = limits_of(options, records)
    results = measure(load_target, len(records.sample), limits, on_level, lambda what: report(f"  {what}"))
    if (results.others_percent or 0.0) > _BUSY_PERCENT:
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
        patience=min(_MOST_PATIENCE, _PATIENCE * options.block_seconds),
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
