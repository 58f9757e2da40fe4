"""Damaged bytes everywhere a step reads some: refused by name or read right, never a traceback and never a hang."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import random
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fuzzing import PARTS, Rounds, damaged, in_child
from sample_run import CONTRACT, SampleRun, published_objects
from shard_build import DAILY_CONTRACT, build_arguments, build_environment, daily_rows, write_files

from batchcast.steps.__main__ import main
from batchcast.steps.contract.answer import Expected
from batchcast.steps.contract.model_contract import parse_contract
from batchcast.steps.contract.request import CONTENT_TYPES
from batchcast.steps.errors import BatchcastError, ConfigError, parse_error
from batchcast.steps.outcome.answer_types import decode_body
from batchcast.steps.outcome.shard_output import read_shard
from batchcast.steps.publish_arguments import PublishArguments
from batchcast.steps.reading_note import keep_reading_note
from batchcast.steps.shards.selection import parse_item_ids

EXIT_CODES = {0, 2, 3, 75}
PUBLISH_FLAGS = {
    "run_id": "abc123def456",
    "run_label": "manual",
    "model_name": "demand-model",
    "round": 0,
    "runs_uri": "s3://bucket/runs",
    "publish_uri": "s3://bucket/published",
    "max_failed_records": 0,
    "max_failed_percent": 0.0,
    "systemic_failure_percent": 60.0,
    "max_retry_records": 10,
    "resume_from": "none",
}
WORDS = [
    *("", "0", "-1", "9" * 30, "9" * 5000, "1e999", "nan", "inf", "auto", "none", "all", "\0", "\udcff", "\x1b[2J"),
    *("../..", "s3://", "s3://b", "s3://bucket/../../x", "s3://bucket/runs/", "http://b/k", "0001-01-01", "9999-12-31"),
    *("2026-01-10", "2026-13-01", "2026-01-10T00:00:00", "--run-id", "-", "ä" * 300),
]


@functools.cache
def histories() -> list[bytes]:
    """One history in the encodings, types and page formats that other writers have."""
    daily = daily_rows(["aä", "b", "c"], 40)
    dates = daily["date"]
    delta = {"item": "DELTA_BYTE_ARRAY", "date": "DELTA_BINARY_PACKED", "sales": "DELTA_BINARY_PACKED"}
    plain = {"item": "DELTA_LENGTH_BYTE_ARRAY", "date": "PLAIN", "sales": "BYTE_STREAM_SPLIT"}
    written = [
        (daily, {}),
        (daily, {"compression": "none", "row_group_size": 30}),
        (daily, {"compression": "gzip", "use_dictionary": False}),
        (daily, {"compression": "zstd", "data_page_version": "2.0", "write_page_index": True}),
        (daily, {"compression": "none", "use_dictionary": False, "write_page_checksum": True}),
        (daily, {"compression": "none", "use_dictionary": False, "column_encoding": delta}),
        (daily, {"compression": "none", "use_dictionary": False, "column_encoding": plain}),
        (daily.set_column(0, "item", daily["item"].dictionary_encode()), {"compression": "none"}),
        (daily.set_column(0, "item", daily["item"].cast(pa.large_string())), {"compression": "none"}),
        (daily.set_column(2, "sales", daily["sales"].cast(pa.decimal128(24, 2))), {"compression": "none"}),
        (daily.append_column("x", pa.array([[1, None], [], None] * 40)), {"compression": "none"}),
        (daily.set_column(1, "date", dates.cast(pa.timestamp("us"))), {"compression": "none", "store_schema": False}),
        (
            daily.set_column(1, "date", dates.cast(pa.timestamp("ns"))),
            {"compression": "none", "use_deprecated_int96_timestamps": True},
        ),
    ]
    found = []
    for table, options in written:
        sink = io.BytesIO()
        pq.write_table(table, sink, **options)
        found.append(sink.getvalue())
    return found


def damaged_parquet(data: bytes, dice: random.Random) -> bytes:
    """Half of the damage hits the footer, which is small and leads to all the rest."""
    footer = len(data) - int.from_bytes(data[-8:-4], "little") - 8
    if dice.randrange(4):
        changed = bytearray(data)
        for _ in range(dice.choice([1, 1, 2, 4])):
            at = dice.randrange(footer if dice.randrange(2) else 0, len(data))
            changed[at] = changed[at] ^ 1 << dice.randrange(8) if dice.randrange(3) else dice.randrange(256)
        return bytes(changed)
    return damaged(data, dice)


def build_from_damaged(dice: random.Random, root: Path) -> None:
    """The whole step on a history of two files, one of them damaged."""
    history = root / "processing/input/history"
    folder = history / dice.choice([".", ".", "date=2026-01-01", "item=b", "sales=3"])
    write_files(history, [daily_rows(["z"])])
    folder.mkdir(exist_ok=True)
    (folder / "damaged.parquet").write_bytes(damaged_parquet(dice.choice(histories()), dice))
    (root / "processing/input/contract").mkdir(parents=True, exist_ok=True)
    zone = dice.choice(["", 'timezone = "Europe/Berlin"\n'])
    (root / "processing/input/contract/model.toml").write_text(DAILY_CONTRACT.replace("[series]", f"[series]\n{zone}"))
    refused_or_built(root, build_arguments())


def refused_or_built(root: Path, arguments: list[str]) -> None:
    """The step ends well, or with a message in the form of an error, beside no shard."""
    message = root / "output/message"
    message.unlink(missing_ok=True)
    shutil.rmtree(root / "processing/output", ignore_errors=True)
    code = main(arguments, build_environment(root))
    assert code in EXIT_CODES
    assert code == 0 or parse_error(message.read_text()) is not None
    assert code == 0 or not list(root.glob("processing/output/shards/*"))


def test_a_damaged_contract_is_refused_or_read(rounds: Rounds) -> None:
    for dice, _ in rounds:
        for _ in range(50):
            rounds.cases += 1
            with contextlib.suppress(BatchcastError):
                parse_contract(damaged(dice.choice([CONTRACT, DAILY_CONTRACT]).encode(), dice))


@pytest.mark.parametrize("value", ["[" * 100_000, "9" * 5000, "[" * 400 + "]" * 400])
def test_json_that_no_reader_takes_is_refused(value: str) -> None:
    with contextlib.suppress(BatchcastError):
        parse_contract(DAILY_CONTRACT.replace('{"item_id"', f'{{"x": {value}, "item_id"').encode())
    with pytest.raises(ConfigError, match="s3://b/items line 1"):
        parse_item_ids(f'{{"item_id": {value}}}'.encode(), "s3://b/items")
    with pytest.raises(ConfigError, match="sales: "):
        parse_contract(DAILY_CONTRACT.replace("forecast[*].sales", value.replace('"', "")).encode())


def test_an_argument_that_is_not_utf8_is_refused_with_a_message(tmp_path: Path) -> None:
    refused_or_built(tmp_path, [*build_arguments(), "\udcff"])
    assert "\\udcff" in (tmp_path / "output/message").read_text()


def test_a_damaged_history_is_named_or_read(rounds: Rounds) -> None:
    rounds.few = 1
    for dice, root in rounds:
        in_child(build_from_damaged, dice, root, cases=40)
        rounds.cases += 40


def test_a_damaged_list_of_items_is_refused_or_read(rounds: Rounds) -> None:
    lists = [b"a\nb\r\nc\n", b'\xef\xbb\xbf{"item_id": "a"}\n{"item_id": "b", "x": [1]}\n']
    for dice, _ in rounds:
        for _ in range(50):
            rounds.cases += 1
            with contextlib.suppress(BatchcastError):
                parse_item_ids(damaged(dice.choice(lists), dice), "s3://b/items.jsonl")


def test_arguments_that_no_pipeline_passes_are_refused_by_name(rounds: Rounds) -> None:
    for dice, root in rounds:
        write_files(root / "processing/input/history", [daily_rows(["a", "b"])])
        (root / "processing/input/contract").mkdir(parents=True)
        (root / "processing/input/contract/model.toml").write_text(DAILY_CONTRACT)
        for _ in range(10):
            rounds.cases += 1
            pairs = ((f"--{name.replace('_', '-')}", str(value)) for name, value in PUBLISH_FLAGS.items())
            words = ["validate_and_publish", *(word for pair in pairs for word in pair)]
            if dice.randrange(3):
                words = build_arguments()
            for _ in range(dice.randint(1, 2)):
                words[dice.randrange(len(words))] = dice.choice(WORDS)
            refused_or_built(root, words)
            assert {path.name for path in root.iterdir()} <= {"processing", "output", "s3"}


def test_the_flags_that_are_damaged_are_all_that_the_step_has() -> None:
    assert PUBLISH_FLAGS.keys() == {field.name for field in dataclasses.fields(PublishArguments)}


def test_damaged_answers_of_a_model_are_accounted_for(rounds: Rounds) -> None:
    for dice, root in rounds:
        rounds.cases += 1
        run = SampleRun(root=root)
        answers = run.answers()
        shard = dice.choice(sorted(answers))
        run.transform({name: lines for name, lines in answers.items() if name != shard})
        run.put_output(shard, damaged(b"".join(line + b"\n" for line in answers[shard]), dice))
        report = run.step()
        counts = report["counts"]
        assert counts["ok"] + counts["quarantined"] + counts["failed"] + counts["missing"] == len(run.items)
        assert bool(published_objects(run.store)) == (report["outcome"] == "COMPLETE")


@pytest.mark.parametrize(("kind", "data"), [("text/csv", b"date,sa\rles\n1,2\n"), ("application/x-parquet", b"PAR1")])
def test_what_is_no_answer_of_its_type_is_a_value_error(kind: str, data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_body(data, kind)


def stored_answer(kind: str) -> bytes:
    """An answer of two steps in a content type."""
    table = pa.table({"date": ["2026-01-11", "2026-01-12"], "sales": [1.5, 2.0]})
    match kind:
        case "application/x-parquet":
            sink = io.BytesIO()
            pq.write_table(table, sink, compression="none")
            return sink.getvalue()
        case "text/csv":
            return b"date,sales\n2026-01-11,1.5\n2026-01-12,2.0\n"
        case "application/jsonlines":
            return b'{"date": "2026-01-11", "sales": 1.5}\n{"date": "2026-01-12", "sales": 2}\n'
    return b'[{"date": "2026-01-11", "sales": 1.5}, {"date": "2026-01-12", "sales": 2}]'


def read_damaged_answer(dice: random.Random, root: Path) -> None:
    """One shard of the answers that are objects of their own, in any content type: a reading an item."""
    kind = dice.choice(CONTENT_TYPES)
    shape = f'[request]\nmode = "object"\naccept = "{kind}"'
    text = DAILY_CONTRACT.replace("[request]", shape).replace("forecast[*]", "[*]").replace('item_id = "item_id"\n', "")
    contract = parse_contract(text.encode())
    expected = Expected.of(
        contract.outputs, pa.scalar("2026-01-10").cast(pa.date32()).as_py(), 2, request=contract.request
    )
    data = stored_answer(kind)
    assert [type(one).__name__ for one in read_shard("s", data, [["a"]], expected).readings] == ["Usable"]
    spoiled = damaged_parquet(data, dice) if kind == "application/x-parquet" else damaged(data, dice)
    with keep_reading_note(root / "output/message"):
        readings = read_shard("s", dice.choice([spoiled, spoiled, dice.choice(PARTS)]), [["a"]], expected).readings
    assert len(readings) == 1


def test_damaged_answers_of_any_content_type_have_a_reading(rounds: Rounds) -> None:
    rounds.few = 1
    for dice, root in rounds:
        in_child(read_damaged_answer, dice, root, cases=60)
        rounds.cases += 60


def test_a_literal_in_the_old_style_of_jmespath_is_taken_without_a_warning() -> None:
    parse_contract(DAILY_CONTRACT.replace("forecast[*].sales", "forecast[?kind == `mean`].sales").encode())
