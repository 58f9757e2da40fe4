"""The README's commands do what it says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
PLACEHOLDERS = ("DIR", "…")


def console_blocks() -> list[tuple[str, str]]:
    """(command, the output shown below it) of every console block."""
    pairs = []
    for block in re.findall(r"```console\n(.*?)```", README, flags=re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            pairs.append((command, output))
    return pairs


def run(command: str, directory: Path) -> str:
    """What a terminal shows of the command; `make run` stands for the command it runs once all is installed."""
    words = shlex.split(".venv/bin/python run_pipeline.py local" if command == "make run" else command)
    assert words[:2] == [".venv/bin/python", "run_pipeline.py"]
    ended = subprocess.run(
        [sys.executable, str(ROOT / words[1]), *words[2:]],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return ended.stdout


def shape(text: str, directory: Path) -> list[str]:
    """The lines without what differs from run to run: ids, seconds, rates, directories and interim progress."""
    text = text.replace(f"{sys.executable} {ROOT}/run_pipeline.py", ".venv/bin/python run_pipeline.py")
    text = text.replace(f"{directory}/", "").replace(str(directory), "")
    lines = [
        line.rstrip() for line in text.strip().splitlines() if "executing: " not in line and "Going on" not in line
    ]
    without_ids = [re.sub(r"(Run |run_id=|runs/|status )[a-z0-9]{12}", r"\1ID", line) for line in lines]
    started = [line for line in without_ids if "starting" not in line]
    return [re.sub(r" *\b\d+\.\d(/s| s\b|$)", " N", line) for line in started]


SHOWN = [(command, output) for command, output in console_blocks() if output.strip()]


@pytest.mark.parametrize(("command", "output"), SHOWN, ids=[command for command, _ in SHOWN])
def test_a_command_prints_what_the_readme_shows(command: str, output: str, tmp_path: Path) -> None:
    assert shape(run(command, tmp_path), tmp_path) == shape(output, tmp_path)


def test_every_other_command_of_the_readme_succeeds_or_is_a_make_target(tmp_path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for command, output in console_blocks():
        if output.strip() or any(word in command for word in PLACEHOLDERS):
            continue
        if command.startswith("make "):
            assert f"\n{command.split()[1]}:" in makefile
        else:
            assert '"outcome": "COMPLETE"' in run(command, tmp_path)


def test_every_file_that_the_documentation_links_to_exists() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_ci_calls_the_test_command_of_the_readme() -> None:
    only_said = {**os.environ, "MAKEFLAGS": "n"}
    commands = [[".ci/run", "test"], ["make", "test"]]
    said = [subprocess.run(each, cwd=ROOT, env=only_said, capture_output=True, check=True).stdout for each in commands]
    assert b"pytest" in said[0]
    assert said[0] == said[1]
    assert "$ make test\n" in README
