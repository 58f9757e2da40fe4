"""Whatever goes wrong in a transform: the run ends in the right outcome, and every item of it is accounted for.

Twelve series of the bakery, two a shard, on two instances: part-00000 holds 2/101 and 5/110, and instance 0 has the
shards of even number.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from bakery_run import ITEMS, Edit, EndedRun, bakery_history, expected_forecasts, run_bakery

from batchcast.engine.faults import Fault, FaultPlan

POISON, BESIDE = "2/101", "5/110"
SHARD = "part-00000.jsonl"
ALONE = "no_answer_after_retry"
# A second of the service lasts 10 ms, so a time limit of 100 s is one of 1 s.
HURRIED = {"time_scale": 0.01, "InvocationsTimeoutInSeconds": 100, "InvocationsMaxRetries": 0}


def record_of(item: str) -> str:
    """What only this item's request contains."""
    return f'"item_id":"{item}"'


def refused(item: str) -> Fault:
    return Fault(effect="status", status=400, body=f"cannot read promo of {item}", containing=record_of(item))


def lines_edited(name: str, edit: Edit, output: str, data: bytes) -> bytes:
    """The output object `name` with its lines changed; all others as they are."""
    return edit(output, data) if output.endswith(name) else data


def without_last_line(_: str, data: bytes) -> bytes:
    return data[: data.rstrip(b"\n").rfind(b"\n") + 1]


def last_line_twice(_: str, data: bytes) -> bytes:
    return data + data.splitlines(keepends=True)[-1]


def first_line_cut(_: str, data: bytes) -> bytes:
    first, _, rest = data.partition(b"\n")
    return first[: len(first) // 2] + b"\n" + rest


def lines_exchanged(_: str, data: bytes) -> bytes:
    first, second = data.splitlines(keepends=True)
    return second + first


def answers_exchanged(output: str, data: bytes) -> bytes:
    first, second = (json.loads(line) for line in data.splitlines())
    if "SageMakerOutput" not in first:
        return lines_exchanged(output, data)
    first["SageMakerOutput"], second["SageMakerOutput"] = second["SageMakerOutput"], first["SageMakerOutput"]
    return b"".join(json.dumps(line).encode() + b"\n" for line in (first, second))


def once(edit: Edit) -> Edit:
    """Strike the shard's output; the retry round's arrive as they are."""
    return partial(lines_edited, f"r0/{SHARD}.out", edit)


def poison_garbled(output: str, data: bytes) -> bytes:
    """The line of one item arrives cut, whichever shard it is in."""
    return first_line_cut(output, data) if f'"{POISON}"'.encode() in data.partition(b"\n")[0] else data


@dataclass(frozen=True, kw_only=True)
class Case:
    """What goes wrong, and how the run must end; `lost` are the items without a forecast, with status and reason."""

    faults: tuple[Fault, ...] = ()
    edit: Edit | None = None
    parameters: Mapping[str, object] = field(default_factory=dict)
    outcome: str
    cause_kind: str | None = None
    lost: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    transform: str
    retry: str | None = None


def lost(*items: str, status: str = "failed", reason: str = ALONE) -> dict[str, tuple[str, str]]:
    return dict.fromkeys(items, (status, reason))


ALL_MISSING = lost(*ITEMS, status="missing", reason="no_output")
THREE = ("2/101", "2/109", "2/110")

CASES = {
    "one poison record, none tolerated": Case(
        faults=(refused(POISON),),
        outcome="HELD",
        cause_kind="coverage",
        lost=lost(POISON),
        transform="Failed",
        retry="Failed",
    ),
    "one poison record, one tolerated": Case(
        faults=(refused(POISON),),
        parameters={"MaxFailedRecords": 1},
        outcome="COMPLETE_WITH_QUARANTINE",
        lost=lost(POISON),
        transform="Failed",
        retry="Failed",
    ),
    "three poison records in three shards": Case(
        faults=tuple(refused(item) for item in THREE),
        parameters={"MaxFailedPercent": 25, "SystemicFailurePercent": 50},
        outcome="COMPLETE_WITH_QUARANTINE",
        lost=lost(*THREE),
        transform="Failed",
        retry="Failed",
    ),
    "an error in an answer of status 200": Case(
        faults=(Fault(effect="status", status=200, body='{"error": "no promo"}', containing=record_of(POISON)),),
        parameters={"MaxFailedRecords": 1},
        outcome="COMPLETE_WITH_QUARANTINE",
        lost=lost(POISON, reason="error_answer"),
        transform="Completed",
    ),
    "a record that times out once": Case(
        faults=(Fault(effect="latency", seconds=1000, file=SHARD, containing=record_of(POISON)),),
        parameters=HURRIED,
        outcome="COMPLETE",
        transform="Failed",
        retry="Completed",
    ),
    "a record that always times out": Case(
        faults=(Fault(effect="latency", seconds=1000, containing=record_of(POISON)),),
        parameters={**HURRIED, "MaxFailedRecords": 1},
        outcome="COMPLETE_WITH_QUARANTINE",
        lost=lost(POISON),
        transform="Failed",
        retry="Failed",
    ),
    "a server that crashes in the middle of the first shard": Case(
        faults=(Fault(effect="crash", file=SHARD, line=1),),
        parameters={"SystemicFailurePercent": 50},
        outcome="COMPLETE",
        transform="Failed",
        retry="Completed",
    ),
    "a record that kills the server whenever it is sent": Case(
        faults=(Fault(effect="crash", containing=record_of(POISON)),),
        parameters={"SystemicFailurePercent": 50},
        outcome="HELD",
        cause_kind="coverage",
        # The first files of instance 0 are those of the poison and of two innocents that it has to itself.
        lost=lost(POISON, "3/109", "5/101"),
        transform="Failed",
        retry="Failed",
    ),
    "a transform job that is stopped": Case(
        faults=(Fault(effect="stop", file="part-00002.jsonl"),),
        outcome="HELD",
        cause_kind="model",
        lost=ALL_MISSING,
        transform="Stopped",
    ),
    "a model that answers nothing but 500": Case(
        faults=(Fault(effect="status", status=500, body="out of memory"),),
        outcome="HELD",
        cause_kind="model",
        lost=ALL_MISSING,
        transform="Failed",
    ),
    "a completed job without one of its outputs": Case(
        faults=(Fault(effect="no_output", file=SHARD),),
        outcome="COMPLETE",
        transform="Completed",
        retry="Completed",
    ),
    "an output that is never there": Case(
        faults=(Fault(effect="no_output", file=SHARD), Fault(effect="no_output", file="record-000000.jsonl")),
        parameters={"MaxFailedRecords": 1},
        outcome="COMPLETE_WITH_QUARANTINE",
        lost=lost(POISON),
        transform="Completed",
        retry="Completed",
    ),
    "an output that is short": Case(
        edit=once(without_last_line), outcome="COMPLETE", transform="Completed", retry="Completed"
    ),
    "an output that is long": Case(
        edit=once(last_line_twice), outcome="COMPLETE", transform="Completed", retry="Completed"
    ),
    "an output that is garbled": Case(
        edit=once(first_line_cut), outcome="COMPLETE", transform="Completed", retry="Completed"
    ),
    "an answer that is always garbled": Case(
        edit=poison_garbled,
        outcome="HELD",
        cause_kind="coverage",
        lost=lost(POISON),
        transform="Completed",
        retry="Completed",
    ),
    "two lines that are exchanged": Case(
        edit=once(lines_exchanged),
        outcome="HELD",
        cause_kind="model",
        lost=lost(POISON, BESIDE, reason="wrong_id"),
        transform="Completed",
    ),
    "two answers that are exchanged": Case(
        edit=once(answers_exchanged),
        outcome="HELD",
        cause_kind="model",
        lost=lost(POISON, BESIDE, reason="wrong_id"),
        transform="Completed",
    ),
}


@pytest.fixture(scope="module")
def bakery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bakery_history(tmp_path_factory.mktemp("bakery") / "history")


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_whatever_goes_wrong_every_item_is_accounted_for(case: Case, bakery: Path, tmp_path: Path) -> None:
    ended = run_bakery(
        tmp_path, bakery, faults=FaultPlan(case.faults), edit=case.edit, **{"RecordsPerShard": 2, **case.parameters}
    )
    assert (ended.report["outcome"], ended.report["cause_kind"]) == (case.outcome, case.cause_kind)
    assert_accounted_for(ended, case)
    assert_steps(ended, case)
    if case.outcome == "HELD":
        assert not ended.has_published
        assert ended.execution.status == "Failed"
    else:
        assert_published(ended, case)


def assert_accounted_for(ended: EndedRun, case: Case) -> None:
    ledger, counts = ended.ledger, ended.report["counts"]
    assert sorted(ledger) == ITEMS
    assert {item: (row.status, row.reason) for item, row in ledger.items() if row.status != "ok"} == case.lost
    assert counts["expected"] == len(ITEMS)
    assert counts["ok"] == len(ITEMS) - len(case.lost)
    assert counts["failed"] + counts["missing"] == len(case.lost)
    assert {row["item_id"] for row in ended.report["failed"]} == case.lost.keys()
    # The record itself is there to be sent again, and it lies where the line says.
    replay = {line["item_id"]: line for line in ended.failed_records}
    assert replay.keys() == case.lost.keys()
    for item, line in replay.items():
        sent = json.loads(ended.store.read(line["contract"]).splitlines()[line["line"]])
        assert (sent["item_id"], sent["body"]) == (item, line["record"])
        assert line["record"]["item_id"] == item


def assert_steps(ended: EndedRun, case: Case) -> None:
    """The first job ended as the case says, and there was a second one only when it could help."""
    steps = {"Completed": "Succeeded"}
    found = ended.statuses()
    assert found["Transform"] == steps.get(case.transform, case.transform)
    assert found.get("TransformRetry") == (steps.get(case.retry, case.retry) if case.retry else None)


def assert_published(ended: EndedRun, case: Case) -> None:
    good = [item for item in ITEMS if item not in case.lost]
    forecasts = ended.forecasts
    assert forecasts.attrs["run_id"] == ended.run_id
    assert {item: rows["sales"].tolist() for item, rows in forecasts.groupby("item_id")} == expected_forecasts(good)
    handled = "CompletedWithFailures" if "Failed" in (case.transform, case.retry) else "Succeeded"
    assert ended.execution.status == handled
