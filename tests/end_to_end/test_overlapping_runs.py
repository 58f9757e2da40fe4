"""Two runs for the same readers: the second one does not begin, and a run that was killed keeps nobody out."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from bakery_run import ITEMS, MODEL, run_bakery
from command import RUN_DATE, Ended, command_line
from engine_client import EngineClient

from batchcast.local.run import LOCAL_DEFAULTS
from batchcast.runs.outcome import outcome_of
from batchcast.steps.errors import ServiceError
from batchcast.steps.publish.lock import PublishLock, read_lock, take_lock
from batchcast.steps.store.objects import DirectoryStore

Command = Callable[..., Ended]
PUBLISH = LOCAL_DEFAULTS["PublishUri"]
HERE = ("--workspace", "workspace")


def lock_in(workspace: Path) -> PublishLock | None:
    return read_lock(DirectoryStore(workspace / "s3"), PUBLISH)


def wait_for_lock(workspace: Path, process: subprocess.Popen[bytes]) -> PublishLock:
    deadline = time.monotonic() + 60
    while (lock := lock_in(workspace)) is None:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    return lock


def test_a_second_run_is_refused_while_the_first_goes_on_and_not_after_it_was_killed(
    run_pipeline: Command, history: Path, tmp_path: Path
) -> None:
    (tmp_path / "started").mkdir()
    hanging = shlex.join([sys.executable, str(Path(__file__).with_name("hanging_model.py"))])
    run = ("local", "--json", *HERE, "--history", str(history), "-p", f"RunDate={RUN_DATE}")
    same = (*run, "--model-command", f"{hanging} {{port}} {ITEMS[0]} {shlex.quote(str(tmp_path / 'started'))}")
    first = subprocess.Popen(command_line(*same), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        lock = wait_for_lock(tmp_path / "workspace", first)
        refused = run_pipeline(*same, "-p", "RunLabel=other")
        assert refused.exit_code == ServiceError.exit_code
        assert f"run {lock.run_id}, label manual, has had it for" in refused.stderr
    finally:
        first.kill()
        first.wait()
    second = run_pipeline(*run, "-p", "RunLabel=other", "--model-command", MODEL.command)
    assert second.exit_code == 0, second.stderr
    assert second.document["run_id"] != lock.run_id
    assert lock_in(tmp_path / "workspace") is None


def test_a_run_that_finds_the_lock_taken_ends_with_its_first_step(history: Path, tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "s3")
    take_lock(store, PUBLISH, run_id="runbbbbbbbbb", run_label="2019-03-30", now=datetime.now(UTC))
    run = run_bakery(tmp_path, history)
    assert run.statuses() == {"BuildShards": "Failed"}
    document, exit_code = outcome_of(EngineClient(tmp_path, {}, store), run.execution, store, run.parameters["RunsUri"])
    assert exit_code == ServiceError.exit_code
    assert "run runbbbbbbbbb, label 2019-03-30, has had it for" in document["cause"]
    assert not run.has_published
