"""The README's commands do what it says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TypedDict

import pytest
from once import once

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
PLACEHOLDERS = ("DIR", "…")


class Typed(TypedDict):
    """How a command ended and what it said."""

    code: int
    said: str


def console_blocks() -> list[tuple[str, str]]:
    """(command, the output shown below it) of every console block."""
    pairs = []
    for block in re.findall(r"```console\n(.*?)```", README, flags=re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            pairs.append((command, output))
    return pairs


def printed_commands() -> list[str]:
    """Every command that can be typed as it stands, in the order of the page: in console blocks and in the text."""
    commands = re.findall(r"^\$ (.*)$|`(\.venv/bin/python run_pipeline\.py [^`]*)`", README, flags=re.MULTILINE)
    found = [block or inline for block, inline in commands]
    return [command for command in found if not any(word in command for word in PLACEHOLDERS)]


def fresh_clone(folder: Path) -> Path:
    """A copy of what git knows in the state it is in, and the environment that `make run` would make."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.split("\0")[:-1]:
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    environment = folder / ".venv"
    environment.mkdir()
    for path in Path(sys.prefix).iterdir():
        if path.suffix != ".installed":
            (environment / path.name).symlink_to(path)
    for name in ("uv", "run", "dev"):
        (environment / f"{name}.installed").touch()
    return folder


def typed(command: str, clone: Path) -> Typed:
    """What a terminal shows a user who has activated nothing and has no account. `make test` only says what it does."""
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(clone),
        "AWS_EC2_METADATA_DISABLED": "true",
        "MAKEFLAGS": "n" if command == "make test" else "",
    }
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


def typed_in_order(clone: Path) -> dict[str, Typed]:
    """Every command of the page, and after `make run` what it says comes next."""
    found: dict[str, Typed] = {}
    for command in printed_commands():
        found[command] = typed(command, clone)
        if command == "make run":
            following = found[command]["said"].partition("Next:\n")[2].splitlines()
            found |= {line.strip(): typed(line.strip(), clone) for line in following}
    return {**found, "clone": {"code": 0, "said": str(clone)}}


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Typed]:
    """What every command said, typed one after the other in one clone."""
    made: dict[str, Typed] = once(
        tmp_path_factory, "readme", lambda: typed_in_order(fresh_clone(tmp_path_factory.mktemp("clone")))
    )
    return made


def shape(text: str, directory: Path) -> list[str]:
    """The lines without what differs from run to run: ids, seconds, rates, directories and interim progress."""
    text = text.replace(f"{directory}/", "").replace(str(directory), "")
    lines = [
        line.rstrip() for line in text.strip().splitlines() if "executing: " not in line and "Going on" not in line
    ]
    without_ids = [re.sub(r"(Run |run_id=|runs/|status )[a-z0-9]{12}", r"\1ID", line) for line in lines]
    started = [line for line in without_ids if "starting" not in line]
    return [re.sub(r" *\b\d+\.\d(/s| s\b|$)", " N", line) for line in started]


SHOWN = [(command, output) for command, output in console_blocks() if output.strip()]


@pytest.mark.parametrize(("command", "output"), SHOWN, ids=[command for command, _ in SHOWN])
def test_a_command_prints_what_the_readme_shows(command: str, output: str, terminal: dict[str, Typed]) -> None:
    clone = Path(terminal["clone"]["said"])
    assert shape(terminal[command]["said"], clone) == shape(output, clone)


def test_every_other_command_of_the_readme_succeeds_or_is_a_make_target(terminal: dict[str, Typed]) -> None:
    shown = {command for command, _ in SHOWN}
    for command, ended in terminal.items():
        if command not in shown:
            assert ended["code"] == 0, f"{command}: {ended['said']}"
        if command.endswith("--json"):
            assert '"outcome": "COMPLETE"' in ended["said"]
    assert ".venv/bin/python -m pytest" in terminal["make test"]["said"]


def test_what_make_run_says_comes_next_is_what_the_readme_says(terminal: dict[str, Typed]) -> None:
    printed = dict(SHOWN)["make run"].partition("Next:\n")[2].split("\n")
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
