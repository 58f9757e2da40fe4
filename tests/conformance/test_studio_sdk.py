"""SageMaker Studio's older SDK compiles the very definition that is committed."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from batchcast.pipelines.settings import BuildSettings

ROOT = Path(__file__).resolve().parents[2]
STUDIO = ROOT / "conformance" / "studio"
COMPILER = ROOT / "tests" / "fixtures" / "compile_offline.py"

pytestmark = pytest.mark.conformance


def test_both_sdks_compile_the_same_bytes() -> None:
    ended = subprocess.run(
        [str(STUDIO / ".venv" / "bin" / "python"), str(COMPILER)],
        input=json.dumps([BuildSettings().model_dump(mode="json")]),
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'conformance' / 'without_torch'}:{ROOT}"},
        capture_output=True,
        text=True,
        check=True,
    )
    texts = json.loads(ended.stdout)["texts"]
    assert texts == [(ROOT / "pipelines" / "pipeline.json").read_text()]
