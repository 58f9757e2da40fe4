"""Rules between parameters: each sees plain values and says what contradicts what, with the arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from batchcast.engine.limits import MAX_PAYLOAD_IN_MB
from batchcast.engine.transform.request import payload_in_flight
from batchcast.steps.arguments import ALL
from batchcast.steps.errors import Problem


def rule_problems(values: Mapping[str, Any]) -> list[Problem]:
    """Every broken rule; a rule is passed over when one of its parameters is absent (it was wrong by itself)."""
    return [
        problem
        for names, rule, _ in _RULES
        if all(name in values for name in names)
        for problem in rule(*(values[name] for name in names))
    ]


def rule_texts() -> list[str]:
    """Every rule in a sentence."""
    return [text for _, _, text in _RULES]


def idle_instances(*, records: int, records_per_shard: int, instances: int) -> list[Problem]:
    """A shard is never split, so fewer shards than instances leave paid instances idle."""
    shards = math.ceil(records / records_per_shard)
    if shards >= instances:
        return []
    remedy = f"Use at most {max(1, records // instances)} records a shard"
    remedy += f" or at most {shards} instances." if shards else "."
    what = f"{records} records / {records_per_shard} a shard = {shards} shards for {instances} instances; "
    return [Problem("idle_instances", f"{what}{instances - shards} would idle.", "RecordsPerShard", remedy)]


def _tolerance_below_systemic(tolerated: str | float, systemic: str | float) -> Iterator[Problem]:
    if float(tolerated) > float(systemic):
        what = (
            f"{float(tolerated):g} % may fail, but above SystemicFailurePercent = {float(systemic):g} % a run is held."
        )
        remedy = f"Use at most {float(systemic):g}, or raise SystemicFailurePercent."
        yield Problem("tolerance", what, "MaxFailedPercent", remedy)


def _not_read_as_history(history: str, written: str, name: str) -> Iterator[Problem]:
    if f"{written}/".startswith(history):
        what = f"{written}/ begins with HistoryUri = {history}, so the next run would read it as history."
        yield Problem("nested_prefix", what, name, "Keep it outside the history's prefix.")


def _runs_outside_history(history: str, runs: str) -> Iterator[Problem]:
    return _not_read_as_history(history, runs, "RunsUri")


def _publish_outside_history(history: str, publish: str) -> Iterator[Problem]:
    return _not_read_as_history(history, publish, "PublishUri")


def _items_outside_history(history: str, items: str) -> Iterator[Problem]:
    if items != ALL and items.startswith(history):
        what = f"{items} begins with HistoryUri = {history}, so it would be read as history."
        yield Problem("nested_prefix", what, "ItemsUri", "Keep the list outside the history's prefix.")


def _runs_and_publish_apart(runs: str, publish: str) -> Iterator[Problem]:
    if f"{publish}/".startswith(f"{runs}/") or f"{runs}/".startswith(f"{publish}/"):
        what = f"RunsUri = {runs} and PublishUri = {publish} lie inside each other: readers of the published data"
        what += " would meet a run's files, and cleaning up runs would delete forecasts."
        yield Problem("nested_prefix", what, "PublishUri", "Use two prefixes side by side.")


_RULES: tuple[tuple[tuple[str, ...], Callable[..., Iterator[Problem]], str], ...] = (
    (
        ("MaxConcurrentTransforms", "MaxPayloadInMB"),
        payload_in_flight,
        f"MaxConcurrentTransforms x MaxPayloadInMB is at most {MAX_PAYLOAD_IN_MB} MB.",
    ),
    (
        ("MaxFailedPercent", "SystemicFailurePercent"),
        _tolerance_below_systemic,
        "MaxFailedPercent is at most SystemicFailurePercent.",
    ),
    (("HistoryUri", "RunsUri"), _runs_outside_history, "RunsUri does not begin with HistoryUri."),
    (("HistoryUri", "PublishUri"), _publish_outside_history, "PublishUri does not begin with HistoryUri."),
    (("HistoryUri", "ItemsUri"), _items_outside_history, "ItemsUri does not begin with HistoryUri."),
    (
        ("RunsUri", "PublishUri"),
        _runs_and_publish_apart,
        "RunsUri and PublishUri lie side by side, neither inside the other.",
    ),
)
