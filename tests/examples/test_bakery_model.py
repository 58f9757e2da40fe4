"""The model is worth serving, and can be made again."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import pytest
from bakery_server import Record, RunningServer

MADE_WITH = "4.7.0"  # the release of LightGBM that trained the committed model.txt


@pytest.fixture(scope="module")
def actual(history: pa.Table, records: dict[str, Record]) -> dict[str, list[float]]:
    """What each item sold in the 31 days after the run date."""
    sales = history["sales"].to_pylist()
    days = len(sales) // len(records)
    return {item_id: sales[(index + 1) * days - 31 : (index + 1) * days] for index, item_id in enumerate(records)}


def wape(actual: dict[str, list[float]], forecast: Callable[[str], Iterable[float]]) -> float:
    """The sum of the absolute errors as a share of what was sold."""
    errors = sum(
        abs(value - sold) for item_id in actual for value, sold in zip(forecast(item_id), actual[item_id], strict=True)
    )
    return errors / sum(map(sum, actual.values()))


@pytest.fixture(scope="module")
def wape_of_model(server: RunningServer, records: dict[str, Record], actual: dict[str, list[float]]) -> float:
    body = [json.dumps(record).encode() for record in records.values()]
    with server.connect() as client:
        answers = [json.loads(client.forecast(line).body) for line in body]
    forecasts = {answer["item_id"]: [row["daily_sales"] for row in answer["forecast"]] for answer in answers}
    return wape(actual, forecasts.__getitem__)


@pytest.fixture(scope="module")
def wape_of_naive(records: dict[str, Record], actual: dict[str, list[float]]) -> float:
    """Of the sales of the same weekday in the last week of the history."""

    def repeat_last_week(item_id: str) -> list[float]:
        week = [row["sales"] for row in records[item_id]["historical_rows"][-7:]]
        return [week[step % 7] for step in range(31)]

    return wape(actual, repeat_last_week)


def test_it_is_a_quarter_better_than_the_same_weekday_of_last_week(wape_of_model: float, wape_of_naive: float) -> None:
    assert wape_of_model < 0.75 * wape_of_naive


def test_the_readme_states_the_errors_measured_here(bakery: Path, wape_of_model: float, wape_of_naive: float) -> None:
    readme = (bakery / "README.md").read_text()
    assert f"| model | {wape_of_model:.3f} |" in readme
    assert f"| same weekday of the last week | {wape_of_naive:.3f} |" in readme


@pytest.mark.skipif(version("lightgbm") != MADE_WITH, reason="not the release that made model.txt")
def test_training_again_gives_the_same_file(bakery: Path, tmp_path: Path) -> None:
    output = tmp_path / "model.txt"
    subprocess.run([sys.executable, str(bakery / "train.py"), "--output", str(output)], check=True, capture_output=True)
    assert output.read_bytes() == (bakery / "model.txt").read_bytes()
