"""What a newcomer types next works: another python, no account, a workspace that is there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from batchcast.session.session import AwsSession, WorkspaceSession, open_session
from batchcast.steps.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_python_without_the_dependencies_is_told_which_one_has_them() -> None:
    command = [sys.executable, "-S", str(ROOT / "run_pipeline.py"), "plan"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "No module named 'click'" in ended.stderr
    assert ".venv" in ended.stderr


def test_without_an_account_the_workspace_that_is_there_is_taken(
    no_account: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError, match="--workspace DIR"):
        open_session()
    (no_account / "workspace").mkdir()
    assert isinstance(open_session(), WorkspaceSession)
    assert "working in ./workspace" in capsys.readouterr().err


def test_an_account_goes_before_a_workspace_by_default(no_account: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (no_account / "workspace").mkdir()
    assert isinstance(open_session(region="eu-central-1"), AwsSession)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    assert open_session().region == "eu-central-1"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert open_session().region == "eu-west-1"
