"""A process that is killed in the middle of an execution: nothing survives it, and another process goes on."""

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
from local_pipeline import ended, local, processing, start, statuses, steps_of, store_of

TESTS = Path(__file__).parents[1] / "fixtures"

PROGRAM = """
import sys, time
from pathlib import Path
from local_pipeline import local, processing, start, transform

workspace = Path(sys.argv[1])
client = local(workspace)
count = "import os; open(os.environ['COUNT'], 'a').write('x')"
print(start(
    client,
    processing("Build", count, environment={"COUNT": str(workspace / "builds")}),
    transform("Transform", "s3://b/in/", "s3://b/out", DependsOn=["Build"]),
    processing("Validate", "pass", DependsOn=["Transform"]),
), flush=True)
time.sleep(60)
"""
SLEEPER = """
import sys, time
from pathlib import Path
from local_pipeline import local, processing, start

print(start(local(Path(sys.argv[1])), processing("A", sys.argv[2])), flush=True)
time.sleep(60)
"""


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def in_another_process(program: str, *arguments: str) -> tuple[subprocess.Popen[str], str]:
    """The process, and the ARN of the execution it has started."""
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parents[1])])},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        return process, process.stdout.readline().strip()


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def is_alive(pid: int) -> bool:
    return fields(Path(f"/proc/{pid}"))[:1] not in ([], ["Z"])


def descendants(pid: int) -> list[int]:
    """The processes below `pid`."""
    parents = {int(path.name): int(fields(path)[1]) for path in Path("/proc").glob("[0-9]*") if fields(path)}
    below = [child for child, parent in parents.items() if parent == pid]
    return below + [each for child in below for each in descendants(child)]


def fields(path: Path) -> list[str]:
    """What /proc tells of a process after its name: state, parent, …; empty when it is gone."""
    try:
        return (path / "stat").read_text().rsplit(")", 1)[1].split()
    except FileNotFoundError:
        return []


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except FileNotFoundError:
        return ""


def records(workspace: Path, *seconds: float) -> None:
    for number, each in enumerate(seconds):
        body = json.dumps({"id": number, "seconds": each}) + "\n"
        store_of(workspace).write(f"s3://b/in/part-{number}.jsonl", body.encode())


def test_another_process_goes_on_where_a_killed_one_stopped(tmp_path: Path) -> None:
    records(tmp_path, 0, 0, 30)
    process, arn = in_another_process(PROGRAM, str(tmp_path))
    store = store_of(tmp_path)
    until(lambda: store.exists("s3://b/out/part-1.jsonl.out"))
    kill(process)
    first = store.path("s3://b/out/part-0.jsonl.out").stat()
    store.write("s3://b/in/part-2.jsonl", b'{"id": 2}\n')

    client = local(tmp_path)
    assert client.describe_pipeline_execution(PipelineExecutionArn=arn)["PipelineExecutionStatus"] == "Executing"
    job = steps_of(client, arn)["Transform"]["Metadata"]["TransformJob"]["Arn"]
    assert client.interrupted() == [arn]
    assert client.resume_interrupted() == [arn]
    assert ended(client, arn)["PipelineExecutionStatus"] == "Succeeded"

    steps = steps_of(client, arn)
    assert statuses(steps) == dict.fromkeys(("Build", "Transform", "Validate"), "Succeeded")
    assert steps["Transform"]["Metadata"]["TransformJob"]["Arn"] == job
    assert (tmp_path / "builds").read_text() == "x"
    assert store.path("s3://b/out/part-0.jsonl.out").stat().st_mtime_ns == first.st_mtime_ns
    assert store.exists("s3://b/out/part-2.jsonl.out")
    assert client.interrupted() == []


def test_a_killed_process_leaves_no_model_server_behind(tmp_path: Path) -> None:
    records(tmp_path, 0, 30)
    process, _ = in_another_process(PROGRAM, str(tmp_path))
    until(lambda: store_of(tmp_path).exists("s3://b/out/part-0.jsonl.out"))
    started = descendants(process.pid)
    assert any("tiny_model" in command(pid) for pid in started)
    kill(process)
    until(lambda: not any(is_alive(pid) for pid in started), seconds=2)


def test_a_killed_process_leaves_no_step_nor_what_it_started_behind(tmp_path: Path) -> None:
    code = "import subprocess; subprocess.run(['sleep', '60'])"
    process, _ = in_another_process(SLEEPER, str(tmp_path), code)
    until(lambda: any(command(pid).startswith("sleep") for pid in descendants(process.pid)))
    started = descendants(process.pid)
    kill(process)
    until(lambda: not any(is_alive(pid) for pid in started), seconds=2)


def test_a_step_of_a_killed_process_is_done_again_from_its_beginning(tmp_path: Path) -> None:
    code = "import os, time; os.mkdir(os.environ['OPT_ML'] + '/scratch'); time.sleep(30 * os.path.exists('SLOW'))"
    code = code.replace("SLOW", str(tmp_path / "slow"))
    (tmp_path / "slow").touch()
    process, arn = in_another_process(SLEEPER, str(tmp_path), code)
    until(lambda: any(tmp_path.glob("jobs/*/algo-1/scratch")))
    kill(process)
    (tmp_path / "slow").unlink()
    client = local(tmp_path)
    client.resume_interrupted()
    assert ended(client, arn)["PipelineExecutionStatus"] == "Succeeded"
    assert steps_of(client, arn)["A"]["AttemptCount"] == 1


def test_a_running_execution_is_not_taken_for_an_interrupted_one(tmp_path: Path) -> None:
    client = local(tmp_path)
    arn = start(client, processing("A", "import time; time.sleep(0.5)"))
    assert local(tmp_path).interrupted() == []
    assert local(tmp_path).resume_interrupted([arn]) == []
    assert ended(client, arn)["PipelineExecutionStatus"] == "Succeeded"


@pytest.mark.parametrize("resumed", [True, False])
def test_an_interrupted_execution_can_be_stopped(tmp_path: Path, resumed: bool) -> None:
    process, arn = in_another_process(SLEEPER, str(tmp_path), "import time; time.sleep(30)")
    client = local(tmp_path)
    until(lambda: steps_of(client, arn).get("A", {}).get("StepStatus") == "Executing")
    kill(process)
    if resumed:
        client.resume_interrupted()
    client.stop_pipeline_execution(PipelineExecutionArn=arn)
    assert ended(client, arn)["PipelineExecutionStatus"] == "Stopped"
    assert statuses(steps_of(client, arn)) == {"A": "Stopped"}
