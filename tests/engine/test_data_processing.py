"""Filters and the join, and the formats they read and write."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_model import Reply
from transform_case import TransformCase

from batchcast.engine.transform.data.data_processing import ProcessingError, data_processing, dump_row, load_row
from batchcast.engine.transform.data.json_path import PathError, parse_json_path
from batchcast.engine.transform.data.json_text import dump_json, load_json, load_members

CSV = {"ContentType": "text/csv", "Accept": "text/csv"}
LINES = {"ContentType": "application/jsonlines", "Accept": "application/jsonlines"}


def run(tmp_path: Path, record: bytes, answer: bytes, **changes: Any) -> tuple[bytes, bytes | None]:
    """What was sent for one record, and what the output object then holds."""
    case = TransformCase(tmp_path)
    case.put(a=record)
    case.run(lambda _: answer, **changes)
    return b"".join(case.model.bodies), case.outputs().get("a.out")


def test_e53_a_json_object_gets_the_answer_as_a_member(tmp_path: Path) -> None:
    """E53: documented (developer guide, "Associate Prediction Results"); compact and sorted was seen in notebooks."""
    _, output = run(tmp_path, b'{"key": 1}\n', b'{"label": 1}', JoinSource="Input")
    assert output == b'{"SageMakerOutput":{"label":1},"key":1}\n'


def test_e54_other_json_becomes_an_object_of_input_and_output(tmp_path: Path) -> None:
    """E54: documented."""
    _, output = run(tmp_path, b"[1,2]\n", b"[0.5]", JoinSource="Input", **LINES)
    assert output == b'{"SageMakerInput":[1,2],"SageMakerOutput":[0.5]}\n'


def test_e55_a_csv_row_gets_the_answer_s_columns(tmp_path: Path) -> None:
    """E55: documented."""
    _, output = run(tmp_path, b"1,2,3\n", b"0.9\n", JoinSource="Input", **CSV)
    assert output == b"1,2,3,0.9\n"


def test_e56_an_input_member_of_the_output_s_name_is_overwritten(tmp_path: Path) -> None:
    """E56: documented as possible."""
    _, output = run(tmp_path, b'{"SageMakerOutput":1}\n', b"2", JoinSource="Input")
    assert output == b'{"SageMakerOutput":2}\n'


def test_e57_the_filters_and_the_join_in_their_order(tmp_path: Path) -> None:
    """E57: documented; it is the guide's example."""
    sent, output = run(
        tmp_path,
        b'{"id":"x","features":[1.50,2],"more":3}\n',
        b'{"p":1}',
        InputFilter="$.features",
        JoinSource="Input",
        OutputFilter="$['id','SageMakerOutput']",
    )
    assert (sent, output) == (b"[1.50,2]", b'{"SageMakerOutput":{"p":1},"id":"x"}\n')


def test_e57_a_filter_without_a_join_filters_the_answer(tmp_path: Path) -> None:
    """E57: documented."""
    sent, output = run(tmp_path, b'{"id":"x"}\n', b'{"p":1,"q":2}', OutputFilter="$.p")
    assert (sent, output) == (b'{"id":"x"}', b"1\n")


def test_e57_the_id_column_of_a_csv_is_left_out_and_put_back(tmp_path: Path) -> None:
    """E57: documented; it is the guide's example."""
    sent, output = run(tmp_path, b"id,1,2\n", b"9", InputFilter="$[1:]", JoinSource="Input", **CSV)
    assert (sent, output) == (b"1,2", b"id,1,2,9\n")
    _, output = run(tmp_path, b"id,1,2\n", b"9", JoinSource="Input", OutputFilter="$[0,-1]", **CSV)
    assert output == b"id,9\n"


@pytest.mark.parametrize(
    ("path", "media"), [("$[5]", CSV), ("$.SageMakerOutput[1]", {}), ("$['id','gone']", {}), ("$.id[0]", {})]
)
def test_e58_a_filter_for_what_is_not_there_fails_the_file(tmp_path: Path, path: str, media: Any) -> None:
    """E58: documented as an error for indexes; that the file fails is inferred, and that names are like indexes."""
    case = TransformCase(tmp_path)
    case.put(a=b'{"id":"x"}\n' if not media else b"1,2\n")
    result = case.run(lambda _: b"[0]", JoinSource="Input", OutputFilter=path, **media)
    assert (result.status, case.outputs()) == ("Failed", {})
    assert f"OutputFilter {path}" in result.failed_files[0].reason


@pytest.mark.parametrize(("media", "word"), [(CSV, "CSV"), ({}, "JSON"), (LINES, "JSON")])
def test_e60_an_answer_of_another_format_fails_the_file(tmp_path: Path, media: Any, word: str) -> None:
    """E60: the wording was seen for CSV (amazon-sagemaker-examples issue 821)."""
    case = TransformCase(tmp_path)
    case.put(a=b"1\n")
    result = case.run(lambda _: b'not "it', JoinSource="Input", **media)
    assert (result.status, case.outputs()) == ("Failed", {})
    assert f"b/in/a: Failed to parse output from the algorithm as {word}" in case.log()[1]
    assert result.failure_reason == "AlgorithmError: See job logs for more information"


def test_e60_an_input_of_another_format_looks_like_a_400(tmp_path: Path) -> None:
    """E60: the same for input, as seen in amazon-sagemaker-examples issues 898 and 1620."""
    case = TransformCase(tmp_path)
    case.put(a=b'1,"2"3\n')
    result = case.run(InputFilter="$[1:]", **CSV)
    assert case.model.calls == []
    assert case.log()[1:4] == ["b/in/a: ClientError: 400", "b/in/a: ", "b/in/a: Message:"]
    assert 'Failed to parse line: \'1,"2"3\' as CSV: bare " in non quoted field' in case.log()[4]
    assert result.failure_reason == "ClientError: See job logs for more information"


@pytest.mark.parametrize(("begin", "end"), [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize("changes", [{"JoinSource": "Input"}, {"InputFilter": "$[*]"}, {"OutputFilter": "$[*]"}])
def test_p26_json_that_is_nested_too_deeply_fails_its_file_alone(
    tmp_path: Path, begin: str, end: str, changes: dict[str, str]
) -> None:
    """P26: our pick. Some depths can be read and not written: they failed the whole job."""
    case = TransformCase(tmp_path)
    for depth in (300, 600, 900, 2000):
        case.put(**{f"d{depth}": f"{begin * depth}1{end * depth}".encode()})
    result = case.run(lambda call: call.body, **changes)
    assert (result.status, set(case.outputs())) == ("Failed", {"d300.out"})
    assert {file.reason.rpartition(": ")[2] for file in result.failed_files} == {"the document is nested too deeply"}


@pytest.mark.parametrize("answer", [b"1", b"1\n2\n3", b"1\n2\n\n"])
def test_e61_an_answer_with_other_than_a_line_a_record_fails_the_file(tmp_path: Path, answer: bytes) -> None:
    """E61: unknown; our pick."""
    case = TransformCase(tmp_path)
    case.put(a=b"1\n2\n")
    result = case.run(lambda _: answer, JoinSource="Input", BatchStrategy="MultiRecord", **LINES)
    assert (result.status, case.outputs()) == ("Failed", {})


@pytest.mark.parametrize("answer", [b"3\n4", b"3\n4\n"])
def test_e61_a_batch_is_joined_line_by_line(tmp_path: Path, answer: bytes) -> None:
    """E61: seen in AWS's notebooks."""
    sent, output = run(tmp_path, b"1\n2\n", answer, JoinSource="Input", BatchStrategy="MultiRecord", **CSV)
    assert (sent, output) == (b"1\n2", b"1,3\n2,4\n")


def test_an_unsplit_json_document_is_joined_whole(tmp_path: Path) -> None:
    unsplit = {"SplitType": "None", "AssembleWith": "None"}
    _, output = run(tmp_path, b'{\n"a": 1\n}', b'{"b":\n2}', JoinSource="Input", **unsplit)
    assert output == b'{"SageMakerOutput":{"b":2},"a":1}'


def test_unsplit_json_lines_are_filtered_and_joined_line_by_line(tmp_path: Path) -> None:
    unsplit = {"SplitType": "None", "AssembleWith": "None", **LINES}
    record = b'{"a":1}\n{"a":2}\n'
    sent, output = run(tmp_path, record, b"3\n4\n", InputFilter="$.a", JoinSource="Input", **unsplit)
    assert (sent, output) == (b"1\n2", b'{"SageMakerOutput":3,"a":1}{"SageMakerOutput":4,"a":2}')


def test_without_data_processing_bodies_are_not_looked_into(tmp_path: Path) -> None:
    """Inferred; so a reader of the outputs has to check them."""
    case = TransformCase(tmp_path)
    case.put(a=b"no json\n")
    result = case.run(lambda _: Reply(body=b"neither"), InputFilter="$", OutputFilter="$", JoinSource="None")
    assert (result.status, case.outputs()) == ("Completed", {"a.out": b"neither\n"})


@pytest.mark.parametrize(
    ("path", "selected"),
    [
        ("$", {"a": {"b": [1, 2, 3]}, "c d": "x"}),
        ("$.a.b", [1, 2, 3]),
        ("$['c d']", "x"),
        ('$["a"]["b"][0]', 1),
        ("$.a.b[-1]", 3),
        ("$.a.b[0,2]", [1, 3]),
        ("$.a.b[0,1:]", [1, 2, 3]),
        ("$.a.b[1:]", [2, 3]),
        ("$.a.b[:2]", [1, 2]),
        ("$.a.b[-2:]", [2, 3]),
        ("$.a.b[5:]", []),
        ("$.a.b[*]", [1, 2, 3]),
        ("$.a.*", [[1, 2, 3]]),
        ("$.['a','c d']", {"a": {"b": [1, 2, 3]}, "c d": "x"}),
    ],
)
def test_the_paths_of_the_guide_s_table(path: str, selected: Any) -> None:
    assert parse_json_path(path).apply({"a": {"b": [1, 2, 3]}, "c d": "x"}) == selected


ROWS = {"rows": [{"a": 1, "b": {"c": [5, 6]}}, {"a": 2, "b": {"c": [7, 8]}}], "x": {"n": 1}, "y": {"n": 2}}


@pytest.mark.parametrize(
    ("path", "selected"),
    [
        ("$.rows[*].a", [1, 2]),
        ("$.rows[*].b.c[1]", [6, 8]),
        ("$.rows[*].b.c[*]", [[5, 6], [7, 8]]),
        ("$.rows[0:1].a", [1]),
        ("$.rows[1:].b['c']", [[7, 8]]),
        ("$.rows[0,1].a", [1, 2]),
        ("$['x','y'].n", {"x": 1, "y": 2}),
        ("$.rows[0]['a','b']", {"a": 1, "b": {"c": [5, 6]}}),
        ("$.rows[*]['a','b']", ROWS["rows"]),
        ("$.rows[5:].a", []),
    ],
)
def test_p19_a_step_after_several_is_taken_in_each_of_them(path: str, selected: Any) -> None:
    assert parse_json_path(path).apply(ROWS) == selected


def test_p19_one_of_several_without_the_member_is_an_error() -> None:
    with pytest.raises(PathError, match="'z'"):
        parse_json_path("$.rows[*].z").apply(ROWS)


def test_p19_a_filter_behind_several_reaches_the_model(tmp_path: Path) -> None:
    sent, _ = run(tmp_path, b'{"rows":[{"a":1,"b":2},{"a":3,"b":4}]}\n', b"[]", InputFilter="$.rows[*].a")
    assert sent == b"[1,3]"


@pytest.mark.parametrize("path", ["$[0:2,246:]", "$.a[:1,2:]", "$[0:2,5,246:]"])
def test_e79_several_ranges_are_refused(path: str) -> None:
    """E79: observed (sagemaker-python-sdk issue 1112); the words are the service's."""
    with pytest.raises(PathError, match="only single range filters are supported"):
        parse_json_path(path)


@pytest.mark.parametrize("path", ["$.b", "$[0]", "$.a[3]", "$.a[-4]", "$.a.b", "$['a','b']", "$.s.*", "$.s[0:1]"])
def test_a_path_to_nothing(path: str) -> None:
    with pytest.raises(PathError):
        parse_json_path(path).apply({"a": [1, 2, 3], "s": "text"})


@pytest.mark.parametrize(
    ("path", "columns"),
    [("$[1:4]", "bcde"), ("$[:1]", "ab"), ("$[5:]", "f"), ("$[1:-1]", "bcde"), ("$[:-2]", "abcd"), ("$[-3:]", "def")],
)
def test_p05_a_slice_of_csv_columns_includes_its_end(path: str, columns: str) -> None:
    """The guide contradicts itself; its prose, which speaks of CSV, includes the end, but for one from the right."""
    assert parse_json_path(path, end_inclusive=True).apply(list("abcdef")) == list(columns)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (b'{"b": 1.10, "a": 1e5, "B": 12345678901234567890}', b'{"B":12345678901234567890,"a":1e5,"b":1.10}'),
        (b'"<\\u00e9&\\u2028\\">"', '"<é&\u2028\\">"'.encode()),
        (b'"\\ud800"', b'"\\ud800"'),
        (b'"\\n\\u0000"', b'"\\n\\u0000"'),
        (b" [ ] ", b"[]"),
        (b'{"a":{},"b":[true,false,null]}', b'{"a":{},"b":[true,false,null]}'),
        (b'{"a":1,"a":2}', b'{"a":2}'),
    ],
)
def test_p05_json_is_written_compact_and_sorted_with_its_numbers_verbatim(text: bytes, written: bytes) -> None:
    assert dump_json(load_json(text)) == written


@pytest.mark.parametrize("text", [b"", b"{", b"NaN", b"[Infinity]", b"\xff", b"1 2", b"\xef\xbb\xbf1", b"[" * 100_000])
def test_text_that_is_not_json(text: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        load_json(text)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=20,
)


@settings(deadline=None)
@given(JSON_VALUES)
def test_json_survives_reading_and_writing(value: Any) -> None:
    text = json.dumps(value).encode()
    assert json.loads(dump_json(load_json(text))) == json.loads(text)
    assert dump_json(load_json(dump_json(load_json(text)))) == dump_json(load_json(text))


CELLS = st.text(st.characters(blacklist_characters="\n\r", blacklist_categories=["Cs"]))


@settings(deadline=None)
@given(st.lists(CELLS, min_size=1, max_size=6))
def test_a_csv_row_survives_writing_and_reading(cells: list[str]) -> None:
    assert load_row(dump_row(cells)) == cells


@pytest.mark.parametrize("row", [b'a"b', b'"a"b', b'"a', b'1,"2', b"\xff"])
def test_a_row_that_is_not_csv(row: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        load_row(row)


TEXTS = st.text(st.sampled_from('{}[]",:\\\\ 019.eE+-nulltrfasIN\\n\\t\u00e9'), max_size=12)


@given(
    text=TEXTS
    | JSON_VALUES.map(lambda value: json.dumps(value, indent=1))
    | st.builds('{{"a": {}, "b": {}}}'.format, TEXTS, TEXTS)
    | st.builds('{{"a": {}, "b": 1}}{}'.format, JSON_VALUES.map(json.dumps), TEXTS),
    names=st.sets(st.sampled_from(["a", "b", "c"]), max_size=2),
)
@settings(max_examples=200)
def test_some_members_are_those_of_the_whole_document_and_the_same_texts_are_refused(
    text: str, names: set[str]
) -> None:
    try:
        whole = load_json(text.encode())
    except ValueError as error:
        with pytest.raises(ValueError, match=re.escape(str(error))):
            load_members(text.encode(), names)
        return
    some = load_members(text.encode(), names)
    if isinstance(whole, dict):
        whole, some = ({name: each[name] for name in names if name in each} for each in (whole, some))
    assert dump_json(some) == dump_json(whole)


@pytest.mark.parametrize(
    "text", [b'{"a":1,"a":2}', b'{"a":1,"b":' + b"[" * 100_000, b'{"a":NaN}', b'{"b":Infinity,"a":1}', b'{"a":1}\xff']
)
def test_hostile_texts_are_the_same_for_some_members(text: bytes) -> None:
    try:
        whole = load_json(text)
    except ValueError as error:
        with pytest.raises(ValueError, match=re.escape(str(error))):
            load_members(text, ["a"])
    else:
        assert load_members(text, ["a"]) == {"a": whole["a"]}


def _as_parsed_whole(record: bytes, answer: bytes, read: str, written: str) -> tuple[bytes, bytes] | None:
    """What is sent and what comes out where every text is built as a whole; None where one is refused."""
    try:
        whole = load_json(record)
        sent = dump_json(parse_json_path(read).apply(whole))
        answered = load_json(answer)
        joined = whole if isinstance(whole, dict) else {"SageMakerInput": whole}
        return sent, dump_json(parse_json_path(written).apply({**joined, "SageMakerOutput": answered}))
    except ValueError:
        return None


NUMBERS = st.lists(st.integers(-9, 9) | st.floats(allow_nan=False, width=16) | st.none(), max_size=4)
VALUES = JSON_VALUES | NUMBERS | st.lists(NUMBERS, max_size=3) | st.fixed_dictionaries({"x": NUMBERS, "a": JSON_VALUES})
VALUES |= st.lists(st.fixed_dictionaries({"x": NUMBERS}), max_size=3) | NUMBERS.map(
    lambda numbers: {"x": {"x": numbers}}
)


@given(
    record=st.builds(
        lambda members, indent, end: json.dumps(members, indent=indent) + end,
        st.dictionaries(st.sampled_from(["a", "id", "SageMakerOutput", "\u00e9"]), VALUES) | VALUES,
        st.sampled_from([None, 1]),
        st.sampled_from(["", "", " ", "]", ",", "NaN"]),
    )
    | st.builds('{{"id": 1, "a": {}}}'.format, TEXTS),
    answer=VALUES.map(json.dumps) | TEXTS,
    read=st.sampled_from(["$", "$.a", "$['a','id']", "$.a[0]", "$.a.*", "$.a.x", "$[0]", "$.*", "$.a.x.x"]),
    written=st.sampled_from(["$", "$['id','SageMakerOutput']", "$.SageMakerOutput", "$.a[0]", "$.a.x", "$.*"]),
)
@settings(max_examples=300, deadline=None)
def test_a_join_refuses_and_gives_what_it_would_if_every_record_were_built(
    record: str, answer: str, read: str, written: str
) -> None:
    request = {
        "TransformInput": {"ContentType": "application/json"},
        "DataProcessing": {"InputFilter": read, "OutputFilter": written, "JoinSource": "Input"},
    }
    processing = data_processing(request)
    assert processing is not None
    made: tuple[bytes, bytes] | None
    try:
        text = record.encode()
        sent, kept = processing.filter_input(text) if processing.filters_input else (text, text)
        made = sent, *processing.finish([kept], answer.encode(), one_document=True)
    except ProcessingError:
        made = None
    expected = _as_parsed_whole(record.encode(), answer.encode(), read, written)
    if made is not None and expected is not None and read == "$":
        expected = record.encode(), expected[1]
    assert made == expected
