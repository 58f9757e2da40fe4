"""Ctrl-C while the model is at work: the run is stopped, and nothing of it is left running or half done."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from command import RUN_DATE, command_line
from engine_client import EngineClient

from batchcast.steps.store.objects import DirectoryStore

RUNS = "s3://batchcast/runs"
# Of six shards the first of the first instance holds it: that one gets nothing done, the other one its three.
HANGING, SHARDS_DONE = "2/101", 3
SECONDS_TO_STOP = 2.0


def outputs(workspace: Path) -> list[str]:
    return [one.uri for one in DirectoryStore(workspace / "s3").list(RUNS) if one.uri.endswith(".out")]


def wait_for_outputs(workspace: Path, count: int, process: subprocess.Popen[bytes]) -> None:
    """Until so many objects are transformed."""
    deadline = time.monotonic() + 60
    while len(outputs(workspace)) < count:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)


def left_alive(process_ids: list[int], deadline: float) -> list[int]:
    """Those that still are when all have ended or the time is up."""
    while (alive := [each for each in process_ids if is_alive(each)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    return alive


def is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


def hanging_run(history: Path, workspace: Path, started: Path) -> list[str]:
    """The command of a run that does not end; each model server leaves its process id in `started`."""
    started.mkdir()
    server = shlex.join([sys.executable, str(Path(__file__).with_name("hanging_model.py"))])
    return command_line(
        *("local", "--json", "--workspace", str(workspace), "--history", str(history)),
        *("-p", f"RunDate={RUN_DATE}", "-p", "RecordsPerShard=2"),
        *("--model-command", f"{server} {{port}} {HANGING} {shlex.quote(str(started))}"),
    )


@pytest.mark.timed
def test_a_run_that_hangs_is_stopped_after_its_time_and_can_be_finished(history: Path, tmp_path: Path) -> None:
    workspace, started = tmp_path / "workspace", tmp_path / "started"
    command = [*hanging_run(history, workspace, started), "--stop-after", str(10 / 3600)]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    document = json.loads(ended.stdout)
    assert (ended.returncode, document["execution"]["status"]) == (130, "Stopped")
    assert "It had not ended after 0:00:10 and was stopped, as --stop-after says." in document["cause"]
    assert left_alive([int(path.name) for path in started.iterdir()], time.monotonic() + SECONDS_TO_STOP) == []
    assert document["published"] is None
    (started / "healed").touch()
    command = command_line("rerun", document["run_id"], "--json", "--workspace", str(workspace))
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert again.returncode == 0, again.stderr
    finished = json.loads(again.stdout)
    assert (finished["outcome"], finished["counts"]["ok"]) == ("COMPLETE", finished["counts"]["expected"])


@pytest.mark.timed
def test_an_interrupt_ends_the_servers_and_leaves_a_stopped_run_without_output(history: Path, tmp_path: Path) -> None:
    workspace, started = tmp_path / "workspace", tmp_path / "started"
    command = hanging_run(history, workspace, started)
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        wait_for_outputs(workspace, SHARDS_DONE, process)
        process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + SECONDS_TO_STOP
        printed, _ = process.communicate(timeout=30)
        in_time = time.monotonic() < deadline
        servers = [int(path.name) for path in started.iterdir()]
        left = left_alive(servers, deadline)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, in_time) == (130, True)
    assert (len(servers), left) == (2, [])
    assert statuses(workspace, json.loads(printed)) == {"Stopped"}
    assert outputs(workspace) == []
    assert [path for path in (workspace / "partial").rglob("*") if path.is_file()] == []


def statuses(workspace: Path, document: dict[str, Any]) -> set[str]:
    """Of the transform's job, of its step and of the execution, as the command and another process see them."""
    client = EngineClient(workspace, {})
    jobs = client.list_transform_jobs()["TransformJobSummaries"]
    executions = client.list_pipeline_executions(PipelineName="batchcast")["PipelineExecutionSummaries"]
    steps = {step["name"]: step["status"] for step in document["execution"]["steps"]}
    return {
        *(job["TransformJobStatus"] for job in jobs),
        *(execution["PipelineExecutionStatus"] for execution in executions),
        steps["Transform"],
        document["execution"]["status"],
    }
