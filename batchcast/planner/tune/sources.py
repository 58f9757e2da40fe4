"""What `tune` can measure: a server it starts, a server that runs, an endpoint, or canary transform jobs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from batchcast.planner.tune.measure import (
    SampleRecords,
    Say,
    TuneOptions,
    limits_of,
    measured_levels,
    measured_server,
    started_server,
)
from batchcast.planner.tune.variants import MeasuredVariant, measured_variants, variant_of
from batchcast.steps.errors import ConfigError, Problem

if TYPE_CHECKING:
    from batchcast.pipelines.tuning import Tuning
    from batchcast.session.session import Session

_LOCAL_TYPE = "local"


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


def _from_command(options: TuneOptions, records: SampleRecords, say: Say) -> Tuning:
    variants = measured_variants(options, records, say)
    return _recommended(options, records, options.model_command or "", "local", variants)


def _from_url(options: TuneOptions, records: SampleRecords, say: Say) -> Tuning:
    from batchcast.engine.server.model_server import ModelUrl

    with started_server(ModelUrl(url=options.model_url or "")) as server:
        found = variant_of({}, *measured_server(server, options, records, say))
    return _recommended(options, records, options.model_url or "", "local", [found])


def _from_endpoint(options: TuneOptions, records: SampleRecords, say: Say) -> Tuning:
    from batchcast.session.session import open_session

    session = open_session(options.workspace, region=options.region, profile=options.profile)
    return endpoint_tuning(session, options, records, say)


def endpoint_tuning(session: Session, options: TuneOptions, records: SampleRecords, say: Say) -> Tuning:
    """Measure a real-time endpoint of the session's account: a level is requests in flight on each of its instances."""
    from batchcast.pipelines.tuning import Served, image_identity
    from batchcast.planner.tune.load_generator import ClosedLoop, LoadOnInstances, endpoint_slots

    deployed = session.client("sagemaker").describe_endpoint(EndpointName=options.endpoint)
    variants = deployed["ProductionVariants"]
    slots = endpoint_slots(session.client("sagemaker-runtime"), options.endpoint or "")
    count = max(1, sum(variant["CurrentInstanceCount"] for variant in variants))
    say(f"{count} instances: {count} times a level's requests are in flight")
    load_target = LoadOnInstances([ClosedLoop(slots, records.sample) for _ in range(count)])
    found = variant_of({}, measured_levels(load_target, options, records, say), Served(source="absent"))
    images = [image for variant in variants for image in variant.get("DeployedImages", [])]
    digest = image_identity(images[0]["ResolvedImage"]) if len(images) == 1 else None
    return _recommended(options, records, options.endpoint or "", "endpoint", [found], digest)


def _from_canary(options: TuneOptions, records: SampleRecords, say: Say) -> Tuning:
    from batchcast.pipelines.tuning import Served
    from batchcast.planner.tune.canary_jobs import measured_by_canaries
    from batchcast.planner.tune.tuned_run import find_model_image
    from batchcast.session.session import open_session

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
        say=say,
    )
    found = variant_of({}, results, Served(source="absent"))
    model = session.client("sagemaker").describe_model(ModelName=options.canary)
    return _recommended(options, records, options.canary or "", "transform-canary", [found], find_model_image(model))


SOURCES: Mapping[str, Callable[[TuneOptions, SampleRecords, Say], Tuning]] = {
    "model_command": _from_command,
    "model_url": _from_url,
    "endpoint": _from_endpoint,
    "canary": _from_canary,
}


def _recommended(
    options: TuneOptions,
    records: SampleRecords,
    name: str,
    where: str,
    variants: Sequence[MeasuredVariant],
    image_digest: str | None = None,
) -> Tuning:
    from batchcast.pipelines.tuning import Model, Variant
    from batchcast.planner.prices.instance_types import memory_gib, vcpus
    from batchcast.planner.tune.recommend import Measurement, recommend
    from batchcast.planner.tune.sample import sample_digest

    best = max(variants, key=lambda one: one.items_per_second)
    workers = best.settings.get("workers", "")
    kind = options.instance_type
    return recommend(
        Measurement(
            model=Model(name=name, image_digest=image_digest),
            where=where,
            instance_type=kind or _LOCAL_TYPE,
            vcpu=vcpus(kind) if kind else os.cpu_count(),
            mem_gib=memory_gib(kind) if kind else _memory_here(),
            at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            sample_size=len(records.sample),
            sample_sha256=sample_digest(records.sample),
            largest_bytes=records.largest_bytes,
            max_payload_mb=records.payload_mb,
            served=best.served,
            results=best.results,
            workers=int(workers) if workers.isdecimal() else None,
            variants=[
                Variant(settings=dict(one.settings), items_per_s=one.items_per_second, m=one.concurrency)
                for one in variants
            ],
        )
    )


def _memory_here() -> float:
    return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)
