"""SageMaker Studio's older SDK compiles the very definition that is committed."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from batchcast.pipelines.definition import COMMITTED

ROOT = Path(__file__).resolve().parents[2]
STUDIO = ROOT / "conformance" / "studio"
COMPILER = ROOT / "tests" / "fixtures" / "compile_offline.py"

pytestmark = pytest.mark.conformance


def test_both_sdks_compile_the_same_bytes() -> None:
    ended = subprocess.run(
        [str(STUDIO / ".venv" / "bin" / "python"), str(COMPILER)],
        input=json.dumps([settings.model_dump(mode="json") for settings in COMMITTED.values()]),
        env={**os.environ, "PYTHONPATH": f"{STUDIO / 'without_torch'}:{ROOT}"},
        capture_output=True,
        text=True,
        check=True,
    )
    texts = json.loads(ended.stdout)["texts"]
    assert texts == [(ROOT / "pipelines" / name).read_text() for name in COMMITTED]
