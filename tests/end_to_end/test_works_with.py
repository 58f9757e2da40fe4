"""The table "works with" of the README: `local` against a server with each container's own contract, end to end.

What is published is computed from the history here, by the rule that every imitated container answers with.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command import Ended

from batchcast.engine.server.model_server import ModelCommand
from batchcast.runs.published import read_forecasts
from batchcast.session.workspace_models import served_model
from batchcast.steps.store.objects import DirectoryStore

pytestmark = pytest.mark.end_to_end

TESTS = Path(__file__).resolve().parents[1]
ITEMS = [f"item-{number}" for number in range(9)]
LAST_DAY, STEPS, WINDOW = pd.Timestamp("2026-02-28"), 6, 8
QUANTILES = {"sales_p10": 0.5, "sales_p90": 1.5}
"""The published columns of levels 0.1 and 0.9, and what the containers multiply the mean forecast with."""

SERIES = '[series]\nitem_id = ["item"]\ntimestamp = "date"\ntargets = ["sales"]\nfrequency = "D"\n'
MIDNIGHT = 'timestamp_format = "%Y-%m-%d %H:%M:%S"\n'
CONTEXT = f"min_history = {WINDOW}\nmax_history = {WINDOW}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A container and its contract; `steps` is the horizon, `columns` what is published and its factor on the mean."""

    family: str
    contract: str
    steps: int = STEPS
    trained: Mapping[str, int] = field(default_factory=dict)
    columns: Mapping[str, float] = field(default_factory=lambda: {"sales": 1.0})


def contract(request: str, outputs: str, answer: str = "", series: str = "") -> str:
    """The text of a `model.toml`."""
    tables = [f"[request]\n{request}", f"[outputs]\n{outputs}", *([f"[answer]\n{answer}"] if answer else [])]
    return "\n".join([SERIES + series, *tables])


def json_body(body: str) -> str:
    return f"content_type = \"application/json\"\nbody = '''{body}'''\n"


DEEPAR = '{"start": $start_time, "target": $target_time_series, "dynamic_feat": [$both($promo)]}'
CHRONOS = '{"target": $target_time_series, "past_covariates": {"promo": $history($promo)}, '
CHRONOS += '"future_covariates": {"promo": $future($promo)}}'
CHRONOS_BODY = '{"inputs": $records, "parameters": {"prediction_length": $horizon, "quantile_levels": [0.1, 0.5, 0.9]}}'
MLFLOW = '{"dataframe_split": {"columns": ["date", "sales"], "data": $history([$date, $sales])}, '
MLFLOW += '"params": {"horizon": $horizon}}'
KSERVE = '{"inputs": [{"name": "x", "shape": [1, 8], "datatype": "FP64", "data": $target_time_series}]}'
STRICT = '{"series": {"values": $target_time_series, "first_day": $start_time}, "horizon": $horizon}'


AUTOGLUON = '$history({"item_id": $item_id, "timestamp": $date, "target": $sales})'


def quantiles(path: str) -> str:
    """The outputs of a container that gives levels; `path` has {} where the level goes."""
    lines = ['sales = "mean"']
    for name, level in {"sales_p10": "0.1", "sales_p90": "0.9"}.items():
        lines.append(f"{name} = {{ path = '{path.format(chr(34) + level + chr(34))}', quantile = {level} }}")
    return "\n".join(lines) + "\n"


CASES: dict[str, Case] = {
    "DeepAR, JSON lines": Case(
        family="deepar_lines",
        trained={"features": 1},
        contract=contract(
            f"content_type = \"application/jsonlines\"\nbody = '''{DEEPAR}'''\n",
            quantiles("quantiles.{}"),
            series=MIDNIGHT,
        ),
        columns={"sales": 1.0, **QUANTILES},
    ),
    "DeepAR, instances": Case(
        family="deepar",
        trained={"features": 1},
        contract=contract(
            "content_type = \"application/json\"\nitems_per_request = 4\nbody = '''{\"instances\": $records}'''\n"
            'record = \'\'\'{"start": $start_time, "target": $target_time_series, '
            "\"dynamic_feat\": [$both($promo)]}'''\n",
            quantiles("quantiles.{}"),
            'records = "predictions"\n',
            series=MIDNIGHT,
        ),
        columns={"sales": 1.0, **QUANTILES},
    ),
    "Chronos-2, one series a request": Case(
        family="chronos",
        contract=contract(
            f"content_type = \"application/json\"\nbody = '''{CHRONOS_BODY.replace('$records', '[$record]')}'''\n"
            f"record = '''{CHRONOS}'''\n",
            quantiles("{}"),
            'records = "predictions"\n',
        ),
        columns={"sales": 1.0, **QUANTILES},
    ),
    "Chronos-2, 64 series a request": Case(
        family="chronos",
        contract=contract(
            f"content_type = \"application/json\"\nitems_per_request = 64\nbody = '''{CHRONOS_BODY}'''\n"
            f"record = '''{CHRONOS}'''\n",
            quantiles("{}"),
            'records = "predictions"\n',
        ),
        columns={"sales": 1.0, **QUANTILES},
    ),
    "Prophet, rows": Case(
        family="prophet",
        contract=contract(
            json_body('$history({"ds": $date, "y": $sales})'),
            'sales = "[*].yhat"\nsales_p10 = { path = "[*].yhat_lower", quantile = 0.1 }\n'
            'sales_p90 = { path = "[*].yhat_upper", quantile = 0.9 }\n',
            'timestamps = "[*].ds"\n',
            series=MIDNIGHT,
        ),
        columns={"sales": 1.0, **QUANTILES},
    ),
    "Prophet, JSON lines out": Case(
        family="prophet_lines",
        contract=contract(
            json_body('$history({"ds": $date, "y": $sales})') + 'accept = "application/jsonlines"\nmode = "object"\n',
            'sales = "[*].yhat"\n',
            'timestamps = "[*].ds"\n',
            series=MIDNIGHT,
        ),
    ),
    "MLflow, dataframe_split": Case(family="mlflow", contract=contract(json_body(MLFLOW), 'sales = "predictions"\n')),
    "TF Serving, rows": Case(
        family="tf_rows",
        contract=contract(json_body('{"instances": [$target_time_series]}'), 'sales = "predictions[0]"\n', "", CONTEXT),
    ),
    "TF Serving, columns": Case(
        family="tf_columns",
        contract=contract(
            json_body('{"inputs": {"context": [$target_time_series]}}'), 'sales = "outputs.forecast[0]"\n', "", CONTEXT
        ),
    ),
    "TorchServe": Case(
        family="torchserve",
        contract=contract(json_body("[$target_time_series]"), 'sales = "[0]"\n', "", CONTEXT),
    ),
    "KServe V2": Case(
        family="kserve", contract=contract(json_body(KSERVE), 'sales = "outputs[0].data"\n', "", CONTEXT)
    ),
    "AutoGluon, Parquet": Case(
        family="autogluon",
        contract=contract(
            'content_type = "application/x-parquet"\nmode = "object"\nitems_per_request = 4\nbody = "$records"\n'
            f"record = '{AUTOGLUON}'\n",
            quantiles("[*].{}").replace('"mean"', '"[*].mean"'),
            'group_by = "item_id"\ntimestamps = "[*].timestamp"\n',
            series='timestamp_format = "timestamp"\n',
        ),
        columns={"sales": 1.0, **QUANTILES},
    ),
    "AutoGluon, CSV": Case(
        family="autogluon_csv",
        contract=contract(
            'content_type = "text/csv"\nmode = "object"\nitems_per_request = 4\nbody = "$records"\n'
            f"record = '{AUTOGLUON}'\n",
            quantiles("[*].{}").replace('"mean"', '"[*].mean"'),
            'group_by = "item_id"\ntimestamps = "[*].timestamp"\n',
            series='timestamp_format = "timestamp"\n',
        ),
        columns={"sales": 1.0, **QUANTILES},
    ),
    "XGBoost, CSV in and out": Case(
        family="csv_row",
        steps=1,
        contract=contract(
            'content_type = "text/csv"\nmode = "object"\nitems_per_request = 4\nbody = "$records"\n'
            'record = "[$target_time_series]"\n',
            'sales = "@"\n',
            'records = "@"\n',
            series=CONTEXT,
        ),
    ),
    "a strict server": Case(family="strict", contract=contract(json_body(STRICT), 'sales = "result.points"\n')),
    "lists of lists": Case(
        family="lists_of_lists",
        contract=contract(
            json_body("[[$target_time_series], [$both($promo)]]"),
            'sales = "[0][0]"\nsales_p10 = { path = "[1][0]", quantile = 0.1 }\n'
            'sales_p90 = { path = "[1][2]", quantile = 0.9 }\n',
        ),
        columns={"sales": 1.0, **QUANTILES},
    ),
    "one number an item": Case(
        family="one_number",
        steps=1,
        contract=contract(json_body('{"values": $target_time_series}'), 'sales = "prediction"\n'),
    ),
    "one key a step": Case(
        family="named_steps",
        contract=contract(json_body('{"values": $target_time_series}'), 'sales = "[h1, h2, h3, h4, h5, h6]"\n'),
    ),
}


REAL_SERVERS = {"GluonTS's shell", "MLflow, a real `mlflow models serve`", "BentoML", "TorchServe, a handler"}
"""What tests/conformance/test_forecasting_libraries.py runs."""


def test_each_row_of_the_readme_is_a_case() -> None:
    table = (TESTS.parent / "README.md").read_text().split("## Works with")[1].split("\n## ")[0]
    rows = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| ")][1:]
    assert sorted(rows) == sorted({*CASES} | REAL_SERVERS)


def write_history(folder: Path) -> pd.DataFrame:
    """Sales of 60 days, and a promotion that is known for the days to forecast."""
    days = pd.date_range(LAST_DAY - pd.Timedelta(days=59), LAST_DAY + pd.Timedelta(days=STEPS), freq="D")
    rows = pd.DataFrame(
        [
            (item, day, 10.0 + number + (3 * number + place) % 11, place % 5)
            for number, item in enumerate(ITEMS)
            for place, day in enumerate(days)
        ],
        columns=["item", "date", "sales", "promo"],
    )
    rows.loc[rows["date"] > LAST_DAY, "sales"] = np.nan
    folder.mkdir()
    written = rows.assign(date=rows["date"].dt.date)
    written.sample(frac=1.0, random_state=1).to_parquet(folder / "part-0.parquet", index=False)
    return rows[rows["date"] <= LAST_DAY]


def expected(rows: pd.DataFrame, case: Case) -> pd.DataFrame:
    """The mean of an item's last four values, plus the step; other columns by their factor."""
    level = rows.sort_values("date").groupby("item")["sales"].apply(lambda sales: sales.iloc[-4:].mean())
    return pd.DataFrame(
        [
            {
                "item_id": item,
                "forecast_date": (LAST_DAY + pd.Timedelta(days=step)).date(),
                **{name: (level[item] + step) * factor for name, factor in case.columns.items()},
            }
            for item in ITEMS
            for step in range(1, case.steps + 1)
        ]
    )


def server(case: Case) -> str:
    """The command that starts the container."""
    trained = [word for key, value in case.trained.items() for word in (f"--{key}", str(value))]
    return shlex.join(
        [sys.executable, str(TESTS / "emulators" / "containers"), case.family, "--port", "{port}", *trained]
    )


def ran(case: Case, run_pipeline: Callable[..., Ended], folder: Path) -> tuple[pd.DataFrame, Ended]:
    """The history, and the run that ended."""
    rows = write_history(folder / "history")
    ended = local(case, run_pipeline, folder)
    assert ended.stdout, ended.stderr
    assert ended.document["outcome"] == "COMPLETE", ended.document["cause"]
    return rows, ended


def local(case: Case, run_pipeline: Callable[..., Ended], folder: Path) -> Ended:
    """A run on the history in the folder."""
    (folder / "model.toml").write_text(case.contract)
    return run_pipeline(
        *("local", "--json", "--workspace", str(folder / "workspace"), "--history", str(folder / "history")),
        *("--contract", str(folder / "model.toml"), "--model-command", server(case)),
        *("-p", f"ForecastHorizon={case.steps}", "-p", f"RunDate={LAST_DAY:%Y-%m-%d}"),
    )


@pytest.mark.parametrize("name", CASES)
def test_works_with(name: str, run_pipeline: Callable[..., Ended], tmp_path: Path) -> None:
    case = CASES[name]
    rows, _ = ran(case, run_pipeline, tmp_path)
    store = DirectoryStore(tmp_path / "workspace" / "s3")
    published = read_forecasts("s3://batchcast/published", store=store)
    found = published.sort_values(["item_id", "forecast_date"]).reset_index(drop=True)
    wanted = expected(rows, case)
    assert pd.to_datetime(found["forecast_date"]).tolist() == pd.to_datetime(wanted["forecast_date"]).tolist()
    assert found["item_id"].tolist() == wanted["item_id"].tolist()
    for column in case.columns:
        np.testing.assert_allclose(found[column].astype(float), wanted[column], rtol=1e-6)


@pytest.mark.parametrize("name", ["AutoGluon, Parquet", "AutoGluon, CSV", "XGBoost, CSV in and out"])
def test_parity_asks_for_tables_as_the_run_did(name: str, run_pipeline: Callable[..., Ended], tmp_path: Path) -> None:
    case = CASES[name]
    _, ended = ran(case, run_pipeline, tmp_path)
    options = ("--against", str(ended.document["run_id"]), "--workspace", str(tmp_path / "workspace"), "--json")
    with served_model(ModelCommand(command=server(case))) as url:
        told = run_pipeline("parity", "--model-url", url, *options)
    assert told.exit_code == 0, told.stdout + told.stderr
    assert (told.document["match"], told.document["records"]) == (True, len(ITEMS))
    output = next((tmp_path / "workspace").glob("s3/batchcast/runs/*/output/r0/*.out"))
    if name.endswith("Parquet"):
        return
    output.write_bytes(output.read_bytes().replace(b"1", b"2"))
    with served_model(ModelCommand(command=server(case))) as url:
        told = run_pipeline("parity", "--model-url", url, *options)
    assert told.exit_code == 4, told.stdout + told.stderr


def test_what_is_known_of_the_future_may_lie_in_a_folder_of_its_own(
    run_pipeline: Callable[..., Ended], tmp_path: Path
) -> None:
    case = CASES["lists of lists"]
    case = replace(case, contract=case.contract.replace("[series]", '[series]\nfuture = ["promo"]'))
    write_history(tmp_path / "whole")
    rows = pd.read_parquet(tmp_path / "whole")
    (tmp_path / "history" / "_future").mkdir(parents=True)
    later = rows["date"] > LAST_DAY.date()
    rows[~later].to_parquet(tmp_path / "history" / "part-0.parquet", index=False)
    rows[later].drop(columns=["sales"]).to_parquet(tmp_path / "history" / "_future" / "plan.parquet", index=False)
    ended = local(case, run_pipeline, tmp_path)
    assert ended.document["outcome"] == "COMPLETE", ended.document["cause"]
    assert ended.document["counts"]["ok"] == len(ITEMS)
