"""Start the model's command in several ways, measure each, and let them run against each other."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from batchcast.planner.tune.measure import SampleRecords, Say, TuneOptions, measured_server, server_rig, started_server

if TYPE_CHECKING:
    from batchcast.engine.server.model_server import ModelCommand
    from batchcast.pipelines.tuning import Served
    from batchcast.planner.tune.search import Measurements

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


def measured_variants(options: TuneOptions, records: SampleRecords, say: Say) -> list[MeasuredVariant]:
    """Each variant's levels. Several are at last run in turns, so that a busy hour hits all of them alike."""
    command = options.model_command or ""
    found = []
    for settings in _variants(options):
        say(f"measuring {' '.join(f'{name}={value}' for name, value in settings.items()) or 'the command as it is'}")
        with started_server(_source(command, settings)) as server:
            results, served = measured_server(server, options, records, say)
        found.append(variant_of(settings, results, served))
    return _in_turns(command, found, options, records) if len(found) > 1 else found


def variant_of(settings: Mapping[str, str], results: Measurements, served: Served) -> MeasuredVariant:
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
    from batchcast.engine.server.model_server import ModelCommand

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
    from batchcast.planner.tune.search import rates_in_turns

    with ExitStack() as started:
        load_targets = []
        for one in variants:
            server = started.enter_context(started_server(_source(command, one.settings)))
            load_targets.append((server_rig(server, options, records), one.concurrency, one.items_per_second))
        rates = rates_in_turns(load_targets, len(records.sample), options.block_seconds)
    return [replace(one, items_per_second=rate) for one, rate in zip(variants, rates, strict=True)]
