"""The command line's own promises."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from once import once

from batchcast.cli.main import COMMANDS, SECTIONS, root

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ["sagemaker", "boto3", "botocore", "pandas", "pyarrow", "numpy"]


HELPS = """
import json, sys
from batchcast.cli.main import root

for words in json.loads(sys.argv[1]):
    root([*words, "--help"], standalone_mode=False)
    print("imported", *sorted(set(sys.modules) & set(json.loads(sys.argv[2]))))
"""
"""What each help and those before it imported: nothing, if each of them imports nothing."""
WORDS = [[], *([name] for name in COMMANDS)]


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A line for each of WORDS."""
    command = [sys.executable, "-c", HELPS, json.dumps(WORDS), json.dumps(HEAVY)]

    def lines() -> list[str]:
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return [line for line in ended.stdout.splitlines() if line.startswith("imported")]

    found: list[str] = once(tmp_path_factory, "helps", lines)
    return found


@pytest.mark.parametrize("number", range(len(WORDS)), ids=["overview", *COMMANDS])
def test_help_imports_nothing_heavy(number: int, imported: list[str]) -> None:
    assert len(imported) == len(WORDS)
    assert imported[number] == "imported"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_overview_says_of_a_command_what_its_own_help_says(name: str) -> None:
    (line,) = [section[name] for section in SECTIONS.values() if name in section]
    command = root.get_command(click.Context(root), name)
    assert command is not None
    assert command.help is not None
    assert command.help.split("\n\n")[0].split("\n")[0].rstrip(".").startswith(line.rstrip("."))


def test_a_mistyped_command_names_the_nearest() -> None:
    ended = subprocess.run(
        [sys.executable, str(ROOT / "run_pipeline.py"), "locl"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "Did you mean 'local'?" in ended.stderr


@pytest.mark.parametrize(("library", "says"), [("numpy", "cannot run batchcast: numpy is broken."), ("rich", "")])
def test_doctor_without_a_library_names_it_or_does_without(library: str, says: str, tmp_path: Path) -> None:
    (tmp_path / f"{library}.py").write_text(f"raise ImportError('{library} is broken')", encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, str(ROOT / "run_pipeline.py"), "doctor"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in ended.stderr
    assert says in ended.stderr
    assert ("libraries" in ended.stdout) != bool(says)
