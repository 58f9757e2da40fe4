"""One program measured as a whole: its time, its processor and the memory of all its processes.

Peak memory is the anonymous memory of the whole process tree, sampled from /proc ten times a second.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
SAMPLE_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run of one program: seconds on the clock, seconds of processor, peak bytes of the process tree.

    `load` is how many processes of the machine wanted a processor, on average over the last minute of the run.
    """

    wall: float
    cpu: float
    peak: int
    load: float


def measure(command: Sequence[str]) -> Measured:
    """Run the command to its end. Raises CalledProcessError when it fails."""
    before = os.times()
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    peak = 0
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(SAMPLE_SECONDS):
            peak = max(peak, sum(_anonymous_bytes(pid) for pid in _tree(process.pid)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    wall = time.perf_counter() - began
    done.set()
    watcher.join()
    if code:
        raise subprocess.CalledProcessError(code, command)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Measured(wall=wall, cpu=cpu, peak=peak, load=os.getloadavg()[0])


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


def median(runs: Sequence[Measured], column: str) -> float:
    """Of one column of the runs."""
    return statistics.median(getattr(run, column) for run in runs)


def tree_of(commit: str, tree: Path) -> Path:
    """A checkout of the commit in the directory `tree`, made where there is none yet."""
    if not tree.exists():
        subprocess.run(["git", "worktree", "add", "--detach", str(tree), commit], cwd=REPOSITORY, check=True)
    return tree


def print_results(lines: Sequence[str], rounds: str, result: Path | None) -> None:
    """The lines, what they were measured on and in how many `rounds`; to the file too, where there is one."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("pyarrow", "pandas", "numpy"))
    machine = f"{os.cpu_count()} processors, Python {platform.python_version()}"
    text = "\n".join([*lines, f"{machine}, {libraries}; {rounds}."]) + "\n"
    sys.stdout.write(text)
    if result:
        result.parent.mkdir(parents=True, exist_ok=True)
        result.write_text(text)
