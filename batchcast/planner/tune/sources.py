"""What `tune` can measure: a server it starts, a server that runs, an endpoint, or canary transform jobs.

A server that it starts is started in several ways, each is measured, and at last they run against each other.
"""

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from batchcast.engine.limits import SMALLEST_MB_BYTES
from batchcast.engine.server.model_server import ModelCommand, ModelUrl
from batchcast.pipelines.tuning import Measured, Model, Sample, Served, Tuning, Variant, image_identity
from batchcast.planner.prices.instance_types import memory_gib, vcpus
from batchcast.planner.tune.canary import measured_by_canaries
from batchcast.planner.tune.levels import rates_in_turns
from batchcast.planner.tune.load_generator import ClosedLoop, endpoint_slots
from batchcast.planner.tune.measure import (
    Report,
    SampleRecords,
    TuneOptions,
    batch_server,
    limits_of,
    measured_levels,
    measured_server,
    sample_digest,
    samples_of,
    server_rig,
)
from batchcast.planner.tune.recommend import recommend
from batchcast.planner.tune.search import Measurements
from batchcast.runs.start import find_model_image
from batchcast.session.session import Session, open_session
from batchcast.steps.errors import ConfigError, Problem

_LOCAL_TYPE = "local"
_NEAR_THE_BEST = 0.97
_THREADS = "OMP_NUM_THREADS"
# Libraries that compute in threads take as many as there are processors, for every request: the most frequent mistake.
_ONE_THREAD = {_THREADS: "1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredVariant:
    """One way of starting the server; `items_per_second` is its best level's."""

    settings: Mapping[str, str]
    results: Measurements
    served: Served
    concurrency: int
    items_per_second: float


def tune(options: TuneOptions, report: Report) -> Tuning:
    """Measure what was given, with every number of records a request; the fewest within 3 % of the best win.

    `variants` are then a row each of these. Raises ConfigError for options that do not go together.
    """
    source = SOURCES[chosen_source(options)]
    found = []
    for records in samples_of(options):
        if options.items_per_request:
            report(f"{records.together} records a request")
        found.append(source(options, records, report))
    if len(found) == 1:
        return found[0]
    rates = [max(level.items_per_s for level in one.levels) for one in found]
    near = [one for one, rate in zip(found, rates, strict=True) if rate >= _NEAR_THE_BEST * max(rates)]
    rows = [
        Variant(
            settings={
                "items_per_request": str(one.items_per_request),
                **max(one.variants, key=lambda variant: variant.items_per_s).settings,
            },
            items_per_s=rate,
            m=one.parameters.max_concurrent_transforms,
        )
        for one, rate in zip(found, rates, strict=True)
    ]
    return min(near, key=lambda one: one.items_per_request or 1).model_copy(update={"variants": rows})


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


def _from_command(options: TuneOptions, records: SampleRecords, report: Report) -> Tuning:
    return _recommended(options, records, "local", _measured_variants(options, records, report))


def _from_url(options: TuneOptions, records: SampleRecords, report: Report) -> Tuning:
    with batch_server(ModelUrl(url=options.model_url or "")) as server:
        found = _variant_of({}, *measured_server(server, options, records, report))
    return _recommended(options, records, "local", [found])


def _from_endpoint(options: TuneOptions, records: SampleRecords, report: Report) -> Tuning:
    session = open_session(options.workspace, region=options.region, profile=options.profile)
    return endpoint_tuning(session, options, records, report)


def endpoint_tuning(session: Session, options: TuneOptions, records: SampleRecords, report: Report) -> Tuning:
    """Measure a real-time endpoint of the session's account: a level is requests in flight on each of its instances."""
    deployed = session.client("sagemaker").describe_endpoint(EndpointName=options.endpoint)
    variants = deployed["ProductionVariants"]
    slots = endpoint_slots(session.client("sagemaker-runtime"), options.endpoint or "")
    count = max(1, sum(variant["CurrentInstanceCount"] for variant in variants))
    report(f"{count} instances: {count} times a level's requests are in flight")
    load_target = ClosedLoop(slots, records.sample, None, count)
    found = _variant_of({}, measured_levels(load_target, options, records, report), Served(source="absent"))
    images = [image for variant in variants for image in variant.get("DeployedImages", [])]
    digest = image_identity(images[0]["ResolvedImage"]) if len(images) == 1 else None
    return _recommended(options, records, "endpoint", [found], digest)


def _from_canary(options: TuneOptions, records: SampleRecords, report: Report) -> Tuning:
    if not options.runs_uri:
        raise ConfigError(Problem("runs_uri", "canary jobs need a place.", "--runs-uri", "Name s3://bucket/prefix."))
    session = open_session(options.workspace, region=options.region, profile=options.profile)
    results = measured_by_canaries(
        session,
        model=options.canary or "",
        instance_type=options.instance_type or "",
        prefix=options.runs_uri,
        records=records.sample,
        limits=limits_of(options, records),
        report=report,
    )
    found = _variant_of({}, results, Served(source="absent"))
    model = session.client("sagemaker").describe_model(ModelName=options.canary)
    return _recommended(options, records, "transform-canary", [found], find_model_image(model))


SOURCES: Mapping[str, Callable[[TuneOptions, SampleRecords, Report], Tuning]] = {
    "model_command": _from_command,
    "model_url": _from_url,
    "endpoint": _from_endpoint,
    "canary": _from_canary,
}


def _recommended(
    options: TuneOptions,
    records: SampleRecords,
    where: Literal["local", "endpoint", "transform-canary"],
    variants: Sequence[MeasuredVariant],
    image_digest: str | None = None,
) -> Tuning:
    best = max(variants, key=lambda one: one.items_per_second)
    workers, together = best.settings.get("workers", ""), records.together or 1
    kind = options.instance_type
    own_memory = round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)
    return recommend(
        best.results,
        model=Model(name=getattr(options, chosen_source(options)), image_digest=image_digest),
        measured=Measured(
            where=where,
            instance_type=kind or _LOCAL_TYPE,
            vcpu=vcpus(kind) if kind else os.cpu_count(),
            mem_gib=memory_gib(kind) if kind else own_memory,
            at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            sample=Sample(
                n=len(records.sample),
                how="stratified by payload bytes",
                sha256=sample_digest(records.sample),
                seconds_mean=best.results.seconds_mean,
                seconds_cv=best.results.seconds_cv,
                max_record_mb=records.largest_bytes / together / SMALLEST_MB_BYTES,
            ),
        ),
        max_payload_mb=records.payload_mb,
        served=best.served,
        workers=int(workers) if workers.isdecimal() else None,
        items_per_request=records.together,
        variants=[
            Variant(settings=dict(one.settings), items_per_s=one.items_per_second * together, m=one.concurrency)
            for one in variants
        ],
    )


def _measured_variants(options: TuneOptions, records: SampleRecords, report: Report) -> list[MeasuredVariant]:
    """Each variant's levels. Several are at last run in turns, so that a busy hour hits all of them alike."""
    command = options.model_command or ""
    found = []
    for settings in _variants(options):
        report(f"measuring {' '.join(f'{name}={value}' for name, value in settings.items()) or 'the command as it is'}")
        with batch_server(_source(command, settings)) as server:
            results, served = measured_server(server, options, records, report)
        found.append(_variant_of(settings, results, served))
    return _in_turns(command, found, options, records) if len(found) > 1 else found


def _variant_of(settings: Mapping[str, str], results: Measurements, served: Served) -> MeasuredVariant:
    """A variant by its own levels alone."""
    best = max(results.sound, key=lambda level: level.work)
    return MeasuredVariant(
        settings=settings,
        results=results,
        served=served,
        concurrency=best.concurrency,
        items_per_second=results.items_per_second(best),
    )


def _variants(options: TuneOptions) -> list[dict[str, str]]:
    if options.vary:
        choices = [[(name, value) for value in values] for name, values in options.vary.items()]
        return [dict(combination) for combination in itertools.product(*choices)]
    as_is: dict[str, str] = {}
    return [as_is, _ONE_THREAD] if os.environ.get(_THREADS) != "1" else [as_is]


def _source(command: str, settings: Mapping[str, str]) -> ModelCommand:
    """`{name}` in the command becomes the setting's value; settings without such a place are environment variables."""
    environment = {}
    for name, value in settings.items():
        if f"{{{name}}}" in command:
            command = command.replace(f"{{{name}}}", value)
        else:
            environment[name] = value
    return ModelCommand(command=command, environment=environment)


def _in_turns(
    command: str, variants: Sequence[MeasuredVariant], options: TuneOptions, records: SampleRecords
) -> list[MeasuredVariant]:
    with ExitStack() as started:
        load_targets = []
        for one in variants:
            server = started.enter_context(batch_server(_source(command, one.settings)))
            load_targets.append((server_rig(server, options, records), one.concurrency, one.items_per_second))
        rates = rates_in_turns(load_targets, len(records.sample), options.block_seconds)
    return [replace(one, items_per_second=rate) for one, rate in zip(variants, rates, strict=True)]
