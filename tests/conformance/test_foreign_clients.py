"""Clients that nobody here wrote, on the engine: both SDKs, Airflow's operators, awswrangler. None gets a shim."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = Path(__file__).with_name("clients")
CONFORMANCE = ROOT / "conformance"
STUDIO = CONFORMANCE / "studio"
PIPELINE = "arn:aws:sagemaker:local:000000000000:pipeline/houses"
STEPS = ("Prepare", "Predict", "Evaluate", "Whole")

pytestmark = pytest.mark.conformance


def seen_by(script: str, python: Path, folder: Path, *paths: Path) -> Any:
    """What the script prints in its environment, which has no AWS account and no way to one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    ended = subprocess.run(
        [str(python), str(CLIENTS / script), str(folder / "workspace")],
        env={**kept, "PYTHONPATH": os.pathsep.join(map(str, [*paths, ROOT])), "AIRFLOW_HOME": str(folder / "airflow")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return json.loads(ended.stderr.splitlines()[-1])


SDKS = {
    "newest-3": ("sdk.py", Path(sys.executable), ()),
    "studio-3": ("sdk.py", STUDIO / ".venv/bin/python", (ROOT / "conformance" / "without_torch",)),
    "last-2": ("sdk2.py", CONFORMANCE / "sdk-2/.venv/bin/python", ()),
}


@pytest.mark.parametrize(("script", "python", "paths"), SDKS.values(), ids=SDKS)
def test_the_sdk_creates_starts_waits_and_lists(
    script: str, python: Path, paths: tuple[Path, ...], tmp_path: Path
) -> None:
    seen = seen_by(script, python, tmp_path, *paths)
    assert seen["account"] == "000000000000"
    assert seen["output"] == '{"forecast": [1.0]}\n' * 2
    assert seen["upserts"] == [PIPELINE, PIPELINE]
    assert seen["tags"] == {"team": "prices"}
    assert seen["log"] == ["3 rows"]
    good, short = seen["good"], seen["short"]
    assert (good["ended"], good["status"]) == ("waited", "Succeeded")
    assert good["steps"] == dict.fromkeys(STEPS, "Succeeded")
    assert (short["ended"], short["status"]) == ("WaiterError", "Failed")
    assert short["steps"] == {**dict.fromkeys(STEPS, "Succeeded"), "Short": "Failed"}


def test_airflow_s_operators_wait_for_jobs_and_pipelines(tmp_path: Path) -> None:
    seen = seen_by("operators.py", CONFORMANCE / "airflow/.venv/bin/python", tmp_path)
    assert (seen["processing"], seen["transform"]) == ("Completed", "Completed")
    assert seen["pipeline"].startswith(f"{PIPELINE}/execution/")
    assert "One or multiple steps failed" in seen["failed"]


def test_awswrangler_reads_and_writes_the_store(tmp_path: Path) -> None:
    seen = seen_by("wrangler.py", CONFORMANCE / "airflow/.venv/bin/python", tmp_path)
    assert seen["parquet"] == {"area": [120.0, 80.0], "town": ["Ås", "Bø"]}
    assert seen["rows"] == [[120, 340], [80, 251], [64, 190]]
    assert (seen["listed"], seen["left"]) == (["s3://houses/table/part.parquet"], [])
    assert seen["account"] == "000000000000"
