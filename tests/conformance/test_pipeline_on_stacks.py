"""The command line on serving stacks that nobody wrote for batchcast: check-container, and the whole pipeline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from stacks import OWN_SERVER, ROOT, Stack

pytestmark = pytest.mark.conformance

RUN_DATE = date(2019, 3, 30)
POISON = "999/1"


def command_line(folder: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code and `--json` document of the command, started as a user starts it in `folder`."""
    ended = subprocess.run(
        [sys.executable, str(ROOT / "run_pipeline.py"), *arguments, "--json"],
        cwd=folder,
        env={**os.environ, "TMPDIR": str(folder)},  # where a server that is killed leaves its scratch files
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ended.stdout, ended.stderr
    return ended.returncode, json.loads(ended.stdout)


def test_the_stack_is_fit_and_its_ways_are_named(stack: Stack, tmp_path: Path) -> None:
    exit_code, report = command_line(tmp_path, "check-container", "--model-command", stack.command())
    assert exit_code == 0, report
    assert report["fit"]
    said = " ".join(finding["what"] for finding in report["findings"])
    assert f"Half a record gets {stack.bad_status}" in said
    assert "Good records are answered after every bad one." in said
    assert "3 records in one request: a line each." in said
    offers = stack.says["MaxConcurrentTransforms"] > 1
    assert ("BatchStrategy 'SingleRecord' is not usable" in said) == offers
    assert ("/execution-parameters is not offered" in said) != offers
    assert report["parameters"].keys() == {
        "MaxConcurrentTransforms",
        "MaxPayloadInMB",
        "InvocationsTimeoutInSeconds",
    }


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve series of the bakery, and one without any sales, which the model refuses."""
    table = ds.dataset(ROOT / "examples" / "bakery" / "history").to_table(
        filter=(pc.field("date") >= date(2018, 12, 1)) & (pc.field("store") <= 5)
    )
    like = table.filter((pc.field("store") == 2) & (pc.field("product") == 101))
    store, product = POISON.split("/")
    changed = {"store": int(store), "product": int(product), "sales": None}
    columns = [
        pa.array([changed[name]] * like.num_rows, like.schema.field(name).type) if name in changed else like[name]
        for name in like.column_names
    ]
    folder = tmp_path_factory.mktemp("history")
    pq.write_table(pa.concat_tables([table, pa.table(columns, schema=like.schema)]), folder / "sales.parquet")
    return folder


def local(folder: Path, history: Path, stack: Stack, *parameters: str) -> tuple[int, dict[str, Any]]:
    return command_line(
        folder,
        *("local", "--history", str(history), "--contract", str(ROOT / "examples" / "bakery" / "model.toml")),
        *("--workspace", str(folder / stack.name), "--model-command", stack.command()),
        *("-p", f"RunDate={RUN_DATE}", "-p", "RecordsPerShard=3", "-p", "MaxConcurrentTransforms=2"),
        *(word for parameter in parameters for word in ("-p", parameter)),
    )


def published(folder: Path, stack: Stack) -> dict[str, bytes]:
    """The published data of the one run in the workspace."""
    [run] = (folder / stack.name / "s3" / "batchcast" / "published" / "forecasts").glob("run_date=*/run_id=*")
    return {path.name: path.read_bytes() for path in run.glob("*.parquet")}


def publish_all_but_the_bad_record(folder: Path, history: Path, stack: Stack) -> dict[str, bytes]:
    """Run with one bad record tolerated; what was published."""
    exit_code, document = local(folder, history, stack, "MaxFailedRecords=1", "SystemicFailurePercent=50")
    assert exit_code == 0, document
    assert document["outcome"] == "COMPLETE_WITH_QUARANTINE"
    assert [row["item_id"] for row in document["failed"]] == [POISON]
    assert document["counts"]["ok"] == 12
    steps = {step["name"]: step["status"] for step in document["execution"]["steps"]}
    assert steps["Transform"] == "Failed"
    assert steps["ValidateAndPublishRetry"] == "Succeeded"
    return published(folder, stack)


@pytest.fixture(scope="session")
def own_forecasts(tmp_path_factory: pytest.TempPathFactory, history: Path) -> dict[str, bytes]:
    """What a run on the sample's own server publishes."""
    return publish_all_but_the_bad_record(tmp_path_factory.mktemp("own-run"), history, OWN_SERVER)


def test_a_run_publishes_all_but_the_bad_record_as_on_the_samples_own_server(
    stack: Stack, history: Path, tmp_path: Path, own_forecasts: dict[str, bytes]
) -> None:
    assert publish_all_but_the_bad_record(tmp_path, history, stack) == own_forecasts != {}


def test_a_run_that_tolerates_nothing_is_held_by_the_bad_record_and_publishes_nothing(
    stack: Stack, history: Path, tmp_path: Path
) -> None:
    exit_code, document = local(tmp_path, history, stack, "SystemicFailurePercent=50")
    assert exit_code == 5
    assert document["outcome"] == "HELD"
    assert document["published"] is None
    assert [row["item_id"] for row in document["failed"]] == [POISON]
