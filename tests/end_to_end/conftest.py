"""The command line in an empty directory, and the small bakery."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from command import Ended, command_line, small_bakery, write_history

FOLDER = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies in this folder: `pytest -m "not end_to_end"` is the quick part of the suite."""
    for item in items:
        if FOLDER in item.path.parents:
            item.add_marker("end_to_end")


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
