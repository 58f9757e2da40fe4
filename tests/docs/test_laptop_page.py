"""`docs/laptop.md`: its scripts and commands run as they stand; so do the hook and the action."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.usefixtures("started_warm")

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "laptop.md").read_text(encoding="utf-8")
SCRIPT, CONFTEST, TEST = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the page's server is `server.py`, and `python3` is this interpreter."""
    shutil.copy(ROOT / "tests" / "fixtures" / "tiny_model.py", tmp_path / "server.py")
    (tmp_path / "bin").mkdir()
    for name in ("python", "python3"):
        program = tmp_path / "bin" / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        program.chmod(0o755)
    return tmp_path


def run(folder: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command in the folder, for a user without an AWS account."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTEST"))}
    environment = {**kept, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), **variables}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_script_runs_as_it_stands(folder: Path) -> None:
    done = run(folder, sys.executable, "-c", SCRIPT)
    assert done.returncode == 0, done.stderr
    assert done.stdout == '{"forecast": [1.0]}\n' * 2 + "\n"
    assert (folder / "sagemaker" / "s3" / "b" / "out" / "a.jsonl.out").is_file()


def test_the_fixture_works_as_it_stands(folder: Path) -> None:
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_houses.py").write_text(TEST)
    plugin = ("-p", "batchcast.session.pytest_plugin", "-p", "no:cacheprovider")
    done = run(folder, sys.executable, "-m", "pytest", "-q", *plugin)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("command", re.findall(r"^    python (run_pipeline.*)$", PAGE, flags=re.MULTILINE))
def test_the_commands_work_as_they_stand(folder: Path, command: str) -> None:
    (folder / "run_pipeline.py").symlink_to(ROOT / "run_pipeline.py")
    shutil.copy(ROOT / "pipelines" / "pipeline.json", folder)
    (folder / "records.jsonl").write_text('{"area": 1}\n{"area": 2}\n')
    done = run(folder, "bash", "-c", f"python {command}")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_hook_takes_every_file_at_once(folder: Path) -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert f"id: {hook['id']}" in PAGE
    entry = hook["entry"].replace("batchcast", f"{sys.executable} {ROOT / 'run_pipeline.py'}", 1)
    good = str(ROOT / "pipelines" / "pipeline.json")
    assert run(folder, *entry.split(), good, good).returncode == 0
    refused = str(folder / "refused.json")
    Path(refused).write_text('{"Steps": 4}')
    done = run(folder, *entry.split(), good, refused)
    assert done.returncode == 2
    assert f"{refused}: " in done.stdout


def test_the_action_lints_what_its_patterns_name(folder: Path) -> None:
    (step,) = yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["steps"]
    script = "\n".join(line for line in step["run"].splitlines() if " -m venv" not in line and " pip " not in line)
    (folder / "batchcast" / "bin").mkdir(parents=True)
    (folder / "batchcast" / "bin" / "python").symlink_to(folder / "bin" / "python")
    (folder / "deep" / "er").mkdir(parents=True)
    shutil.copy(ROOT / "pipelines" / "pipeline.json", folder / "deep" / "er")
    for files, code in {"deep/**/*.json": 0, "deep/none*.json": 1, "absent.json": 2}.items():
        done = run(folder, "bash", "-e", "-c", script, FILES=files, PROJECT=str(ROOT), RUNNER_TEMP=str(folder))
        assert done.returncode == code, (files, done.stdout + done.stderr)
