"""The rows of a baseline as arrays: each at its item, step and target, whatever else the file has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from batchcast.steps.outcome.comparison import arrange
from batchcast.steps.shards.manifest import BASELINE_SCHEMA, write_table

ITEMS, TARGETS, PAST, DAYS = ["a", "b", "c"], ["sales", "returns"], 2, 3


def test_the_rows_of_a_baseline_stand_at_their_item_step_and_target(tmp_path: Path) -> None:
    dice = np.random.default_rng(3)
    expected = {name: np.full((len(ITEMS), PAST + DAYS, len(TARGETS)), np.nan) for name in ("naive", "actual")}
    rows = []
    for item in ["a", "aa", "c", "d"]:  # "b" has no row, and two are no items
        for step in range(1 - PAST, DAYS + 2):
            for target in [*TARGETS[::-1], "other"]:
                naive, actual = dice.random(2) if dice.random() < 0.8 else (None, None)
                rows.append(dict(zip(BASELINE_SCHEMA.names, (item, step, target, naive, actual, 7.0), strict=True)))
                if item in ITEMS and step <= DAYS and target in TARGETS and naive is not None:
                    at = ITEMS.index(item), step - 1 + PAST, TARGETS.index(target)
                    expected["naive"][at], expected["actual"][at] = naive, actual
    parts = [[], rows[:7], rows[7:50], rows[50:]]
    tables = [pa.Table.from_pylist(part, BASELINE_SCHEMA) for part in parts]
    write_table(tmp_path / "baseline.parquet", tables, BASELINE_SCHEMA)
    found = arrange(tmp_path, pa.chunked_array([ITEMS]), TARGETS, DAYS, 1)
    np.testing.assert_array_equal(found.before, expected["actual"][:, :PAST])
    np.testing.assert_array_equal(found.actual, expected["actual"][:, PAST:])
    np.testing.assert_array_equal(found.naive, expected["naive"][:, PAST:])
    np.testing.assert_array_equal(found.scale, np.where([[True], [False], [True]], 7.0, np.nan) * np.ones(2))
