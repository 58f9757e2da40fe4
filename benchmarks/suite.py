"""What every part costs by the size of its work, beside pandas, polars, duckdb and the floor, all measured in one run.

    make bench                # writes results/suite-full.json, suite.md and suite.svg; 5 GB of disk and half an hour
    make bench SIZE=small     # the same areas within minutes: results/suite-small.json
    make bench-check          # measures, writes nothing, and fails where a ratio or an exponent is worse than committed
    python benchmarks/suite.py --area build-wide --area validate --rounds 3
    python benchmarks/suite.py --area build-long --baseline COMMIT    # beside the step of another commit

Programs of an area run one after the other, round after round, because the machine may be busy; of several rounds the
least processor time counts, and the highest peak of memory. Seconds of processor are those of the whole process tree.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "tests" / "fixtures")]

from build_shards import LONG, MANY, SHORT, WIDE, Shape, builder, make_history  # noqa: E402
from end_to_end import local, make_inputs  # noqa: E402
from made_outputs import make_run, validator  # noqa: E402
from measured import Measured, measure, tree_of  # noqa: E402
from suite_results import Results, check, document_of, page, read_results, write_results  # noqa: E402

PYTHON, PIPELINE = sys.executable, str(HERE.parent / "run_pipeline.py")
Command = Callable[[Path, Path], list[str]]
"""From what was made for a size, and an empty folder, the command to run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """Programs that do the same work, ours first; `most` is the largest size of those that would take too long."""

    unit: str
    full: Sequence[int]
    small: Sequence[int]
    make: Callable[[int, Path], object]
    programs: Mapping[str, Command]
    most: Mapping[str, int]


def rival(function: str, below: str = "") -> Command:
    """One of jobs/rivals.py, in its own environment."""
    python, script = HERE / ".venv/bin/python", HERE / "jobs/rivals.py"
    return lambda made, output: [str(python), str(script), function, str(made / below), str(output / "written")]


def build(shape: Shape, full: Sequence[int], small: Sequence[int], **most: int) -> Area:
    """BuildShards over histories of one shape."""
    rivals = {name: rival(f"build_with_{name}") for name in ("polars", "duckdb", "pandas")}
    programs: dict[str, Command] = {"build_shards": builder, **rivals, "floor": rival("build_floor")}
    return Area(
        unit="items",
        full=full,
        small=small,
        make=lambda items, folder: make_history(shape, items, folder),
        programs=programs,
        most=most,
    )


def validate(bad: int) -> Area:
    """ValidateAndPublish over the answers of a run, of which so many in a thousand are damaged."""
    outputs = "processing/input/output/r0"
    rivals = {name: rival(f"read_with_{name}", outputs) for name in ("polars", "duckdb", "pandas") if not bad}
    programs: dict[str, Command] = {"validate_and_publish": validator, **rivals, "floor": rival("read_bare", outputs)}
    return Area(
        unit="items",
        full=(50_000, 100_000) if bad else (100_000, 300_000, 1_000_000),
        small=(10_000, 40_000),
        make=lambda items, folder: make_run(items, folder, items * bad // 1000),
        programs=programs,
        most={"pandas": 100_000},
    )


def named(items: int, folder: Path) -> None:
    """For programs whose size is an argument."""
    folder.mkdir(parents=True)
    (folder / "size").write_text(str(items))


def with_size(*command: str) -> Command:
    """The command, with the size where it says SIZE and the empty folder where it says OUTPUT."""

    def made(folder: Path, output: Path) -> list[str]:
        known = {"SIZE": (folder / "size").read_text(), "OUTPUT": str(output)}
        return [known.get(word, word) for word in command]

    return made


SPARK = str(HERE.parent / "conformance/spark/.venv/bin/python")
TRANSFORM = str(HERE / "transform.py")
MOST = {"pandas": 20_000, "duckdb": 100_000, "polars": 300_000, "floor": 300_000}
AREAS: Mapping[str, Area] = {
    "build-long": build(LONG, (30, 60, 120, 240), (15, 60), pandas=60, duckdb=120),
    "build-short": build(SHORT, (5_000, 10_000, 20_000, 40_000), (5_000, 20_000), pandas=5_000),
    "build-wide": build(WIDE, (2_500, 5_000, 10_000, 20_000), (1_000, 4_000), pandas=2_500, duckdb=5_000),
    "build-many": build(MANY, (20_000, 100_000, 300_000, 1_000_000), (5_000, 30_000), **MOST),
    "build-on-spark": Area(
        unit="items",
        full=(2_000,),
        small=(60,),
        make=lambda items, folder: make_history(LONG, items, folder),
        programs={
            "on Spark": lambda made, output: builder(made, output, 2, python=SPARK, engine="spark"),
            "processes": lambda made, output: builder(made, output, 2, python=SPARK),
        },
        most={},
    ),
    "validate": validate(0),
    "validate-damaged": validate(10),
    "validate-many": Area(
        unit="items of 7 days",
        full=(1_000_000, 4_000_000),
        small=(20_000, 80_000),
        make=lambda items, folder: make_run(items, folder, days=7),
        programs={
            "with 2 processors": lambda made, output: validator(made, output, processors=2),
            "with 1 processor": validator,
        },
        most={},
    ),
    "engine": Area(
        unit="records of 1 kB",
        full=(12_500, 25_000, 50_000, 100_000),
        small=(10_000, 40_000),
        make=named,
        programs={
            "transform job": with_size(PYTHON, TRANSFORM, "--job", "SIZE"),
            "http.client": with_size(PYTHON, TRANSFORM, "--bare", "SIZE"),
        },
        most={},
    ),
    "end-to-end": Area(
        unit="items",
        full=(100_000, 300_000, 1_000_000),
        small=(20_000, 80_000),
        make=make_inputs,
        programs={"local": local, "floor": rival("build_floor", "history")},
        most={},
    ),
    "plan": Area(
        unit="records",
        full=(100_000, 1_000_000, 10_000_000),
        small=(100_000, 10_000_000),
        make=named,
        programs={
            "plan": with_size(PYTHON, PIPELINE, "plan", "--items", "SIZE", "--seconds", "3"),
            "import pyarrow": with_size(PYTHON, "-c", "import pyarrow"),
        },
        most={},
    ),
    "start-up": Area(
        unit="times",
        full=(1,),
        small=(1,),
        make=named,
        programs={
            "local, the bakery": with_size(PYTHON, PIPELINE, "local", "--json", "--workspace", "OUTPUT"),
            "--help": with_size(PYTHON, PIPELINE, "--help"),
            "import batchcast": with_size(PYTHON, "-c", "import batchcast"),
            "import pyarrow": with_size(PYTHON, "-c", "import pyarrow"),
        },
        most={},
    ),
}


def measured(area: Area, sizes: Sequence[int], rounds: int, work: Path, name: str) -> Results:
    """Every program at every size that it is run at."""
    found: Results = {program: {} for program in area.programs}
    for size in sizes:
        with tempfile.TemporaryDirectory(dir=work) as folder:
            made = Path(folder) / "made"
            area.make(size, made)
            for _ in range(rounds):
                for program, command in area.programs.items():
                    if size <= area.most.get(program, size):
                        run = once(command, made, Path(folder))
                        sys.stderr.write(f"{name} {size:,} {area.unit}, {program}: {run}\n")
                        found[program].setdefault(size, []).append(run)
    return found


def once(command: Command, made: Path, folder: Path) -> Measured:
    """One run in an empty folder, which is removed."""
    with tempfile.TemporaryDirectory(dir=folder) as output:
        return measure(command(made, Path(output)))


def of_commit(area: Area, commit: str, work: Path) -> Area:
    """The area with the same program of another commit in its rivals' place."""
    ours, command = next(iter(area.programs.items()))
    tree = tree_of(commit, work / f"baseline-{commit}")
    other: Command = lambda made, output: ["env", "-C", str(tree), *command(made, output)]  # noqa: E731
    return Area(
        unit=area.unit,
        full=area.full,
        small=area.small,
        make=area.make,
        programs={ours: command, f"{ours} of {commit}": other},
        most={},
    )


def main() -> None:
    """Measure, and write or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=["small", "full"], default="full")
    parser.add_argument("--area", choices=AREAS, action="append", help="only these; what was found of the others stays")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--work", type=Path, help="a directory with 6 GB to spare")
    parser.add_argument("--baseline", metavar="COMMIT", help="beside that commit instead of the rivals")
    parser.add_argument("--check", action="store_true", help="hold what is measured against what is committed")
    options = parser.parse_args()
    found: dict[str, Results] = {}
    with tempfile.TemporaryDirectory(dir=options.work) as work:
        for name in options.area or AREAS:
            area = AREAS[name] if options.baseline is None else of_commit(AREAS[name], options.baseline, Path(work))
            found[name] = measured(area, getattr(area, options.size), options.rounds, Path(work), name)
    units = {name: area.unit for name, area in AREAS.items()}
    if options.check:
        sys.exit(check(found, read_results(options.size)))
    if options.baseline is None:
        write_results(found, units, options.size)
    sys.stdout.write(page(document_of(found, units)))


if __name__ == "__main__":
    main()
