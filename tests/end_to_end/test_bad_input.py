"""What a user gets wrong: each a clear message and its exit code."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command import HISTORY, LAST_WEEK, Ended

Run = Callable[..., Ended]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (["-p", "ForcastHorizon=7"], 2, "Did you mean ForecastHorizon?"),
        (["-p", "ForecastHorizon=soon"], 2, "ForecastHorizon: 'soon' is not a whole number"),
        (["-p", "MaxConcurrentTransforms=20", "-p", "MaxPayloadInMB=6"], 2, "120 MB"),
        (["--history", "no-such-directory", *LAST_WEEK], 2, "no-such-directory"),
        (["--history", __file__, *LAST_WEEK], 2, "is not a Parquet file"),
        (["--history", str(HISTORY)], 2, "Give one of --model-command and --model-url."),
        (["--contract", str(HISTORY.with_name("model.toml"))], 2, "Give one of --model-command and --model-url."),
        (["--contract", "no-such-file.toml"], 2, "no-such-file.toml"),
        (["--model-command", "python serve.py"], 2, "{port}"),
    ],
)
def test_configuration_is_refused_before_anything_runs(
    run_pipeline: Run, arguments: list[str], exit_code: int, said: str
) -> None:
    ended = run_pipeline("local", *arguments)
    assert (ended.exit_code, said in ended.stderr) == (exit_code, True), ended.stderr
    assert "Traceback" not in ended.stderr


def no_rows(directory: Path) -> None:
    table = pq.read_table(max(HISTORY.iterdir()))
    pq.write_table(table.slice(0, 0), directory / "empty.parquet")


def not_parquet(directory: Path) -> None:
    (directory / "sales.parquet").write_text("store,product,date,sales\n1,1,2019-01-01,3\n")


def two_types(directory: Path) -> None:
    first, second = sorted(HISTORY.iterdir())[-3:-1]
    shutil.copy(first, directory)
    table = pq.read_table(second)
    whole = table["sales"].combine_chunks().cast(pa.int64(), safe=False)
    pq.write_table(table.set_column(table.column_names.index("sales"), "sales", whole), directory / "z.parquet")


def text_target(directory: Path) -> None:
    table = pq.read_table(max(HISTORY.iterdir()))
    index = table.column_names.index("sales")
    pq.write_table(table.set_column(index, "sales", table["sales"].cast(pa.string())), directory / "z.parquet")


def time_zone(directory: Path) -> None:
    table = pq.read_table(max(HISTORY.iterdir()))
    index = table.column_names.index("date")
    zoned = table["date"].cast(pa.timestamp("us")).cast(pa.timestamp("us", "Europe/Berlin"))
    pq.write_table(table.set_column(index, "date", zoned), directory / "z.parquet")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (no_rows, ["no row", "sales"]),
        (not_parquet, ["sales.parquet", "not"]),
        (two_types, ["z.parquet", "sales", "double", "int64"]),
        (text_target, ["z.parquet", "sales", "string"]),
        (time_zone, ["z.parquet", "date", "Europe/Berlin"]),
    ],
)
def test_a_wrong_data_set_is_a_data_error_that_names_the_place(
    run_pipeline: Run, tmp_path: Path, make: Callable[[Path], None], said: list[str]
) -> None:
    directory = tmp_path / "history"
    directory.mkdir()
    make(directory)
    ended = run_pipeline("local", "--history", str(directory), *LAST_WEEK)
    assert ended.exit_code == 3, ended.stdout + ended.stderr
    assert [word for word in said if word not in ended.stdout] == []


def test_a_model_command_that_exits_at_once_is_a_model_error_with_its_last_words(run_pipeline: Run) -> None:
    command = f"{sys.executable} -c \"import sys; sys.exit('no model file on port {{port}}')\""
    ended = run_pipeline("local", "--model-command", command)
    assert ended.exit_code == 4, ended.stdout + ended.stderr
    assert "no model file" in ended.stdout


def test_an_empty_directory_is_a_data_error(run_pipeline: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ended = run_pipeline("local", "--history", str(tmp_path / "empty"), *LAST_WEEK)
    assert ended.exit_code == 3
    assert "No S3 objects found" in ended.stdout


def test_a_server_that_never_answers_ping_is_a_model_error_and_not_a_long_wait(run_pipeline: Run) -> None:
    command = f'{sys.executable} -c "import time; time.sleep(60)" {{port}}'
    ended = run_pipeline("local", "--model-command", command, "--start-seconds", "1.5")
    assert ended.exit_code == 4, ended.stdout + ended.stderr
    assert "failed to respond to ping" in ended.stdout
