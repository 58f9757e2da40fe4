"""The server's processes start together, stand in for each other and end together."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from bakery_server import Record, RunningServer, running


@pytest.fixture(scope="session")
def body(records: dict[str, Record]) -> bytes:
    """A request of one record."""
    return json.dumps(records["26/109"]).encode()


def test_a_worker_that_dies_is_replaced(body: bytes) -> None:
    with running("--workers", "1") as server, server.connect() as client:
        (worker,) = [pid for pid in server.living_processes() if pid != server.process.pid]
        os.kill(worker, signal.SIGKILL)
        failed = client.forecast(body)
        assert failed.status == 500
        assert json.loads(failed.body)["error"] == "the worker process ended with status -9 while it had this request"
        assert client.forecast(body).status == 200


@pytest.mark.parametrize(
    ("end", "status"),
    [
        pytest.param(lambda process: process.send_signal(signal.SIGTERM), 0, id="SIGTERM"),
        pytest.param(lambda process: process.send_signal(signal.SIGINT), 0, id="Ctrl-C"),
        pytest.param(lambda process: os.killpg(process.pid, signal.SIGTERM), 0, id="SIGTERM to the group"),
        pytest.param(lambda process: process.kill(), -signal.SIGKILL, id="SIGKILL"),
    ],
)
def test_the_workers_end_with_the_server(
    body: bytes, end: Callable[[subprocess.Popen[str]], None], status: int
) -> None:
    with running("--workers", "3") as server, server.connect() as client:
        assert client.forecast(body).status == 200
        assert len(server.living_processes()) == 4
        end(server.process)
        assert server.process.wait(10) == status
        deadline = time.monotonic() + 10
        while server.living_processes() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert server.living_processes() == []


def test_a_server_without_its_model_ends_and_says_so(bakery: Path, tmp_path: Path) -> None:
    ended = serve(bakery, "--model", str(tmp_path / "none.txt"))
    assert ended.returncode == 1
    assert ended.stderr.endswith("a worker process could not start\n")


def test_a_model_of_other_features_is_refused(bakery: Path, tmp_path: Path) -> None:
    other = tmp_path / "model.txt"
    other.write_text((bakery / "model.txt").read_text().replace("weekday ", "day_of_week ", 1))
    ended = serve(bakery, "--model", str(other))
    assert ended.returncode == 1
    assert "trained on other features" in ended.stderr


def test_a_port_in_use_is_named(bakery: Path, server: RunningServer) -> None:
    ended = serve(bakery, "--port", str(server.port))
    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1:{server.port}" in ended.stderr


def test_a_server_without_workers_is_refused(bakery: Path) -> None:
    ended = serve(bakery, "--workers", "0")
    assert ended.returncode == 2
    assert "--workers 0: at least 1 is needed" in ended.stderr


def serve(bakery: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """The outcome of a server that cannot start."""
    command = [sys.executable, str(bakery / "serve.py"), "--port", "0", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
