"""The pure core: whatever comes back, every item has exactly one row in the ledger, and it is the right one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchcast.steps.contract.answer import Expected
from batchcast.steps.contract.outputs import Output, Outputs
from batchcast.steps.errors import DataError
from batchcast.steps.outcome.ledger import REASONS, RETRYABLE, LedgerRow, read_ledger, write_ledger
from batchcast.steps.outcome.reconcile import CarriedAnswer, Reconciliation, check_records, reconcile
from batchcast.steps.outcome.shard_output import RecordFault, Usable
from batchcast.steps.shards.layout import retry_shard
from batchcast.steps.shards.manifest import RECORDS_SCHEMA, Manifest, QuarantineReason, Shard, Totals

EXPECTED = Expected.of(
    Outputs(columns=(Output(name="sales", path="mean", target="sales"),), item_id="item_id"), date(2026, 2, 26), 2
)
PER_SHARD = 3


@dataclass(frozen=True)
class Fate:
    """What happens to one item: before the transform, in its round, and when it is sent alone."""

    before: str
    first: str
    alone: str


fates = st.builds(
    Fate,
    before=st.sampled_from(["sent"] * 5 + ["quarantined", "carried", "carried badly"]),
    first=st.sampled_from(["good"] * 5 + ["error", "garbled", "lost"]),
    alone=st.sampled_from(["good", "error", "garbled", "nothing"]),
)


class World:
    """Items with their fates, dealt to shards, some of which have no output at all."""

    def __init__(self, items: list[Fate], gone: set[int]) -> None:
        self.fates = {f"item-{number:03d}": fate for number, fate in enumerate(items)}
        sent = [item for item, fate in self.fates.items() if fate.before == "sent"]
        cut = [sent[start : start + PER_SHARD] for start in range(0, len(sent), PER_SHARD)]
        self.shards = {f"part-{number:05d}.jsonl": items for number, items in enumerate(cut)}
        self.gone = {f"part-{number:05d}.jsonl" for number in gone}
        self.level = {item: float(number + 1) for number, item in enumerate(self.fates)}

    def records(self) -> pa.Table:
        places = {item: (name, line) for name, items in self.shards.items() for line, item in enumerate(items)}
        rows = [
            {
                **dict.fromkeys(RECORDS_SCHEMA.names),
                "item_id": item,
                "shard": places[item][0] if item in places else None,
                "line": places[item][1] if item in places else None,
                "rows": 1,
                "quarantine_reason": "too_short" if fate.before == "quarantined" else None,
                "carried": fate.before.startswith("carried"),
            }
            for item, fate in self.fates.items()
        ]
        return pa.Table.from_pylist(rows, schema=RECORDS_SCHEMA)

    def manifest(self) -> Manifest:
        shards = tuple(
            Shard(name=name, records=len(items), bytes=0, sha256="", first_item=items[0], last_item=items[-1])
            for name, items in self.shards.items()
        )
        totals = Totals(
            items=len(self.fates), records=0, quarantined=0, carried=0, bytes=0, rows=0, later_items=0, requests=0
        )
        return Manifest(
            run_id="run",
            run_date=date(2026, 2, 26),
            run_label="manual",
            forecast_horizon=2,
            resume_from=None,
            parameters={},
            contract_sha256="",
            code_version="",
            totals=totals,
            quarantined_by_reason={},
            shards=shards,
        )

    def carried(self) -> dict[str, CarriedAnswer]:
        row = LedgerRow(item_id="", status="ok", run_id="earlier", shard="part-00000.jsonl", line=0)
        answers = {}
        for item, fate in self.fates.items():
            good = Usable(values=np.full((2, 1), self.level[item]), sha256="x")
            reading = good if fate.before == "carried" else RecordFault(reason="answer_changed", detail="")
            answers[item] = CarriedAnswer(row=LedgerRow(**{**_fields(row), "item_id": item}), reading=reading)
        return answers

    def read_output(self, number: int, shard: str) -> bytes | None:
        if number == 1:
            item = list(self.fates)[int(shard.removeprefix("record-").removesuffix(".jsonl"))]
            return self._line(item, self.fates[item].alone)
        if shard in self.gone:
            return None
        return b"".join(self._line(item, self.fates[item].first) or b"" for item in self.shards[shard])

    def _line(self, item: str, fate: str) -> bytes | None:
        level = self.level[item]
        answer: dict[str, object] = {"error": "no"} if fate == "error" else {"mean": [level, level]}
        line = json.dumps({"SageMakerOutput": answer, "item_id": item}).encode() + b"\n"
        return {"garbled": b"{" + line, "lost": None, "nothing": None}.get(fate, line)

    def reconcile(self, number: int) -> Reconciliation:
        again = [retry_shard(index) for index in range(len(self.fates))] if number else None
        return reconcile(
            self.manifest(), self.records(), self.read_output, self.carried(), EXPECTED, retry_shards=again
        )

    def status(self, item: str, number: int) -> str:
        """What the ledger must say of the item."""
        fate = self.fates[item]
        if fate.before != "sent":
            return {"quarantined": "quarantined", "carried": "carried", "carried badly": "failed"}[fate.before]
        shard = next(name for name, items in self.shards.items() if item in items)
        first = "lost" if shard in self.gone else fate.first
        # In a shard with a line too few, an unreadable line is nobody's.
        short = any(self.fates[other].first == "lost" for other in self.shards[shard])
        if first in ("garbled", "lost") and number == 1:
            return {"good": "ok"}.get(fate.alone, "failed")
        garbled = "missing" if short else "failed"
        return {"good": "ok", "error": "failed", "garbled": garbled, "lost": "missing"}[first]


def _fields(row: LedgerRow) -> dict[str, object]:
    return {name: getattr(row, name) for name in LedgerRow.__slots__}


@given(
    items=st.lists(fates, min_size=1, max_size=20),
    gone=st.sets(st.integers(0, 6), max_size=3),
    number=st.integers(0, 1),
)
def test_every_item_has_one_row_with_its_own_status_and_values(items: list[Fate], gone: set[int], number: int) -> None:
    world = World(items, gone)
    found = world.reconcile(number)
    assert [row.item_id for row in found.rows] == list(world.fates)
    assert [row.status for row in found.rows] == [world.status(item, number) for item in world.fates]
    tally = found.tally
    assert tally.expected == tally.ok + tally.quarantined + tally.failed + tally.missing == len(items)
    for row, values in zip(found.rows, found.values, strict=True):
        if row.status in ("ok", "carried"):
            assert values.tolist() == [[world.level[row.item_id]]] * 2
            assert (row.reason, row.detail) == ("", "")
        else:
            assert np.isnan(values).all()
            assert row.reason in REASONS
    assert not found.mismatches
    assert sum(found.shards.values()) == len(world.shards)


@given(items=st.lists(fates, min_size=1, max_size=20), gone=st.sets(st.integers(0, 6), max_size=3))
def test_what_is_sent_alone_is_what_the_retry_round_reads_and_nothing_is_sent_twice(
    items: list[Fate], gone: set[int]
) -> None:
    world = World(items, gone)
    first, second = world.reconcile(0), world.reconcile(1)
    assert all(first.rows[index].reason in RETRYABLE for index in first.retry)
    assert second.retry == []
    retried = {index for index, row in enumerate(second.rows) if row.round == 1}
    assert retried == set(first.retry)
    for index in retried:
        assert (second.rows[index].shard, second.rows[index].line) == (retry_shard(index), 0)


def test_a_ledger_is_read_as_it_was_written(tmp_path: Path) -> None:
    rows = (
        World([Fate("sent", "good", "good"), Fate("quarantined", "", ""), Fate("sent", "lost", "")], set())
        .reconcile(0)
        .rows
    )
    write_ledger(rows, tmp_path / "ledger.parquet")
    assert read_ledger(tmp_path / "ledger.parquet") == rows


def test_every_reason_to_quarantine_has_words_in_the_report() -> None:
    assert {str(reason) for reason in QuarantineReason} <= set(REASONS)
    assert set(RETRYABLE) <= set(REASONS)


def test_a_manifest_and_records_that_disagree_are_refused_with_every_difference() -> None:
    world = World([Fate("sent", "good", "good")] * 7, set())
    records = world.records().filter(pa.array([True] * 5 + [False] * 2))
    with pytest.raises(DataError) as caught:
        check_records(world.manifest(), records)
    assert [problem.what for problem in caught.value.problems] == [
        "part-00001.jsonl: 2 records, 3 by the manifest",
        "part-00002.jsonl: 0 records, 1 by the manifest",
        "5 items, 7 by the manifest",
    ]
