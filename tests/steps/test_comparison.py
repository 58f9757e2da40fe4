"""The rows of a baseline as arrays: each at its item, step and target, whatever else the file has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from batchcast.steps.outcome.baseline_arrays import arrange
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


@pytest.mark.parametrize("later", [0.0, 0.3])
def test_row_groups_of_whole_items_are_arranged_as_any_other_rows(tmp_path: Path, later: float) -> None:
    dice = np.random.default_rng(4)
    items = [f"i{number:02d}" for number in range(40)]
    missing = {"i03", "i17", "i18", "i39"}
    rows = [
        dict(zip(BASELINE_SCHEMA.names, (item, step, target, *values), strict=True))
        for item in items
        if item not in missing
        for step in range(1 - PAST, DAYS + 1)
        for target in sorted(TARGETS)
        for known in [dice.random() < (0.9 if step <= 0 else later)]
        for values in [(dice.random() if step > 0 else None, dice.random() if known else None, len(item) + step // 99)]
    ]
    whole = (PAST + DAYS) * len(TARGETS)
    found = []
    for number, size in enumerate([6 * whole, 7]):
        folder = tmp_path / str(number)
        folder.mkdir()
        parts = [pa.Table.from_pylist(rows[at : at + size], BASELINE_SCHEMA) for at in range(0, len(rows), size)]
        write_table(folder / "baseline.parquet", parts, BASELINE_SCHEMA)
        found.append(arrange(folder, pa.chunked_array([items]), TARGETS, DAYS, 1))
    for name in ("before", "naive", "actual", "scale"):
        np.testing.assert_array_equal(getattr(found[0], name), getattr(found[1], name))
    assert np.isnan(found[0].scale[[items.index(item) for item in sorted(missing)]]).all()
    assert np.isfinite(found[0].actual).any() == bool(later)
