from __future__ import annotations

import os
from pathlib import Path

import pytest

from batchcast.planner.tune.load_generator import GroupUsage


def write_process(proc: Path, number: int, group: int, ticks: tuple[int, int, int, int]) -> None:
    """`ticks` are its own in user and system mode, and those of its children that have ended."""
    fields = ["S", "1", str(group), *["0"] * 8, *map(str, ticks), *["0"] * 6, "10", *["0"] * 20]
    (proc / str(number)).mkdir(exist_ok=True)
    (proc / str(number) / "stat").write_text(f"{number} (a (b) c) {' '.join(fields)}")


def test_what_the_server_and_its_ended_children_used_is_not_taken_for_others(tmp_path: Path) -> None:
    second = os.sysconf("SC_CLK_TCK")
    write_process(tmp_path, 10, 10, (2 * second, second, 4 * second, 0))
    write_process(tmp_path, 11, 10, (second, 0, 0, 0))
    write_process(tmp_path, 12, 12, (5 * second, 0, 0, 0))
    busy = 8 * second + 5 * second
    (tmp_path / "stat").write_text(f"cpu  {busy} 0 0 1000 10 0 0 0 0 0\n")
    seen = GroupUsage(10, tmp_path).now()
    assert seen.server == pytest.approx(8)
    assert seen.others == pytest.approx(5 - sum(os.times()[:2]), abs=0.5)
