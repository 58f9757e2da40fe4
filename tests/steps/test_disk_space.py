"""Records that have no room on the volume are refused before any is written, with the size that is needed."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from contract_text import contract_text
from sample_run import SampleRun
from shard_build import DAILY_CONTRACT, Build, build, daily_rows

from batchcast.steps.contract.model_contract import parse_contract
from batchcast.steps.errors import ConfigError
from batchcast.steps.history import disk_space
from batchcast.steps.history.files import open_history

_Usage = namedtuple("_Usage", "total used free")
ITEMS = [f"item {number:03d}" for number in range(50)]
LONG = daily_rows(ITEMS, 400, first="2024-01-01")


def build_with(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, contract: str, free: int) -> Build:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: _Usage(200 << 30, (200 << 30) - free, free))
    return build(tmp_path, contract, [LONG])


def test_a_volume_that_is_too_small_is_refused_with_the_size_to_deploy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = build_with(monkeypatch, tmp_path, DAILY_CONTRACT, 100_000)
    assert found.exit_code == 2
    assert "ConfigError [disk_space]" in found.message
    assert "50 records" in found.message
    assert "--volume-size-in-gb 201" in found.message
    assert found.files == {}


@pytest.mark.parametrize("series", ["", "max_history = 40"])
def test_what_is_needed_is_about_what_is_written(tmp_path: Path, series: str) -> None:
    contract = parse_contract(contract_text(series=series).encode())
    written = sum(map(len, build(tmp_path, contract_text(series=series), [LONG]).shards.values()))
    history = open_history(tmp_path / "processing/input/history", contract)
    said = disk_space.json_bytes(history, contract, np.full(len(ITEMS), 400), np.zeros(len(ITEMS), np.int64))
    assert said == pytest.approx(written, rel=0.15)


def test_a_volume_without_room_for_the_answers_is_refused_before_any_record(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: _Usage(10_000, 0, 200 << 30))
    found = build(tmp_path, DAILY_CONTRACT, [LONG])
    assert (found.exit_code, found.files) == (2, {})
    assert "the answers of 50 records and the arrays that they are checked in" in found.message


def test_forecasts_without_room_to_be_checked_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run = SampleRun(root=tmp_path)
    run.transform()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: _Usage(200 << 30, (200 << 30) - 1_000, 1_000))
    with pytest.raises(ConfigError, match=r"(?s)the forecasts of 12 items will take .* --volume-size-in-gb 201"):
        run.step()


def test_rows_that_a_run_is_merged_with_need_room_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = SampleRun(root=tmp_path, run_id="runaaaaaaaaa")
    whole.transform()
    whole.step()
    few = SampleRun(root=tmp_path, run_id="runbbbbbbbbb", items=[*whole.items][:1], items_uri="s3://b/few.txt")
    few.transform()
    alone = 3_000  # what one item takes
    monkeypatch.setattr(shutil, "disk_usage", lambda _: _Usage(200 << 30, (200 << 30) - alone, alone))
    with pytest.raises(ConfigError, match=r"the forecasts of 1 items will take"):
        few.step(systemic_failure_percent=20.0)
    (tmp_path / "s3/bucket/published/latest.json").unlink()
    few.step(systemic_failure_percent=20.0)


def test_a_volume_with_room_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written = sum(map(len, build(tmp_path, DAILY_CONTRACT, [LONG]).shards.values()))
    assert build_with(monkeypatch, tmp_path, DAILY_CONTRACT, round(1.3 * written)).exit_code == 0
