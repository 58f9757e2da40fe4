"""ItemsUri and ResumeFrom: part of the items, and the rest of an earlier run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from shard_build import DAILY_CONTRACT, Build, build, daily_rows

from batchcast.steps.outcome.ledger import LedgerRow, Status, write_ledger
from batchcast.steps.store.objects import DirectoryStore

ITEMS = ["Åre", "apple", "beet", "cherry"]


def put(root: Path, data: bytes) -> str:
    uri = "s3://bucket/items.txt"
    DirectoryStore(root / "s3").write(uri, data)
    return uri


def store_run(made: Build, run_id: str, statuses: dict[str, Status]) -> None:
    """Put a run that was decided where the next one looks for it."""
    run = made.root / "s3/bucket/runs" / run_id
    shutil.copytree(made.root / "processing/output/manifest", run / "manifest", dirs_exist_ok=True)
    (run / "report").mkdir(exist_ok=True)
    rows = [LedgerRow(item_id=item, status=status, run_id=run_id) for item, status in statuses.items()]
    write_ledger(rows, run / "report/ledger.parquet")
    report = {"outcome": "HELD", "cause": "", "cause_kind": "coverage", "published": None}
    report |= {"counts": dict.fromkeys(("expected", "ok", "quarantined", "failed", "missing"), 0), "parameters": {}}
    report |= {"pointer_moved": False, "pointer_note": "", "quarantined": [], "failed": [], "mismatches": []}
    (run / "report/report.json").write_text(json.dumps(report))


@pytest.mark.parametrize(
    "text",
    [
        "apple\nÅre\n",
        "\ufeffapple\r\nÅre",
        '\n{"item_id": "apple", "reason": "x"}\n{"item_id": "\\u00c5re"}\n',
    ],
)
def test_only_the_items_that_are_listed_are_built(tmp_path: Path, text: str) -> None:
    uri = put(tmp_path, text.encode())
    made = build(tmp_path, DAILY_CONTRACT, [daily_rows(ITEMS)], items_uri=uri)
    assert sorted(made.records) == ["apple", "Åre"]
    assert made.manifest.totals.items == 2


def test_an_item_that_is_not_in_the_history_is_an_error_naming_the_nearest(tmp_path: Path) -> None:
    uri = put(tmp_path, b"apple\nchery\n" + b"\n".join(b"x%d" % n for n in range(9)))
    made = build(tmp_path, DAILY_CONTRACT, [daily_rows(ITEMS)], items_uri=uri)
    assert made.exit_code == 2
    assert "there is no item 'chery' in the history; the nearest is 'cherry'" in made.message
    assert "5 more items are not in the history" in made.message


def test_rows_without_an_item_id_do_not_concern_a_run_of_listed_items(tmp_path: Path) -> None:
    nameless = daily_rows([""], 3)
    assert build(tmp_path, DAILY_CONTRACT, [daily_rows(ITEMS), nameless]).reasons == {"(null)": "null_key"}
    assert build(tmp_path, DAILY_CONTRACT, None, items_uri=put(tmp_path, b"apple\n")).reasons == {}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\n \n", "names no item"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b'{"item": "apple"}', 'items.txt line 1: is not a JSON object with text under "item_id"'),
        (b'apple\n{"item_id": 3}', "line 2"),
    ],
)
def test_a_list_that_cannot_be_read_is_a_configuration_error(tmp_path: Path, data: bytes, expected: str) -> None:
    made = build(tmp_path, DAILY_CONTRACT, [daily_rows(ITEMS)], items_uri=put(tmp_path, data))
    assert made.exit_code == 2
    assert expected in made.message


def test_a_list_that_is_missing_is_named(tmp_path: Path) -> None:
    made = build(tmp_path, DAILY_CONTRACT, [daily_rows(ITEMS)], items_uri="s3://bucket/no.txt")
    assert made.exit_code == 2
    assert (
        "s3://bucket/no.txt: there is no such object. Name an object that lists item ids, or pass all." in made.message
    )


def test_a_listed_item_that_begins_after_the_run_date_is_accounted_for(tmp_path: Path) -> None:
    tables = [daily_rows(["apple"], 5), daily_rows(["beet"], 2, first="2026-01-04")]
    uri = put(tmp_path, b"apple\nbeet\n")
    made = build(tmp_path, DAILY_CONTRACT, tables, items_uri=uri, run_date="2026-01-03")
    assert made.reasons == {"beet": "too_short"}


def test_resuming_builds_only_what_was_not_ok_and_carries_the_rest(tmp_path: Path) -> None:
    earlier = build(tmp_path, DAILY_CONTRACT, [daily_rows(ITEMS)])
    baseline = earlier.baseline
    statuses: dict[str, Status] = {"Åre": "ok", "apple": "carried", "beet": "failed", "cherry": "missing"}
    store_run(earlier, "earlier00000", statuses)
    made = build(tmp_path, DAILY_CONTRACT, None, resume_from="earlier00000")
    assert sorted(made.records) == ["beet", "cherry"]
    assert {row["item_id"]: (row["carried"], row["shard"] is None) for row in made.table} == {
        "apple": (True, True),
        "beet": (False, False),
        "cherry": (False, False),
        "Åre": (True, True),
    }
    totals = made.manifest.totals
    assert (totals.items, totals.records, totals.carried, totals.quarantined) == (4, 2, 2, 0)
    assert made.manifest.resume_from == "earlier00000"
    assert made.baseline == baseline


def test_a_resumed_run_can_be_resumed(tmp_path: Path) -> None:
    first = build(tmp_path, DAILY_CONTRACT, [daily_rows(ITEMS)])
    baseline = first.baseline
    store_run(first, "first0000000", {"Åre": "ok", "apple": "ok", "beet": "failed", "cherry": "failed"})
    second = build(tmp_path, DAILY_CONTRACT, None, resume_from="first0000000")
    store_run(second, "second000000", {"Åre": "carried", "apple": "carried", "beet": "ok", "cherry": "failed"})
    third = build(tmp_path, DAILY_CONTRACT, None, resume_from="second000000")
    assert list(third.records) == ["cherry"]
    assert third.baseline == baseline


def test_a_run_that_asked_something_else_cannot_be_resumed(tmp_path: Path) -> None:
    store_run(build(tmp_path, DAILY_CONTRACT, [daily_rows(ITEMS)]), "earlier00000", {"apple": "ok"})
    contract = DAILY_CONTRACT.replace('"rows":', '"history":').replace("[answer]", "[answer]\nminimum = 0")
    made = build(tmp_path, contract, None, resume_from="earlier00000", run_date="2026-01-05", forecast_horizon=8)
    assert made.exit_code == 2
    for text in (
        "run date 2026-01-10, this one 2026-01-05",
        "forecast horizon 7, this one 8",
        "has another [request], [outputs]: it asked something else",
        "Deploy the contract file",
    ):
        assert text in made.message


def test_a_run_that_only_checks_otherwise_can_be_resumed(tmp_path: Path) -> None:
    strict = DAILY_CONTRACT + '[checks]\nscale = "hold"\n'
    store_run(build(tmp_path, strict, [daily_rows(ITEMS)]), "earlier00000", dict.fromkeys(ITEMS, "ok"))
    made = build(tmp_path, DAILY_CONTRACT + "# looked at, and right\n", None, resume_from="earlier00000")
    assert (made.manifest.totals.records, made.manifest.totals.carried) == (1, 3)


def test_a_run_without_a_report_cannot_be_resumed(tmp_path: Path) -> None:
    made = build(tmp_path, DAILY_CONTRACT, [daily_rows(ITEMS)], resume_from="unknown00000")
    assert made.exit_code == 2
    assert "run unknown00000 cannot be resumed: s3://bucket/runs/unknown00000/manifest/manifest.json" in made.message


def test_resuming_a_run_in_which_all_was_ok_sends_one_record_again_because_a_transform_needs_one(
    tmp_path: Path,
) -> None:
    store_run(build(tmp_path, DAILY_CONTRACT, [daily_rows(ITEMS)]), "earlier00000", dict.fromkeys(ITEMS, "ok"))
    made = build(tmp_path, DAILY_CONTRACT, None, resume_from="earlier00000")
    assert (made.manifest.totals.records, made.manifest.totals.carried) == (1, 3)


@pytest.mark.parametrize("spoiled", [["beet"], ["beet", *ITEMS]])
def test_a_run_whose_open_items_stay_quarantined_can_be_resumed_to_be_published_without_them(
    tmp_path: Path, spoiled: list[str]
) -> None:
    tables = [daily_rows(ITEMS, 3), daily_rows(["beet"], 1)]
    statuses: dict[str, Status] = {"Åre": "ok", "apple": "ok", "beet": "quarantined", "cherry": "ok"}
    store_run(build(tmp_path, DAILY_CONTRACT, tables), "earlier00000", statuses)
    made = build(tmp_path, DAILY_CONTRACT, [tables[0], daily_rows(spoiled, 1)], resume_from="earlier00000")
    if spoiled == ["beet"]:
        totals = made.manifest.totals
        assert (totals.items, totals.records, totals.carried, totals.quarantined) == (4, 1, 2, 1)
        assert made.reasons == {"beet": "duplicate_date"}
    else:
        assert made.exit_code == 3
        assert "no record is left of 4 items" in made.message
        assert made.files == {}


@pytest.mark.parametrize(("percent", "exit_code"), [(25, 0), (24, 3)])
def test_more_quarantined_items_than_the_limit_are_a_wrong_history(
    tmp_path: Path, percent: int, exit_code: int
) -> None:
    tables = [daily_rows(ITEMS, 3), daily_rows(["beet"], 1)]
    made = build(tmp_path, DAILY_CONTRACT, tables, systemic_failure_percent=percent)
    assert made.exit_code == exit_code
    if exit_code:
        assert (
            "1 of 4 items are quarantined, more than 24 %; 1 are duplicate_date; beet: there are several"
            in made.message
        )
        assert made.files == {}
