"""What it costs to recover a run: poison records among 100,000, found, isolated, and left out or resumed.

    python benchmarks/recovery.py            # 100,000 items, some minutes; writes benchmarks/results/recovery.md
    python benchmarks/recovery.py --items 5000 --quick    # a look, written nowhere

The shards come from the real `build_shards` step, the outputs are made up as the service would leave them: a shard
with a poison record has none. Then the real `validate_and_publish` runs, in a process of its own, before and after the
retry round. Measured are its seconds and peak memory, and how many records the model has to answer again. The lines of
the table are one run after another on the same shards.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY / "benchmarks"), str(REPOSITORY / "tests" / "fixtures")]

from contract_text import contract_text  # noqa: E402
from measured import machine, table  # noqa: E402

RESULTS = REPOSITORY / "benchmarks" / "results" / "recovery.md"
RUNS, PUBLISH = "s3://bucket/runs/", "s3://bucket/published"
RUN_DATE, DAYS, HISTORY_DAYS = date(2026, 11, 22), 31, 35
CONTRACT = contract_text(
    '{"item_id": $item_id, "sales": $history($sales)}',
    sales="forecast[*].daily_sales",
    answer='timestamps = "forecast[*].date"\nminimum = 0.0',
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One run of a step: wall seconds, peak memory of the process in MB, and its report."""

    seconds: float
    peak: float
    report: dict[str, Any]


class Run:
    """A run below `root/s3/bucket/runs/<run_id>`."""

    def __init__(self, root: Path, run_id: str) -> None:
        self.root, self.run_id = root, run_id
        self.folder = root / "s3" / "bucket" / "runs" / run_id

    def step(
        self, name: str, inputs: dict[str, Path], outputs: dict[str, Path], **flags: object
    ) -> tuple[float, float]:
        """Run a step with links for inputs and outputs; its seconds and its peak memory in MB."""
        container = self.root / "ml"
        shutil.rmtree(container, ignore_errors=True)
        for kind, folders in (("input", inputs), ("output", outputs)):
            (container / "processing" / kind).mkdir(parents=True)
            for folder, target in folders.items():
                target.mkdir(parents=True, exist_ok=True)
                (container / "processing" / kind / folder).symlink_to(target)
        (container / "processing" / "input" / "contract").mkdir()
        (container / "processing" / "input" / "contract" / "model.toml").write_text(CONTRACT)
        flags = {"run_id": self.run_id, "run_label": "manual", "runs_uri": RUNS, **flags}
        argv = [text for flag, value in flags.items() for text in (f"--{flag.replace('_', '-')}", str(value))]
        environ = os.environ | {"OPT_ML": str(container), "BATCHCAST_OBJECT_STORE": str(self.root / "s3")}
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "batchcast.steps", name, *argv],
            cwd=REPOSITORY,
            env=environ,
            stdout=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in (0, 5):  # 5: the run was held
            raise RuntimeError(f"{name} ended with {process.returncode}")
        return time.monotonic() - began, usage.ru_maxrss / 1024

    def build(self, resume_from: str = "none") -> float:
        """Seconds of `build_shards`."""
        outputs = {name: self.folder / place for name, place in (("shards", "input/r0"), ("manifest", "manifest"))}
        seconds, _ = self.step(
            "build_shards",
            {"history": self.root / "history"},
            {**outputs, "marker": self.folder / "output"},
            run_date=RUN_DATE,
            forecast_horizon=DAYS,
            transform_instance_count=20,
            max_concurrent_transforms=4,
            max_payload_in_mb=6,
            records_per_shard=0,
            systemic_failure_percent=20,
            items_uri="all",
            resume_from=resume_from,
        )
        return seconds

    def transform(self, number: int, poison: set[str]) -> int:
        """Leave an output for every object of the round without a poison record; the number of records sent."""
        sent = 0
        (self.folder / "output" / f"r{number}").mkdir(parents=True, exist_ok=True)
        for path in sorted((self.folder / "input" / f"r{number}").iterdir()):
            records = [json.loads(line)["body"] for line in path.read_bytes().splitlines()]
            sent += len(records)
            output = self.folder / "output" / f"r{number}" / f"{path.name}.out"
            if poison.isdisjoint(record["item_id"] for record in records):
                output.write_bytes(b"".join(answer(record) for record in records))
            else:
                output.unlink(missing_ok=True)
        return sent

    def publish(self, number: int, place: str, tolerated: int, resume_from: str = "none") -> Step:
        """`validate_and_publish` in that round, publishing below `place`."""
        report = self.folder / "report"
        seconds, peak = self.step(
            "validate_and_publish",
            {"manifest": self.folder / "manifest", "output": self.folder / "output"},
            {"report": report, "retry": self.folder / "input" / "r1"},
            round=number,
            publish_uri=f"{PUBLISH}/{place}",
            max_failed_records=tolerated,
            max_failed_percent=0.0,
            systemic_failure_percent=20.0,
            max_retry_records=100_000,
            resume_from=resume_from,
        )
        return Step(seconds=seconds, peak=peak, report=json.loads((report / "report.json").read_bytes()))


def answer(record: dict[str, Any]) -> bytes:
    """An output line: the last week again and again."""
    week = record["sales"][-7:]
    rows = [
        {"date": (RUN_DATE + timedelta(days=step + 1)).isoformat(), "daily_sales": week[step % 7]}
        for step in range(DAYS)
    ]
    return json.dumps({"SageMakerOutput": {"forecast": rows}, "item_id": record["item_id"]}).encode() + b"\n"


def write_history(folder: Path, items: int) -> None:
    """Seeded sales of `items` items, a day each from 34 days before the run date."""
    folder.mkdir(parents=True)
    chance = np.random.default_rng(1)
    level = chance.lognormal(2.5, 1, items)
    sales = np.round(level[:, None] * chance.uniform(0.5, 1.5, (items, HISTORY_DAYS)), 2)
    ids = pa.array([f"item-{number:06d}" for number in range(items)])
    last = (RUN_DATE - date(1970, 1, 1)).days
    days = pa.array(np.arange(last - HISTORY_DAYS + 1, last + 1, dtype=np.int32)).cast(pa.date32())
    table = pa.table(
        {
            "item": ids.take(pa.array(np.repeat(np.arange(items), HISTORY_DAYS))),
            "date": days.take(pa.array(np.tile(np.arange(HISTORY_DAYS), items))),
            "sales": sales.reshape(-1),
        }
    )
    pq.write_table(table, folder / "sales.parquet")


def recover(root: Path, items: int, poison: int) -> list[str]:
    """One line of the table: a run with so many poison records, whose week is published without them."""
    chance = np.random.default_rng(poison)
    bad = {f"item-{number:06d}" for number in chance.choice(items, poison, replace=False)}
    run = Run(root, "first")
    run.transform(0, bad)
    shutil.rmtree(run.folder / "input" / "r1", ignore_errors=True)
    shutil.rmtree(run.folder / "output" / "r1", ignore_errors=True)
    first = run.publish(0, f"poison-{poison}", poison)
    again, second = 0, None
    if poison:
        assert first.report["outcome"] == "RETRY", first.report["cause"]
        again = run.transform(1, bad)
        second = run.publish(1, f"poison-{poison}", poison)
    last = second or first
    assert last.report["counts"]["ok"] == items - poison, last.report["counts"]
    ledger = pq.read_table(run.folder / "report" / "ledger.parquet", columns=["item_id", "status"]).to_pylist()
    assert {row["item_id"] for row in ledger if row["status"] == "failed"} == bad
    return [
        f"{poison:,}",
        f"{first.report['shards']['missing']:,} of {first.report['shards']['expected']:,}",
        f"{again:,} ({again / items:.1%})",
        f"{first.seconds:.1f}",
        f"{second.seconds:.1f}" if second else "",
        f"{max(step.peak for step in (first, second) if step):,.0f}",
        last.report["outcome"],
    ]


def resume(root: Path, items: int, poison: int) -> list[str]:
    """The same run held by a tolerance of 0, then resumed once the model is mended: only what failed is sent."""
    held = Run(root, "first").publish(1, f"resume-{poison}", 0)
    assert held.report["outcome"] == "HELD", held.report["outcome"]
    run = Run(root, f"resumed{poison}")
    built = run.build(resume_from="first")
    sent = run.transform(0, set())
    step = run.publish(0, f"resume-{poison}", 0, resume_from="first")
    assert step.report["counts"]["ok"] == items, step.report["counts"]
    return [
        f"{poison:,}",
        f"{sent:,}",
        f"{step.report['counts']['carried']:,}",
        f"{built:.1f}",
        f"{step.seconds:.1f}",
        f"{step.peak:,.0f}",
        step.report["outcome"],
    ]


def measure(root: Path, items: int) -> str:
    """The whole page of results."""
    write_history(root / "history", items)
    run = Run(root, "first")
    built = run.build()
    recovered, resumed = [], []
    for poison in sorted({0, 1, items // 10_000, items // 1_000, items // 100}):
        recovered.append(recover(root, items, poison))
        if poison:
            resumed.append(resume(root, items, poison))
    heads = [
        "poison records",
        "shards without output",
        "records sent again",
        "s, round 0",
        "s, round 1",
        "peak MB",
        "outcome",
    ]
    more = ["poison records", "records sent", "carried over", "s, build", "s, publish", "peak MB", "outcome"]
    return "\n".join(
        [
            "# Recovery of a run",
            "",
            f"{items:,} items of {DAYS} forecast days ({machine()}); the shards took {built:.1f} s to build.",
            "Without the retry round a run with one poison record would be transformed again as a whole.",
            "",
            *table(heads, recovered),
            "",
            "The same runs held by a tolerance of 0 and resumed with the model mended:",
            "",
            *table(more, resumed),
            "",
        ]
    )


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--quick", action="store_true", help="print, and write no file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        page = measure(Path(folder), options.items)
    print(page)
    if not options.quick:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(page)


if __name__ == "__main__":
    main()
