"""What the local transform adds to the model's own time, and how much memory it needs.

    python benchmarks/transform.py            # some minutes; writes benchmarks/results/transform.md
    python benchmarks/transform.py --large    # the part on large records alone; the other stays as it was
    python benchmarks/transform.py --quick    # a look, written nowhere

Are the slots always busy; how many requests a second against a bare http.client loop that drops the answers; what
do filter and join cost a large record; does memory stay flat from 1,000 to 200,000 records, and for bodies of 100 MB?
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from batchcast.engine.server.model_server import ModelCommand
from batchcast.engine.transform.job import run_transform_job
from batchcast.engine.transform.plan import TransformOptions
from batchcast.session.workspace_models import started_server
from batchcast.steps.store.objects import DirectoryStore
from benchmarks.measured import machine, table

SERVER = Path(__file__).resolve().parent / "servers" / "waiting_server.py"
RESULTS = Path(__file__).resolve().parent / "results" / "transform.md"
INSTANCES, CONCURRENCY = 2, 4
SLOTS = INSTANCES * CONCURRENCY
RECORD_BYTES = 1000
ONE_INSTANCE = {"InstanceType": "ml.m5.4xlarge", "InstanceCount": 1}
JOIN = {"JoinSource": "Input", "OutputFilter": "$['id','SageMakerOutput']"}
LARGE_RECORDS, LARGE_ROUNDS = 250, 6
Measured = TypeVar("Measured")


def request(**changes: Any) -> dict[str, Any]:
    """A CreateTransformJob request over s3://b/in/, record by record."""
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/in/"}}
    return {
        "TransformJobName": "benchmark",
        "ModelName": "waiting",
        "MaxConcurrentTransforms": CONCURRENCY,
        "MaxPayloadInMB": 6,
        "BatchStrategy": "SingleRecord",
        "TransformInput": {"DataSource": source, "ContentType": "application/json", "SplitType": "Line"},
        "TransformOutput": {"S3OutputPath": "s3://b/out/", "Accept": "application/json", "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.m5.4xlarge", "InstanceCount": INSTANCES},
        **changes,
    }


def waiting_server(*options: str) -> ModelCommand:
    """The command that starts it."""
    return ModelCommand(command=" ".join([sys.executable, str(SERVER), "{port}", *options]))


def run(folder: Path, *server_options: str, **changes: Any) -> None:
    """One job over what lies under s3://b/in/ of the folder's store."""
    result = run_transform_job(
        request(**changes),
        store=DirectoryStore(folder / "s3"),
        model=waiting_server(*server_options),
        workdir=folder,
        options=TransformOptions(time_scale=0.01),
    )
    assert result.status == "Completed", result


def write_records(folder: Path, files: int, records: int) -> None:
    """`files` objects of `records` lines of 1 kB."""
    filler = "x" * (RECORD_BYTES - 40)
    for file in range(files):
        lines = (f'{{"item_id":"{file}-{line}","filler":"{filler}"}}\n' for line in range(records))
        DirectoryStore(folder / "s3").write(f"s3://b/in/part-{file:05d}.jsonl", "".join(lines).encode())


def server_times(folder: Path) -> list[tuple[float, float]]:
    """When each request of a job arrived and was answered, by the servers' clock."""
    return [(start, end) for path in folder.glob("times-*") for start, end in json.loads(path.read_text())]


def wall(times: list[tuple[float, float]]) -> float:
    """Seconds from the first request to the last answer."""
    return max(end for _, end in times) - min(start for start, _ in times)


def occupancy(folder: Path, records: int) -> float:
    """The share of time that slots have a request in service, 25 to 75 ms each."""
    write_records(folder, 8, records // 8)
    run(folder, "--low", "0.025", "--high", "0.075", "--times", str(folder / "times"))
    times = server_times(folder)
    return sum(end - start for start, end in times) / (wall(times) * SLOTS)


@dataclass(frozen=True, slots=True)
class Rate:
    """Requests a second, and what each costs this process in microseconds of CPU."""

    per_second: float
    cpu_us: float


def job_rate(folder: Path, records: int) -> Rate:
    """A job on one instance whose model needs no time."""
    write_records(folder, 8, records // 8)
    began = time.process_time()
    run(folder, "--times", str(folder / "times"), TransformResources=ONE_INSTANCE)
    spent = time.process_time() - began
    return Rate(records / wall(server_times(folder)), spent / records * 1e6)


def large_record(*, rows: bool) -> dict[str, Any]:
    """131 kB of numbers, or of rows with a date and three values."""
    chance = random.Random(1)
    if not rows:
        return {"start": "2024-01-01", "target": [chance.random() for _ in range(6500)]}
    days = (str(date(2018, 1, 1) + timedelta(day)) for day in range(2250))
    sales = [{"date": day, "sales": chance.randrange(100), "promo": 0, "price": None} for day in days]
    return {"item_id": "a", "historical_rows": sales}


def large_line(number: int, *, rows: bool) -> str:
    """A large record beside its number."""
    return f'{{"body":{json.dumps(large_record(rows=rows), separators=(",", ":"))},"id":"{number}"}}\n'


def loads_cpu(*, rows: bool) -> float:
    """Microseconds of CPU that `json.loads` of one large record takes."""
    line = large_line(0, rows=rows)
    began = time.process_time()
    for _ in range(LARGE_RECORDS):
        json.loads(line)
    return (time.process_time() - began) / LARGE_RECORDS * 1e6


def large_cpu(folder: Path, *, rows: bool, processing: dict[str, str]) -> float:
    """Microseconds of this process's CPU that a 131 kB record takes on its way through the job."""
    line = large_line(0, rows=rows)
    lines = "".join(line.replace('"id":"0"', f'"id":"{number}"') for number in range(LARGE_RECORDS))
    DirectoryStore(folder / "s3").write("s3://b/in/large.jsonl", lines.encode())
    began = time.process_time()
    run(folder, TransformResources=ONE_INSTANCE, DataProcessing=processing)
    return (time.process_time() - began) / LARGE_RECORDS * 1e6


def bare_rate(requests: int) -> Rate:
    """As many plain loops over http.client, which drop the answers; the same server, bodies as large."""
    body = b"x" * RECORD_BYTES
    with started_server(waiting_server(), {}) as server, ThreadPoolExecutor(CONCURRENCY) as threads:

        def loop(_: int) -> None:
            connection = HTTPConnection(server.host, server.port)
            for _ in range(requests // CONCURRENCY):
                connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
                connection.getresponse().read()
            connection.close()

        began, spent = time.monotonic(), time.process_time()
        list(threads.map(loop, range(CONCURRENCY)))
        wall_seconds, cpu_seconds = time.monotonic() - began, time.process_time() - spent
        return Rate(requests / wall_seconds, cpu_seconds / requests * 1e6)


def peak_of_records(folder: Path, records: int) -> float:
    """Peak memory in MB of the process that runs a job of so many records."""
    write_records(folder, 10, records // 10)
    return _in_new_process(_run_and_peak, folder, [], {})


def peak_of_large_bodies(folder: Path, objects: int) -> float:
    """Peak memory in MB of the process that sends objects of 100 MB whole, one an instance at a time."""
    for number in range(objects):
        DirectoryStore(folder / "s3").write(f"s3://b/in/{number}", b"x" * (100 << 20))
    source = {"DataSource": request()["TransformInput"]["DataSource"], "ContentType": "application/octet-stream"}
    changes = {"TransformInput": source, "MaxPayloadInMB": 100, "MaxConcurrentTransforms": 1}
    return _in_new_process(_run_and_peak, folder, ["--answer-bytes", "1000000"], changes)


def _in_new_process(work: Callable[..., float], *arguments: Any) -> float:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def _run_and_peak(folder: Path, server_options: list[str], changes: dict[str, Any]) -> float:
    run(folder, *server_options, **changes)
    # Not getrusage: a new process's ru_maxrss begins with its parent's.
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024


def in_new_folder(measure: Callable[..., Measured], *amount: int) -> Measured:
    """The measurement in an empty folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        return measure(Path(folder), *amount)


def least(measure: Callable[..., float], *arguments: Any) -> float:
    """The least of several rounds: what else runs on the machine can only add."""
    return min(measure(*arguments) for _ in range(LARGE_ROUNDS))


def measure(*, quick: bool) -> list[tuple[str, str, str]]:
    """Rows of what was measured, its value and its target."""
    shares = [in_new_folder(occupancy, 800 if quick else 8000) for _ in range(1 if quick else 2)]
    requests = 4000 if quick else 20_000
    pairs = [(in_new_folder(job_rate, requests), bare_rate(requests)) for _ in range(3 if quick else 15)]
    job, bare = ([pair[side].per_second for pair in pairs] for side in (0, 1))
    job_cpu, bare_cpu = ([pair[side].cpu_us for pair in pairs] for side in (0, 1))
    ratio = statistics.median(ours / theirs for ours, theirs in zip(job, bare, strict=True))
    cpu_ratio = statistics.median(theirs / ours for ours, theirs in zip(job_cpu, bare_cpu, strict=True))
    rows = [
        (f"busy share of {INSTANCES} x {CONCURRENCY} slots, 50 ms +- 50 %", f"{min(shares):.3f}", "0.98 or more"),
        ("requests a second, 4 in flight, no service time: the job", f"{statistics.median(job):,.0f}", ""),
        ("requests a second, 4 in flight: the bare client loop", f"{statistics.median(bare):,.0f}", ""),
        ("the job over the bare loop, pair by pair", f"{ratio:.2f}", "1.00 or more"),
        ("client CPU a request: the job", f"{statistics.median(job_cpu):.0f} us", ""),
        ("client CPU a request: the bare client loop", f"{statistics.median(bare_cpu):.0f} us", ""),
        ("CPU of the bare loop over the job's", f"{cpu_ratio:.2f}", "1.00 or more"),
    ]
    for records in (1000, 10_000 if quick else 200_000):
        peak = in_new_folder(peak_of_records, records)
        rows.append((f"peak memory, {records:,} records of 1 kB", f"{peak:.0f} MB", "flat"))
    for objects in (4, 6 if quick else 12):
        peak = in_new_folder(peak_of_large_bodies, objects)
        rows.append((f"peak memory, {objects} objects of 100 MB, two in flight", f"{peak:.0f} MB", "flat"))
    return rows


def large_rows() -> Iterator[tuple[str, str, str]]:
    """What each kind of DataProcessing adds to a large record, as rows of the table; beside it `json.loads` of it."""
    kinds = {
        "joined by id": JOIN,
        "joined whole": {"JoinSource": "Input"},
        "filtered": {"InputFilter": "$.body"},
        "filtered and joined by id": {"InputFilter": "$.body", **JOIN},
        "filtered and joined whole": {"InputFilter": "$.body", "JoinSource": "Input"},
    }
    for rows, content in ((False, "numbers"), (True, "rows of four values")):
        bare = least(partial(loads_cpu, rows=rows))
        yield f"json.loads of 131 kB of {content}", f"{bare:.0f} us", ""
        plain = least(in_new_folder, partial(large_cpu, rows=rows, processing={}))
        yield f"client CPU, a record of 131 kB of {content}", f"{plain:.0f} us", ""
        for kind, processing in kinds.items():
            taken = least(in_new_folder, partial(large_cpu, rows=rows, processing=processing))
            value = f"{taken:.0f} us, {taken / bare:.2f} x json.loads"
            yield f"client CPU, the same {kind}", value, "1,500 us or less"


def main() -> None:
    """Measure, print, and write the results unless it was a quick look."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--large", action="store_true", help="what a large record costs alone; the rest stays")
    parser.add_argument("--job", type=int, metavar="RECORDS", help="run one job of so many, and say nothing")
    parser.add_argument("--bare", type=int, metavar="RECORDS", help="send as many with http.client alone")
    options = parser.parse_args()
    if options.job or options.bare:
        in_new_folder(job_rate, options.job) if options.job else bare_rate(options.bare)
        return
    found = [] if options.large else [part("Requests and memory", measure(quick=options.quick))]
    found.append(part("Large records, the least of several rounds", large_rows()))
    print(*found, sep="\n")
    if not options.quick:
        kept = RESULTS.read_text().split("\n## ")[1:-1] if options.large else []
        RESULTS.write_text("\n".join(["# What the local transform costs\n", *(f"## {each}" for each in kept), *found]))


def part(title: str, rows: Iterable[tuple[str, str, str]]) -> str:
    """A section of the results: what was measured, and on what."""
    measured = "\n".join(table(("measured", "value", "target"), list(rows)))
    ran = f"the model servers share; the load was {os.getloadavg()[1]:.0f} at the end, with what else ran"
    return f"## {title}\n\nMade by `python benchmarks/transform.py` on {machine()}, which {ran}.\n\n{measured}\n"


if __name__ == "__main__":
    main()
