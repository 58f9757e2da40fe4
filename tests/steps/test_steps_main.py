from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from batchcast.steps.__main__ import MINIMUM_VERSIONS, STEPS, main

REPOSITORY = Path(__file__).resolve().parents[2]


def test_an_unknown_step_names_those_there_are(tmp_path: Path) -> None:
    assert main(["build"], {"OPT_ML": str(tmp_path)}) == 2
    message = (tmp_path / "output/message").read_text()
    assert "there is no step 'build'" in message
    assert all(step in message for step in STEPS)


@pytest.mark.parametrize("step", STEPS)
def test_every_step_refuses_an_unknown_argument_and_leaves_a_message(tmp_path: Path, step: str) -> None:
    command = [sys.executable, "-m", "batchcast.steps", step, "--no-such-flag"]
    done = subprocess.run(command, cwd=REPOSITORY, env={"OPT_ML": str(tmp_path)}, capture_output=True, text=True)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--run-id", "x"], "the following arguments are required: --run-date"),
        (["--no-such-flag"], "the following arguments are required"),
    ],
)
def test_missing_arguments_are_named(tmp_path: Path, flags: list[str], expected: str) -> None:
    assert main(["build_shards", *flags], {"OPT_ML": str(tmp_path)}) == 2
    assert expected in (tmp_path / "output/message").read_text()


def test_arguments_out_of_bounds_are_all_named(tmp_path: Path) -> None:
    from shard_build import build_arguments

    arguments = build_arguments(run_date="22.11.2026", forecast_horizon=0, max_payload_in_mb=0, records_per_shard=-1)
    assert main(arguments, {"OPT_ML": str(tmp_path)}) == 2
    message = (tmp_path / "output/message").read_text()
    for text in (
        "'22.11.2026' is not a date",
        "forecast_horizon is 0",
        "max_payload_in_mb is 0",
        "records_per_shard is -1",
    ):
        assert text in message


def test_the_message_is_cut_to_a_kilobyte_of_whole_characters(tmp_path: Path) -> None:
    assert main(["漢" * 2_000], {"OPT_ML": str(tmp_path)}) == 2
    data = (tmp_path / "output/message").read_bytes()
    assert 990 < len(data) <= 1000
    assert data.decode().endswith("漢")


def test_libraries_that_are_too_old_are_all_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    future = {"python": (4, 0), "pandas": (99, 1), "no-such-package": (1, 0)}
    monkeypatch.setattr("batchcast.steps.__main__.MINIMUM_VERSIONS", future)
    assert main(["build_shards"], {"OPT_ML": str(tmp_path)}) == 2
    message = (tmp_path / "output/message").read_text()
    for text in ("the steps need 4.0 or later", "the steps need 99.1 or later", "no-such-package is missing"):
        assert text in message


def test_the_versions_checked_are_those_the_project_declares() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    declared = {"python": project["requires-python"].removeprefix(">=")}
    for requirement in project["dependencies"]:
        name, _, least = requirement.partition(">=")
        declared[name] = re.split("[,;]", least)[0]
    for package, version in MINIMUM_VERSIONS.items():
        least = tuple(int(part) for part in declared[package].split("."))
        assert version[: len(least)] == least
