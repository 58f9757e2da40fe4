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
import shutil
import sys
from contextlib import suppress
from pathlib import Path

import pyarrow.compute as pc

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]

from made_outputs import RUN, make_run  # noqa: E402
from measured import REPOSITORY, Measured, measure, median, print_results, tree_of  # noqa: E402

FLAGS = f"""
--run-id {RUN} --run-label benchmark --round 0 --runs-uri s3://bucket/runs --publish-uri s3://bucket/published
--max-failed-records 100000000 --max-failed-percent 100 --systemic-failure-percent 100 --max-retry-records 0
--resume-from none
"""


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
    tree = REPOSITORY if baseline is None else tree_of(baseline, work / f"baseline-{baseline}")
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
    reading = median(runs[bare], "cpu")
    lines = [f"{items:,} items, {size / 1e6:,.0f} MB of outputs" + f", {bad:,} lines damaged" * bool(bad), ""]
    lines += [f"| {' | '.join(columns)} |", "|---|" + "---:|" * (len(columns) - 1)]
    for name, of_name in runs.items():
        cpu, peak = median(of_name, "cpu"), max(run.peak for run in of_name) / 1e6
        numbers = f"{median(of_name, 'wall'):.1f} | {cpu:.1f} | {cpu / reading:.2f} | {peak:,.0f}"
        lines.append(f"| {name} | {numbers} | {median(of_name, 'load'):.1f} |")
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
    print_results(lines, f"medians of {options.rounds} rounds", options.result)


if __name__ == "__main__":
    main()
