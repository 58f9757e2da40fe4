"""A run is made of one history, one contract and one model from its first shard to its last."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from bakery_run import MODEL
from command import RUN_DATE, Ended, command_line, small_bakery, write_history
from test_interrupted_run import outputs, wait_for_outputs

from batchcast.local.run import LOCAL_DEFAULTS
from batchcast.runs.published import read_forecasts
from batchcast.steps.errors import ConfigError, ServiceError
from batchcast.steps.store.objects import DirectoryStore

Command = Callable[..., Ended]
PUBLISH = LOCAL_DEFAULTS["PublishUri"]
HANGING = "2/101"
SHARDS_DONE = 3


def begun(tmp_path: Path, history: Path) -> subprocess.Popen[bytes]:
    """A run that hangs in its transform, after half of the shards."""
    (tmp_path / "started").mkdir()
    server = shlex.join([sys.executable, str(Path(__file__).with_name("hanging_model.py"))])
    model = f"{server} {{port}} {HANGING} {shlex.quote(str(tmp_path / 'started'))}"
    command = command_line(*arguments(history), "--model-command", model)
    return subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def arguments(history: Path) -> list[str]:
    """The run, but for its model."""
    here = ("local", "--json", "--workspace", "workspace", "--history", str(history))
    return [*here, "-p", f"RunDate={RUN_DATE}", "-p", "RecordsPerShard=2"]


def thousandfold(tmp_path: Path) -> Path:
    """The same series, every value a thousand times as high."""
    table = small_bakery()
    sales = pc.multiply(table["sales"], 1000.0)
    return write_history(tmp_path / "other", table.set_column(table.column_names.index("sales"), "sales", sales))


def highest(tmp_path: Path) -> float:
    forecasts = read_forecasts(PUBLISH, store=DirectoryStore(tmp_path / "workspace" / "s3"))
    return float(pa.array(forecasts["sales"]).to_numpy().max())


def killed(tmp_path: Path, history: Path) -> str:
    """A run that was killed in its transform; its id."""
    process = begun(tmp_path, history)
    try:
        wait_for_outputs(tmp_path / "workspace", SHARDS_DONE, process)
    finally:
        process.kill()
        process.communicate()
    return outputs(tmp_path / "workspace")[0].split("/output/")[0].rsplit("/", 1)[-1]


def test_a_killed_run_started_with_other_inputs_is_another_run(
    run_pipeline: Command, history: Path, tmp_path: Path
) -> None:
    run_id = killed(tmp_path, history)
    other = run_pipeline(*arguments(thousandfold(tmp_path)), "--model-command", MODEL.command)
    assert other.exit_code == 0, other.stderr
    assert other.document["run_id"] != run_id
    assert f"Run {run_id} was interrupted and does not go on" in other.stderr
    assert "the history, the model's server or the files beside it" in other.stderr
    forecasts = read_forecasts(PUBLISH, store=DirectoryStore(tmp_path / "workspace" / "s3"))
    assert forecasts.attrs["run_id"] == other.document["run_id"]
    assert forecasts["sales"].max() > 1000


def test_a_killed_run_started_as_before_goes_on(run_pipeline: Command, history: Path, tmp_path: Path) -> None:
    first = [*arguments(history), "--model-command", MODEL.command]
    process = subprocess.Popen(command_line(*first), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        wait_for_outputs(tmp_path / "workspace", 1, process)
    finally:
        process.kill()
        process.communicate()
    run_id = outputs(tmp_path / "workspace")[0].split("/output/")[0].rsplit("/", 1)[-1]
    again = run_pipeline(*first)
    assert again.exit_code == 0, again.stderr
    assert again.document["run_id"] == run_id
    assert f"Going on with run {run_id}, which was interrupted." in again.stderr


def test_wait_does_not_go_on_with_other_inputs(run_pipeline: Command, history: Path, tmp_path: Path) -> None:
    run_id = killed(tmp_path, history)
    (history / "a.parquet").touch()
    refused = run_pipeline("wait", run_id, "--workspace", "workspace")
    assert refused.exit_code == ConfigError.exit_code
    assert "what it is made of has changed since: the history" in refused.stderr
    assert "give it up with `stop`" in refused.stderr
    assert run_pipeline("stop", run_id, "--workspace", "workspace").exit_code == 0


@pytest.mark.timed
def test_a_second_run_right_after_the_first_leaves_its_inputs_alone(history: Path, tmp_path: Path) -> None:
    other = thousandfold(tmp_path)
    (tmp_path / "faults.toml").write_text('[[fault]]\neffect = "latency"\nseconds = 4\nattempts = [1, 1]\n')
    first = subprocess.Popen(
        command_line(*arguments(history), "--model-command", MODEL.command, "--faults", "faults.toml"),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    workspace = tmp_path / "workspace"
    deadline = time.monotonic() + 60
    while not list(workspace.glob("state/executions/*.json")):
        assert first.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    ten_times = f"{MODEL.command} --other"
    second = subprocess.Popen(
        command_line(*arguments(other), "--model-command", ten_times),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    _, said = second.communicate(timeout=120)
    _, first_said = first.communicate(timeout=120)
    assert first.returncode == 0, first_said.decode()
    assert second.returncode == ServiceError.exit_code, said.decode()
    assert b"would change the history and the server of local-model under it" in said
    assert (workspace / "s3" / "history").resolve() == history.resolve()
    assert MODEL.command in (workspace / "models.toml").read_text()
    assert highest(tmp_path) < 1000
