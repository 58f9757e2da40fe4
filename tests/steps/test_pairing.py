"""Answers paired with requests that carry no id: by order, and several in one body."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

from batchcast.steps.contract.answer import Expected
from batchcast.steps.contract.outputs import Output, Outputs
from batchcast.steps.contract.request import PLAIN_REQUEST
from batchcast.steps.outcome.shard_output import RecordFault, ShardReading, Usable, read_shard

OUTPUTS = Outputs(columns=(Output(name="sales", path="mean", target="sales"),), records="predictions", item_id="id")
ALONE = replace(OUTPUTS, records=None)
DAY = date(2026, 2, 26)
POSITION = replace(PLAIN_REQUEST, pairing="position")


def body(*items: str) -> dict[str, object]:
    return {"predictions": [{"mean": [1.0], "id": item} for item in items]}


def reasons(found: ShardReading) -> list[str]:
    return ["ok" if isinstance(reading, Usable) else reading.reason for reading in found.readings]


def test_bare_lines_pair_by_order_and_an_echoed_id_is_compared() -> None:
    expected = Expected.of(ALONE, DAY, 1, request=POSITION)
    lines = b'{"mean":[1.0]}\n{"mean":[2.0],"id":"b"}\n{"mean":[3.0],"id":"x"}\n'
    found = read_shard("p", lines, [["a"], ["b"], ["c"]], expected)
    assert reasons(found) == ["ok", "ok", "wrong_id"]
    assert len(found.mismatches) == 1


def test_bare_lines_of_another_number_are_nobodys() -> None:
    expected = Expected.of(ALONE, DAY, 1, request=POSITION)
    line = b'{"mean":[1.0]}\n'
    assert reasons(read_shard("p", line, [["a"], ["b"]], expected)) == ["short_output"] * 2
    assert reasons(read_shard("p", line * 3, [["a"], ["b"]], expected)) == ["long_output"] * 2


def test_several_answers_in_a_body_go_by_id_and_a_spoiled_request_takes_no_other_with_it() -> None:
    expected = Expected.of(OUTPUTS, DAY, 1, request=replace(PLAIN_REQUEST, items_per_request=2))
    answers = [(["a", "b"], body("b", "a")), (["c", "d"], {"error": "bad"}), (["e"], body("e"))]
    lines = [json.dumps({"item_id": items, "SageMakerOutput": answer}) for items, answer in answers]
    found = read_shard("p", "\n".join(lines).encode(), [items for items, _ in answers], expected)
    assert reasons(found) == ["ok", "ok", "spoiled_request", "spoiled_request", "ok"]
    assert isinstance(found.readings[2], RecordFault)
