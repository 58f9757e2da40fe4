"""The script of the README deploys, starts with an override, waits, reads the forecasts and plots one."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("started_warm")

ROOT = Path(__file__).resolve().parents[2]


def test_the_script_runs_as_it_stands(tmp_path: Path) -> None:
    (script,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    assert len(script.strip().splitlines()) <= 12
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "MPLCONFIGDIR": str(tmp_path), "MPLBACKEND": "Agg"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "ValidateAndPublish: Succeeded" in done.stdout
    assert (tmp_path / "forecast.png").read_bytes().startswith(b"\x89PNG")
