"""How timestamps and missing values are written, as a container may want them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from shard_build import DAILY_CONTRACT, build, daily_rows

VALUES = [1.0, None, float("nan"), 4.0]


def record(tmp_path: Path, **series: str) -> dict[str, Any]:
    keys = "".join(f"{name} = {json.dumps(value)}\n" for name, value in series.items())
    contract = DAILY_CONTRACT.replace('targets = ["sales"]\n', f'targets = ["sales"]\n{keys}', 1)
    made = build(tmp_path, contract, [daily_rows(["a"], 4, sales=VALUES)])
    found: dict[str, Any] = made.records["a"]
    return found


@pytest.mark.parametrize(
    ("nulls", "expected"),
    [
        ("null", [1.0, None, None, 4.0]),
        ("zero", [1.0, 0.0, 0.0, 4.0]),
        ("nan", [1.0, "NaN", "NaN", 4.0]),
        ("drop", [1.0, 4.0]),
    ],
)
def test_a_missing_value_is_written_as_declared(tmp_path: Path, nulls: str, expected: list[Any]) -> None:
    assert [row["sales"] for row in record(tmp_path, nulls=nulls)["rows"]] == expected


def test_an_item_of_which_nothing_is_left_is_too_short(tmp_path: Path) -> None:
    contract = DAILY_CONTRACT.replace('targets = ["sales"]\n', 'targets = ["sales"]\nnulls = "drop"\n', 1)
    made = build(tmp_path, contract, [daily_rows(["a", "b"], 2, sales=[None, float("nan"), None, 1.0])])
    assert made.reasons == {"a": "too_short"}
    assert [row["sales"] for row in made.records["b"]["rows"]] == [1.0]


@pytest.mark.parametrize(
    ("pattern", "first"),
    [
        ("%Y-%m-%d %H:%M:%S", "2026-01-01 00:00:00"),
        ("%d.%m.%Y", "01.01.2026"),
        ("epoch_ms", 1767225600000),
        ("timestamp", "2026-01-01T00:00:00"),
    ],
)
def test_a_timestamp_is_written_as_declared(tmp_path: Path, pattern: str, first: object) -> None:
    assert record(tmp_path, timestamp_format=pattern)["rows"][0]["date"] == first
