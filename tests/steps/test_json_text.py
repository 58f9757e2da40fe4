from __future__ import annotations

import datetime as dt
import json
import math
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchcast.steps.shards.json_text import JsonColumn, json_texts


def texts(values: list[Any], kind: pa.DataType) -> list[str]:
    return list(json_texts(pa.array(values, kind)).to_pylist())


@given(st.lists(st.floats() | st.none()))
def test_a_float_reads_back_as_the_same_float_and_stays_a_float(values: list[float | None]) -> None:
    for value, text in zip(values, texts(values, pa.float64()), strict=True):
        read = json.loads(text)
        if value is None or not math.isfinite(value):
            assert text == "null"
        else:
            assert isinstance(read, float)
            assert repr(read) == repr(value)
            assert len(text.replace("e+", "e")) <= len(repr(value)) + 8


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_a_float32_is_written_by_its_own_precision(values: list[float]) -> None:
    for value, text in zip(values, texts(values, pa.float32()), strict=True):
        assert isinstance(json.loads(text), float)
        assert np.float32(json.loads(text)) == np.float32(value)
        assert len(text) <= 16


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (18.0, pa.float64(), "18.0"),
        (-0.0, pa.float64(), "-0.0"),
        (0.1, pa.float64(), "0.1"),
        (1e10, pa.float64(), "1e+10"),
        (12.99, pa.float32(), "12.99"),
        (7, pa.int8(), "7"),
        (2**64 - 1, pa.uint64(), "18446744073709551615"),
        (True, pa.bool_(), "true"),
        (Decimal("1.10"), pa.decimal128(5, 2), "1.10"),
        (dt.date(2026, 1, 31), pa.date32(), '"2026-01-31"'),
        (dt.date(1, 1, 1), pa.date32(), '"0001-01-01"'),
        (dt.datetime(2026, 1, 31), pa.timestamp("ns"), '"2026-01-31T00:00:00"'),
        (dt.datetime(1969, 12, 31, 23, 59, 59, 999_000), pa.timestamp("ms"), '"1969-12-31T23:59:59.999"'),
        (dt.datetime(2026, 1, 31, 1, 2, 3, 5), pa.timestamp("us"), '"2026-01-31T01:02:03.000005"'),
        ("漢\u2028/é", pa.string(), '"漢\u2028/é"'),
        ('"\\\n\r\t\x00\x1f', pa.string(), '"\\"\\\\\\n\\r\\t\\u0000\\u001f"'),
    ],
)
def test_the_text_of_one_value(value: Any, kind: pa.DataType, text: str) -> None:
    assert texts([value, None], kind) == [text, "null"]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_text_reads_back_and_only_what_json_demands_is_escaped(values: list[str]) -> None:
    for value, text in zip(values, texts(values, pa.string()), strict=True):
        assert json.loads(text) == value
        assert text == json.dumps(value, ensure_ascii=False)


@given(st.lists(st.datetimes(), min_size=1))
def test_a_timestamp_is_written_as_python_does(values: list[dt.datetime]) -> None:
    assert texts(values, pa.timestamp("us")) == [f'"{value.isoformat()}"' for value in values]


@given(st.lists(st.lists(st.none() | st.sampled_from([0.0, -0.0, 1.5, 2.0]) | st.floats(), max_size=30), max_size=40))
def test_the_texts_do_not_depend_on_whether_values_repeat(chunks: list[list[float | None]]) -> None:
    column = JsonColumn(',"x":')
    for chunk in chunks:
        values = pa.array(chunk, pa.float64())
        parts = column.texts(values)
        joined = ["".join(pieces) for pieces in zip(*(_spread(part, len(chunk)) for part in parts), strict=True)]
        assert joined == [f',"x":{text}' for text in json_texts(values).to_pylist()]


def _spread(part: pa.Array | str, rows: int) -> list[str]:
    return [part] * rows if isinstance(part, str) else list(part.to_pylist())
