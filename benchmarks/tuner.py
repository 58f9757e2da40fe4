"""What `tune` loses on servers of known curves, quiet and beside other programs: five seeds each, in virtual time.

python benchmarks/tuner.py    # about a minute; writes benchmarks/results/tuner.md
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "planner")]

from virtual_server import VirtualServer  # noqa: E402

from batchcast.planner.tune.search import Limits, chosen_concurrency, fitted, measure  # noqa: E402
from benchmarks.measured import table  # noqa: E402

RESULTS = REPOSITORY / "benchmarks" / "results" / "tuner.md"
SEEDS, LEVELS, MOST = 5, (1, 2, 4, 8, 16, 32), 32
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


def tuned(curve: Callable[[int], float], busy: float, seed: int) -> tuple[float, int]:
    """The share of the best throughput that the choice loses, and the requests it took."""
    server = VirtualServer(work=curve, busy=busy, seed=seed)
    found = measure(server, 48, Limits(levels=LEVELS, cap=MOST, timeout=1e9))
    chosen = chosen_concurrency(found, fitted(found), MOST)
    return 1 - curve(chosen) / max(curve(m) for m in range(1, MOST + 1)), found.requests


def main() -> None:
    heads, rows = ["server", *(f"{name}: {what}" for name in BUSY for what in ("median", "worst", "requests"))], []
    lost: dict[str, list[float]] = {name: [] for name in BUSY}
    for name, curve in CURVES.items():
        row = [name]
        for how, busy in BUSY.items():
            regrets, requests = zip(*(tuned(curve, busy, seed) for seed in range(SEEDS)), strict=True)
            lost[how] += regrets
            row += [f"{np.median(regrets):.1%}", f"{max(regrets):.1%}", f"{max(requests):,}"]
        rows.append(row)
    said = " ".join(
        f"{how.capitalize()}: {np.mean(np.array(each) <= 0.03):.0%} of {len(each)} tunings lose 3 % or less, the mean "
        f"is {np.mean(each):.1%}."
        for how, each in lost.items()
    )
    text = "\n".join(
        [
            "<!-- benchmarks/tuner.py writes this. -->",
            "# What tune loses",
            "",
            "The share of the best throughput that the recommended concurrency loses, of five tunings each. Busy:",
            "other programs slow the server by 30 % in spells of ten seconds, which is longer than most blocks of",
            "requests; with 1,000 requests too few spells are seen. Tune on a machine that does nothing else:",
            "tuning.json says what other programs took.",
            "",
            *table(heads, rows),
            "",
            said,
            "",
        ]
    )
    sys.stdout.write(text)
    RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
