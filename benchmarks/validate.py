"""How much processor and memory `validate_and_publish` takes, next to the bare reading of the same outputs.

    python benchmarks/validate.py --work /tmp/validate                          # 200,000 items of 31 days
    python benchmarks/validate.py --work /tmp/validate --items 1000000 --rounds 1
    python benchmarks/validate.py --work /tmp/validate --baseline 04f1d35       # against another commit
    python benchmarks/validate.py --work /tmp/validate --bad 1000               # with so many damaged lines

A run is made as BuildShards and the transform leave it: manifest, records, baseline, and an output object a shard with
1,000 records. Nothing is measured of that. The reading is `orjson.loads` of every line, or `json.loads` where orjson
is not installed. The programs run one after the other, round after round; a table has medians of the same rounds.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import date, timedelta
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]

from build_shards import REPOSITORY, Measured, contract_text, measure  # noqa: E402

from batchcast.steps.contract.model_contract import CONTRACT_FILE, parse_contract  # noqa: E402
from batchcast.steps.shards.manifest import (  # noqa: E402
    BASELINE_FILE,
    BASELINE_SCHEMA,
    RECORDS_FILE,
    RECORDS_SCHEMA,
    Manifest,
    Shard,
    Totals,
    write_manifest,
    write_table,
)

RUN, RUN_DATE, HORIZON, SEASON, PAST = "benchmark000", date(2026, 11, 22), 31, 7, 42
RECORDS_A_SHARD, ITEMS_A_PART, ITEMS_A_TABLE = 1_000, 50_000, 2_048
CONTRACT = contract_text(answer='timestamps = "forecast[*].date"\nminimum = 0.0')
FLAGS = f"""
--run-id {RUN} --run-label benchmark --round 0 --runs-uri s3://bucket/runs --publish-uri s3://bucket/published
--max-failed-records 100000000 --max-failed-percent 100 --systemic-failure-percent 100 --max-retry-records 0
--resume-from none
"""
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


def make_run(items: int, root: Path, bad: int = 0) -> int:
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
    write_table(inputs / "manifest" / BASELINE_FILE, _baseline(items), BASELINE_SCHEMA)
    write_manifest(inputs / "manifest", _manifest(items, names, counts.tolist()))
    dice, damaged = random.Random(1), set(random.Random(2).sample(range(items), bad))
    for number, name in enumerate(names):
        lines = _answers(np.flatnonzero(shard == number))
        for line, item in enumerate(np.flatnonzero(shard == number).tolist() if damaged else ()):
            if item in damaged:
                lines[line] = damage(lines[line], dice.choice((*REPLACED, *WHOLE, *CUT_OR_DOUBLED)))
        (inputs / "output/r0" / f"{name}.out").write_bytes(b"".join(line + b"\n" for line in lines))
    return sum(path.stat().st_size for path in (inputs / "output/r0").iterdir())


def damage(line: bytes, kind: tuple[bytes, bytes] | bytes | float) -> bytes:
    """The line, damaged in one of 25 ways."""
    if isinstance(kind, tuple):
        return line.replace(*kind, 1)
    return kind if isinstance(kind, bytes) else (line + b" " + line)[: int(len(line) * kind)]


def _ids(index: np.ndarray) -> list[str]:
    return [f"store-{number % 97:02d}/product-{number:07d}" for number in index.tolist()]


def _order(items: int) -> np.ndarray:
    return np.lexsort((np.arange(items), np.arange(items) % 97))


def _history(index: np.ndarray) -> np.ndarray:
    """What each of these items sold on the days around the run date, items x days."""
    level = 1 + (index * 7919 % 1000) / 10
    day = np.arange(PAST + HORIZON)
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


def _baseline(items: int) -> Iterator[pa.Table]:
    order = _order(items)
    steps = np.arange(1 - PAST, HORIZON + 1, dtype=np.int32)
    same = PAST - SEASON + (steps - 1) % SEASON
    for begin in range(0, items, ITEMS_A_TABLE):
        some = order[begin : begin + ITEMS_A_TABLE]
        known = np.where(steps > 0, np.nan, _history(some))
        naive = np.where(steps > 0, known[:, same], np.nan)
        scale = np.broadcast_to(known[:, PAST - 28 : PAST].mean(axis=1)[:, None], known.shape)
        item = pa.array(np.repeat(np.arange(len(some), dtype=np.int32), len(steps)))
        target = pa.array(np.zeros(known.size, np.int32))
        numbers = (pa.array(each.ravel(), pa.float64(), from_pandas=True) for each in (naive, known, scale))
        texts = (pa.array(_ids(some)).take(item), pa.array(["sales"]).take(target))
        yield pa.table([texts[0], np.tile(steps, len(some)), texts[1], *numbers], schema=BASELINE_SCHEMA)


def _manifest(items: int, names: Sequence[str], counts: Sequence[int]) -> Manifest:
    shards = tuple(
        Shard(name=name, records=count, bytes=4_000 * count, sha256="", first_item="", last_item="")
        for name, count in zip(names, counts, strict=True)
    )
    return Manifest(
        run_id=RUN,
        run_date=RUN_DATE,
        run_label="benchmark",
        forecast_horizon=HORIZON,
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


def _answers(index: np.ndarray) -> list[bytes]:
    """The lines of these items, as a model in Python writes them and the service joins them."""
    known = _history(index)[:, PAST - SEASON : PAST]
    values = known[:, np.arange(HORIZON) % SEASON] * (1 + 0.1 * np.cos(index[:, None] + np.arange(HORIZON)))
    texts = np.asarray(pa.array(values.ravel()).cast(pa.string())).reshape(values.shape)
    days = [(RUN_DATE + timedelta(days=step + 1)).isoformat() for step in range(HORIZON)]
    lines = []
    for name, row in zip(_ids(index), texts, strict=True):
        rows = ", ".join(f'{{"date": "{day}", "sales": {value}}}' for day, value in zip(days, row, strict=True))
        lines.append(f'{{"SageMakerOutput":{{"item_id": "{name}", "forecast": [{rows}]}},"item_id":"{name}"}}'.encode())
    return lines


def read_bare(directory: Path) -> None:
    """Parse every line and do nothing with it."""
    loads = json.loads
    if importlib.util.find_spec("orjson"):
        import orjson

        loads = orjson.loads
    for path in sorted(directory.rglob("*.out")):
        for line in path.read_bytes().splitlines():
            with suppress(ValueError):
                loads(line)


def step(root: Path, output: Path, processes: int, tree: Path = REPOSITORY) -> list[str]:
    """The command that runs the step of `tree`; `processes` are the processors that it may use."""
    ml = output / "ml"
    (ml / "processing").mkdir(parents=True)
    (ml / "processing/input").symlink_to(root / "processing/input")
    for name in ("report", "retry"):
        (ml / "processing/output" / name).mkdir(parents=True)
    places = ["env", f"OPT_ML={ml}", f"BATCHCAST_OBJECT_STORE={output}"]
    cores = ["taskset", "--cpu-list", f"0-{processes - 1}"]
    # A run with damaged lines may be held.
    shell = ["sh", "-c", '"$@" 2>&1; code=$?; [ $code = 5 ] || exit $code', "sh"]
    flags = FLAGS.split()
    if "model_name" in (tree / "steps/publish_arguments.py").read_text():  # An older commit's step does not ask for it.
        flags += ["--model-name", "benchmark"]
    return [*shell, *cores, *places, sys.executable, "-m", "batchcast.steps", "validate_and_publish", *flags]


def compare(items: int, rounds: int, work: Path, baseline: str | None, bad: int) -> list[str]:
    """The lines of the table."""
    root, output = work / "run", work / "output"
    size = make_run(items, root, bad)
    tree = work / f"baseline-{baseline}"
    if baseline is not None and not tree.exists():
        subprocess.run(["git", "worktree", "add", "--detach", str(tree), baseline], cwd=REPOSITORY, check=True)
    reader = "orjson" if importlib.util.find_spec("orjson") else "json"
    bare = f"{reader}, nothing but reading"
    programs = {bare: None, "validate_and_publish, 1 processor": 1, "validate_and_publish, 2 processors": 2}
    runs: dict[str, list[Measured]] = {}
    said: dict[str, str] = {}
    for number in range(rounds):
        for name, processes in [*programs.items(), *([(f"{baseline}", 0)] if baseline else [])]:
            shutil.rmtree(output, ignore_errors=True)
            output.mkdir()
            if processes is None:
                command = [sys.executable, __file__, "--bare", str(root)]
            elif processes:
                command = step(root, output, processes)
            else:
                command = ["env", "-C", str(tree), *step(root, output, 1, tree)]
            runs.setdefault(name, []).append(measure(command))
            sys.stderr.write(f"round {number + 1} {name}: {runs[name][-1]}\n")
            if processes is not None:
                said[name] = _said(output)
    columns = ("program", "wall s", "processor s", "x reading", "peak MB", "load")
    reading = _median(runs[bare], "cpu")
    lines = [f"{items:,} items, {size / 1e6:,.0f} MB of outputs" + f", {bad:,} lines damaged" * bool(bad), ""]
    lines += [f"| {' | '.join(columns)} |", "|---|" + "---:|" * (len(columns) - 1)]
    for name, of_name in runs.items():
        cpu, peak = _median(of_name, "cpu"), max(run.peak for run in of_name) / 1e6
        numbers = f"{_median(of_name, 'wall'):.1f} | {cpu:.1f} | {cpu / reading:.2f} | {peak:,.0f}"
        lines.append(f"| {name} | {numbers} | {_median(of_name, 'load'):.1f} |")
    if len(set(said.values())) > 1:
        raise SystemExit(f"the programs do not agree: {said}")
    return [*lines, "", f"All of them say the same: {next(iter(said.values()))}.", ""]


def _said(output: Path) -> str:
    """What a run published and reported, as digests of what must be the same in all."""
    report = json.loads((output / "ml/processing/output/report/report.json").read_bytes())
    import hashlib

    files = sorted(output.glob("bucket/published/forecasts/**/part-*.parquet"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]
    import pyarrow.parquet as pq

    ledger = pq.read_table(output / "ml/processing/output/report/ledger.parquet")
    bad = ledger.filter(pc.not_equal(ledger["reason"], ""))
    told = hashlib.sha256(json.dumps(bad.to_pylist()).encode()).hexdigest()[:12]
    counts = report["counts"]
    found = f"{report['outcome']}, {counts['ok']:,} ok of {counts['expected']:,}, published {digest}"
    return f"{found}, {bad.num_rows:,} bad records {told}"


def _median(runs: Sequence[Measured], column: str) -> float:
    return statistics.median(getattr(run, column) for run in runs)


def main() -> None:
    """Measure and print, and write the table to --result."""
    parser = argparse.ArgumentParser(description="Measure validate_and_publish against bare reading.")
    parser.add_argument("--work", type=Path, help="an empty directory with 5 GB a million items to spare")
    parser.add_argument("--items", type=int, nargs="+", default=[200_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bad", type=int, default=0, help="damage so many lines")
    parser.add_argument("--baseline", metavar="COMMIT", help="measure the step of this commit too, in the same rounds")
    parser.add_argument("--result", type=Path, help="a Markdown file for the tables")
    parser.add_argument("--bare", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--make", action="store_true", help="only make the run")
    options = parser.parse_args()
    if options.bare:
        read_bare(options.bare)
        return
    if options.work is None:
        parser.error("--work is required")
    work = options.work.resolve()
    if options.make:
        make_run(options.items[0], work / "run", options.bad)
        return
    lines = ["# validate_and_publish against bare reading", ""]
    for items in options.items:
        lines += compare(items, options.rounds, work, options.baseline, options.bad)
    libraries = ", ".join(f"{name} {version(name)}" for name in ("pyarrow", "pandas", "numpy"))
    machine = f"{os.cpu_count()} processors, Python {platform.python_version()}"
    lines.append(f"{machine}, {libraries}; medians of {options.rounds} rounds.")
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    if options.result:
        options.result.parent.mkdir(parents=True, exist_ok=True)
        options.result.write_text(text)


if __name__ == "__main__":
    main()
