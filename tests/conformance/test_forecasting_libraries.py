"""Libraries behind their own servers, each with its contract: GluonTS, MLflow, BentoML, TorchServe."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from batchcast.local.run import local_run, run_local
from batchcast.runs.published import read_forecasts
from batchcast.runs.watch.run_and_wait import OpenDisplay
from batchcast.steps.store.objects import DirectoryStore

pytestmark = pytest.mark.conformance

ROOT = Path(__file__).resolve().parents[2]
ITEMS, DAYS, STEPS = 5, 60, 9
LAST_DAY = pd.Timestamp("2026-02-28")
SERIES = '[series]\nitem_id = ["item"]\ntimestamp = "date"\ntargets = ["sales"]\nfrequency = "D"\n'
GLUONTS = f"""{SERIES}timestamp_format = "%Y-%m-%d %H:%M:%S"
[request]
content_type = "application/jsonlines"
body = '''{{"start": $start_time, "target": $target_time_series}}'''
[outputs]
sales = "mean"
sales_p10 = {{ path = 'quantiles."0.1"', quantile = 0.1 }}
sales_p90 = {{ path = 'quantiles."0.9"', quantile = 0.9 }}
"""
MLFLOW = f"""{SERIES}
[request]
body = '''{{"dataframe_split": {{"columns": ["date", "sales"], "data": $history([$date, $sales])}},
"params": {{"horizon": $horizon}}}}'''
[outputs]
sales = "predictions"
"""
ARGUMENTS = f"""{SERIES}
[request]
body = '''{{"sales": $target_time_series, "horizon": $horizon}}'''
"""
BENTOML = f"""{ARGUMENTS}[outputs]
sales = "sales"
"""
TORCHSERVE = f"""{ARGUMENTS}[outputs]
sales = "@"
"""


@pytest.fixture
def history(tmp_path: Path) -> pd.DataFrame:
    """Five series with a week of their own, as one Parquet file."""
    dates = pd.date_range(end=LAST_DAY, periods=DAYS, freq="D")
    rows = pd.DataFrame(
        [
            (f"i{n}", day.date(), float(10 * n + place % 7 + place // 7))
            for n in range(ITEMS)
            for place, day in enumerate(dates)
        ],
        columns=["item", "date", "sales"],
    )
    (tmp_path / "history").mkdir()
    rows.to_parquet(tmp_path / "history" / "part-0.parquet", index=False)
    return rows


def published(tmp_path: Path, contract: str, command: str, display: OpenDisplay) -> pd.DataFrame:
    """What a local run with this contract and server publishes, by item and step."""
    (tmp_path / "model.toml").write_text(contract)
    run = local_run(
        tmp_path / "workspace",
        {"ForecastHorizon": str(STEPS), "RunDate": f"{LAST_DAY:%Y-%m-%d}", "TransformInstanceCount": "1"},
        history=str(tmp_path / "history"),
        contract=tmp_path / "model.toml",
        model_command=command,
    )
    document, _ = run_local(run, display)
    assert document["outcome"] == "COMPLETE", document["cause"]
    found = read_forecasts("s3://batchcast/published", store=DirectoryStore(tmp_path / "workspace" / "s3"))
    return found.sort_values(["item_id", "step"]).reset_index(drop=True)


def last_week(rows: pd.DataFrame) -> np.ndarray:
    """The last seven values of each item, repeated: what both models forecast."""
    weeks = [part["sales"].to_numpy()[-7:] for _, part in rows.groupby("item")]
    return np.concatenate([np.resize(week, STEPS) for week in weeks])


@pytest.fixture
def display() -> OpenDisplay:
    from batchcast.cli.console import RunDisplay

    return RunDisplay


def test_gluonts_shell(tmp_path: Path, history: pd.DataFrame, display: OpenDisplay) -> None:
    server = ROOT / "conformance" / "gluonts"
    settings = {
        "freq": "D",
        "prediction_length": STEPS,
        "season_length": 7,
        "num_eval_samples": 10,
        "quantiles": ["0.1", "0.9"],
    }
    program = [str(server / ".venv" / "bin" / "python"), str(server / "serve.py"), "{port}"]
    command = shlex.join(["env", f"INFERENCE_CONFIG={json.dumps(settings)}", *program])
    found = published(tmp_path, GLUONTS, command, display)
    for column in ("sales", "sales_p10", "sales_p90"):
        np.testing.assert_allclose(found[column], last_week(history), rtol=1e-6)


def test_mlflow_models_serve(tmp_path: Path, history: pd.DataFrame, display: OpenDisplay) -> None:
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    made = [sys.executable, "-W", "ignore", str(ROOT / "conformance" / "mlflow" / "make_model.py"), str(tmp_path / "m")]
    subprocess.run(made, check=True, env=environment, capture_output=True)
    served = ["models", "serve", "--model-uri", str(tmp_path / "m"), "--env-manager", "local", "--host", "127.0.0.1"]
    path = f"PATH={Path(sys.executable).parent}:{os.environ['PATH']}"
    mlflow = [str(Path(sys.executable).with_name("mlflow")), *served, "--port", "{port}"]
    command = shlex.join(["env", path, "MLFLOW_DISABLE_TELEMETRY=true", *mlflow])
    found = published(tmp_path, MLFLOW, command, display)
    np.testing.assert_allclose(found["sales"], last_week(history), rtol=1e-6)


def test_bentoml(tmp_path: Path, history: pd.DataFrame, display: OpenDisplay) -> None:
    server = ROOT / "conformance" / "bentoml"
    program = [str(server / ".venv" / "bin" / "bentoml"), "serve", str(server / "service.py:LastWeek")]
    settings = [f"BENTOML_HOME={tmp_path}", "BENTOML_DO_NOT_TRACK=True"]
    command = shlex.join(["env", *settings, *program, "--host", "127.0.0.1", "--port", "{port}"])
    found = published(tmp_path, BENTOML, command, display)
    np.testing.assert_allclose(found["sales"], last_week(history), rtol=1e-6)


def test_torchserve(tmp_path: Path, history: pd.DataFrame, display: OpenDisplay) -> None:
    server = ROOT / "conformance" / "torchserve"
    command = shlex.join([str(server / ".venv" / "bin" / "python"), str(server / "serve.py"), "{port}"])
    found = published(tmp_path, TORCHSERVE, command, display)
    np.testing.assert_allclose(found["sales"], last_week(history), rtol=1e-6)
