"""What `tune` loses on servers of known curves, quiet and beside other programs: 25 seeds each, in virtual time.

python benchmarks/tuner.py    # some minutes; writes benchmarks/results/tuner.md
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "planner")]

from test_tune import EIGHT  # noqa: E402
from virtual_server import VirtualServer  # noqa: E402

from batchcast.planner.tune.search import Limits, chosen_concurrency, fitted, measure  # noqa: E402
from benchmarks.measured import table  # noqa: E402

RESULTS = REPOSITORY / "benchmarks" / "results" / "tuner.md"
SEEDS, LEVELS, MOST = 25, (1, 2, 4, 8, 16, 32), 32
BUSY = {"quiet": 0.0, "busy": 0.3}


def usl(contention: float, coherence: float) -> Callable[[int], float]:
    """The universal scalability law."""
    return lambda m: m / (1 + contention * (m - 1) + coherence * m * (m - 1))


CURVES: dict[str, Callable[[int], float]] = {
    "knee at 24": lambda m: min(m, 24),
    "rises to the end": lambda m: m,
    "8 cores and 8 hyper-threads": lambda m: min(m, 8) + 0.25 * max(0, min(m, 16) - 8),
    "saturates early": lambda m: (1 - math.exp(-m / 4)) / (1 - math.exp(-1 / 4)),
    "saturates late": lambda m: (1 - math.exp(-m / 12)) / (1 - math.exp(-1 / 12)),
    "contention 2 %": usl(0.02, 0.0),
    "contention 10 %": usl(0.1, 0.0),
    "peak at 20": usl(0.02, 0.0024),
    "peak at 31": usl(0.01, 0.001),
    "square root": lambda m: m**0.5,
}


def tuned(name: str, busy: float, seed: int) -> tuple[float, int]:
    """The share of the best throughput that the choice loses, all of it where it fails, and the requests it took."""
    curve, special, usable = EIGHT[name] if name in EIGHT else (CURVES[name], {}, MOST)
    server = VirtualServer(work=curve, busy=busy, seed=seed, **special)
    found = measure(server, 48, Limits(levels=LEVELS, cap=MOST, timeout=1e9))
    chosen = chosen_concurrency(found, fitted(found), MOST)
    best = max(curve(m) for m in range(1, usable + 1))
    return (1 - curve(chosen) / best if chosen <= usable else 1.0), found.requests


def section(pool: ProcessPoolExecutor, names: Iterable[str]) -> list[str]:
    """The table of these servers, and all of it in a sentence."""
    heads, rows = ["server", *(f"{name}: {what}" for name in BUSY for what in ("within 3 %", "worst", "requests"))], []
    lost: dict[str, list[float]] = {name: [] for name in BUSY}
    for name in names:
        row = [name]
        for how, busy in BUSY.items():
            regrets, requests = zip(*pool.map(partial(tuned, name, busy), range(SEEDS)), strict=True)
            lost[how] += regrets
            row += [f"{np.mean(np.array(regrets) <= 0.03):.0%}", f"{max(regrets):.1%}", f"{max(requests):,}"]
        rows.append(row)
    said = " ".join(
        f"{how.capitalize()}: {np.mean(np.array(each) <= 0.03):.1%} of {len(each)} tunings lose 3 % or less, the mean "
        f"is {np.mean(each):.1%}, the worst {max(each):.1%}."
        for how, each in lost.items()
    )
    return [*table(heads, rows), "", said, ""]


def main() -> None:
    with ProcessPoolExecutor() as pool:
        eight, ten = section(pool, EIGHT), section(pool, CURVES)
    text = "\n".join(
        [
            "<!-- benchmarks/tuner.py writes this. -->",
            "# What tune loses",
            "",
            f"The share of the best throughput that the recommended concurrency loses, of {SEEDS} tunings each. Busy:",
            "other programs slow the server by 30 % for ten of every twenty seconds, and nobody knows when that began;",
            "tune sees what they take as /proc shows it, twice a second. It waits until they stop, up to 30 s before a",
            "block and five minutes in all, and sends again what they disturbed. A level that fails, or the last one",
            "before it, counts as a loss of all. Where other programs never stop, or are not seen, as beside an",
            "endpoint, spells cost more: before tune waited, 5 % of the eight servers' tunings and 27 % of the ten",
            "curves' lost more than 3 %.",
            "",
            "## The eight servers of the acceptance test",
            "",
            *eight,
            "## Ten more curves",
            "",
            *ten,
        ]
    )
    sys.stdout.write(text)
    RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
