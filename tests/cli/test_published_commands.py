"""`published`, `rollback` and `prune` as a user calls them, on a workspace."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

from batchcast.cli.main import root
from batchcast.pipelines.settings import BuildSettings
from batchcast.steps.errors import BatchcastError, ConfigError, DataError
from batchcast.steps.publish.forecast_table import forecast_schema
from batchcast.steps.publish.publication import publish
from batchcast.steps.store.objects import DirectoryStore

PUBLISH = "s3://bucket/published"
WEEKS = [date(2026, 1, 4) + timedelta(days=7 * week) for week in range(4)]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Four published weeks, run0 to run3."""
    store = DirectoryStore(tmp_path / "s3")
    previous = None
    for number, run_date in enumerate(WEEKS):
        row = {"item_id": "a", "forecast_date": run_date, "step": 1, "sales": 1.0, "source": "model"}
        manifest = {
            "run_id": f"run{number}",
            "run_date": run_date.isoformat(),
            "outcome": "COMPLETE",
            "counts": {"ok": 1},
            "previous": previous,
        }
        publish(store, PUBLISH, pa.Table.from_pylist([row], schema=forecast_schema(["sales"])), manifest)
        previous = {"run_id": f"run{number}", "run_date": run_date.isoformat()}
    return tmp_path


def call(workspace: Path, *arguments: str, uri: str | None = PUBLISH) -> Result:
    where = ["--publish-uri", uri] if uri else []
    return CliRunner().invoke(root, [*arguments, *where, "--workspace", str(workspace)])


def current(workspace: Path) -> list[str]:
    rows = json.loads(call(workspace, "published", "--json").stdout)
    return [row["run_id"] for row in rows if row["current"]]


def test_every_run_is_listed_and_the_one_that_readers_see_is_marked(workspace: Path) -> None:
    lines = call(workspace, "published").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["run0", "run1", "run2", "run3"]
    assert [line.split()[0] for line in lines if "readers see this" in line] == ["run3"]


def test_an_empty_place_is_told_as_one(workspace: Path) -> None:
    result = call(workspace, "published", uri="s3://bucket/elsewhere")
    assert (result.exit_code, result.stdout) == (0, "Nothing is published at s3://bucket/elsewhere.\n")


def test_rollback_goes_to_the_run_before_or_to_the_one_named(workspace: Path) -> None:
    assert "run2 of 2026-01-18" in call(workspace, "rollback").stdout
    assert current(workspace) == ["run2"]
    assert "run0" in call(workspace, "rollback", "--to", "run0").stdout
    assert current(workspace) == ["run0"]


def test_prune_removes_the_oldest_and_says_which(workspace: Path) -> None:
    removed = call(workspace, "prune", "--keep", "2").stdout
    assert removed == "Removed the published run run0 of 2026-01-04.\nRemoved the published run run1 of 2026-01-11.\n"
    assert call(workspace, "prune", "--keep", "2").stdout == "Nothing to remove.\n"


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (("rollback", "--to", "run9"), DataError, "no run run9 is published"),
        (("prune", "--keep", "0"), ConfigError, "at least 1"),
    ],
)
def test_what_cannot_be_done_changes_nothing(
    workspace: Path, arguments: tuple[str, ...], error: type[BatchcastError], said: str
) -> None:
    result = call(workspace, *arguments)
    assert isinstance(result.exception, error)
    assert said in str(result.exception)
    assert current(workspace) == ["run3"]


def test_without_a_run_the_place_has_to_be_named(workspace: Path) -> None:
    name = BuildSettings().pipeline_name
    result = call(workspace, "published", uri=None)
    assert isinstance(result.exception, ConfigError)
    assert name in str(result.exception)
