"""One program measured as a whole: its time, its processor and the memory of all its processes.

Peak memory is the anonymous memory of the whole process tree, sampled from /proc some thirty times a second.
"""

from __future__ import annotations

import math
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
SAMPLE_SECONDS = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run of one program: seconds on the clock, seconds of processor, peak bytes of the process tree.

    `load` is how many processes of the machine wanted a processor, on average over the last minute of the run; `said`
    is what the program wrote to stdout.
    """

    wall: float
    cpu: float
    peak: int
    load: float
    said: bytes = field(default=b"", repr=False)


def measure(command: Sequence[str]) -> Measured:
    """Run the command to its end. Raises CalledProcessError when it fails."""
    before = os.times()
    began = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, cwd=REPOSITORY, stdout=said)
        peak, seen = _watch_until_the_end(process)
        wall = time.perf_counter() - began
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        after = os.times()
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        # Who waits for nobody, as pyspark's daemon, hands on nobody's seconds.
        cpu = max(cpu, seen)
        said.seek(0)
        return Measured(wall=wall, cpu=cpu, peak=peak, load=os.getloadavg()[0], said=said.read())


def _watch_until_the_end(process: subprocess.Popen[bytes]) -> tuple[int, float]:
    """The peak of memory, and the seconds of processor of all processes as they were last seen."""
    peak, seen = 0, dict[int, float]()
    while True:
        tree = _tree(process.pid)
        peak = max(peak, sum(_anonymous_bytes(pid) for pid in tree))
        seen |= {pid: seconds for pid in tree if (seconds := _processor_seconds(pid))}
        try:
            process.wait(SAMPLE_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        return peak, sum(seen.values())


def _processor_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _tree(root: int) -> list[int]:
    found = [root]
    for pid in found:
        try:
            for task in Path(f"/proc/{pid}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue  # It has ended.
    return found


def _anonymous_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))


def fitted_exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The k of values that grow with the k-th power of the size, by least squares of the logarithms."""
    x, y = ([math.log(max(each, 1e-9)) for each in column] for column in (sizes, values))
    return statistics.linear_regression(x, y).slope


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table whose first column is text and all others are numbers."""
    marks = ["---", *["---:"] * (len(heads) - 1)]
    return [f"| {' | '.join(cells)} |" for cells in (heads, marks, *rows)]


def machine() -> str:
    """What it was measured on."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("pyarrow", "pandas", "numpy"))
    return f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}, {libraries}"


def tree_of(commit: str, tree: Path) -> Path:
    """A checkout of the commit in the directory `tree`, made where there is none yet."""
    if not tree.exists():
        subprocess.run(["git", "worktree", "add", "--detach", str(tree), commit], cwd=REPOSITORY, check=True)
    return tree
