"""`init` on five unlike histories: a contract that runs against the matching server without an edit, or the reason."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import histories
import pytest

from batchcast.cli.define.init import FAMILY_NAMES
from batchcast.contracts.families import FAMILIES

pytestmark = [pytest.mark.end_to_end, pytest.mark.usefixtures("started_warm")]

ROOT = Path(__file__).resolve().parents[2]
CONTAINERS = ROOT / "tests" / "emulators" / "containers"


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, str(ROOT / "run_pipeline.py"), *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)


def test_the_command_names_every_family() -> None:
    assert set(FAMILY_NAMES) == set(FAMILIES)


@pytest.mark.parametrize(
    ("make", "family", "server", "items", "steps"),
    [
        (histories.daily_two_ids, "deepar", "deepar_lines", 6, 6),
        (histories.weekly_plain, "chronos-2", "chronos", 4, 6),
        (histories.hourly_known, "chronos-2", "chronos", 2, 6),
        (histories.monthly_text_id, "prophet", "prophet", 2, 6),
        (histories.weekly_plain, "autogluon", "autogluon", 4, 6),
        (histories.weekly_plain, "xgboost", "csv_row", 4, 1),
    ],
)
def test_a_first_contract_runs_without_an_edit(
    make: Callable[[Path], Path], family: str, server: str, items: int, steps: int, tmp_path: Path
) -> None:
    history = make(tmp_path / "history")
    made = command("init", "--model", family, "--history", str(history), "--output", str(tmp_path))
    assert made.returncode == 0, made.stderr
    assert "Assumed:" in made.stdout
    model = ["--model-command", shlex.join([sys.executable, str(CONTAINERS), server, "--port", "{port}"])]
    given = ["--history", str(history), "--contract", str(tmp_path / "model.toml"), *model]
    checked = command("check-model", *given, "--horizon", str(steps), "--json")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert all(one["problem"] is None and len(one["rows"]) == steps for one in json.loads(checked.stdout))
    ended = command("local", "--json", "--workspace", str(tmp_path / "w"), "-p", f"ForecastHorizon={steps}", *given)
    assert ended.stdout, ended.stderr
    document = json.loads(ended.stdout)
    assert (document["outcome"], document["counts"]["ok"]) == ("COMPLETE", items), document["cause"]


def test_a_wide_history_is_told_why(tmp_path: Path) -> None:
    history = histories.wide(tmp_path / "history")
    ended = command("init", "--model", "custom", "--history", str(history), "--output", str(tmp_path))
    assert ended.returncode == 2
    assert "looks wide" in ended.stderr
    assert not (tmp_path / "model.toml").exists()


def test_a_wrong_path_is_said_before_a_run(tmp_path: Path) -> None:
    history = histories.weekly_plain(tmp_path / "history")
    command("init", "--model", "chronos-2", "--history", str(history), "--output", str(tmp_path))
    contract = tmp_path / "model.toml"
    contract.write_text(contract.read_text().replace('"predictions"', '"forecasts"'))
    model = shlex.join([sys.executable, str(CONTAINERS), "chronos", "--port", "{port}"])
    given = ["--history", str(history), "--contract", str(contract), "--model-command", model, "--horizon", "6"]
    ended = command("check-model", *given)
    assert ended.returncode == 4
    assert "forecasts finds nothing: the answer is an object with the keys predictions" in ended.stdout
