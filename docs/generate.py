"""Write the reference pages from the code: `python docs/generate.py`; with `--check`, say which are not current."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

DOCS = ROOT / "docs"


def command_line() -> str:
    """Every command with its help text, as a terminal of 100 columns shows it."""
    from batchcast.cli.main import COMMANDS, root

    parts = ["# The command line\n", "Written by `make docs` from the commands themselves.\n", _help(root, None, [])]
    with click.Context(root, info_name="run_pipeline.py", show_default=True) as context:
        for name in COMMANDS:
            parts += _command(root.get_command(context, name), context, [name])
    return "\n".join(parts)


def _command(command: click.Command | None, parent: click.Context, names: list[str]) -> list[str]:
    assert command is not None
    parts = [f"\n## {' '.join(names)}\n", _help(command, parent, names)]
    if isinstance(command, click.Group):
        with click.Context(command, parent=parent, info_name=names[-1]) as context:
            for name in command.list_commands(context):
                parts += _command(command.get_command(context, name), context, [*names, name])
    return parts


def _help(command: click.Command, parent: click.Context | None, names: list[str]) -> str:
    info_name = names[-1] if names else "run_pipeline.py"
    with click.Context(
        command, parent=parent, info_name=info_name, terminal_width=100, max_content_width=100
    ) as context:
        return f"```text\n{command.get_help(context)}\n```"


_FIDELITY = """# Fidelity

Written by `make docs` from `docs/fidelity.txt`.

How the engine's behaviour stands to the service's: one row a behaviour, with the tests that hold it.

E1 to E78 are behaviours of Batch Transform, Pipelines and asynchronous inference; R rows are what the engine refuses by
name; P rows are further choices of ours. A status says what stands behind a behaviour:

- documented: AWS's documentation or its service model says so;
- observed: seen in public logs, issues or AWS's own notebooks, or inferred from them, and promised nowhere;
- our pick: nothing public was found, and the engine had to do something;
- refused: the engine says by name that it does not do this;
- not emulated: the engine has no such part.

Nothing here was checked against the service itself.

| row | behaviour | status | tests |
|---|---|---|---|"""


def fidelity() -> str:
    """The table of behaviours: E7 is tested by the functions called `test_e07_…` of its files."""
    rows = [_FIDELITY]
    for line in (DOCS / "fidelity.txt").read_text().splitlines()[1:]:
        number, status, files, title = (cell.strip() for cell in line.split("|"))
        prefix = f"test_{number[0].lower()}{int(number[1:]):02}_"
        tests = [f"`tests/engine/test_{name.strip()}.py::{prefix}…`" for name in files.split(",") if name.strip()]
        rows.append(f"| {number} | {title} | {status} | {', '.join(tests) or 'none'} |")
    return "\n".join(rows) + "\n"


_PARAMETERS = """\
# Pipeline parameters

Written by `make docs` from `pipelines/parameters.py`.

Set one with `-p Name=Value`. Integers and floats are passed as text, as StartPipelineExecution takes them; no value
may be empty. A parameter without a default must be given.

| Parameter | Type | Default | Allowed | Meaning |
|---|---|---|---|---|
"""


def parameters() -> str:
    """A row a pipeline parameter, and the rules between them, from their declaration."""
    from batchcast.pipelines.parameter_rules import rule_texts
    from batchcast.pipelines.parameters import declared_parameters

    rows = "".join(_row(one) for one in declared_parameters())
    rules = "".join(f"- {text}\n" for text in rule_texts())
    return f"{_PARAMETERS}{rows}\n## Rules between parameters\n\n{rules}"


def _row(one: Any) -> str:
    default = "required" if one.default is None else f"`{one.default}`"
    allowed = one.form if one.minimum is None else f"{one.minimum:,.15g} to {one.maximum:,.15g} {one.unit}"
    return f"| {one.name} | {one.type} | {default} | {allowed} | {one.help} |\n"


def pages() -> dict[str, Callable[[], str]]:
    """File below docs/ -> what writes it."""
    from api import api_page
    from errors import errors_page
    from licences import licences_page
    from pictures import week_svg

    reference = {
        "command-line": command_line,
        "fidelity": fidelity,
        "parameters": parameters,
        "licences": licences_page,
        "errors": errors_page,
        "python": api_page,
    }
    return {**{f"reference/{name}.md": write for name, write in reference.items()}, "images/week.svg": week_svg}


def main() -> None:
    """Write the pages, or with `--check` exit 1 when one differs from what would be written."""
    stale = []
    for name, write in pages().items():
        path, text = DOCS / name, write().rstrip() + "\n"
        if not path.exists() or path.read_text() != text:
            stale.append(name)
            if "--check" not in sys.argv:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
    if stale:
        click.echo(f"{'not current' if '--check' in sys.argv else 'written'}: {', '.join(stale)}")
    sys.exit(1 if stale and "--check" in sys.argv else 0)


if __name__ == "__main__":
    main()
