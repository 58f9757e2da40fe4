"""Requests of several series, in envelopes, by position and as objects: what the model gets, and who is answered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from shard_build import DAILY_CONTRACT, Build, build, daily_rows

from batchcast.steps.shards.sent_records import SentRecords

ITEMS = [f"itém-{n:02d}" for n in range(11)]
SEVERAL = DAILY_CONTRACT.replace(
    "body = '''", "items_per_request = 4\nbody = '''{\"instances\": $records, \"steps\": $horizon}'''\nrecord = '''"
)


def cut(made: Build) -> dict[str, tuple[bytes, bytes]]:
    sent = SentRecords.of(made.manifest, made.records_table)
    found = sent.read(made.records_table, made.shards.__getitem__)
    return {one.item_id: (one.record, one.body) for one in found}


@pytest.mark.parametrize("way", ["", 'pairing = "position"\n', 'mode = "object"\n'])
def test_every_record_is_found_again_and_sent_alone_as_it_was_rendered(tmp_path: Path, way: str) -> None:
    table = daily_rows(ITEMS)
    alone = cut(build(tmp_path / "alone", DAILY_CONTRACT, [table]))
    made = build(tmp_path / "several", SEVERAL.replace("items_per_request", f"{way}items_per_request"), [table])
    assert made.exit_code == 0, made.message
    found = cut(made)
    assert found.keys() == alone.keys()
    for item, (record, body) in found.items():
        assert json.loads(record) == json.loads(alone[item][0])
        assert json.loads(body) == {"instances": [json.loads(record)], "steps": 7}
    most = max(row["position"] for row in made.table)
    assert most == 3
    if "object" in way:
        assert len(made.shards) == 3
        assert all(name.startswith("request-") for name in made.shards)


def test_fewer_items_go_into_a_request_that_would_pass_the_payload_limit(tmp_path: Path) -> None:
    contract = SEVERAL.replace('{"date": $date,', '{"note": $note, "date": $date,')
    table = daily_rows(ITEMS, 1).append_column("note", [["x" * 400_000] * len(ITEMS)])
    made = build(tmp_path, contract, [table], max_payload_in_mb=1)
    assert made.exit_code == 0, made.message
    lines = [line for text in made.shards.values() for line in text.splitlines()]
    assert max(map(len, lines)) <= 950_000
    assert sorted(item for line in lines for item in json.loads(line)["item_id"]) == ITEMS
    assert {len(json.loads(line)["item_id"]) for line in lines} == {1, 2}
