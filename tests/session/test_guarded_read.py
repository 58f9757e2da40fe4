"""A history is read in another process: what ends it there is told with the file, and ends no caller."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from batchcast.cli.main import root
from batchcast.serving.adhoc.history_rows import copy_items
from batchcast.session.guarded_read import read_guarded, served_ranges
from batchcast.steps.contract.model_contract import parse_contract
from batchcast.steps.errors import ConfigError, DataError, Problem, ServiceError
from batchcast.steps.reading_note import reading
from batchcast.steps.store.objects import DirectoryStore

FIXTURES = Path(__file__).parents[1] / "fixtures"
CONTRACT = Path(__file__).parents[2] / "examples" / "bakery" / "model.toml"


def count(names: list[str], *, more: int) -> int:
    sys.stderr.write(f"reads {names[0]}\n")
    return len(names) + more


def refuse(name: str) -> None:
    raise ConfigError(Problem("code", "what.", name))


def abort(name: str) -> None:
    with reading("whole.parquet"):
        pass
    with reading(name):
        os.abort()


def test_the_result_and_what_was_said_come_back(capsys: pytest.CaptureFixture[str]) -> None:
    assert read_guarded(count, ["a", "b"], more=1) == 3
    assert capsys.readouterr().err == "reads a\n"


def test_an_error_is_the_same_error() -> None:
    with pytest.raises(ConfigError, match=r"\[code\] a.parquet: what."):
        read_guarded(refuse, "a.parquet")


def test_an_abort_names_the_file() -> None:
    with pytest.raises(DataError, match=r"z\.parquet: the process ended while it read this file"):
        read_guarded(abort, "z.parquet")


@pytest.mark.parametrize("name", ["footer-abort.parquet", "encrypted-date.parquet"])
def test_a_history_on_s3_is_read_in_another_process_too(name: str, tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "s3")
    store.upload(FIXTURES / name, "s3://lake/history/z.parquet")
    contract = parse_contract(CONTRACT.read_bytes())
    with pytest.raises(DataError, match=r"s3://lake/history/z\.parquet"):
        copy_items(store, None, "s3://lake/history/", tmp_path / "copy", ["a/b"], contract)


def test_what_another_process_asks_for_is_refused_with_the_error_of_this_one() -> None:
    def fetch(uri: str, start: int, end: int) -> bytes:
        raise ServiceError(Problem("s3", f"{uri} from {start} to {end}.", "there"))

    with pytest.raises(ServiceError, match="s3://b/k from 3 to 5"), served_ranges(fetch) as objects:
        read_guarded(objects.read, "s3://b/k", 3, 5)


def test_another_end_is_told_with_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ServiceError, match="exit code 9"):
        read_guarded(os._exit, 9)
    with pytest.raises(ServiceError, match="exit code 1"):
        read_guarded(int, "x")
    assert "ValueError: invalid literal" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [
        ["plan", "--seconds", "1", "--history", "HISTORY", "--contract", str(CONTRACT)],
        ["forecast", "a", "--model-url", "http://127.0.0.1:9", "--history", "HISTORY", "--contract", str(CONTRACT)],
        ["check-model", "--model-url", "http://127.0.0.1:9", "--history", "HISTORY", "--contract", str(CONTRACT)],
        ["init", "--model", "custom", "--history", "HISTORY", "--output", "OUTPUT"],
    ],
    ids=lambda command: command[0],
)
def test_a_command_names_a_file_that_cannot_be_read(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "history").mkdir()
    # pyarrow 17 reads what `init` asks for of the file whose footer makes later ones abort.
    damaged = "encrypted-date.parquet" if command[0] == "init" else "footer-abort.parquet"
    shutil.copy(FIXTURES / damaged, tmp_path / "history" / "z.parquet")
    places = {"HISTORY": str(tmp_path / "history"), "OUTPUT": str(tmp_path / "output")}
    words = [places.get(word, word) for word in command]
    ended = CliRunner().invoke(root, words)
    assert isinstance(ended.exception, DataError), ended.output
    assert str(tmp_path / "history") in str(ended.exception) or "z.parquet" in str(ended.exception)
