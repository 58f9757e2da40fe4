"""The pure core: whatever comes back, every item has exactly one row in the ledger, and it is the right one."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchcast.steps.contract import answer
from batchcast.steps.contract.answer import Expected
from batchcast.steps.contract.outputs import Output, Outputs
from batchcast.steps.errors import DataError
from batchcast.steps.outcome.data_log import FailedRequest
from batchcast.steps.outcome.decision import Tolerance, decide
from batchcast.steps.outcome.ledger import CORRECTIONS, REASONS, RETRYABLE, LedgerRow, read_ledger, write_ledger
from batchcast.steps.outcome.reconcile import Reconciliation, check_records, reconcile, retry_groups
from batchcast.steps.outcome.shard_output import Reading, RecordFault, Usable
from batchcast.steps.shards.layout import retry_shard
from batchcast.steps.shards.manifest import RECORDS_SCHEMA, Manifest, QuarantineReason, Shard, Totals
from batchcast.steps.shards.request_text import RequestText

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
                "quarantine_detail": "3 days" if fate.before == "quarantined" else None,
                "carried": fate.before.startswith("carried"),
            }
            for item, fate in self.fates.items()
        ]
        return pa.Table.from_pylist(rows, schema=RECORDS_SCHEMA)

    def manifest(self) -> Manifest:
        shards = tuple(
            Shard(name=name, records=len(items), bytes=0, first_item=items[0], last_item=items[-1])
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

    def carried(self) -> Iterator[tuple[LedgerRow, Reading]]:
        row = LedgerRow(item_id="", status="ok", run_id="earlier", shard="part-00000.jsonl", line=0)
        for item, fate in self.fates.items():
            good = Usable(values=np.full((2, 1), self.level[item]), sha256="x")
            reading = good if fate.before == "carried" else RecordFault(reason="answer_changed", detail="")
            if fate.before.startswith("carried"):
                yield replace(row, item_id=item), reading

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
        if fate == "misread":
            line = line.replace(b"mean", b"median")
        return {"garbled": b"{" + line, "lost": None, "nothing": None}.get(fate, line)

    def reconcile(self, number: int, groups: Mapping[str, list[int]] | None = None) -> Reconciliation:
        """After the round `number`, in which each record was sent alone or in `groups`."""
        again = groups or [retry_shard(index) for index in range(len(self.fates))]

        def read_output(number: int, shard: str) -> bytes | None:
            if number == 0 or groups is None:
                return self.read_output(number, shard)
            items = [f"item-{index:03d}" for index in groups[shard]]
            return b"".join(self._line(item, self.fates[item].alone) or b"" for item in items)

        carried = self.carried()
        sent = again if number else None
        return reconcile(self.manifest(), self.records(), read_output, carried, EXPECTED, retry_shards=sent)

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


@given(
    items=st.lists(fates, min_size=1, max_size=20),
    gone=st.sets(st.integers(0, 6), max_size=3),
    number=st.integers(0, 1),
)
def test_every_item_has_one_row_with_its_own_status_and_values(items: list[Fate], gone: set[int], number: int) -> None:
    world = World(items, gone)
    found = world.reconcile(number)
    assert [row.item_id for row in found.ledger.rows] == list(world.fates)
    assert [row.status for row in found.ledger.rows] == [world.status(item, number) for item in world.fates]
    tally = found.tally
    assert tally.expected == tally.ok + tally.quarantined + tally.failed + tally.missing == len(items)
    for row, values in zip(found.ledger.rows, found.values, strict=True):
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
    assert all(first.ledger.rows[index].reason in RETRYABLE for index in first.retry)
    assert second.retry == []
    retried = {index for index, row in enumerate(second.ledger.rows) if row.round == 1}
    assert retried == set(first.retry)
    for index in retried:
        assert (second.ledger.rows[index].shard, second.ledger.rows[index].line) == (retry_shard(index), 0)


# Three shards of three records: one is answered though not always readably, one has no output, one ends early.
NINE = [
    *(Fate("sent", "good", "good"), Fate("sent", "garbled", "good"), Fate("sent", "error", "good")),
    *(Fate("sent", "good", "nothing"), Fate("sent", "good", "error"), Fate("sent", "good", "good")),
    *(Fate("sent", "good", "good"), Fate("sent", "lost", "garbled"), Fate("sent", "error", "good")),
    *(Fate("quarantined", "", ""), Fate("carried", "", ""), Fate("carried badly", "", "")),
]


def test_the_decision_is_made_on_what_the_ledger_says() -> None:
    found = World(NINE, {1}).reconcile(0).findings(["x", "y"])
    assert (found.tally.expected, found.tally.ok, found.tally.quarantined) == (12, 3, 1)
    assert (found.tally.failed, found.tally.missing, found.tally.carried) == (4, 4, 1)
    assert (found.shards, found.shards_lost) == (3, 2)
    # The garbled one, the three without output and the one that is cut off; the first of them has an answer.
    assert (found.retryable, found.unreadable) == (5, 1)
    # Each lost shard has one record at least that is to blame.
    assert found.silent == 3
    assert (found.wrong, found.mismatches) == (("x", "y"), ())
    assert found.main_reason == "the shard of this record has no output (3 items)"
    assert found.misread == ""


def test_after_the_retry_round_the_silent_records_are_held_against_systemic_failure_percent() -> None:
    after = World(NINE, {1}).reconcile(1)
    found = after.findings()
    assert (found.retryable, found.unreadable, found.shards_lost) == (0, 0, 2)
    assert [row.item_id for row in after.ledger.rows if row.reason == "no_answer_after_retry"] == [
        "item-003",
        "item-007",
    ]
    # An answer that is an error is one; the quarantined one was never asked for: 2 of 11 records.
    assert found.silent == 2
    limits = {"max_failed_records": 12, "max_failed_percent": 0.0, "max_retry_records": 9}
    assert decide(found, Tolerance(**limits, systemic_failure_percent=200 / 11)).outcome == "COMPLETE_WITH_QUARANTINE"
    held = decide(found, Tolerance(**limits, systemic_failure_percent=18.0))
    assert (held.outcome, held.cause_kind) == ("HELD", "model")


def test_the_rows_say_where_the_record_lies_and_why_there_is_no_forecast() -> None:
    rows = {row.item_id: row for row in World(NINE, {1}).reconcile(0).ledger.rows}
    assert [(row.shard, row.line, row.position, row.round) for row in list(rows.values())[:4]] == [
        *(("part-00000.jsonl", line, 0, 0) for line in range(3)),
        ("part-00001.jsonl", 0, 0, 0),
    ]
    assert (rows["item-009"].reason, rows["item-009"].detail, rows["item-009"].run_id) == ("too_short", "3 days", "run")
    assert (rows["item-010"].run_id, rows["item-010"].shard) == ("earlier", "part-00000.jsonl")
    usable = World(NINE, {1}).reconcile(0).ledger.usable
    assert usable.tolist() == [row.status in ("ok", "carried") for row in rows.values()]
    assert usable.sum() == 3


@pytest.mark.parametrize(
    ("first", "requests", "served", "refused"),
    [
        ("error", None, True, 0),
        ("error", [], False, 0),
        ("good", [], True, 0),
        ("error", [FailedRequest(what="HTTP: 503"), FailedRequest(what="HTTP: 500")], True, 1),
    ],
)
def test_whether_the_model_was_sent_anything_is_known_from_an_answer_or_from_the_logs(
    first: str, requests: list[FailedRequest] | None, served: bool, refused: int
) -> None:
    found = World([Fate("sent", first, "")], set()).reconcile(0).findings(requests=requests)
    assert (found.served, found.refused, found.shards_lost) == (served, refused, 0)


@pytest.mark.parametrize(
    ("fates", "main", "misread"),
    [
        (["misread", "misread", "error"], "does not have the form the contract file declares (2 items)", True),
        (["misread", "error", "error"], "the model answered with an error (2 items)", False),
        (["misread"], "does not have the form the contract file declares (1 item)", True),
        (["good"], "", False),
    ],
)
def test_the_commonest_reason_is_told_and_what_the_answer_holds_where_it_is_the_contract(
    fates: list[str], main: str, misread: bool
) -> None:
    found = World([Fate("sent", first, "") for first in fates], set()).reconcile(0).findings()
    assert found.main_reason.endswith(main)
    assert bool(found.main_reason) == bool(main)
    assert ("median" in found.misread) == bool(found.misread) == misread
    assert found.correction == ("Correct [outputs] in model.toml, or the model" if misread else "")


def test_every_reason_of_an_answer_that_reads_and_is_wrong_says_what_to_correct() -> None:
    found = set(re.findall(r'AnswerError\("(\w+)"', inspect.getsource(answer)))
    assert {*CORRECTIONS} == found - {"error_answer"}


def test_records_that_are_sent_again_together_are_cut_into_shards_of_nearly_equal_size() -> None:
    retry = [3, 5, 8, 13, 21]
    assert retry_groups(retry, 2) == {retry_shard(3, 2): [3, 5], retry_shard(8, 3): [8, 13, 21]}
    assert retry_groups(retry, 5) == retry_groups(retry, 9) == {retry_shard(index): [index] for index in retry}
    objects = RequestText(suffix=".json", by_object=True)
    assert retry_groups(retry, 2, objects) == {retry_shard(index, 1, objects.suffix): [index] for index in retry}
    assert retry_groups([], 2) == {}


def test_a_record_that_shared_a_shard_of_the_retry_round_may_be_sent_once_more() -> None:
    world = World(NINE, {1})
    first = world.reconcile(0)
    assert first.retry == [1, 3, 4, 5, 7]
    groups = retry_groups(first.retry, 2)
    # Shards of other records, and objects of other names, are none of this run's.
    again = world.reconcile(1, {**groups, retry_shard(2): [2], "record-x.jsonl": []})
    rows = {index: again.ledger.rows[index] for index in first.retry}
    assert [(row.shard, row.line, row.position, row.round) for row in rows.values()] == [
        *((retry_shard(1, 2), line, 0, 1) for line in range(2)),
        *((retry_shard(4, 3), line, 0, 1) for line in range(3)),
    ]
    assert (first.retry_requests, again.retry_requests) == (0, 5)
    assert [row.status for row in rows.values()] == ["ok", "missing", "failed", "ok", "failed"]
    assert rows[3].detail.startswith("part-00001.jsonl.out does not exist; then among 2: ")
    assert again.ledger.rows[2].round == 0


@pytest.mark.parametrize("rows", [4, 3, 1])
def test_several_items_of_a_request_are_found_by_their_position(rows: int) -> None:
    world = World([Fate("sent", "good", "")] * 4, set())
    places = {"shard": ["b", "a", "b", "b"], "line": [1, 0, 0, 1], "position": [1, None, None, 0]}
    records = world.records()
    for name, values in places.items():
        index = records.schema.get_field_index(name)
        records = records.set_column(index, records.field(index), pa.array(values, records.field(index).type))
    records = pa.concat_tables([records.slice(start, rows) for start in range(0, 4, rows)])  # A large run has batches.
    asked: list[str] = []
    found = reconcile(world.manifest(), records, lambda _, shard: asked.append(shard), {}, EXPECTED, retry_shards=None)
    assert asked == ["a", "b"]
    assert [(row.shard, row.line, row.position) for row in found.ledger.rows] == [
        *(("b", 1, 1), ("a", 0, 0), ("b", 0, 0), ("b", 1, 0)),
    ]
    assert found.retry == [1, 2, 3, 0]


def test_a_ledger_is_read_as_it_was_written(tmp_path: Path) -> None:
    fates = [Fate("sent", "good", "good"), Fate("quarantined", "", ""), Fate("sent", "lost", "")]
    rows = World(fates, set()).reconcile(0).ledger.rows
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
    whole = world.manifest()
    with pytest.raises(DataError, match=r"part-00002\.jsonl: 1 records, 0 by the manifest"):
        check_records(replace(whole, shards=whole.shards[:2]), world.records())
