"""The command line in an empty directory, and the small bakery."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from command import Ended, command_line, small_bakery, write_history

FOLDER = Path(__file__).parent
REAL_PROCESSES = ("test_interrupted_run", "test_killed_runs", "test_overlapping_runs", "test_changed_inputs")
"""What kills processes and their groups, or measures them, starts the real python."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies in this folder: `pytest -m "not end_to_end"` is the quick part of the suite."""
    for item in items:
        if FOLDER in item.path.parents:
            item.add_marker("end_to_end")


@pytest.fixture(autouse=True)
def warm_where_nothing_is_killed(request: pytest.FixtureRequest) -> None:
    """Most of these tests are about what a command does, and not about how its process starts or ends."""
    if request.path.stem not in REAL_PROCESSES:
        request.getfixturevalue("started_warm")


@pytest.fixture
def run_pipeline(tmp_path: Path) -> Callable[..., Ended]:
    """Run `run_pipeline.py` with these arguments in an empty directory."""

    def run(*arguments: str) -> Ended:
        ended = subprocess.run(
            command_line(*arguments), cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    return run


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """The small bakery as a directory of Parquet files."""
    return write_history(tmp_path / "history", small_bakery())
