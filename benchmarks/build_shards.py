"""How fast `build_shards` is, next to the loop everybody writes first: pandas `groupby` and `json.dumps`.

    python benchmarks/build_shards.py --work /tmp/build-shards                # about 2 GB of JSONL: half an hour
    python benchmarks/build_shards.py --work /tmp/build-shards --size 0.05    # a try-out
    python benchmarks/build_shards.py --work /tmp/build-shards --baseline 2e60f79^    # against another commit
    python benchmarks/build_shards.py --work /tmp/build-shards --baseline 2e60f79^ --without-loop --rounds 5

Three seeded histories of eight columns, rows shuffled: `long` has items of 6,000 to 10,000 hourly rows in 14 monthly
files, `short` has items of 90 daily rows in 3 files, `many` a million items of 30 daily rows in 3 files. The programs
run one after the other, round after round, because the machine may be busy; every ratio is the median of those within
a round.
"""

from __future__ import annotations

import argparse
import runpy
import shutil
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "fixtures")]

from contract_text import contract_text  # noqa: E402
from measured import Measured, measure, median, print_results, tree_of  # noqa: E402

COLUMNS = ("date", "sales", "promo", "price", "stock", "temp", "event", "roll7")
FLAGS = """
--run-id benchmark000 --run-date auto --run-label benchmark --forecast-horizon 31 --transform-instance-count 20
--max-concurrent-transforms 4 --max-payload-in-mb 6 --records-per-shard 0 --systemic-failure-percent 0 --items-uri all
--resume-from none --runs-uri s3://bucket/runs --publish-uri none --processes
"""
EVENTS = ['summer "sale"', "café\\weeks", "大売り出し"]


def contract(columns: str) -> str:
    """The model.toml; `columns` are those of a row of the history."""
    body = f"""
{{
  "request_type": "iterative_forecast",
  "item_id": $item_id,
  "historical_rows": $history({{{columns}}}),
  "forecast_days": $horizon
}}
"""
    return contract_text(body, series='nulls = "null"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A history to make; `size` 1 is about 2 GB of JSONL."""

    name: str
    items: int
    least_rows: int
    most_rows: int
    hourly: bool
    files: int


SHAPES = (
    Shape(name="long", items=2_000, least_rows=6_000, most_rows=10_000, hourly=True, files=14),
    Shape(name="short", items=200_000, least_rows=90, most_rows=90, hourly=False, files=3),
    Shape(name="many", items=1_000_000, least_rows=30, most_rows=30, hourly=False, files=3),
)


def make_history(shape: Shape, size: float, directory: Path) -> int:
    """Write the files; the number of rows. The same shape and size give the same rows."""
    rng = np.random.default_rng(20260101)
    items = max(int(shape.items * size), 1)
    rows = rng.integers(shape.least_rows, shape.most_rows + 1, items)
    item = np.repeat(np.arange(items, dtype=np.int32), rows)
    step = np.arange(rows.sum()) - np.repeat(np.cumsum(rows) - rows, rows)
    last = rows.max()
    # Every item ends on the same day; a file has the rows of one stretch of time.
    moment = last - np.repeat(rows, rows) + step
    month = moment * shape.files // last
    directory.mkdir(parents=True)
    for number in range(shape.files):
        some = rng.permutation(np.flatnonzero(month == number))
        table = _table(rng, item[some], moment[some], shape)
        pq.write_table(table, directory / f"month-{number:02d}.parquet", compression="zstd", row_group_size=1 << 18)
    return int(rows.sum())


def _table(rng: np.random.Generator, item: np.ndarray, moment: np.ndarray, shape: Shape) -> pa.Table:
    rows = len(item)
    names = pa.array([f"store-{n % 97:02d}/product-{n:06d}" for n in range(int(item.max(initial=0)) + 1)])
    if shape.hourly:
        date = pa.array(np.datetime64("2025-01-01T00:00:00", "us") + moment * np.timedelta64(3_600_000_000, "us"))
    else:
        date = pa.array(np.datetime64("2025-01-01", "D") + moment)
    events = pa.array(EVENTS)
    return pa.table(
        {
            "item": names.take(pa.array(item)),
            "date": date,
            "sales": pa.array(rng.integers(0, 200, rows), mask=rng.random(rows) < 0.005),
            "promo": pa.array((rng.random(rows) < 0.1).astype(np.int8)),
            "price": np.round(rng.random(rows) * 20, 2),
            "stock": rng.integers(0, 1_000, rows).astype(np.int32),
            "temp": pa.array(np.round(rng.normal(15, 8, rows), 1), mask=rng.random(rows) < 0.01),
            "event": events.take(pa.array(rng.integers(0, 3, rows), mask=rng.random(rows) < 0.97)),
            "roll7": rng.random(rows) * 40,
        }
    )


def builder(history: Path, output: Path, processes: int) -> list[str]:
    """The command that runs the step."""
    root = output / "ml"
    (root / "processing/input/contract").mkdir(parents=True)
    (root / "processing/input/history").symlink_to(history)
    columns = ", ".join(f'"{name}": ${name}' for name in COLUMNS)
    (root / "processing/input/contract/model.toml").write_text(contract(columns))
    places = ["env", f"OPT_ML={root}", f"BATCHCAST_OBJECT_STORE={output}"]
    return [*places, sys.executable, "-m", "batchcast.steps", "build_shards", *FLAGS.split(), str(processes)]


def builder_of(commit: str, work: Path) -> Callable[[Path, Path, int], list[str]]:
    """What makes the command that runs the step of another commit, with that commit's own contract."""
    tree = tree_of(commit, work / "baseline")
    make = runpy.run_path(str(tree / "benchmarks" / "build_shards.py"))["builder"]
    return lambda history, output, processes: ["env", "-C", str(tree), *make(history, output, processes)]


def run_pandas_loop(history: Path, output: Path) -> None:
    """Read everything, group, sort, dump. NaN comes out as `NaN`, which is no JSON; that is how it is written."""
    import json

    import pandas as pd

    frame = pd.read_parquet(history)
    if frame["date"].dtype.kind == "M":
        frame["date"] = frame["date"].dt.strftime("%Y-%m-%dT%H:%M:%S")
    else:
        frame["date"] = frame["date"].astype(str)
    with output.open("w") as stream:
        for item, rows in frame.groupby("item"):
            record = {
                "request_type": "iterative_forecast",
                "item_id": item,
                "historical_rows": rows.sort_values("date")[list(COLUMNS)].to_dict("records"),
                "forecast_days": 31,
            }
            stream.write(json.dumps(record, ensure_ascii=False) + "\n")


def compare(shape: Shape, size: float, rounds: int, work: Path, baseline: str | None, *, loop: bool) -> list[str]:
    """The lines of the table of one history, the first program measured against the others."""
    history = work / f"history-{shape.name}"
    shutil.rmtree(history, ignore_errors=True)
    rows = make_history(shape, size, history)
    programs: dict[str, Callable[[Path], list[str]]] = {}
    if loop:
        programs["pandas loop"] = lambda output: [
            *(sys.executable, __file__, "--pandas-loop", str(history), str(output / "lines"))
        ]
    if baseline is not None:
        of_baseline = builder_of(baseline, work)
        programs[f"build_shards of {baseline}, 1 process"] = lambda output: of_baseline(history, output, 1)
    programs["build_shards, 1 process"] = lambda output: builder(history, output, 1)
    programs["build_shards, 2 processes"] = lambda output: builder(history, output, 2)
    runs: dict[str, list[Measured]] = {name: [] for name in programs}
    written = 0
    for number in range(rounds):
        for name, command in programs.items():
            output = work / "output"
            shutil.rmtree(output, ignore_errors=True)
            output.mkdir()
            runs[name].append(measure(command(output)))
            written = sum(path.stat().st_size for path in output.glob("ml/processing/output/shards/*")) or written
            sys.stderr.write(f"{shape.name} round {number + 1} {name}: {runs[name][-1]}\n")
    title = f"{shape.name}: {max(int(shape.items * size), 1):,} items, {rows:,} rows, {written / 1e6:,.0f} MB of JSONL"
    return _table_lines(title, runs, written)


def _table_lines(title: str, runs: dict[str, list[Measured]], written: int) -> list[str]:
    columns = ("program", "wall s", "MB/s", "x wall", "processor s", "x processor", "peak MB", "load")
    lines = [title, "", f"| {' | '.join(columns)} |", "|---|" + "---:|" * (len(columns) - 1)]
    slow = next(iter(runs.values()))
    for name, of_name in runs.items():
        wall, cpu = median(of_name, "wall"), median(of_name, "cpu")
        peak = max(run.peak for run in of_name) / 1e6
        times = [
            statistics.median(
                getattr(one, column) / getattr(run, column) for one, run in zip(slow, of_name, strict=True)
            )
            for column in ("wall", "cpu")
        ]
        ratios = f"{wall:.1f} | {written / wall / 1e6:.0f} | {times[0]:.2f} | {cpu:.1f} | {times[1]:.2f}"
        lines.append(f"| {name} | {ratios} | {peak:,.0f} | {median(of_name, 'load'):.1f} |")
    return [*lines, ""]


def main() -> None:
    """Measure and print, and write the table to --result."""
    parser = argparse.ArgumentParser(description="Measure build_shards against a pandas loop.")
    parser.add_argument("--work", type=Path, help="an empty directory with 6 GB to spare")
    parser.add_argument("--size", type=float, default=1.0, help="share of the full size (default 1: 2 GB of JSONL)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shape", choices=[shape.name for shape in SHAPES], help="only one of the histories")
    parser.add_argument("--without-loop", action="store_true", help="leave out the pandas loop, which takes longest")
    parser.add_argument("--baseline", metavar="COMMIT", help="measure the step of this commit too, in the same rounds")
    parser.add_argument("--result", type=Path, help="a Markdown file for the table")
    parser.add_argument("--pandas-loop", type=Path, nargs=2, metavar=("HISTORY", "OUTPUT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.pandas_loop:
        run_pandas_loop(*options.pandas_loop)
        return
    if options.work is None:
        parser.error("--work is required")
    loop = not options.without_loop
    lines = [f"# build_shards against {'a pandas loop' if loop else 'an earlier commit'}", ""]
    for shape in [shape for shape in SHAPES if options.shape in (None, shape.name)]:
        lines += compare(shape, options.size, options.rounds, options.work.resolve(), options.baseline, loop=loop)
    rounds = f"medians of {options.rounds} rounds, of their ratios too"
    print_results(lines, rounds, options.result)


if __name__ == "__main__":
    main()
