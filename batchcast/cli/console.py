"""What a person sees: progress on stderr while a run goes on, its result on stdout."""

import shlex
import sys
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.table import Column, Table
from rich.text import Text

from batchcast.cli import terminal
from batchcast.cli.echo import echo, echo_json
from batchcast.cli.terminal import cell, plain_table, stderr_console, stdout_console
from batchcast.engine.transform.context import TransformProgress
from batchcast.runs.follow import ExecutionView, StepView
from batchcast.runs.outcome import failure_lines, flag_lines, pointer_lines, request_lines, step_lines
from batchcast.steps.publish.forecast_table import merged_words

# With fewer characters there is no room for a bar beside what it says in words.
_BAR_FROM_WIDTH = 100
_OUTCOME_STYLE = {"COMPLETE": "bold green", "COMPLETE_WITH_QUARANTINE": "bold yellow", "HELD": "bold red"}


class RunDisplay:
    """Live progress of the steps: bars on a terminal, a line now and then elsewhere.

    `progress_of` tells of a run id and a step how far it is, None for a step that counts nothing.
    """

    def __init__(self, progress_of: Callable[[str, StepView], TransformProgress | None]) -> None:
        self._progress_of = progress_of
        self._console = stderr_console()
        self._bars: Progress | None = None
        self._tasks: dict[str, Any] = {}
        self._said: dict[str, tuple[str, float, TransformProgress | None]] = {}

    def __enter__(self) -> Self:
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._bars = Progress(*_columns(self._console.width), console=self._console)
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars:
            self._bars.stop()

    def message(self, text: str) -> None:
        """A line beside the progress, as it is: no markup is read in it, and no line ended before it ends."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def show(self, execution: ExecutionView) -> None:
        for step in execution.steps:
            if step.started is not None and step.job is not None:
                counts = self._progress_of(execution.run_id, step)
                if self._bars:
                    self._draw(self._bars, step, counts)
                else:
                    self._write(step, counts)

    def _draw(self, bars: Progress, step: StepView, counts: TransformProgress | None) -> None:
        if step.name not in self._tasks:
            self._tasks[step.name] = bars.add_task(step.name, total=None, step=step, detail="")
        task = self._tasks[step.name]
        if counts and counts.records_total:
            bars.update(task, total=counts.records_total, completed=counts.records_done)
        if step.status == "Succeeded":
            total = bars.tasks[task].total or 1
            bars.update(task, total=total, completed=total)
        status = [] if step.status in ("Executing", "Succeeded") else [step.status.lower()]
        bars.update(task, step=step, detail=", ".join(status + _detail(step, counts)))

    def _write(self, step: StepView, counts: TransformProgress | None) -> None:
        status, when, last = self._said.get(step.name, ("", 0.0, None))
        now = time.monotonic()
        if step.status != status or (counts != last and now - when > terminal.PLAIN_EVERY_SECONDS):
            self._said[step.name] = (step.status, now, counts)
            seconds = "" if step.seconds is None else f" in {step.seconds:.1f} s"
            detail = ", ".join(_detail(step, counts))
            self.message(f"{step.name} {step.status.lower()}{seconds}{f': {detail}' if detail else ''}")


class _MarkColumn(SpinnerColumn):
    """Turns while the step goes on; then whether it succeeded."""

    def render(self, task: Task) -> Any:
        step: StepView = task.fields["step"]
        if step.status in ("Failed", "Stopped"):
            return Text("✗", style="red")
        return Text("✓", style="green") if step.status == "Succeeded" else super().render(task)


class _TimeColumn(ProgressColumn):
    """How long the step has taken, since long before this display where it follows a run that went on without it."""

    def render(self, task: Task) -> Text:
        step: StepView = task.fields["step"]
        return Text(str(timedelta(seconds=int(_seconds(step)))), style="yellow")


def _columns(width: int) -> list[ProgressColumn]:
    """A narrow terminal has no bar, and shows the words on more lines instead of less of them."""
    fixed, wrapped = Column(no_wrap=True), Column(no_wrap=False)
    return [
        _MarkColumn(table_column=fixed.copy()),
        TextColumn("{task.description:<18}", table_column=fixed.copy()),
        *([BarColumn(bar_width=24, table_column=fixed.copy())] if width >= _BAR_FROM_WIDTH else []),
        _TimeColumn(table_column=fixed.copy()),
        TextColumn("{task.fields[detail]}", table_column=wrapped),
    ]


def _seconds(step: StepView) -> float:
    if step.seconds is not None:
        return step.seconds
    return max(time.time() - step.started.timestamp(), 0.0) if step.started else 0.0


def _detail(step: StepView, counts: TransformProgress | None) -> list[str]:
    """What is done, how fast, and how long the rest takes at that rate once that is long enough to be worth knowing."""
    if not counts:
        return []
    words = [
        f"{_part(counts.records_done, counts.records_total)} records",
        f"{_part(counts.files_done, counts.files_total)} shards",
    ]
    elapsed = max(_seconds(step), 1e-3)
    if counts.records_done:
        words.append(f"{counts.records_done / elapsed:,.1f}/s")
    if counts.records_done and counts.records_total and step.status == "Executing":
        minutes = round((counts.records_total / counts.records_done - 1) * elapsed / 60)
        hours = f"{minutes // 60} h " if minutes >= 60 else ""
        words += [f"about {hours}{minutes % 60} min left"] if minutes else []
    return words


def _part(done: int, total: int | None) -> str:
    return f"{done:,}/{total:,}" if total else f"{done:,}"


def print_result(document: Mapping[str, Any]) -> None:
    console = stdout_console()
    outcome = document["outcome"] or document["execution"]["status"]
    words = f": {cell(document['headline'])}" if document["headline"] else ""
    words += f"; {merged_words(document['merged'])}" if document["merged"] else ""
    words += "; [bold yellow]published, and not what readers see[/]" if document["visible"] is False else ""
    console.print(
        f"\nRun [bold]{document['run_id']}[/]: [{_OUTCOME_STYLE.get(outcome, 'bold red')}]{outcome}[/]{words}",
        soft_wrap=True,
    )
    if document["cause"]:
        echo(document["cause"])
    for note in document["notes"]:
        console.print(cell(note), style="bold yellow", soft_wrap=True)
    console.print(_steps_table(document))
    for line in failure_lines(document):
        echo(line)
    if counts := document["counts"]:
        heads = ("published" if name == "ok" and document["published"] else name for name in counts)
        row = [f"{value:,}" for value in counts.values()]
        console.print(plain_table(*heads, rows=[row], numbers=range(len(row))))
    _print_records(console, document)
    for line in [*step_lines(document), *request_lines(document)]:
        echo(line)
    if score := document["score"]:
        console.print(
            f"Scored on {score['items']} items, {score['days']} steps each: "
            f"WAPE [bold]{score['wape_model']:.3f}[/] (seasonal naive {score['wape_naive']:.3f})"
        )
    forecasts = document.get("published_path") or document["published"] or "nothing published"
    echo(f"Forecasts: {_from_here(forecasts)}")
    for line in [*flag_lines(document), *pointer_lines(document)]:
        console.print(cell(line), style="bold yellow", soft_wrap=True)
    if document["report"]:
        echo(f"Report:    {_from_here(document['report'])}")


def end_with_result(
    document: Mapping[str, Any], exit_code: int, *more: str, as_json: bool, workspace: Path | None
) -> NoReturn:
    """Print the result of a run, as tables with what to type next or as JSON, and end with its exit code."""
    if as_json:
        echo_json(document)
    else:
        print_result(document)
        print_next(document, workspace, *more)
    sys.exit(exit_code)


def typed_command() -> str:
    """What the command line begins with here: the interpreter that has the dependencies, and the script."""
    program = Path(sys.argv[0])
    if program.suffix != ".py":
        return "batchcast"
    return f"{_from_here(sys.executable)} {_from_here(str(program.resolve()))}"


def print_next(document: Mapping[str, Any], workspace: Path | None, *more: str) -> None:
    """The command to type next; after a run with nothing left to do those that look at it, and `more`."""
    where = "" if workspace in (None, Path("workspace")) else f" --workspace {shlex.quote(str(workspace))}"
    usual = f"status {document['run_id']}", "published", *more
    echo("\nNext:")
    for command in [document["next"]] if document["next"] else usual:
        echo(f"  {typed_command()} {command}{where if command != '--help' else ''}")


def _from_here(path: str) -> str:
    """The path as one would type it in the current directory."""
    return path.removeprefix(f"{Path.cwd()}/")


def _steps_table(document: Mapping[str, Any]) -> Table:
    rows = [
        (step["name"], step["status"], "" if step["seconds"] is None else f"{step['seconds']:.1f}")
        for step in document["execution"]["steps"]
        if step["status"] != "Succeeded" or step["job"]  # else a condition, of which the outcome says what
    ]
    return plain_table("Step", "Status", "Seconds", rows=rows, numbers=[2])


def _print_records(console: Console, document: Mapping[str, Any]) -> None:
    rows = [("quarantined", row, "") for row in document["quarantined"]]
    rows += [("failed", row, f"{row['shard']} line {row['line'] + 1}") for row in document["failed"]]
    if not rows:
        return
    texts = [(str(row["item_id"]), what, _why(row), where) for what, row, where in rows[:20]]
    # What data and model say may have brackets, which rich would read as markup.
    console.print(plain_table("Item", "What", "Why", "Where", rows=[list(map(cell, row)) for row in texts]))
    if len(rows) > 20:
        echo(f"… and {len(rows) - 20:,} more; all are in the report.")


def _why(row: Mapping[str, Any]) -> str:
    """The reason in the ledger's words and, where a log has it, what the model answered."""
    answer = row.get("answer")
    known = answer and answer["what"] in row["detail"]
    said = f"; {answer['what']} {answer['message']}" if answer and not known else ""
    return f"{row['reason']}: {row['detail']}{said}".rstrip()
