"""The weekly run stands by itself: planner and serving can be deleted without touching it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from command import ITEMS, LAST_WEEK, ROOT, RUN_DATE

DELETED = ("planner", "serving", "cli/plan", "cli/model")


def test_the_local_run_works_in_a_copy_without_planner_and_serving(tmp_path: Path, history: Path) -> None:
    copy = tmp_path / "copy"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "batchcast", copy / "batchcast", ignore=ignored)
    shutil.copytree(ROOT / "examples" / "bakery", copy / "examples" / "bakery", ignore=ignored)
    shutil.copy(ROOT / "run_pipeline.py", copy)
    for name in DELETED:
        shutil.rmtree(copy / "batchcast" / name)
    command = [sys.executable, "run_pipeline.py", "local", "--json", "--history", str(history), *LAST_WEEK]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [*command, "--workspace", str(tmp_path / "workspace"), "-p", f"RunDate={RUN_DATE}"],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["outcome"], document["counts"]["ok"]) == ("COMPLETE", ITEMS)
    listed = subprocess.run(
        [sys.executable, "-c", "import batchcast; print(batchcast.__file__)"],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert listed.stdout.startswith(str(copy))
