"""What `tune` can measure: a server it starts, a server that runs, an endpoint, or canary transform jobs."""

from __future__ import annotations

import itertools
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steps.errors import ConfigError, ModelError, Problem

if TYPE_CHECKING:
    from engine.model_server import ModelServer, ModelSource
    from planner.levels import MeasuredLevel, Rig
    from planner.tune import Limits, Measurements
    from planner.tuning import Served, Tuning

__all__ = ["SOURCES", "Records", "TuneOptions", "chosen_source", "records_of"]

Say = Callable[[str], None]
_THREADS = "OMP_NUM_THREADS"
# Libraries that compute in threads take as many as there are processors, for every request: the most frequent mistake.
_ONE_THREAD = {_THREADS: "1"}
_LOCAL_TYPE = "local"
_BUSY_PERCENT = 10.0


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
class Records:
    """The records to measure with, and what is known of all there are."""

    sample: Sequence[bytes]
    largest_bytes: int
    payload_mb: int


def records_of(options: TuneOptions) -> Records:
    """From the file that was given, else the bakery sample's. Raises ConfigError for a file without records."""
    from pipelines.sample_records import bakery_records, read_records
    from planner.sample import payload_limit_mb, stratified

    whole = read_records(options.records) if options.records else bakery_records()
    largest = max(map(len, whole))
    return Records(
        sample=stratified(whole, options.sample), largest_bytes=largest, payload_mb=payload_limit_mb(largest)
    )


def chosen_source(options: TuneOptions) -> str:
    """The one of the four that was given. Raises ConfigError for none, several, or options that do not go with it."""
    given = [name for name in SOURCES if getattr(options, name) is not None]
    if len(given) != 1:
        what = f"{len(given)} of {', '.join(_flag(name) for name in SOURCES)} are given."
        raise ConfigError(Problem("tune", what, remedy="Give exactly one of them."))
    [source] = given
    if options.vary and source != "model_command":
        raise ConfigError(Problem("vary", f"{_flag(source)} starts no server.", "--vary", "Give --model-command."))
    if source in ("endpoint", "canary") and not options.instance_type:
        what = f"{_flag(source)} needs the instance type that is measured."
        raise ConfigError(Problem("instance_type", what, "--instance-type", "Name it, such as ml.m5.4xlarge."))
    return source


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _from_command(options: TuneOptions, records: Records, say: Say) -> Tuning:
    from engine.model_server import ModelCommand

    command = options.model_command or ""
    measured = []
    for settings in _variants(options):
        say(f"measuring {' '.join(f'{name}={value}' for name, value in settings.items()) or 'the command as it is'}")
        words = {name: value for name, value in settings.items() if f"{{{name}}}" in command}
        environment = {name: value for name, value in settings.items() if name not in words}
        started = command
        for name, value in words.items():
            started = started.replace(f"{{{name}}}", value)
        with _started(ModelCommand(command=started, environment=environment)) as server:
            measured.append((settings, *_measured_server(server, options, records, say)))
    return _recommended(options, records, command, "local", measured)


def _variants(options: TuneOptions) -> list[dict[str, str]]:
    if options.vary:
        choices = [[(name, value) for value in values] for name, values in options.vary.items()]
        return [dict(combination) for combination in itertools.product(*choices)]
    as_is: dict[str, str] = {}
    return [as_is, _ONE_THREAD] if os.environ.get(_THREADS) != "1" else [as_is]


def _from_url(options: TuneOptions, records: Records, say: Say) -> Tuning:
    from engine.model_server import ModelUrl

    with _started(ModelUrl(url=options.model_url or "")) as server:
        return _recommended(
            options, records, options.model_url or "", "local", [({}, *_measured_server(server, options, records, say))]
        )


def _from_endpoint(options: TuneOptions, records: Records, say: Say) -> Tuning:
    from pipelines.closed_loop import ClosedLoop, endpoint_slots
    from pipelines.session import open_session
    from planner.tuning import Served

    session = open_session(options.workspace, region=options.region, profile=options.profile)
    slots = endpoint_slots(session.client("sagemaker-runtime"), options.endpoint or "")
    results = _measured(ClosedLoop(slots, records.sample), options, records, say)
    served = Served(source="absent")
    return _recommended(options, records, options.endpoint or "", "endpoint", [({}, results, served)])


def _from_canary(options: TuneOptions, records: Records, say: Say) -> Tuning:
    from pipelines.canary import measured_by_canaries
    from pipelines.session import open_session
    from planner.tuning import Served

    if not options.runs_uri:
        raise ConfigError(Problem("runs_uri", "canary jobs need a place.", "--runs-uri", "Name s3://bucket/prefix."))
    session = open_session(options.workspace, region=options.region, profile=options.profile)
    results = measured_by_canaries(
        session,
        model=options.canary or "",
        instance_type=options.instance_type or "",
        prefix=options.runs_uri,
        records=records.sample,
        limits=_limits(options, records),
        say=say,
    )
    return _recommended(
        options, records, options.canary or "", "transform-canary", [({}, results, Served(source="absent"))]
    )


SOURCES: Mapping[str, Callable[[TuneOptions, Records, Say], Tuning]] = {
    "model_command": _from_command,
    "model_url": _from_url,
    "endpoint": _from_endpoint,
    "canary": _from_canary,
}


@contextmanager
def _started(source: ModelSource) -> Iterator[ModelServer]:
    from engine.model_server import StartError, free_ports, start_model_server, wait_until_ready

    with tempfile.TemporaryDirectory(prefix="tune-") as folder:
        log = Path(folder, "server.log")
        log.touch()
        server = start_model_server(source, port=free_ports(1)[0], environment={"SAGEMAKER_BATCH": "true"}, log=log)
        try:
            wait_until_ready(server, aborted=threading.Event(), log=log)
            yield server
        except StartError as error:
            raise ModelError(Problem("model_start", f"{error}.", remedy="`check-container` looks closer.")) from error
        finally:
            server.stop()


def _measured_server(
    server: ModelServer, options: TuneOptions, records: Records, say: Say
) -> tuple[Measurements, Served]:
    from pipelines.closed_loop import ClosedLoop, GroupUsage, server_slots

    group = GroupUsage(server.group) if server.group else None
    rig = ClosedLoop(server_slots(server, _limits(options, records).timeout), records.sample, group)
    rig.run(1, [0, 0])  # what the first requests load is not measured
    return _measured(rig, options, records, say), _served(server)


def _measured(rig: Rig, options: TuneOptions, records: Records, say: Say) -> Measurements:
    from planner.tune import measure

    def on_level(level: MeasuredLevel) -> None:
        failed = f", {level.failures} failed" if level.failures else ""
        say(f"  {level.concurrency:>3} in flight: {level.work:.2f} times one, P50 {level.p50:.3g} s{failed}")

    results = measure(rig, len(records.sample), _limits(options, records), on_level)
    if results.others_percent > _BUSY_PERCENT:
        say(
            f"  mind: other programs took up to {results.others_percent:.0f} % of this machine's processors meanwhile; "
            "measure again when it is quiet"
        )
    return results


def _limits(options: TuneOptions, records: Records) -> Limits:
    from pipelines.parameters import Parameters
    from planner.recommend import payload_cap
    from planner.tune import Limits

    timeout = Parameters.model_fields["invocations_timeout_in_seconds"].default
    return Limits(
        levels=options.levels,
        cap=payload_cap(records.payload_mb),
        timeout=float(timeout),
        block_seconds=options.block_seconds,
    )


def _served(server: ModelServer) -> Served:
    from engine.execution_parameters import CONTAINER_SPELLING, ask_container
    from planner.tuning import Served

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


def _recommended(
    options: TuneOptions,
    records: Records,
    name: str,
    where: str,
    measured: Sequence[tuple[Mapping[str, str], Measurements, Served]],
) -> Tuning:
    from planner.instance_types import memory_gib, vcpus
    from planner.recommend import Measurement, recommend
    from planner.sample import sample_digest
    from planner.tuning import Model, Variant

    variants = [_variant(settings, results, Variant) for settings, results, _ in measured]
    place = max(range(len(variants)), key=lambda index: variants[index].items_per_s)
    settings, results, served = measured[place]
    kind = options.instance_type
    return recommend(
        Measurement(
            model=Model(name=name),
            where=where,
            instance_type=kind or _LOCAL_TYPE,
            vcpu=vcpus(kind) if kind else os.cpu_count(),
            mem_gib=memory_gib(kind) if kind else _memory_here(),
            at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            sample_size=len(records.sample),
            sample_sha256=sample_digest(records.sample),
            largest_bytes=records.largest_bytes,
            max_payload_mb=records.payload_mb,
            served=served,
            results=results,
            workers=int(settings["workers"]) if settings.get("workers", "").isdecimal() else None,
            variants=variants,
        )
    )


def _variant(settings: Mapping[str, str], results: Measurements, kind: Any) -> Any:
    best = max(results.sound, key=lambda level: level.work)
    return kind(settings=dict(settings), items_per_s=results.items_per_second(best), m=best.concurrency)


def _memory_here() -> float:
    return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)
