"""Damaged bytes everywhere a run reads some: refused by name or read right, never a traceback and never a hang.

A round of each target has a seed; the suite runs a few. `make fuzz MINUTES=10` runs rounds until the time is up, and
`make fuzz SEED=123` repeats the one that was named.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sample_run import CONTRACT, PUBLISH, SampleRun, published_objects
from shard_build import DAILY_CONTRACT, build_arguments, build_environment, daily_rows, write_files

from batchcast.runs.published import list_published, prune, read_forecasts, rollback
from batchcast.steps.__main__ import main
from batchcast.steps.contract.model_contract import parse_contract
from batchcast.steps.errors import BatchcastError

MINUTES = float(os.environ.get("BATCHCAST_FUZZ_MINUTES", 0))
SEED = os.environ.get("BATCHCAST_FUZZ_SEED")
FEW = 3
pytestmark = pytest.mark.timeout(60 * MINUTES + 300)
EXIT_CODES = {0, 2, 3, 75}


def damaged(data: bytes, dice: random.Random) -> bytes:
    """The bytes with one to three of: a flipped bit, a cut end, a part removed, repeated or replaced."""
    changed = bytearray(data)
    for _ in range(dice.randint(1, 3)):
        at, size = dice.randrange(len(changed) + 1), dice.randint(1, 40)
        match dice.randrange(5):
            case 0 if changed:
                changed[at % len(changed)] ^= 1 << dice.randrange(8)
            case 1:
                del changed[at:]
            case 2:
                del changed[at : at + size]
            case 3:
                changed[at:at] = changed[at : at + size] * dice.randint(1, 50)
            case _:
                changed[at : at + size] = dice.choice(
                    [b"", b"\0" * size, b"[" * 5000, b"9" * 5000, b"\xff\xfe", b"null"]
                )
    return bytes(changed)


def rounds(target: int, tmp_path: Path) -> Iterator[tuple[random.Random, Path]]:
    """The seeds of this session, each with a folder that is empty. The four targets share the minutes."""
    if SEED is not None:
        seeds: Iterator[int] = iter([int(SEED)])
    else:
        began = time.time()
        first = int(began) * 1000 if MINUTES else 0
        stop = began + 60 * MINUTES / 4
        seeds = (number for number in range(first, first + 10**6) if number - first < FEW or time.time() < stop)
        if not MINUTES:
            seeds = iter(range(FEW))
    for seed in seeds:
        if MINUTES and time.time() > stop:
            return
        print(f"make fuzz SEED={seed}  # target {target}")  # noqa: T201  shown by pytest when the round fails
        folder = tmp_path / str(seed)
        folder.mkdir()
        yield random.Random(seed), folder


def test_a_damaged_contract_is_refused_or_read(tmp_path: Path) -> None:
    for dice, _ in rounds(0, tmp_path):
        for _ in range(50):
            with contextlib.suppress(BatchcastError):
                parse_contract(damaged(dice.choice([CONTRACT, DAILY_CONTRACT]).encode(), dice))


@pytest.mark.parametrize("value", ["[" * 100_000, "9" * 5000, "[" * 400 + "]" * 400])
def test_a_request_that_no_reader_of_json_takes_is_refused(value: str) -> None:
    with contextlib.suppress(BatchcastError):
        parse_contract(DAILY_CONTRACT.replace('{"item_id"', f'{{"x": {value}, "item_id"').encode())


def test_a_damaged_history_is_named_or_read(tmp_path: Path) -> None:
    for dice, root in rounds(1, tmp_path):
        history = root / "processing/input/history"
        write_files(history, [daily_rows(["a", "b"]), daily_rows(["c"])])
        (root / "processing/input/contract").mkdir(parents=True)
        (root / "processing/input/contract/model.toml").write_text(DAILY_CONTRACT)
        file = history / "part-1.parquet"
        file.write_bytes(damaged(file.read_bytes(), dice))
        code = main(build_arguments(), build_environment(root))
        message = root / "output/message"
        assert code in EXIT_CODES
        assert code == 0 or message.read_text()


def test_damaged_answers_of_a_model_are_accounted_for(tmp_path: Path) -> None:
    for dice, root in rounds(2, tmp_path):
        run = SampleRun(root=root)
        answers = run.answers()
        shard = dice.choice(sorted(answers))
        run.transform({name: lines for name, lines in answers.items() if name != shard})
        run.put_output(shard, damaged(b"".join(line + b"\n" for line in answers[shard]), dice))
        report = run.step()
        counts = report["counts"]
        assert counts["ok"] + counts["quarantined"] + counts["failed"] + counts["missing"] == len(run.items)
        assert bool(published_objects(run.store)) == (report["outcome"] == "COMPLETE")


def looks(run: SampleRun) -> list[Callable[[], object]]:
    """What readers and operators do with what is published."""
    return [
        lambda: read_forecasts(PUBLISH, store=run.store),
        lambda: list_published(PUBLISH, store=run.store),
        lambda: rollback(PUBLISH, store=run.store),
        lambda: prune(PUBLISH, keep=1, store=run.store),
        lambda: run.step(),
    ]


def test_damaged_stored_documents_are_named(tmp_path: Path) -> None:
    pytest.importorskip("batchcast.steps.store.documents", reason="stored documents are read by this module")
    for dice, root in rounds(3, tmp_path):
        run = SampleRun(root=root)
        run.transform()
        assert run.step()["outcome"] == "COMPLETE"
        uri = dice.choice([uri for uri in published_objects(run.store) if uri.endswith(".json")])
        data = run.store.read(uri)
        replaced = [b"", b"{}", b"[]", b"null", b'"x"', b"[" * 100_000, json.dumps({"run_id": 7}).encode()]
        run.store.write(uri, dice.choice([damaged(data, dice), *replaced]))
        for look in looks(run):
            with contextlib.suppress(BatchcastError):
                look()
