"""What `diff` says of two runs, on small tables whose differences are known."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from batchcast.runs.compare import (
    compare_fates,
    compare_forecasts,
    compare_inputs,
    compare_ledgers,
    compare_values,
    paired,
)
from batchcast.runs.run_record import RunRecord
from batchcast.steps.outcome.ledger import LedgerRow, Status
from batchcast.steps.shards.manifest import RECORDS_SCHEMA
from batchcast.steps.store.objects import DirectoryStore


def records(**items: tuple[int, int | None, str | None]) -> pa.Table:
    """Item to its rows of history, bytes and digest."""
    rows = [
        dict.fromkeys(RECORDS_SCHEMA.names)
        | {"item_id": name, "rows": days, "bytes": size, "sha256": digest, "carried": size is None}
        for name, (days, size, digest) in items.items()
    ]
    return pa.Table.from_pylist(rows, schema=RECORDS_SCHEMA)


def ledger(**statuses: Status) -> list[LedgerRow]:
    return [LedgerRow(item_id=item, status=status, run_id="run") for item, status in statuses.items()]


def forecasts(**items: list[float]) -> pd.DataFrame:
    rows = [
        {
            "item_id": item,
            "forecast_date": pd.Timestamp(2026, 1, day + 1),
            "step": day + 1,
            "sales": value,
            "source": "m",
        }
        for item, values in items.items()
        for day, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def test_values_that_differ_are_named_with_both_sides() -> None:
    found = compare_values({"a": 1, "b": 2, "gone": 3}, {"a": 1, "b": 5, "new": 4})
    assert found == [
        {"name": "b", "before": 2, "after": 5},
        {"name": "gone", "before": 3, "after": None},
        {"name": "new", "before": None, "after": 4},
    ]


def test_inputs_tell_items_rows_bytes_and_records_that_changed() -> None:
    before = records(a=(10, 100, "x"), b=(10, 100, "y"), gone=(5, 50, "z"))
    after = records(a=(11, 110, "x2"), b=(10, 100, "y"), new=(1, 10, "n"), other=(2, 20, "o"))
    assert compare_inputs(before, after) == {
        "items": [3, 4],
        "added": {"number": 2, "first": ["new", "other"]},
        "removed": {"number": 1, "first": ["gone"]},
        "rows": [25, 24],
        "bytes": [250, 240],
        "records_same": 1,
        "records_changed": {"number": 1, "first": ["a"]},
    }


def test_records_that_one_run_did_not_send_are_not_compared() -> None:
    found = compare_inputs(records(a=(10, 100, "x")), records(a=(10, None, None)))
    assert (found["records_same"], found["records_changed"]["number"]) == (0, 0)


def test_many_items_are_counted_and_some_are_named() -> None:
    many = {f"item{number:03d}": (1, 1, "x") for number in range(300)}
    added = compare_inputs(records(), records(**many))["added"]
    assert (added["number"], added["first"][:2], len(added["first"])) == (300, ["item000", "item001"], 20)


def test_items_that_lost_or_gained_a_forecast_are_named() -> None:
    before = ledger(a="ok", b="ok", c="failed", d="missing", e="quarantined")
    after = ledger(a="carried", b="failed", c="ok", d="missing", e="quarantined")
    assert compare_fates(before, after) == {
        "lost_forecast": {"number": 1, "first": ["b"]},
        "gained_forecast": {"number": 1, "first": ["c"]},
        "carried": 1,
    }


def test_a_run_without_a_ledger_has_no_fates_to_compare(tmp_path: Path) -> None:
    parameters = {"RunsUri": "s3://runs"}
    run = RunRecord(arn="a/run", status="Failed", parameters=parameters, store=DirectoryStore(tmp_path))
    assert compare_ledgers(run, run) is None


def test_forecasts_are_apart_by_the_share_of_what_the_first_run_forecast() -> None:
    before = forecasts(a=[10.0, 10.0], b=[5.0, 5.0], gone=[1.0, 1.0])
    after = forecasts(a=[10.0, 10.0], b=[8.0, 4.0], new=[1.0, 1.0])
    found = compare_forecasts([(before, after)])
    assert (found["items"], found["days"]) == (2, 2)
    assert found["targets"]["sales"] == {
        "wape": pytest.approx(4 / 30, abs=1e-6),
        "sum": [30.0, 32.0],
        "movers": [{"item_id": "b", "before": 10.0, "after": 12.0}],
    }


def test_the_largest_movers_come_first_and_ties_keep_their_order() -> None:
    before = forecasts(**{f"item{number:02d}": [100.0] for number in range(30)})
    after = forecasts(**{f"item{number:02d}": [100.0 + (-1) ** number * (number // 2)] for number in range(30)})
    movers = compare_forecasts([(before, after)])["targets"]["sales"]["movers"]
    assert [row["item_id"] for row in movers[:3]] == ["item28", "item29", "item26"]
    assert len(movers) == 20


def test_forecasts_of_zero_have_no_share_and_of_other_days_nothing_in_common() -> None:
    zero = compare_forecasts([(forecasts(a=[0.0]), forecasts(a=[1.0]))])
    assert zero["targets"]["sales"]["wape"] is None
    other = forecasts(a=[1.0])
    other["forecast_date"] += pd.Timedelta(days=7)
    assert compare_forecasts([(forecasts(a=[1.0]), other)]) == {
        "items": 0,
        "days": 0,
        "targets": {"sales": {"wape": None, "sum": [0.0, 0.0], "movers": []}},
    }


def test_parts_of_two_tables_have_the_same_items_wherever_their_rows_were_cut() -> None:
    dice = random.Random(1)
    for _ in range(200):
        sides = [sorted(dice.choices("abcdefgh", k=dice.randrange(12))) for _ in range(2)]
        streams = []
        for names in sides:
            cuts = [0, *sorted(dice.choices(range(len(names) + 1), k=dice.randrange(5))), len(names)]
            parts = [pa.table({"item_id": pa.array(names[a:b], pa.string())}) for a, b in itertools.pairwise(cuts)]
            streams.append(iter(parts))
        pairs = [[part["item_id"].to_pylist() for part in pair] for pair in paired(*streams)]
        assert [list(itertools.chain(*parts)) for parts in zip(*pairs, strict=True)] == sides
        seen = [{*one, *other} for one, other in pairs]
        assert sum(map(len, seen)) == len({*itertools.chain(*sides)})
