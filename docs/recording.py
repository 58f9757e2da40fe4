"""A recording of `make run`, as it went: `python docs/recording.py` types it and draws docs/images/run.svg.

Each line appears when it was printed; a wait is shown for two seconds at most. Who wants no motion sees the last frame.
"""

from __future__ import annotations

import io
import re
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RECORDING = ROOT / "docs" / "images" / "run.svg"
_COMMAND = "make run"
_COLUMNS = 94
_TYPED, _LONGEST_WAIT = 1.0, 2.0
_FONTS = re.compile(r"@font-face \{.*?\}\n", flags=re.DOTALL)  # from a server: none is asked


def printed() -> list[tuple[float, str]]:
    """The seconds at which each line of `make run` was printed, no wait longer than what is shown, and the line."""
    lines, shown_at, before = [], _TYPED, time.monotonic()
    with subprocess.Popen(
        _COMMAND.split(), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        for line in running.stdout or ():
            now = time.monotonic()
            shown_at, before = shown_at + min(now - before, _LONGEST_WAIT), now
            lines.append((shown_at, line.rstrip().replace(f"{ROOT}/", "")))
    if running.returncode:
        raise SystemExit(f"`{_COMMAND}` ended with {running.returncode}.")
    return lines


def animated(lines: list[tuple[float, str]]) -> str:
    """Rich's picture of the lines, each of which appears at its second."""
    from rich.console import Console
    from rich.text import Text

    console = Console(record=True, width=_COLUMNS, file=io.StringIO(), force_terminal=True)
    appear = []
    for second, line in [(0.0, f"$ {_COMMAND}"), *lines, (lines[-1][0], "")]:
        text = Text(line, style="" if second else "bold")
        appear += [second] * len(text.wrap(console, _COLUMNS) or [""])
        console.print(text, highlight=False)
    drawn = _FONTS.sub("", console.export_svg(title="batchcast"))
    drawn = re.sub(r"terminal-\d+", "terminal", drawn).replace("Fira Code, monospace", "ui-monospace, Menlo, monospace")
    shown = ".terminal-matrix text { animation: shown 0s both }\n    @keyframes shown { from { visibility: hidden } }"
    still = "@media (prefers-reduced-motion: reduce) { .terminal-matrix text { animation: none } }"
    drawn = drawn.replace("</style>", f"    {shown}\n    {still}\n    </style>")
    return re.sub(
        r'(<text class="terminal-r\d+" x="[\d.]+" y="([\d.]+)")',
        lambda found: f'{found[1]} style="animation-delay:{appear[round((float(found[2]) - 20) / 24.4)]:.2f}s"',
        drawn,
    )


def main() -> None:
    """Type, draw and write."""
    RECORDING.write_text(animated(printed()))


if __name__ == "__main__":
    main()
