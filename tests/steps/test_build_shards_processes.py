"""Two million rows: enough for the step to use several processes, buckets and chunks."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from shard_build import DAILY_CONTRACT, Build, build, build_arguments, build_environment, write_files

from batchcast.pipelines.settings import bundle

ITEMS, DAYS = 2_000, 1_050
REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def by_one(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """The run of a single process."""
    root = tmp_path_factory.mktemp("build")
    order = np.random.default_rng(5).permutation(ITEMS * DAYS)
    table = pa.table(
        {
            "item": pa.array([f"i{n}" for n in range(ITEMS)]).take(pa.array(order // DAYS)),
            "date": pa.array((order % DAYS + 18_000).astype(np.int32)).cast(pa.date32()),
            "sales": pa.array((order % 100).astype(np.int8)),
        }
    )
    write_files(root / "processing/input/history", [table.slice(0, 1_500_000), table.slice(1_500_000)])
    return build(root, DAILY_CONTRACT, None, processes=1)


@pytest.fixture
def expected(by_one: Build, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The digests of what the single process left; the same inputs lie under `tmp_path`."""
    (tmp_path / "processing").mkdir()
    (tmp_path / "processing/input").symlink_to(by_one.root / "processing/input")
    return _digests(by_one)


def test_a_run_after_a_killed_one_is_whole_and_no_process_of_the_killed_one_goes_on(
    expected: dict[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "batchcast.steps", *build_arguments(processes=2)]
    process = subprocess.Popen(command, cwd=REPOSITORY, env=os.environ | build_environment(tmp_path))
    shards = tmp_path / "processing/output/shards"
    _until(lambda: process.poll() is not None or any(shards.glob("*")))
    children = _children(process.pid)
    assert len(children) >= 2
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "processing/output/manifest/manifest.json").exists()
    _until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in children))
    made = build(tmp_path, DAILY_CONTRACT, None, processes=1)
    assert _digests(made) == expected


def test_two_processes_from_a_zipapp_write_the_bytes_of_one(expected: dict[str, str], tmp_path: Path) -> None:
    application = tmp_path / "app.pyz"
    application.write_bytes(bundle())
    command = [sys.executable, str(application), *build_arguments(processes=2)]
    subprocess.run(command, cwd=tmp_path, env=os.environ | build_environment(tmp_path), check=True)
    assert _digests(Build(root=tmp_path, exit_code=0, message="")) == expected


def _digests(made: Build) -> dict[str, str]:
    return {name: hashlib.sha256(data).hexdigest() for name, data in made.files.items()}


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def _until(condition: object, seconds: float = 60.0) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
