"""A shard read by columns says what the same shard says when each of its lines is read by itself."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sample_run import SampleRun, published_objects

from batchcast.steps.answers.line_form import LineForm, find_slots, json_numbers
from batchcast.steps.answers.shard_columns import ColumnReader
from batchcast.steps.contract.answer import Expected
from batchcast.steps.contract.outputs import Output, Outputs
from batchcast.steps.contract.request import PLAIN_REQUEST, Request
from batchcast.steps.outcome.shard_output import Usable, read_shard

RUN_DATE, DAYS, ITEMS = date(2026, 11, 22), 5, 40
IDS = [f"store-{number}/{'café' if number % 7 == 0 else 'p'}{number}" for number in range(ITEMS)]
DATES = [(RUN_DATE + timedelta(days=step + 1)).isoformat() for step in range(DAYS)]
SALES = Output(name="sales", path="forecast[*].sales", target="sales")
BANDS = tuple(
    Output(name=f"p{level}", path=f'"{level}"', target="sales", quantile=level / 100) for level in (10, 50, 90)
)
DAMAGES: dict[str, Callable[[str], str]] = {
    "cut": lambda line: line[: len(line) // 2],
    "blank": lambda _: "",
    "no object": lambda _: "[1]",
    "brace": lambda line: line + "}",
    "twice": lambda line: line + line,
    "blanks around": lambda line: f"  {line}\t",
    "carriage return": lambda line: line + "\r",
    "blanks inside": lambda line: line.replace(":", " : "),
    "escape": lambda line: line.replace("store", "st\\u006fre"),
    "key": lambda line: line.replace("forecast", "forecasts"),
    "text": lambda line: line.replace('"sales": 1', '"sales": "1"'),
    "null": lambda line: line.replace('"sales": 1', '"sales": null, "x": 1'),
    "true": lambda line: line.replace('"sales": 1', '"sales": true, "x": 1'),
    "NaN": lambda line: line.replace('"sales": 1', '"sales": NaN, "x": 1'),
    "too large": lambda line: line.replace('"sales": 1', '"sales": 1e999, "x": 1'),
    "whole and too large": lambda line: line.replace('"sales": 1', f'"sales": 1{"0" * 400}, "x": 1'),
    "too many digits": lambda line: line.replace('"took": 0', f'"took": 1{"0" * 5000}'),
    "below": lambda line: line.replace('"sales": 1', '"sales": -1'),
    "minus zero": lambda line: line.replace('"sales": 1', '"sales": -0, "x": 1'),
    "power": lambda line: line.replace('"sales": 1', '"sales": 1E-3, "x": 1'),
    "leading zero": lambda line: line.replace('"sales": 1', '"sales": 01'),
    "plus": lambda line: line.replace('"sales": 1', '"sales": +1'),
    "no digit": lambda line: line.replace('"sales": 1', '"sales": .1'),
    "another day": lambda line: line.replace(DATES[1], DATES[2]),
    "error": lambda line: line.replace('"forecast"', '"error": "no memory", "forecast"'),
    "another item": lambda line: line.replace("store-1", "store-2"),
    "another id": lambda line: line.replace('"item_id":"store', '"item_id":"stork'),
    "no answer": lambda line: line.replace("SageMakerOutput", "Output"),
    "control": lambda line: line.replace("store", "st\tore"),
    "half a character": lambda line: line.replace("store", "st\udcffore"),
    "more keys": lambda line: line.replace('"forecast"', '"forecast": 1, "forecast"'),
}


def expected(outputs: Outputs, request: Request = PLAIN_REQUEST) -> Expected:
    return Expected.of(outputs, RUN_DATE, DAYS, request=request)


def rows_of_days() -> Expected:
    return expected(
        Outputs(columns=(SALES,), item_id="item_id", timestamps="forecast[*].date", minimum=0.0, maximum=1e6)
    )


def answer(dice: random.Random, item: str) -> str:
    values = [dice.choice([str(dice.randint(1, 10**6)), repr(1 + dice.random() * 10)]) for _ in DATES]
    rows = ", ".join(f'{{"date": "{day}", "sales": {value}}}' for day, value in zip(DATES, values, strict=True))
    return f'{{"item_id": {json.dumps(item, ensure_ascii=False)}, "took": {dice.random()}, "forecast": [{rows}]}}'


def in_envelope(text: str, item: str) -> str:
    return f'{{"SageMakerOutput":{text},"item_id":{json.dumps(item, ensure_ascii=False)}}}'


def assert_same(lines: list[str], requests: list[list[str]], told: Expected, least: int = 0) -> None:
    """By columns as one by one; `least` lines at least are of a known form."""
    data = "\n".join(lines).encode(errors="surrogateescape")
    one_by_one = read_shard("part", data, requests, told)
    reader = ColumnReader(told)
    for _ in range(2):  # The second time the forms are known.
        columns = reader.read("part", data, requests)
        assert (columns.status, columns.mismatches) == (one_by_one.status, one_by_one.mismatches)
        for place, reading in enumerate(one_by_one.readings):
            if isinstance(reading, Usable):
                assert place not in columns.faults
                assert columns.values[place].tobytes() == np.ascontiguousarray(reading.values).tobytes()
                assert columns.digests[place].tobytes().hex() == reading.sha256
            else:
                assert columns.faults[place] == reading
                assert np.isnan(columns.values[place]).all()
    assert reader.alike >= 2 * least


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_line_is_named_as_when_it_is_read_alone(kind: str) -> None:
    dice = random.Random(kind)
    for _ in range(4):
        lines = [in_envelope(answer(dice, item), item) for item in IDS]
        for place in {dice.randrange(ITEMS), dice.choice([0, 1, ITEMS - 1])}:
            lines[place] = DAMAGES[kind](lines[place])
        assert_same([*lines, *dice.choice([[], [""]])], [[item] for item in IDS], rows_of_days())


def test_every_kind_of_damage_in_one_shard() -> None:
    dice = random.Random(7)
    lines = [in_envelope(answer(dice, item), item) for item in IDS]
    kinds = [kind for kind in DAMAGES if kind not in ("blank", "twice")]
    for place, kind in enumerate(kinds):
        lines[place] = DAMAGES[kind](lines[place])
    assert_same(lines, [[item] for item in IDS], rows_of_days())


def test_lines_without_damage_are_read_as_one() -> None:
    dice = random.Random(3)
    lines = [in_envelope(answer(dice, item), item) for item in IDS]
    assert_same(lines, [[item] for item in IDS], rows_of_days(), least=ITEMS)


def test_ids_that_are_written_with_escapes_are_read_as_the_others() -> None:
    dice = random.Random(4)
    names = [f'{number} "café" \\ {chr(0x1F370)}\t\n/' for number in range(ITEMS)]
    texts = [in_envelope(answer(dice, name), name) for name in names]
    lines = [text.encode("ascii", "backslashreplace").decode() for text in texts]
    escaped = [json.dumps(json.loads(text)) for text in texts]
    assert_same(escaped, [[name] for name in names], rows_of_days(), least=ITEMS)
    assert_same(lines, [[name] for name in names], rows_of_days())  # \xe9 is no escape of JSON
    escaped[3] = escaped[3].replace("\\ud83c", "\\ud83d", 1)
    escaped[5] = escaped[5].replace("\\ud83c\\udf70", "\\ud83c", 1)
    escaped[7] = escaped[7].replace("\\t", "\t")
    escaped[9] = escaped[9].replace("\\t", "\\u00zz")
    assert_same(escaped, [[name] for name in names], rows_of_days(), least=ITEMS - 4)


@pytest.mark.parametrize("lines", [ITEMS - 1, ITEMS + 1, 1, 0])
def test_a_shard_with_another_number_of_answers(lines: int) -> None:
    dice = random.Random(lines)
    texts = [in_envelope(answer(dice, item), item) for item in [*IDS, "store-0"]][:lines]
    assert_same(texts, [[item] for item in IDS], rows_of_days())


def test_answers_without_an_envelope() -> None:
    outputs = Outputs(columns=(SALES,), item_id=None, timestamps="forecast[*].date", minimum=0.0)
    dice = random.Random(5)
    lines = [answer(dice, item) for item in IDS]
    lines[4] = lines[4].replace(DATES[0], "2026-11-23T00:00:00")
    told = expected(outputs, Request(body=(), pairing="position"))
    assert_same(lines, [[item] for item in IDS], told, least=ITEMS - 1)


def test_several_items_in_a_request_and_quantiles_in_disorder() -> None:
    outputs = Outputs(columns=BANDS, records="predictions", item_id="id", minimum=0.0)
    dice = random.Random(9)
    requests = [IDS[start : start + 2] for start in range(0, ITEMS - 2, 2)] + [IDS[-2:-1], IDS[-1:]]
    lines = []
    for number, items in enumerate(requests):
        told = [
            {"id": item, **{str(level): [level + dice.random() for _ in DATES] for level in (10, 50, 90)}}
            for item in (items if number != 3 else items[::-1])
        ]
        if number == 5:
            told[0]["90"] = told[0]["10"]
        lines.append(json.dumps({"SageMakerOutput": {"predictions": told}, "item_id": items}, ensure_ascii=False))
    assert_same(lines, requests, expected(outputs, Request(body=(), items_per_request=2)), least=17)


@pytest.mark.parametrize("path", ["forecast[?sales > `0`].sales", "sort(forecast[*].sales)", "forecast[].sales"])
def test_a_path_that_computes_is_followed_line_by_line(path: str) -> None:
    outputs = Outputs(columns=(Output(name="sales", path=path, target="sales"),), item_id="item_id")
    dice = random.Random(path)
    assert_same([in_envelope(answer(dice, item), item) for item in IDS], [[item] for item in IDS], expected(outputs))


def test_numbers_are_those_of_json() -> None:
    dice = random.Random(11)
    pieces = ["0", "1", "9", "00", ".", "-", "+", "e", "E", "12345678901234567890", "e-5", "e400", "1.5", "x", " "]
    texts = ["".join(dice.choices(pieces, k=dice.randint(0, 4))) for _ in range(3_000)]
    grammar = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
    for group in ([text for text in texts if grammar.fullmatch(text)], texts, *[[text] for text in texts[:500]]):
        values, good = json_numbers(pa.array(group, pa.large_string()))
        for text, value, fine in zip(group, values.tolist(), good.tolist(), strict=True):
            if text == "-0":
                assert not fine  # It is a whole number, 0.0 and not -0.0.
            else:
                assert fine == bool(grammar.fullmatch(text)), text
                assert not fine or value.hex() == float(json.loads(text)).hex()


def test_slots_are_the_numbers_and_texts_that_are_no_keys() -> None:
    line = rb'{"a": "b", "c" : [1, -2.5e3, true, null, "d\"e"], "f": {"g": "2026-11-22"}}'
    assert [line[slot.start : slot.end] for slot in find_slots(line)] == [
        b"b", b"1", b"-2.5e3", rb"d\"e", b"2026-11-22"
    ]  # fmt: skip


def test_a_form_that_no_byte_tells_apart_is_none() -> None:
    assert LineForm.of(b'"1","2"') is not None
    assert LineForm.of(b'["a,}]{[:", "b"]') is None


def test_a_run_is_the_same_read_by_several_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batchcast.steps.read_outputs.BYTES_A_PROCESS", 1)
    told = []
    for processes in (1, 2):
        run = SampleRun(root=tmp_path / str(processes))
        answers = run.answers()
        answers["part-00001.jsonl"][2] = b"{}"
        run.transform(answers)
        report = run.step(processes=processes, max_retry_records=0, max_failed_records=1)
        assert report["counts"]["failed"] == 1
        told.append((report, published_objects(run.store), run.report_file("ledger.parquet").read_bytes()))
    assert told[0] == told[1]
