from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from contract_text import contract_text

from batchcast.cli.plan.plan import plan_command
from batchcast.cli.plan.simulate import simulate_command
from batchcast.planner.plan.prepare import measure_history
from batchcast.steps.contract.model_contract import parse_contract
from batchcast.steps.errors import ConfigError, DataError

CONTRACT = contract_text(
    '{"item_id": $item_id, "rows": $history({"date": $date, "sales": $sales}), '
    '"future": $future({"date": $date, "promo": $promo})}',
    series="min_history = 3",
)
DAYS = {"a": 40, "b": 20, "c": 5, "short": 2}
LAST = date(2026, 3, 1)


@pytest.fixture
def history(tmp_path: Path) -> Path:
    directory = tmp_path / "history"
    directory.mkdir()
    rows = [
        (item, LAST - timedelta(days=back), float(10 + back % 3), back % 2)
        for item, days in DAYS.items()
        for back in range(-2, days)
    ]
    for part in (rows[::2], rows[1::2]):
        columns = dict(zip(("item", "date", "sales", "promo"), map(list, zip(*part, strict=True)), strict=True))
        pq.write_table(pa.table(columns), directory / f"part-{len(part)}.parquet")
    (tmp_path / "model.toml").write_text(CONTRACT)
    return directory


def source(history: Path) -> list[str]:
    return ["--history", str(history), "--contract", str(history.parent / "model.toml"), "--run-date", "2026-03-01"]


def test_items_and_rows_are_counted_as_the_build_counts_them(history: Path) -> None:
    size = measure_history(history, parse_contract(CONTRACT.encode()), forecast_horizon=2, run_date=LAST)
    assert size.items == 3
    assert sorted(size.rows.tolist()) == [5, 20, 40]


def test_the_bytes_of_a_record_are_near_those_that_are_sent(history: Path) -> None:
    size = measure_history(history, parse_contract(CONTRACT.encode()), forecast_horizon=2, run_date=LAST)
    row = len(json.dumps({"date": "2026-03-01", "sales": 11.0}, separators=(",", ":"))) + 1
    future = len(json.dumps({"date": "2026-03-01", "promo": 1}, separators=(",", ":"))) + 1
    expected = (np.mean([5, 20, 40]) * row + 2 * future) / 1e6
    assert size.record_mb == pytest.approx(expected, rel=0.25)


def test_a_wrong_data_set_is_refused_as_in_a_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no Parquet file"):
        measure_history(tmp_path, parse_contract(CONTRACT.encode()), forecast_horizon=2)


def test_the_command_counts_the_records_of_a_history(history: Path) -> None:
    arguments = source(history)
    result = CliRunner().invoke(plan_command, [*arguments, "--seconds", "30", "--json"], catch_exceptions=False)
    inputs = json.loads(result.stdout)["inputs"]
    assert inputs["items"] == 3
    assert inputs["record_mb"] == pytest.approx(0.0012, rel=0.4)


def test_a_simulated_run_of_a_history_has_longer_records_where_there_are_more_rows(history: Path) -> None:
    arguments = source(history)
    common = [*arguments, "--seconds", "300", "--seconds-cv", "0", "--instances", "3", "--concurrency", "1", "--json"]
    document = json.loads(CliRunner().invoke(simulate_command, common, catch_exceptions=False).stdout)
    # The longest of the three has 40 of the mean 21.7 rows.
    assert document["billed_hours"]["p50"] == pytest.approx(300 * 40 / (65 / 3) / 3600 + 0.05, rel=0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--history", "nowhere", "--seconds", "1"], "--contract"),
        (["--history", "nowhere", "--contract", "{contract}", "--seconds", "1"], "no such directory"),
        (["--history", "{history}", "--contract", "{contract}", "--items", "5", "--seconds", "1"], "without --items"),
        (["--history", "{history}", "--contract", "{contract}", "--run-date", "soon", "--seconds", "1"], "is no date"),
    ],
)
def test_a_history_that_cannot_be_read_is_refused(history: Path, arguments: list[str], message: str) -> None:
    places = {"{history}": str(history), "{contract}": str(history.parent / "model.toml")}
    with pytest.raises(ConfigError, match=message):
        CliRunner().invoke(plan_command, [places.get(word, word) for word in arguments], catch_exceptions=False)
