"""Three items replaced among 100,000, through the whole ValidateAndPublish step, while readers read.

    python benchmarks/merge.py               # two minutes; writes benchmarks/results/merge.md
    python benchmarks/merge.py --items 5000  # a look, written nowhere

A reader asks for what the pointer names again and again meanwhile: each time it must see all items, and those that are
replaced all old or all new.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "benchmarks"), str(REPOSITORY / "tests" / "fixtures")]

from measured import machine  # noqa: E402
from sample_run import PUBLISH, SampleRun  # noqa: E402

from batchcast.runs.published import read_forecasts  # noqa: E402

RESULTS = REPOSITORY / "benchmarks" / "results" / "merge.md"
ITEMS, REPLACED = 100_000, 3
FIRST, SECOND = "runaaaaaaaaa", "runbbbbbbbbb"


def measured(folder: Path, count: int) -> str:
    """Publish all items, replace some, and what readers saw meanwhile; as Markdown."""
    names = [f"shop-{number // 400}/item-{number:06d}" for number in range(count)]
    whole = SampleRun(root=folder, run_id=FIRST, items=names, per_shard=1000)
    whole.transform()
    began = time.monotonic()
    whole.step()
    published = time.monotonic() - began
    few = SampleRun(root=folder, run_id=SECOND, items=names[:REPLACED], items_uri="s3://b/few.txt", level=20.0)
    few.transform()
    with reading(whole) as seen:
        began = time.monotonic()
        report = few.step(systemic_failure_percent=20.0)
        merged = time.monotonic() - began
    seen[seen_now(whole)] += 1
    assert report["merged"] == {"run_id": FIRST, "replaced": REPLACED, "items": count}, report["merged"]
    assert set(seen) == {(FIRST, count, 0), (SECOND, count, REPLACED)}, seen
    before, after = seen[FIRST, count, 0], seen[SECOND, count, REPLACED]
    return (
        f"# {REPLACED} items replaced among {count:,}\n\n`python benchmarks/merge.py` on {machine()}: "
        f"ValidateAndPublish of the whole run {published:.1f} s, of the run that replaces "
        f"{REPLACED} items {merged:.1f} s. A reader read {before + after} times: {before} times all {count:,} items of "
        f"the first run, {after} times all of them with the {REPLACED} replaced, never fewer and never a mix.\n"
    )


@contextmanager
def reading(run: SampleRun) -> Iterator[Counter[tuple[str, int, int]]]:
    """Read all the while; how often which run, number of items and number of replaced items was seen."""
    seen: Counter[tuple[str, int, int]] = Counter()
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            seen[seen_now(run)] += 1

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield seen
    finally:
        over.set()
        reader.join()


def seen_now(run: SampleRun) -> tuple[str, int, int]:
    """The run that readers see, how many items it has, and how many of these a merge has replaced."""
    frame = read_forecasts(PUBLISH, store=run.store)
    first = frame[frame["step"] == 1]
    assert len(frame) == run.days * len(first)
    own = int(first["source_run_id"].isna().sum())
    return frame.attrs["run_id"], len(first), own if frame.attrs["run_id"] == SECOND else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=ITEMS)
    count = parser.parse_args().items
    with tempfile.TemporaryDirectory() as folder:
        text = measured(Path(folder), count)
    sys.stdout.write(text)
    if count == ITEMS:
        others = RESULTS.read_text(encoding="utf-8").partition("\n# ")  # what benchmarks/readers.py has measured
        RESULTS.write_text(text + "".join(others[1:]), encoding="utf-8")


if __name__ == "__main__":
    main()
