"""The commands of the account, on a workspace: deploy, start, status, list, logs, wait, stop, rerun; the same code."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import bakery_run
import pytest
from command import ITEMS, ROOT, RUN_DATE, Ended, command_line
from tuning_document import write_tuning_document

from batchcast.session.session import WorkspaceSession

CONTRACT = ROOT / "examples" / "bakery" / "model.toml"
HERE = ("--workspace", "workspace")
Command = Callable[..., Ended]


def declare_model(workspace: Path, *refused: str) -> None:
    """A model that answers 400 to the refused item."""
    server = shlex.join([sys.executable, str(ROOT / "tests" / "end_to_end" / "last_week_model.py")])
    command = " ".join([server, "{port}", *refused])
    (workspace / "models.toml").write_text(f"[demand-model]\ncommand = {json.dumps(command)}\n")


def declare_hanging_model(workspace: Path, started: Path) -> None:
    """A model that never answers for one item; each of its processes leaves a file in `started`."""
    server = shlex.join([sys.executable, str(ROOT / "tests" / "end_to_end" / "hanging_model.py")])
    command = f"{server} {{port}} {bakery_run.ITEMS[0]} {shlex.quote(str(started))}"
    (workspace / "models.toml").write_text(f"[demand-model]\ncommand = {json.dumps(command)}\n")


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the pipeline: deployed once, copied for every test. Deploying again changes nothing."""
    folder = tmp_path_factory.mktemp("deployed")
    defaults = {
        "HistoryUri": "s3://history/",
        "RunsUri": "s3://batchcast/runs",
        "PublishUri": "s3://batchcast/published",
        "ModelName": "demand-model",
        "RunDate": RUN_DATE.isoformat(),
        "TransformInstanceCount": "2",
        "MaxConcurrentTransforms": "2",
    }
    given = [text for name, value in defaults.items() for text in ("-p", f"{name}={value}")]
    command = command_line("deploy", *HERE, "--contract", str(CONTRACT), *given)
    first, second = (
        subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=True) for _ in range(2)
    )
    assert first.stdout == "Pipeline batchcast in local: created, version 1.\nObjects: 2 written, 0 there already.\n"
    assert second.stdout.startswith("Pipeline batchcast in local: is as it should be; nothing changed.")
    return folder / "workspace"


@pytest.fixture
def workspace(deployed: Path, tmp_path: Path, history: Path) -> Path:
    """A copy with a history and a model."""
    copy = shutil.copytree(deployed, tmp_path / "workspace")
    (copy / "s3" / "history").symlink_to(history)
    declare_model(copy)
    return copy


def test_start_and_every_look_at_the_run(run_pipeline: Command, workspace: Path) -> None:
    started = run_pipeline("start", *HERE, "--json", "-p", "RunLabel=2019-03-30")
    assert started.exit_code == 0, started.stderr
    run_id = started.document["run_id"]
    assert started.document["counts"]["ok"] == ITEMS

    status = run_pipeline("status", *HERE, run_id, "--json")
    assert status.exit_code == 0
    assert status.document["outcome"] == "COMPLETE"
    assert status.document["progress"]["shards_done"] == status.document["progress"]["shards_total"]
    assert status.document["progress"]["records_done"] == ITEMS
    waited = run_pipeline("wait", *HERE, "--json")
    assert waited.document["published"] == started.document["published"]
    (listed,) = run_pipeline("list", *HERE, "--json").document
    assert (listed["run_id"], listed["status"], listed["label"]) == (run_id, "Succeeded", "2019-03-30")
    logs = run_pipeline("logs", *HERE, "--step", "Transform").stdout
    assert "data-log" in logs
    assert "MaxConcurrentTransforms=2, MaxPayloadInMB=6, BatchStrategy=SINGLE_RECORD" in logs


def test_a_start_takes_what_was_measured_on_this_machine(run_pipeline: Command, workspace: Path) -> None:
    path = write_tuning_document(workspace / "tuning.json", instance_type="local", where="local")
    guarded = ("--budget", "100", "--items", str(ITEMS), "--price-per-hour", "0.922")
    started = run_pipeline("start", *HERE, "--json", "--tuning", str(path), *guarded)
    assert started.exit_code == 0, started.stderr
    logs = run_pipeline("logs", *HERE, "--step", "Transform").stdout
    assert "MaxConcurrentTransforms=5, MaxPayloadInMB=7" in logs


def test_what_was_measured_of_another_model_or_type_starts_nothing(run_pipeline: Command, workspace: Path) -> None:
    WorkspaceSession(workspace).client("sagemaker").create_model(
        ModelName="demand-model",
        ExecutionRoleArn="arn:aws:iam::000000000000:role/demand-model",
        PrimaryContainer={"Image": "registry.example/demand@sha256:aa"},
    )
    path = write_tuning_document(workspace / "tuning.json", instance_type="ml.c5.4xlarge", image="sha256:bb")
    refused = run_pipeline("start", *HERE, "--tuning", str(path))
    assert refused.exit_code == 2
    assert "it was measured on ml.c5.4xlarge, the run has ml.m5.4xlarge" in refused.stderr
    assert "it was measured with image sha256:bb, the model has sha256:aa" in refused.stderr
    assert run_pipeline("list", *HERE, "--json").document == []


def test_a_budget_in_a_workspace_asks_for_a_price(run_pipeline: Command, workspace: Path) -> None:
    workload = ("start", *HERE, "--items", "100000", "--seconds", "30", "--budget", "1")
    refused, too_dear = run_pipeline(*workload), run_pipeline(*workload, "--price-per-hour", "0.922")
    assert (refused.exit_code, too_dear.exit_code) == (2, 2)
    assert "Give --price-per-hour" in refused.stderr
    assert "the budget is 1.00 USD" in too_dear.stderr
    assert run_pipeline("list", *HERE, "--json").document == []


def test_a_failing_record_is_explained_and_rerun(run_pipeline: Command, workspace: Path) -> None:
    declare_model(workspace, bakery_run.ITEMS[0])
    held = run_pipeline("start", *HERE, "--json")
    assert held.exit_code == 5, held.stderr
    status = run_pipeline("status", *HERE)
    assert status.exit_code == 5
    assert f"HELD: 1 of {ITEMS} items have no forecast" in status.stdout.splitlines()[0]
    assert "Transform: " in status.stdout
    assert "ClientError: 400" in status.stdout
    assert "One or multiple steps failed" not in status.stdout
    declare_model(workspace)
    rerun = run_pipeline("rerun", *HERE, held.document["run_id"], "--json")
    assert rerun.exit_code == 0, rerun.stderr
    assert rerun.document["counts"]["ok"] == ITEMS


def test_another_process_looks_at_a_run_and_stops_it(run_pipeline: Command, workspace: Path, tmp_path: Path) -> None:
    declare_hanging_model(workspace, tmp_path)  # however slow the commands are, the run has not ended before them
    running = subprocess.Popen(
        command_line("start", *HERE), cwd=workspace.parent, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        found: list[dict[str, str]] = []
        deadline = time.monotonic() + 60
        while not found and time.monotonic() < deadline:
            found = run_pipeline("list", *HERE, "--json").document or []
        assert run_pipeline("stop", *HERE).stdout == f"Run {found[0]['run_id']} is being stopped.\n"
        assert running.wait(60) == 130
    finally:
        if running.poll() is None:
            running.send_signal(signal.SIGINT)
            running.wait(60)
    status = run_pipeline("status", *HERE, "--json")
    assert (status.exit_code, status.document["execution"]["status"]) == (130, "Stopped")


@contextmanager
def killed_while_it_runs(workspace: Path) -> Iterator[None]:
    """Inside, a run is going on whose model never answers an item; at the end its process is killed.

    A server that is started again after that answers.
    """
    first = workspace / "first"
    first.mkdir()
    python, tests = shlex.quote(sys.executable), shlex.quote(str(ROOT / "tests" / "end_to_end"))
    hangs = f"{python} {tests}/hanging_model.py {{port}} {bakery_run.ITEMS[0]} {shlex.quote(str(first))}"
    script = (
        f"if [ -e {shlex.quote(str(first))} ]; then exec {hangs}; fi; exec {python} {tests}/last_week_model.py {{port}}"
    )
    command = json.dumps(shlex.join(["sh", "-c", script]))
    (workspace / "models.toml").write_text(f"[demand-model]\ncommand = {command}\n")
    starter = begin("start", workspace)
    try:
        deadline = time.monotonic() + 60
        while not any(first.iterdir()):
            assert starter.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        yield
        shutil.rmtree(first)
    finally:
        starter.kill()
        starter.wait()


def begin(command: str, workspace: Path, stderr: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    arguments = command_line(command, *HERE)
    return subprocess.Popen(arguments, cwd=workspace.parent, stdout=subprocess.DEVNULL, stderr=stderr)


def test_who_waits_goes_on_with_a_run_whose_process_was_killed(workspace: Path) -> None:
    with killed_while_it_runs(workspace):
        waiting = begin("wait", workspace, stderr=subprocess.PIPE)
        assert waiting.stderr is not None
        assert b"executing" in waiting.stderr.readline() + waiting.stderr.readline()
    said = waiting.communicate(timeout=60)[1].decode()
    assert waiting.returncode == 0
    assert "The process that ran it has ended; it goes on in this one." in said


def test_a_run_whose_process_was_killed_says_how_to_go_on(workspace: Path, run_pipeline: Command) -> None:
    with killed_while_it_runs(workspace):
        assert "has ended" not in run_pipeline("status", *HERE).stdout
    assert "The process that ran it has ended: `wait " in run_pipeline("status", *HERE).stdout
    run_pipeline("stop", *HERE)
    assert run_pipeline("status", *HERE).exit_code == 130


def test_a_model_without_a_server_is_refused_before_anything_runs(run_pipeline: Command, workspace: Path) -> None:
    refused = run_pipeline("start", *HERE, "-p", "ModelName=demand-modle")
    assert refused.exit_code == 2
    assert "no server stands for 'demand-modle'. Write [demand-modle]" in refused.stderr
    assert run_pipeline("list", *HERE, "--json").stdout == "[]\n"
    assert run_pipeline("list", *HERE).stdout == "Pipeline batchcast has not run here yet.\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("start",), "there is no pipeline 'batchcast' in local"),
        (("status",), "has not run here yet. `local` runs it"),
        (("logs", "--step", "Transform"), "has not run here yet. `local` runs it"),
    ],
)
def test_a_workspace_without_a_pipeline_says_so(run_pipeline: Command, arguments: tuple[str, ...], said: str) -> None:
    ended = run_pipeline(*arguments, *HERE)
    assert ended.exit_code == 2
    assert said in ended.stderr
