"""The sample with a model that answers a hundred times too much: held, named first, and released by a name."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from command import HISTORY, Ended

HERE = Path(__file__).parent


def test_a_hundredfold_forecast_is_held_and_an_approval_publishes_it(run_pipeline: Callable[..., Ended]) -> None:
    def run(model: str, run_date: str, *more: str) -> Ended:
        command = f"{shlex.join([sys.executable, str(HERE / model)])} {{port}}"
        where = ("--history", str(HISTORY), "--workspace", "w", "--model-command", command)
        return run_pipeline("local", *where, "-p", f"RunDate={run_date}", *more)

    assert run("last_week_model.py", "2019-03-23").exit_code == 0
    held = run("hundredfold_model.py", "2019-03-30")
    assert held.exit_code == 5
    first = held.stdout.strip().splitlines()[0]
    assert "HELD: the forecasts differ from the last run's more than runs of this pipeline do" in first
    assert "`approve RUN_ID --reason …`" in held.stdout
    run_id = first.split()[1].rstrip(":")
    status = run_pipeline("status", run_id, "--workspace", "w")
    assert status.exit_code == 5
    assert "HELD: the forecasts differ" in status.stdout.splitlines()[0]
    for ended in (held, status):
        assert ended.stdout.endswith(f" approve {run_id} --reason … --workspace w\n")
    approved = run_pipeline("approve", run_id, "--reason", "a promotion", "--workspace", "w")
    assert (approved.exit_code, approved.stderr.count("WARNING")) == (0, 1), approved.stderr
    assert run_pipeline("status", run_id, "--workspace", "w").exit_code == 0
    listed = run_pipeline("published", "--workspace", "w").stdout
    assert "approved: a promotion" in " ".join(listed.split())
    again = run_pipeline("approve", run_id, "--reason", "a promotion", "--workspace", "w")
    assert (again.exit_code, "is COMPLETE, not held" in again.stderr) == (2, True)
