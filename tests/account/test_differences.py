"""What differs between two documents."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchcast.account.differences import differences

SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3)
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({"a": 1}, {"a": 2}, ["a: 1 -> 2"]),
        ({"a": 1}, {"b": 1}, ["a: 1 -> (absent)", "b: (absent) -> 1"]),
        ([{"Name": "x", "v": 1}, {"Name": "y"}], [{"Name": "y"}, {"Name": "x", "v": 2}], ["x.v: 1 -> 2", "order"]),
        ({"a": 1}, {"a": True}, ["a: 1 -> true"]),
        ({"a": [1, 2]}, {"a": [1]}, ["a.1: 2 -> (absent)"]),
        ({"a": [{"Name": "n"}, {"Name": "n"}]}, {"a": [{"Name": "n"}, {"Name": "m"}]}, ['a.1.Name: "n" -> "m"']),
        ({"a": None}, {"a": {}}, ["a: null -> {}"]),
    ],
)
def test_each_place_is_told_once(before: Any, after: Any, said: list[str]) -> None:
    told = [str(one) for one in differences(before, after)]
    expected = [text if text != "order" else ': ["x", "y"] -> ["y", "x"]' for text in said]
    assert told == expected


def test_long_values_are_cut() -> None:
    (one,) = differences({"a": "x" * 500}, {"a": "y"})
    assert len(str(one)) < 200


@given(DOCUMENTS, DOCUMENTS)
def test_documents_differ_when_their_json_does(before: Any, after: Any) -> None:
    import json

    same = json.dumps(before, sort_keys=True) == json.dumps(after, sort_keys=True)
    assert (not list(differences(before, after))) == same
