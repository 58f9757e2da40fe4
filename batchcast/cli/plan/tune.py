"""`tune`: measure how many requests in flight a model can bear, and the job settings that follow."""

import json
from pathlib import Path
from typing import Any

import click

from batchcast.cli.echo import echo
from batchcast.cli.options import FILE, PATH, SERVER_OPTION, THERE, THERE_FILE, URL_OPTION
from batchcast.cli.terminal import plain_table, stdout_console
from batchcast.pipelines.tuning import Tuning, write_tuning
from batchcast.session.session import session_options
from batchcast.steps.errors import ConfigError, Problem

_LEVELS = "1,2,4,8,16"


@click.command()
@SERVER_OPTION
@URL_OPTION
@click.option("--endpoint", metavar="NAME", help="A real-time endpoint; measure it off-peak.")
@click.option("--canary", metavar="MODEL", help="Short transform jobs of this SageMaker model, one instance each.")
@click.option("--records", type=PATH, help="JSON documents, one a line; else the bakery sample's.")
@click.option("--history", type=THERE, help="Parquet history to build records of.")
@click.option("--contract", type=THERE_FILE, help="The model.toml of it.")
@click.option("--items-per-request", metavar="A,B", help="Records a request to try.  [default: the contract's]")
@click.option("--levels", default=_LEVELS, help="Requests in flight to try, in this order.")
@click.option("--sample", type=click.IntRange(4), default=48, help="Records to measure with.")
@click.option(
    "--vary",
    multiple=True,
    metavar="NAME=A,B",
    help="Start the command with each value: of {NAME} where it has that, else of the environment variable.",
)
@click.option("--block-seconds", type=click.FloatRange(0), default=2.0, help="Least time of one of a level's blocks.")
@click.option("--instance-type", metavar="TYPE", help="What this is measured on. Needed for --endpoint and --canary.")
@click.option("--runs-uri", metavar="URI", help="Where canary jobs keep their input and output.")
@click.option("--output", type=FILE, default=Path("tuning.json"))
@click.option("--json", "as_json", is_flag=True, help="The document on stdout instead of the table.")
@session_options
def tune_command(
    output: Path, as_json: bool, levels: str, items_per_request: str | None, vary: tuple[str, ...], **given: Any
) -> None:
    """Measure the model's concurrency and write tuning.json.

    Every level gets the same records. It stops where more requests in flight bring nothing or break something,
    looks between the levels, and recommends the smallest concurrency within 3 % of the best. `plan`, `start` and
    `local` take the file with --tuning.
    """
    from batchcast.planner.tune.measure import TuneOptions
    from batchcast.planner.tune.sources import tune

    together = _levels(items_per_request, "--items-per-request", "1,8,64") if items_per_request else ()
    options = TuneOptions(levels=_levels(levels), items_per_request=together, vary=_vary(vary), **given)
    tuning = tune(options, lambda line: echo(line, err=True))
    write_tuning(tuning, output)
    if as_json:
        echo(tuning.model_dump_json(by_alias=True, indent=1))
    else:
        _print(tuning, output)


def _levels(text: str, option: str = "--levels", example: str = _LEVELS) -> tuple[int, ...]:
    words = text.split(",")
    if not all(word.strip().isdecimal() and 1 <= int(word) <= 1000 for word in words):
        raise ConfigError(Problem("levels", f"{text!r} is no list of numbers.", option, f"Write {example}."))
    return tuple(sorted({int(word) for word in words}))


def _vary(texts: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    varied = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not (name and equals and values):
            remedy = "Write OMP_NUM_THREADS=1,2 or workers=2,4."
            raise ConfigError(Problem("vary", f"{text!r} names no values.", "--vary", remedy))
        varied[name] = tuple(values.split(","))
    return varied


def _print(tuning: Tuning, output: Path) -> None:
    from batchcast.planner.tune.recommend import recommend_execution_parameters

    console = stdout_console()
    heads = ("In flight", "Records/s", "± %", "P50 s", "P99 s", "CPU %", "Memory %", "Requests", "Failed")
    table = plain_table(*heads, numbers=range(len(heads)))
    chosen = tuning.parameters.max_concurrent_transforms
    for level in tuning.levels:
        speed = (f"{level.items_per_s:.3g}", f"{100 * level.relse:.1f}", f"{level.p50_s:.3g}", f"{level.p99_s:.3g}")
        usage = ["" if value is None else f"{value:.0f}" for value in (level.cpu_pct, level.mem_pct)]
        style = "bold green" if level.m == chosen else ""
        table.add_row(str(level.m), *speed, *usage, str(level.n), str(level.errors), style=style)
    console.print(table)
    if tuning.items_per_request:
        console.print(f"With items_per_request = {tuning.items_per_request}, which belongs into model.toml.")
    console.print(f"Stopped: {tuning.stop_reason}. {tuning.requests:,} requests were sent.", highlight=False)
    if len(tuning.not_told_apart) > 1:
        same = ", ".join(map(str, tuning.not_told_apart))
        console.print(f"Not told apart within two standard errors: {same} in flight.", highlight=False)
    for line in _variant_lines(tuning):
        console.print(line, highlight=False)
    curve, theta = tuning.capacity, ", ".join(f"{value:.3g}" for value in tuning.capacity.theta)
    error = "" if curve.rmse_pct is None else f", {curve.rmse_pct:.1f} % off"
    console.print(f"Curve: {curve.kind} ({theta}){error}, measured up to {curve.max_tested}.", highlight=False)
    console.print("\n[bold]Give the job[/]")
    for name, value in tuning.parameters.model_dump(by_alias=True).items():
        console.print(f"  {name} = {value}", highlight=False)
    wanted = json.dumps(recommend_execution_parameters(tuning))
    console.print(f"The container should answer GET /execution-parameters with {wanted}")
    console.print(f"Wrote {output}.")


def _variant_lines(tuning: Tuning) -> list[str]:
    """What starting the server otherwise would bring, the fastest first."""
    if len(tuning.variants) < 2:
        return []
    given, *_ = tuning.variants
    best = max(tuning.variants, key=lambda one: one.items_per_s)
    gain = best.items_per_s / given.items_per_s
    lines = [
        f"  {_settings(one.settings)}: {one.items_per_s:.3g} records/s at {one.m} in flight"
        for one in sorted(tuning.variants, key=lambda one: -one.items_per_s)
    ]
    if best is not given and gain > 1.05:
        faster = f"{_settings(best.settings)} does {gain:.2f} times as much as {_settings(given.settings)}."
        lines.insert(0, f"[bold yellow]{faster}[/]")
    return lines


def _settings(settings: Any) -> str:
    return " ".join(f"{name}={value}" for name, value in settings.items()) or "the command as it is"
