"""What the suite found: kept as JSON, shown as tables and a plot, and held against what was found before.

Seconds depend on the machine; what is compared are ratios of programs measured side by side, and the exponents with
which time and memory grow.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]

from measured import Measured, fitted_exponent, machine, table  # noqa: E402

FOLDER = HERE / "results"
Results = dict[str, dict[int, list[Measured]]]
"""Program to size to its runs."""
Document = Mapping[str, Any]
CPU_TOLERANCE, MEMORY_TOLERANCE, EXPONENT_TOLERANCE = 1.5, 1.3, 0.15
"""By how much a ratio of CPU or memory may exceed the committed one, and what may be added to an exponent."""
KINDS = {"cpu": "CPU", "peak": "memory"}
NOTE = f"""`make bench` writes this; `make bench-check` fails where what it measures is worse: a ratio of CPU more than
{CPU_TOLERANCE} times the one here, one of memory more than {MEMORY_TOLERANCE} times, or an exponent higher by more than
{EXPONENT_TOLERANCE}.

Seconds are those of processor and megabytes the peak of anonymous memory, both of the whole process tree. Programs of a
table were measured one after the other. An exponent k says that a column grows with the k-th power of the size; where
the work is little the start-up counts, and k is low. The floor is, for the builder, every column decoded and written
once as text; for the validator `orjson.loads` of every line; end to end, the former over the history.
A blank was not measured.
"""


def document_of(found: Mapping[str, Results], units: Mapping[str, str]) -> dict[str, Any]:
    """What is kept."""
    areas = {
        area: {
            "unit": units[area],
            "measured": f"{date.today().isoformat()}, {machine()}",
            "programs": {
                program: {str(size): _kept(runs) for size, runs in sizes.items()} for program, sizes in programs.items()
            },
        }
        for area, programs in found.items()
    }
    return {"areas": areas}


def _kept(runs: list[Measured]) -> dict[str, Any]:
    """The least seconds and the highest peak, in MB; of a run of `local` the seconds of its steps, and beside them."""
    best = min(runs, key=lambda run: run.cpu)
    load = round(best.load, 1)
    kept: dict[str, Any] = {"cpu": round(best.cpu, 2), "wall": round(best.wall, 2), "load": load}
    kept["peak"] = round(max(run.peak for run in runs) / 1e6)
    if b'"execution"' in best.said:
        said = [json.loads(run.said)["execution"]["steps"] for run in runs]
        kept["steps"] = {step["name"]: step["seconds"] for step in said[runs.index(best)]}
        beside = [run.wall - sum(step["seconds"] for step in steps) for run, steps in zip(runs, said, strict=True)]
        kept["beside"] = round(min(beside), 2)
    return kept


def figures(document: Document) -> dict[str, tuple[float, float]]:
    """What is compared, each with the highest value that passes: less is better."""
    found = {}
    for name, area in document["areas"].items():
        programs = area["programs"]
        first, *others = programs
        pairs = [(first, other) for other in others]
        if name == "start-up":
            pairs = [(other, others[-1]) for other in (first, *others[:-1])]
        for column, kind in KINDS.items():
            slope = exponent(programs[first], column)
            if slope is not None:
                found[f"{name}: exponent of {first}'s {kind}"] = (slope, slope + EXPONENT_TOLERANCE)
            most = CPU_TOLERANCE if column == "cpu" else MEMORY_TOLERANCE
            for ours, other in pairs:
                value = ratio(programs, ours, other, column)
                if value is not None:
                    found[f"{name}: {kind} of {ours} over {other}"] = (value, value * most)
    return found


def exponent(sizes: Mapping[str, Mapping[str, float]], column: str) -> float | None:
    """None for a program that ran at one size."""
    if len(sizes) < 2:
        return None
    return fitted_exponent([float(size) for size in sizes], [each[column] for each in sizes.values()])


def ratio(programs: Mapping[str, Any], ours: str, other: str, column: str) -> float | None:
    """At the largest size that both ran at; None where the other takes too little to be measured."""
    size = max(programs[ours].keys() & programs[other].keys(), key=int)
    least = {"cpu": 0.1, "peak": 10}[column]
    value, against = (float(programs[each][size][column]) for each in (ours, other))
    return value / against if against >= least else None


def read_results(size: str) -> Document:
    """What is committed."""
    document: Document = json.loads((FOLDER / f"suite-{size}.json").read_text())
    return document


def check(found: Mapping[str, Results], committed: Document) -> int:
    """Say what became worse than is tolerated; the exit code."""
    units = dict.fromkeys(found, "")
    now, before = figures(document_of(found, units)), figures(committed)
    missing = [name for name in before if name.split(":")[0] in found and name not in now]
    worse = {name: value for name, (value, _) in now.items() if name in before and value > before[name][1]}
    for name, (value, _) in now.items():
        if name in before:
            mark = "WORSE" if name in worse else "ok"
            sys.stdout.write(
                f"{mark:5} {name}: {value:.2f}, was {before[name][0]:.2f}, at most {before[name][1]:.2f}\n"
            )
    for name in missing:
        sys.stdout.write(f"GONE  {name}\n")
    return 1 if worse or missing else 0


def write_results(found: Mapping[str, Results], units: Mapping[str, str], size: str) -> None:
    """In place of what was found of these areas before."""
    path = FOLDER / f"suite-{size}.json"
    before = read_results(size)["areas"] if path.exists() else {}
    merged = {**before, **document_of(found, units)["areas"]}
    document = {"areas": {name: merged[name] for name in units if name in merged}}
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    if size == "full":
        show(document)


def show(document: Document) -> None:
    """Write the page and the plot."""
    from suite_plot import draw

    (FOLDER / "suite.md").write_text(page(document), encoding="utf-8")
    draw(document, FOLDER / "suite.svg")


def page(document: Document) -> str:
    """Every area as a table."""
    lines = ["# What it costs, by size", "", *NOTE.splitlines(), "", "![the same as curves](suite.svg)", ""]
    for name, area in document["areas"].items():
        lines += [f"## {name}", "", *_area_table(area), "", *_steps(area), _conditions(area), ""]
    return "\n".join(lines).rstrip() + "\n"


def _conditions(area: Mapping[str, Any]) -> str:
    loads = [kept["load"] for sizes in area["programs"].values() for kept in sizes.values()]
    return f"{area['measured']}; {min(loads):.0f} to {max(loads):.0f} processes wanted a processor."


def _area_table(area: Mapping[str, Any]) -> list[str]:
    programs = area["programs"]
    sizes = sorted({int(size) for of_program in programs.values() for size in of_program})
    heads = [area["unit"], *(f"{size:,}" for size in sizes), "k of CPU", "k of memory"]
    rows = []
    for program, of_program in programs.items():
        slopes = [exponent(of_program, column) for column in KINDS]
        cells = [_cell(of_program.get(str(size))) for size in sizes]
        rows.append([program, *cells, *("" if slope is None else f"{slope:.2f}" for slope in slopes)])
    return table(heads, rows)


def _cell(kept: Mapping[str, Any] | None) -> str:
    return "" if kept is None else f"{kept['cpu']:.{1 if kept['cpu'] >= 1 else 2}f} s, {kept['peak']:,} MB"


def _steps(area: Mapping[str, Any]) -> Iterator[str]:
    """A line a run of `local`: what share of the time on the clock each step has."""
    for program, sizes in area["programs"].items():
        for size, kept in sizes.items():
            if "steps" in kept:
                whole = kept["wall"]
                shares = [f"{step} {took / whole:.0%}" for step, took in kept["steps"].items() if took > 0.1]
                yield (
                    f"{program}, {int(size):,}: {whole:.1f} s on the clock; {', '.join(shares)}; "
                    f"beside its steps {kept['beside']:.2f} s."
                )
                yield ""


def sentences(document: Document) -> list[str]:
    """What README says of it, word by word."""
    areas = document["areas"]
    whole = areas["end-to-end"]["programs"]["local"]["1000000"]
    many, valid = (areas[name]["programs"] for name in ("build-many", "validate"))
    loop = 1 / (ratio(many, "build_shards", "pandas", "cpu") or 1)
    grows = [
        exponent(programs[name], "cpu") or 0
        for programs, name in ((many, "build_shards"), (valid, "validate_and_publish"))
    ]
    return [
        f"1,000,000 items through all steps, with a model that takes no time: {whole['cpu']:.0f} s of processor and "
        f"{whole['peak'] / 1000:.2f} GB.",
        f"Shards of many short series take {loop:.0f} times less CPU than a `groupby` and `json.dumps` loop.",
        f"CPU grows with the power {grows[0]:.2f} of the items in BuildShards, {grows[1]:.2f} in ValidateAndPublish.",
    ]
