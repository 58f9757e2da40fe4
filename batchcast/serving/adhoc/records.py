"""Records of a few items, byte for byte as the weekly run builds them: by its own step, on the rows of these items."""

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from batchcast.engine.limits import MAX_PAYLOAD_IN_MB
from batchcast.local.sample import built_shards, sent_records
from batchcast.serving.adhoc.history_rows import copy_items
from batchcast.steps.contract.answer import Expected
from batchcast.steps.contract.frequency import Frequency, parse_frequency
from batchcast.steps.contract.model_contract import ModelContract, parse_contract
from batchcast.steps.errors import DataError, Problem
from batchcast.steps.outcome.answer_types import decode_body
from batchcast.steps.shards.manifest import read_baseline, read_manifest, read_records
from batchcast.steps.shards.sent_records import SentRecord
from batchcast.steps.store.objects import ObjectStore

# One shard, and no share of the items too many to be quarantined: each is named.
_SETTINGS: Mapping[str, object] = {
    "transform_instance_count": 1,
    "max_concurrent_transforms": 1,
    "max_payload_in_mb": MAX_PAYLOAD_IN_MB,
    "systemic_failure_percent": 100,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AdHocRecord:
    """A record and what it is plotted with: the first target's `history` by day, its `naive` forecast and, where the
    history goes on, the `actual` values; NaN-free, days without a value are absent."""

    item_id: str
    body: bytes
    history: Mapping[date, float]
    naive: Mapping[date, float]
    actual: Mapping[date, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdHocRecords:
    """The records, in the order in which they were asked for, with what they were built by."""

    run_date: date
    frequency: Frequency
    forecast_horizon: int
    contract: ModelContract
    records: Sequence[AdHocRecord]

    @property
    def expected(self) -> Expected:
        return Expected.of(self.contract.outputs, self.run_date, self.forecast_horizon, self.frequency)


def build_records(
    item_ids: Sequence[str],
    *,
    history: str,
    contract: bytes,
    run_date: str,
    forecast_horizon: int,
    objects: tuple[ObjectStore, Any] | None = None,
) -> AdHocRecords:
    """`history` is a directory, or a prefix on S3 of which only the items' rows are read; `objects` is then the store
    and boto3's client of S3.

    Raises ConfigError for an unknown item, DataError for one that the weekly run would quarantine, with the reason.
    """
    declared = parse_contract(contract, where="model.toml")
    with tempfile.TemporaryDirectory(prefix="ad-hoc-") as folder:
        if objects is not None and history.startswith("s3://"):
            copy_items(*objects, history, Path(folder), item_ids, declared)
            history = folder
        settings = {"run_date": run_date, "forecast_horizon": forecast_horizon, **_SETTINGS}
        with built_shards(Path(history), contract, item_ids, **settings) as paths:
            manifest = read_manifest(paths.output("manifest"))
            _refuse_quarantined(read_records(paths.output("manifest")).to_pylist())
            _, lines = sent_records(paths)
            baseline = read_baseline(paths.output("manifest")).to_pylist()
    frequency = parse_frequency(manifest.frequency)
    moments = frequency.after(manifest.run_date, forecast_horizon)
    found = [_record(line, declared, baseline, manifest.run_date, moments, frequency) for line in lines]
    return AdHocRecords(
        run_date=manifest.run_date,
        frequency=frequency,
        forecast_horizon=forecast_horizon,
        contract=declared,
        records=sorted(found, key=lambda record: item_ids.index(record.item_id)),
    )


def _refuse_quarantined(rows: Sequence[Mapping[str, Any]]) -> None:
    DataError.raise_any(
        Problem(str(row["quarantine_reason"]), f"{row['quarantine_detail']}.", str(row["item_id"]))
        for row in rows
        if row["quarantine_reason"] is not None
    )


def _record(
    sent: SentRecord,
    contract: ModelContract,
    baseline: Sequence[Mapping[str, Any]],
    run_date: date,
    moments: Sequence[date],
    frequency: Frequency,
) -> AdHocRecord:
    tabular = contract.request.tabular
    document = decode_body(sent.body, contract.request.content_type) if tabular else json.loads(sent.record)
    item, target = sent.item_id, contract.series.targets[0]
    own = [row for row in baseline if row["item_id"] == item and row["target"] == target and row["step"] > 0]
    days = {name: {moments[row["step"] - 1]: row[name] for row in own} for name in ("naive", "actual")}
    known = {name: {day: value for day, value in values.items() if value is not None} for name, values in days.items()}
    return AdHocRecord(
        item_id=item,
        body=sent.body,
        history=dict(_history(document, contract, target, run_date, frequency)),
        naive=known["naive"],
        actual=known["actual"],
    )


def _history(
    document: object, contract: ModelContract, target: str, run_date: date, frequency: Frequency
) -> Iterator[tuple[date, float]]:
    """The target by moment as the record tells it; one without moments ends at the run date."""
    for part in contract.row_lists("history"):
        values = part.values(document, target)
        if values is None:
            continue
        texts = part.values(document, contract.series.timestamp)
        try:
            times = [datetime.fromisoformat(str(text)) for text in texts or ()]
            moments = [time if frequency.below_day else time.date() for time in times]
        except ValueError:  # as the contract writes them, they are none
            moments = []
        moments = moments or frequency.before(run_date, len(values))
        yield from ((moment, float(v)) for moment, v in zip(moments, values, strict=True) if v is not None)
        return
