"""The README's commands do what it says."""

from __future__ import annotations

import os
import re
import subprocess
from html import unescape
from pathlib import Path
from typing import TypedDict

import pytest
from once import once
from pages import ROOT, console_blocks, fresh_clone, of_a_new_user, shape, shows

README = (ROOT / "README.md").read_text()
RECORDING = (ROOT / "docs" / "images" / "run.svg").read_text()
PLACEHOLDERS = ("DIR", "…")


class Ended(TypedDict):
    """How a command ended and what it said."""

    code: int
    said: str


def printed_commands() -> list[str]:
    """Every command that can be typed as it stands, in the order of the page: in console blocks and in the text."""
    commands = re.findall(r"^\$ (.*)$|`(\.venv/bin/python run_pipeline\.py [^`]*)`", README, flags=re.MULTILINE)
    found = [block or inline for block, inline in commands]
    return [command for command in found if not any(word in command for word in PLACEHOLDERS)]


def typed(command: str, clone: Path) -> Ended:
    """What a terminal shows a user who has activated nothing and has no account. `make test` only says what it does."""
    environment = {**of_a_new_user(clone), "MAKEFLAGS": "n" if command == "make test" else ""}
    ended = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=clone,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return {"code": ended.returncode, "said": ended.stdout}


def typed_in_order(clone: Path) -> dict[str, Ended]:
    """Every command of the page, and after `make run` what it says comes next."""
    found: dict[str, Ended] = {}
    for command in printed_commands():
        found[command] = typed(command, clone)
        if command == "make run":
            following = found[command]["said"].partition("Next:\n")[2].splitlines()
            found |= {line.strip(): typed(line.strip(), clone) for line in following}
    return {**found, "clone": {"code": 0, "said": str(clone)}}


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory, warm: Path) -> dict[str, Ended]:
    """What every command said, typed one after the other in one clone."""
    made: dict[str, Ended] = once(
        tmp_path_factory, "readme", lambda: typed_in_order(fresh_clone(tmp_path_factory.mktemp("clone"), warm))
    )
    return made


SHOWN = [(command, output) for command, output in console_blocks(README) if output.strip()]


@pytest.mark.parametrize(("command", "output"), SHOWN, ids=[command for command, _ in SHOWN])
def test_a_command_prints_what_the_readme_shows(command: str, output: str, terminal: dict[str, Ended]) -> None:
    clone = Path(terminal["clone"]["said"])
    assert shows(shape(output, clone), shape(terminal[command]["said"], clone))


def recorded_lines() -> list[str]:
    """What the recording shows when it has ended."""
    lines: dict[str, str] = {}
    for y, text in re.findall(r'<text class="terminal-r.*? y="([\d.]+)".*?>(.*?)</text>', RECORDING, flags=re.DOTALL):
        lines[y] = lines.get(y, "") + unescape(text).replace("\xa0", " ").strip("\n")
    return list(lines.values())


def test_the_recording_shows_what_make_run_prints(terminal: dict[str, Ended]) -> None:
    command, *shown = recorded_lines()
    clone = Path(terminal["clone"]["said"])
    assert command.rstrip() == "$ make run"
    assert shape("\n".join(shown), clone) == shape(terminal["make run"]["said"], clone)


def test_every_other_command_of_the_readme_succeeds_or_is_a_make_target(terminal: dict[str, Ended]) -> None:
    shown = {command for command, _ in SHOWN}
    for command, ended in terminal.items():
        if command not in shown:
            assert ended["code"] == 0, f"{command}: {ended['said']}"
    assert ".venv/bin/python -m pytest" in terminal["make test"]["said"]


def test_what_make_run_says_comes_next_is_what_the_recording_shows(terminal: dict[str, Ended]) -> None:
    printed = "\n".join(line.rstrip() for line in recorded_lines()).partition("Next:\n")[2].split("\n")
    run_id = terminal["make run"]["said"].partition("\nRun ")[2].partition(":")[0]
    following = [re.sub(r"status \w+", f"status {run_id}", line.strip()) for line in printed if line.strip()]
    assert len(following) == 4
    assert [command for command in terminal if command in following] == following
    assert f"Run {run_id}" in terminal[following[0]]["said"]


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


def test_it_is_read_in_a_few_minutes() -> None:
    assert len(README.splitlines()) < 150
