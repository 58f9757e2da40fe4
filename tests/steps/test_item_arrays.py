"""Arrays of more items than a block has: what is found block by block, in files, is what numpy finds in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from batchcast.steps.answers.item_arrays import (
    among_first,
    arrays_in,
    count_finite,
    finite_median,
    in_order,
    kept_array,
    kept_table,
    of_items,
    ranked,
    summed,
)
from batchcast.steps.answers.item_names import ItemNames, ItemPlaces

ITEMS = 40_000
CHANCE = np.random.default_rng(5)
VALUES = {
    "all different": CHANCE.normal(size=ITEMS),
    "mostly equal": np.round(CHANCE.normal(size=ITEMS)),
    "some unknown": np.where(CHANCE.random(ITEMS) < 0.3, np.nan, np.round(CHANCE.normal(size=ITEMS), 1)),
}


@pytest.fixture(params=["files", "memory"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    """Arrays lie in files, or where no folder is told in memory."""
    if request.param == "memory":
        yield
        return
    with arrays_in(tmp_path):
        yield
    assert not list(tmp_path.iterdir()), "a file is left"


@pytest.mark.parametrize("name", VALUES)
def test_order_ranks_and_medians_are_those_of_numpy(kept: object, name: str) -> None:
    values = VALUES[name]
    count = int(np.isfinite(values).sum())
    assert (count_finite(values), finite_median(values)) == (count, float(np.nanmedian(values)))
    np.testing.assert_array_equal(in_order(values), np.sort(values))
    order = np.argsort(values, kind="stable")
    for start, stop in ((0, 3), (count // 2, count // 2 + 5), (count - 20, count), (0, count), (7, 7)):
        assert ranked(values, start, stop).tolist() == order[start:stop].tolist()
    first = among_first(values, in_order(values), 1_234)
    assert np.flatnonzero(first).tolist() == sorted(order[:1_234].tolist())


def test_what_is_kept_begins_as_nothing_known_or_as_zeros(kept: object) -> None:
    assert np.isnan(kept_array((3, 70_001))).all()
    assert not kept_array((3, 70_001), np.int64).any()


def test_nothing_known_has_no_median(kept: object) -> None:
    assert finite_median(np.full(ITEMS, np.nan)) is None
    assert not among_first(VALUES["all different"], in_order(VALUES["all different"]), 0).any()


def test_results_of_fewer_rows_and_of_other_types_are_put_together(kept: object) -> None:
    values = VALUES["all different"]

    def positive(places: range, some: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        return np.flatnonzero(some > 0) + places.start

    assert of_items(positive, range(ITEMS), values).tolist() == np.flatnonzero(values > 0).tolist()
    total, count = summed(lambda some: (some.sum(), len(some)), values)
    assert (total, count) == (pytest.approx(values.sum()), ITEMS)
    assert np.isnan(kept_array((2, 3))).all()
    assert not kept_array((2, 3), np.uint8).any()


def test_a_kept_table_is_the_table_and_its_items_are_found(tmp_path: Path) -> None:
    names = [f"ä-{number:06d}" for number in range(ITEMS)]
    schema = pa.schema([pa.field("line", pa.int32()), pa.field("item_id", pa.string(), nullable=False)])
    whole = pa.table([pa.array(range(ITEMS), pa.int32()), names], schema=schema)
    with arrays_in(tmp_path):
        table = kept_table((whole.slice(start, 9_999) for start in range(0, ITEMS, 9_999)), schema, "item_id")
        none = kept_table([], schema, "item_id")
    assert table.equals(whole)
    assert (none.num_rows, none.schema) == (0, schema)
    assert ItemNames(table["item_id"]).places([names[39_000], "nobody", names[2]]) == [39_000, 2]
    asked = pa.chunked_array([pa.array([names[39_000], "nobody", names[2], names[2]]).dictionary_encode()])
    assert ItemPlaces(table["item_id"]).of(asked).tolist() == [39_000, -1, 2, 2]
