"""The outputs of a transform, made without one: what BuildShards and the transform leave for ValidateAndPublish.

Manifest, records, baseline, and an output object a shard with 1,000 records, of which some lines may be damaged.
"""

from __future__ import annotations

import random
import shutil
import sys
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "fixtures")]

from contract_text import contract_text  # noqa: E402

from batchcast.steps.contract.model_contract import CONTRACT_FILE, parse_contract  # noqa: E402
from batchcast.steps.shards.manifest import (  # noqa: E402
    BASELINE_FILE,
    BASELINE_SCHEMA,
    RECORDS_FILE,
    RECORDS_SCHEMA,
    ROWS_A_GROUP,
    Manifest,
    Shard,
    Totals,
    write_manifest,
    write_table,
)

RUN, RUN_DATE, SEASON, PAST = "benchmark000", date(2026, 11, 22), 7, 42
RECORDS_A_SHARD, ITEMS_A_PART = 1_000, 50_000
FLAGS = f"""
--run-id {RUN} --run-label benchmark --round 0 --runs-uri s3://bucket/runs --publish-uri s3://bucket/published
--max-failed-records 100000000 --max-failed-percent 100 --systemic-failure-percent 100 --max-retry-records 0
--resume-from none --model-name benchmark
"""
CONTRACT = contract_text(answer='timestamps = "forecast[*].date"\nminimum = 0.0')
_VALUE, _ROW = b'"sales": ', b'{"date"'
REPLACED = (
    (b'"forecast"', b'"forecasts"'),
    (_VALUE, b'"sales": "1", "was": '),
    (_VALUE, b'"sales": -'),
    (_VALUE, b'"sales": NaN, "was": '),
    (_VALUE, b'"sales": null, "was": '),
    (_VALUE, b'"sales": true, "was": '),
    (_VALUE, b'"sales": 1e999, "was": '),
    (_VALUE, b'"sales": 00'),
    (_VALUE, b'"sales": +'),
    (_VALUE, b'"sales": .'),
    (_VALUE, b'"sales" '),
    (b'"2026-11-23"', b'"2026-11-24"'),
    (_ROW, b"{'date'"),
    (b'"forecast": ', b'"error": "out of memory", "forecast": '),
    (_ROW, b"[" + _ROW),
    (_ROW, b'{"date": "2026-11-23", "sales": 1}, ' + _ROW),
    (b'"item_id":"', b'"item_id":"x'),
    (b'"SageMakerOutput"', b'"Output"'),
    (b"forecast", b"fore\xffcast"),
)
WHOLE = (b"", b"null", b"[1, 2]", b'"text"')
CUT_OR_DOUBLED = (0.5, 2)
"""25 kinds of damage to the line of a record: something in it, all of it, or its length."""


def make_run(items: int, root: Path, bad: int = 0, days: int = 31) -> int:
    """The container's inputs of a run under `root`; the bytes of the outputs. The same arguments give the same run."""
    inputs = root / "processing" / "input"
    shutil.rmtree(root, ignore_errors=True)
    for name in ("manifest", "contract", "output/r0"):
        (inputs / name).mkdir(parents=True)
    (inputs / "contract" / CONTRACT_FILE).write_text(CONTRACT)
    shards = -(-items // RECORDS_A_SHARD)
    index = np.arange(items)
    # As the plan deals them: item by item to the shards, there and back.
    turn, place = index // shards, index % shards
    shard = np.where(turn % 2 == 0, place, shards - 1 - place)
    names = [f"part-{number:05d}.jsonl" for number in range(shards)]
    counts = np.bincount(shard, minlength=shards)
    write_table(inputs / "manifest" / RECORDS_FILE, _records(items, shard, turn, names), RECORDS_SCHEMA)
    write_table(inputs / "manifest" / BASELINE_FILE, _baseline(items, days), BASELINE_SCHEMA)
    write_manifest(inputs / "manifest", _manifest(items, names, counts.tolist(), days))
    dice, damaged = random.Random(1), set(random.Random(2).sample(range(items), bad))
    for number, name in enumerate(names):
        lines = _answers(np.flatnonzero(shard == number), days)
        for line, item in enumerate(np.flatnonzero(shard == number).tolist() if damaged else ()):
            if item in damaged:
                lines[line] = damage(lines[line], dice.choice((*REPLACED, *WHOLE, *CUT_OR_DOUBLED)))
        (inputs / "output/r0" / f"{name}.out").write_bytes(b"".join(line + b"\n" for line in lines))
    return sum(path.stat().st_size for path in (inputs / "output/r0").iterdir())


def validator(root: Path, output: Path, processors: int = 1) -> list[str]:
    """The command; `processors` are those that it may use."""
    ml = output / "ml"
    (ml / "processing").mkdir(parents=True)
    (ml / "processing/input").symlink_to(root / "processing/input")
    for name in ("report", "retry"):
        (ml / "processing/output" / name).mkdir(parents=True)
    places = ["env", f"OPT_ML={ml}", f"BATCHCAST_OBJECT_STORE={output}"]
    cores = ["taskset", "--cpu-list", f"0-{processors - 1}"]
    # A run with damaged lines may be held.
    shell = ["sh", "-c", '"$@" 2>&1; code=$?; [ $code = 5 ] || exit $code', "sh"]
    return [*shell, *cores, *places, sys.executable, "-m", "batchcast.steps", "validate_and_publish", *FLAGS.split()]


def damage(line: bytes, kind: tuple[bytes, bytes] | bytes | float) -> bytes:
    """The line, damaged in one of 25 ways."""
    if isinstance(kind, tuple):
        return line.replace(*kind, 1)
    return kind if isinstance(kind, bytes) else (line + b" " + line)[: int(len(line) * kind)]


def _ids(index: np.ndarray) -> list[str]:
    return [f"store-{number % 97:02d}/product-{number:07d}" for number in index.tolist()]


def _order(items: int) -> np.ndarray:
    return np.lexsort((np.arange(items), np.arange(items) % 97))


def _history(index: np.ndarray, days: int) -> np.ndarray:
    """What each of these items sold on the days around the run date, items x days."""
    level = 1 + (index * 7919 % 1000) / 10
    day = np.arange(PAST + days)
    noise = np.sin(index[:, None] * 12.9898 + day * 78.233) * 0.2
    return np.round(level[:, None] * (1 + 0.3 * np.sin(day * 2 * np.pi / SEASON) + noise))


def _records(items: int, shard: np.ndarray, line: np.ndarray, names: Sequence[str]) -> Iterator[pa.Table]:
    order = _order(items)
    for begin in range(0, items, ITEMS_A_PART):
        some = order[begin : begin + ITEMS_A_PART]
        size = len(some)
        yield pa.table(
            [
                _ids(some),
                pa.array(names).take(pa.array(shard[some])),
                line[some].astype(np.int32),
                np.zeros(size, np.int32),
                np.full(size, 4_000),
                [f"{number:064x}" for number in some.tolist()],
                np.full(size, 30, np.int32),
                pa.array([RUN_DATE - timedelta(days=29)] * size),
                pa.array([RUN_DATE] * size),
                pa.nulls(size, pa.string()),
                pa.nulls(size, pa.string()),
                pa.array([False] * size),
            ],
            schema=RECORDS_SCHEMA,
        )


def _baseline(items: int, days: int) -> Iterator[pa.Table]:
    order = _order(items)
    steps = np.arange(1 - PAST, days + 1, dtype=np.int32)
    same = PAST - SEASON + (steps - 1) % SEASON
    together = ROWS_A_GROUP // len(steps)
    for begin in range(0, items, together):
        some = order[begin : begin + together]
        known = np.where(steps > 0, np.nan, _history(some, days))
        naive = np.where(steps > 0, known[:, same], np.nan)
        scale = np.broadcast_to(known[:, PAST - 28 : PAST].mean(axis=1)[:, None], known.shape)
        item = pa.array(np.repeat(np.arange(len(some), dtype=np.int32), len(steps)))
        target = pa.array(np.zeros(known.size, np.int32))
        numbers = (pa.array(each.ravel(), pa.float64(), from_pandas=True) for each in (naive, known, scale))
        texts = (pa.array(_ids(some)).take(item), pa.array(["sales"]).take(target))
        yield pa.table([texts[0], np.tile(steps, len(some)), texts[1], *numbers], schema=BASELINE_SCHEMA)


def _manifest(items: int, names: Sequence[str], counts: Sequence[int], days: int) -> Manifest:
    shards = tuple(
        Shard(name=name, records=count, bytes=4_000 * count, first_item="", last_item="")
        for name, count in zip(names, counts, strict=True)
    )
    return Manifest(
        run_id=RUN,
        run_date=RUN_DATE,
        run_label="benchmark",
        forecast_horizon=days,
        resume_from=None,
        parameters={"items_uri": "all"},
        contract_sha256=parse_contract(CONTRACT.encode(), where=CONTRACT_FILE).sha256,
        code_version="benchmark",
        totals=Totals(
            items=items,
            records=items,
            quarantined=0,
            carried=0,
            bytes=4_000 * items,
            rows=30 * items,
            later_items=0,
            requests=items,
        ),
        quarantined_by_reason={},
        shards=shards,
    )


def _answers(index: np.ndarray, days: int) -> list[bytes]:
    """The lines of these items, as a model in Python writes them and the service joins them."""
    known = _history(index, days)[:, PAST - SEASON : PAST]
    values = known[:, np.arange(days) % SEASON] * (1 + 0.1 * np.cos(index[:, None] + np.arange(days)))
    texts = np.asarray(pa.array(values.ravel()).cast(pa.string())).reshape(values.shape)
    dates = [(RUN_DATE + timedelta(days=step + 1)).isoformat() for step in range(days)]
    lines = []
    for name, row in zip(_ids(index), texts, strict=True):
        rows = ", ".join(f'{{"date": "{day}", "sales": {value}}}' for day, value in zip(dates, row, strict=True))
        lines.append(f'{{"SageMakerOutput":{{"item_id": "{name}", "forecast": [{rows}]}},"item_id":"{name}"}}'.encode())
    return lines
