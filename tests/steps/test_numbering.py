"""Items get the numbers of a plain dictionary, whenever the waiting tables are numbered, and however ids are stored."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchcast.steps.errors import DataError
from batchcast.steps.history import numbering
from batchcast.steps.history.files import HistoryFile, Unit
from batchcast.steps.history.numbering import Numbering, codes_file, encode_texts, local_items, number_items
from batchcast.steps.shards.manifest import NULL_ITEM

IDS = st.sampled_from([None, "", "a", "b", "a/b", "1:a", "ü", NULL_ITEM, "(null", "\0"])
ROW = st.tuples(IDS, IDS, st.integers(-3, 3), st.booleans(), st.booleans())
TABLE = st.tuples(st.lists(ROW, max_size=12), st.booleans(), st.booleans())


def unit(number: int, rows: int) -> Unit:
    file = HistoryFile(path=Path("x"), name="x", rows=(rows,), path_values={}, repeated_values={})
    return Unit(number=number, file=file, groups=range(1))


def column(texts: list[str | None], *, repeated: bool) -> pa.ChunkedArray:
    """As a dictionary in which every value stands twice, or as plain text."""
    plain = pa.array(texts, pa.string())
    if not repeated:
        return pa.chunked_array([plain])
    encoded = plain.dictionary_encode()
    words = pa.concat_arrays([encoded.dictionary, encoded.dictionary])
    second = np.arange(len(texts)) % 2 * len(encoded.dictionary)
    indices = pa.array(
        [None if n is None else n + int(more) for n, more in zip(encoded.indices.to_pylist(), second, strict=True)]
    )
    return pa.chunked_array([pa.DictionaryArray.from_arrays(indices.cast(pa.int32()), words)])


@settings(max_examples=150, deadline=None)
@given(st.lists(TABLE, min_size=1, max_size=4), st.integers(1, 2))
def test_numbers_are_those_of_a_dictionary(tables: list[tuple[list[tuple], bool, bool]], columns: int) -> None:
    known: dict[tuple[str, ...], int] = {}
    dateless: dict[int, int] = {}
    last: dict[int, int] = {}
    expected = []
    with tempfile.TemporaryDirectory() as folder:
        numbering = Numbering(columns, Path(folder))
        for place, (rows, repeated, at_once) in enumerate(tables):
            numbers = []
            for *ids, key, dated, measured in rows:
                names = tuple(ids[:columns])
                named = all(names) and "/".join(names) != NULL_ITEM
                numbers.append(known.setdefault(names, len(known)) if named else -1)
                dateless[numbers[-1]] = dateless.get(numbers[-1], 0) + (not dated)
                if dated and measured:
                    last[numbers[-1]] = max(last.get(numbers[-1], key), key)
            expected.append(numbers)
            texts = [column([row[n] for row in rows], repeated=repeated) for n in range(columns)]
            keys, dated, measured = (
                np.array([row[n] for row in rows], kind) for n, kind in ((2, int), (3, bool), (4, bool))
            )
            # A table may have the rows of several units.
            cut = len(rows) // 3
            units = [unit(2 * place, cut), unit(2 * place + 1, len(rows) - cut)]
            numbering.add(units, [local_items(texts, keys, dated, dated & measured)])
            if at_once:
                numbering.number()
        numbering.number()
        halves = [np.load(codes_file(Path(folder), unit(n, 0))).tolist() for n in range(2 * len(tables))]
        found = [one + other for one, other in zip(halves[::2], halves[1::2], strict=True)]
    names = [*zip(*(of_column.to_pylist() for of_column in numbering.names), strict=True)]
    # Numbers may be given in another order than that of the rows; what they stand for may not differ.
    assert [[names[n] if n >= 0 else None for n in codes] for codes in found] == [
        [list(known)[n] if n >= 0 else None for n in numbers] for numbers in expected
    ]
    assert set(names) == set(known)
    assert len(names) == len(known)
    never = np.iinfo(np.int64).min
    assert [(numbering.dateless[n], numbering.last[n]) for n in range(len(names))] == [
        (dateless[known[name]], last.get(known[name], never)) for name in names
    ]


def test_more_text_than_an_array_of_ids_holds_is_refused_with_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    names = pa.array(["shop", "shop"]), pa.array(["bread", "roll"])
    size = 17 + 4 * 12
    monkeypatch.setattr(numbering, "MOST_TEXT", size)
    assert len(number_items([names])[0]) == 2
    monkeypatch.setattr(numbering, "MOST_TEXT", size - 1)
    with pytest.raises(DataError, match=r"the ids of 2 items have .* GB of text; .* Shorten them"):
        number_items([names])


@pytest.mark.parametrize("ending", ["", "/constant", "/a constant of many bytes"])
@pytest.mark.parametrize("repeated", [True, False])
def test_items_of_many_parts_are_told_apart_as_those_of_one_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, *, repeated: bool
) -> None:
    monkeypatch.setattr(numbering, "_WAITING_ITEMS", 4_000)  # They are looked up three times.
    rng = np.random.default_rng(7)
    names = pa.array(["Z", "ZZ", "\0", "ü", *(f"{n:x}{ending}" for n in range(2_000))])
    gives = Numbering(1, tmp_path, rows=1 << 20)
    rows = rng.integers(0, len(names), 9_000)
    for number, some in enumerate(np.split(rows, 3)):
        texts = pa.chunked_array([names.take(pa.array(some[:100])), names.take(pa.array(some[100:]))])
        always = np.ones(len(some), bool)
        gives.add([unit(number, len(some))], [local_items([texts], some, always, always, repeated=repeated)])
    gives.number()
    codes = np.concatenate([np.load(codes_file(tmp_path, unit(n, 0))) for n in range(3)])
    assert gives.names[0].take(pa.array(codes)).equals(names.take(pa.array(rows)))
    assert len(gives.names[0]) == len(np.unique(rows))
    assert names.take(pa.array(gives.last)).equals(gives.names[0])
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".npy"]


@pytest.mark.parametrize("ending", ["", "/constant", "a"])
def test_many_texts_are_told_apart_as_few_are(ending: str) -> None:
    rng = np.random.default_rng(7)
    names = pa.array(["", None, "a", "aa", "\0", *(f"{n:x}{ending}" for n in range(100_000))], pa.string())
    texts = names.take(pa.array(rng.integers(0, len(names), 300_000))).slice(5)
    found, codes = encode_texts(pa.chunked_array([texts.slice(0, 99_000), texts.slice(0, 0), texts.slice(99_000)]))
    assert len(found) == len(found.unique()) == len(texts.unique()) - 1
    assert found.take(pa.array(codes, mask=codes < 0)).equals(texts)
