"""Rows copied by their text are what comes of building each object, and the same texts are refused."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchcast.engine.transform.data.json_rows import copied_rows
from batchcast.engine.transform.data.json_text import dump_json, load_json, load_members

PLAIN = ["0", "-0", "7", "1.50", "1e5", "-1.5E+05", "12345678901234567890123", "null", "true", "false"]
PLAIN += ['""', '"2024-01-01"', '"\x7f"', '"\u00e9\u2028"', r'"a\n\"\\"', '"},{"', '"\U0001f600"']
ODD = ["01", "1.", ".5", "-", "+1", "1e", "0x1", "NaN", "-Infinity", "nul", "nullnull", "", '"', '"a"b"', '"\t"']
ODD += [r'"\u00e9"', r'"\ud800"', r'"\/"', r'"\x"', r'"\u00"', '"]"', "[1]", "{}", '{"a":1}', "1,2", "\u0661", "1 2"]
NAMES = ["a", "b", "", "B", "\u00e9", "x y", "a:1,", r"\n", r"\u0061", "}", "]", "\U0001f600", "\uffff"]


def rows_text(names: list[str], rows: list[list[str]], comma: str = ",", colon: str = ":", between: str = ",") -> str:
    """An array of objects with these texts as values."""
    objects = (comma.join(f'"{name}"{colon}{value}' for name, value in zip(names, row, strict=False)) for row in rows)
    return f"[{between.join(f'{{{each}}}' for each in objects)}]"


@st.composite
def hostile_rows(draw: st.DrawFn) -> str:
    """Many rows alike; of one a value may be odd or missing, and a character near it more, less or another."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4))
    plain = draw(st.lists(st.sampled_from(PLAIN), min_size=1, max_size=4))
    chance = random.Random(draw(st.integers(0, 99)))
    rows = [
        [chance.choice(plain) for _ in names]
        for _ in range(draw(st.sampled_from([5000, 5000, 25000])) // (4 * len(names)))
    ]
    changed = rows[draw(st.sampled_from([0, 1, 17, -1]))]
    changed[draw(st.integers(0, len(names) - 1))] = draw(st.sampled_from(PLAIN + ODD))
    if draw(st.integers(0, 4)) == 0:
        changed.pop()
    spaces = st.sampled_from(["", "", " ", "\n"])
    text = rows_text(names, rows, *(mark + draw(spaces) for mark in (",", ":", ",")))
    if draw(st.booleans()):
        return text
    place = draw(st.sampled_from([0, 1, 2, 3, 4, 5, 6, 30, 77])) * draw(st.sampled_from([1, -1])) % len(text)
    put = draw(st.sampled_from(["", ",", '"', "}", "]", "{", " ", "1", "\\", "},{"]))
    return text[:place] + put + text[place + draw(st.integers(0, 1)) :]


@given(text=hostile_rows())
@settings(max_examples=80, deadline=None)
def test_rows_are_written_as_if_each_object_was_built_and_the_same_texts_are_refused(text: str) -> None:
    record = f'{{"id":1, "rows": {text} }}'.encode()
    try:
        built = dump_json(load_json(record))
    except ValueError as error:
        with pytest.raises(ValueError) as refused:
            load_members(record, None, copied=True)
        assert str(refused.value) == str(error)
        return
    assert dump_json(load_members(record, None, copied=True)) == built


@pytest.mark.parametrize("name", [name for name in NAMES if not set(name) & set("\\\\]")])
@pytest.mark.parametrize("spaces", [(",", ":", ","), (", ", ": ", " ,\n")])
def test_rows_alike_are_copied_without_being_built(name: str, spaces: tuple[str, str, str]) -> None:
    text = rows_text(["n", name], [["7", value] for value in PLAIN if "}" not in value] * 99, *spaces)
    copied = copied_rows(text + "]", 0)
    assert copied is not None
    assert (copied[0].encode(), copied[1]) == (dump_json(load_json(text.encode())), len(text))


@pytest.mark.parametrize("value", ODD)
def test_rows_with_a_value_that_is_not_plain_are_left_to_the_decoder(value: str) -> None:
    for place in (0, 70, -1):
        rows = [["7"] for _ in range(5000)]
        rows[place] = [value]
        assert copied_rows(rows_text(["a"], rows), 0) is None


SMALL = {f"d{number}": number for number in range(300)}


@pytest.mark.parametrize("copied", [True, False])
@pytest.mark.parametrize("names", [None, ["id"], ["d7", "gone"]])
@pytest.mark.parametrize(
    "document", [SMALL, {"id": [SMALL] * 3}, [SMALL] * 3, [1.5, 2], {"id": {"a": [{"b": {"c": [{}]}}] * 99}}, "id", 1]
)
def test_what_is_not_read_value_by_value_is_built(document: Any, names: list[str] | None, copied: bool) -> None:
    text = json.dumps(document).encode()
    found, whole = load_members(text, names, copied=copied), load_json(text)
    if names is not None and isinstance(whole, dict):
        found, whole = ({name: each[name] for name in names if name in each} for each in (found, whole))
    assert dump_json(found) == dump_json(whole)
