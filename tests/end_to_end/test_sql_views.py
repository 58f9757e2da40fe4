"""What analysts read: the printed views in a real engine, after runs, a rerun of some items and a rollback."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Any

import pytest
from bakery_run import MODEL, EndedRun, bakery_history, run_bakery
from click.testing import CliRunner, Result

from batchcast.cli.main import root
from batchcast.local.run import LOCAL_DEFAULTS
from batchcast.runs.published import list_published, read_forecasts
from batchcast.runs.sql_views import view_sql
from batchcast.session.workspace_models import declare_model
from batchcast.steps.errors import ConfigError, DataError
from batchcast.steps.store.objects import DirectoryStore

duckdb = pytest.importorskip("duckdb")
PUBLISH = LOCAL_DEFAULTS["PublishUri"]
PAGE = Path(__file__).resolve().parents[2] / "docs" / "results.md"
Engine = Any


def call(workspace: Path, *words: str) -> Result:
    result = CliRunner().invoke(root, [*words, "--workspace", str(workspace)])
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def weeks(tmp_path_factory: pytest.TempPathFactory) -> EndedRun:
    """Two weekly runs, whose days overlap, and one more of some items of the second."""
    folder = tmp_path_factory.mktemp("it's a workspace")
    history = bakery_history(folder / "history")
    run_bakery(folder / "workspace", history, RunDate="2019-03-23")
    second = run_bakery(folder / "workspace", history)
    declare_model(folder / "workspace", LOCAL_DEFAULTS["ModelName"], MODEL)
    (folder / "items.txt").write_text("3/110\n2/101\n")
    call(folder / "workspace", "rerun", second.run_id, "--items", str(folder / "items.txt"))
    return second


def duckdb_as_printed(run: EndedRun) -> Engine:
    engine = duckdb.connect()
    engine.execute(call(run.store.root.parent, "published", "--sql", "duckdb").stdout)
    return engine


def duckdb_with_athenas_view(run: EndedRun) -> Engine:
    """Athena's view, word for word, over what its two tables are declared to be."""
    printed = call(run.store.root.parent, "published", "--sql", "athena").stdout
    pointer, forecasts, view = printed.rstrip(";\n").split(";\n")
    link = re.search(r"echo (\S+) \|", pointer)
    location = re.search(r"LOCATION '([^']+)'", forecasts)
    assert link and location
    lines, files = (str(run.store.path(found[1].rstrip("/"))).replace("'", "''") for found in (link, location))
    engine = duckdb.connect()
    engine.execute(
        "CREATE VIEW forecasts_pointer AS SELECT unnest(string_split(content, chr(10))) AS line"
        f" FROM read_text('{lines}')"
    )
    columns = dict(re.findall(r"`(\w+)` (\w+)", forecasts))
    selected = ", ".join(
        f"{name}::{'VARCHAR' if kind == 'string' else kind} AS {name}" for name, kind in columns.items()
    )
    engine.execute(
        f'CREATE VIEW forecasts_of_all_runs AS SELECT {selected}, filename AS "$path"'
        f" FROM read_parquet('{files}/*/*/*.parquet', filename = true, hive_partitioning = false)"
    )
    engine.execute(view)
    return engine


@pytest.mark.parametrize("connect", [duckdb_as_printed, duckdb_with_athenas_view])
def test_each_day_once_after_runs_a_rerun_and_a_rollback(weeks: EndedRun, connect: object) -> None:
    assert callable(connect)
    engine = connect(weeks)
    workspace = weeks.store.root.parent
    merged = read_forecasts(PUBLISH, store=weeks.store).attrs["run_id"]
    assert len(list_published(PUBLISH, store=weeks.store)) == 3
    for step in ("the rerun", "the second week", "the first week", "the second week"):
        wanted = read_forecasts(PUBLISH, store=weeks.store)
        found = engine.execute("SELECT * FROM forecasts ORDER BY item_id, forecast_date").df()
        assert not found.duplicated(["item_id", "forecast_date"]).any(), step
        assert found["run_id"].unique().tolist() == [wanted.attrs["run_id"]]
        assert found["run_date"].unique().tolist() == [wanted.attrs["run_date"]]
        for column in wanted.columns:
            assert found[column].astype(str).replace("None", "nan").tolist() == wanted[column].astype(str).tolist()
        if step == "the rerun":
            assert found["source_run_id"].nunique() > 0
            call(workspace, "rollback")
        elif step == "the second week":
            runs = list_published(PUBLISH, store=weeks.store)
            call(workspace, "rollback", "--to", runs[0].run_id)
        else:
            call(workspace, "rollback", "--to", weeks.run_id)
    call(workspace, "rollback", "--to", merged)


def test_the_query_of_the_page_runs(weeks: EndedRun) -> None:
    (query,) = re.findall(r"```sql\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    rows = duckdb_as_printed(weeks).execute(query).fetchall()
    frame = read_forecasts(PUBLISH, store=weeks.store)
    assert len(rows) == frame["forecast_date"].nunique()
    assert isinstance(rows[0][0], dt.date)


def test_without_a_published_run_there_is_no_view(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no published run"):
        view_sql(DirectoryStore(tmp_path), PUBLISH, "duckdb")


def test_it_prints_one_or_the_other(weeks: EndedRun) -> None:
    words = ["published", "--sql", "duckdb", "--json", "--workspace", str(weeks.store.root.parent)]
    assert isinstance(CliRunner().invoke(root, words).exception, ConfigError)
