"""A workspace does not grow for ever: what nothing refers to any more can be cleared, and readers lose nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from bakery_run import MODEL, prepared_store, refusing_model
from command import RUN_DATE, Ended

from batchcast.local.run import LOCAL_DEFAULTS
from batchcast.runs.published import list_published, read_forecasts

Command = Callable[..., Ended]
PUBLISH = LOCAL_DEFAULTS["PublishUri"]
HERE = ("--workspace", "workspace")


@pytest.fixture
def run(run_pipeline: Command, history: Path) -> Callable[..., Ended]:
    def local(days: int, *more: str, model: str = MODEL.command) -> Ended:
        date = str(RUN_DATE - timedelta(days=days))
        return run_pipeline(
            *("local", "--json", *HERE, "--history", str(history), "-p", f"RunDate={date}", "--model-command", model),
            *more,
        )

    return local


def size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def test_prune_clears_what_nothing_refers_to(run: Callable[..., Ended], run_pipeline: Command, tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    oldest = run(14).document["run_id"]
    held = run(13, model=refusing_model("2/101").command).document["run_id"]
    rest = run_pipeline("rerun", held, *HERE, "--json", "-p", "MaxFailedRecords=1")
    assert rest.exit_code == 0, rest.stderr
    last = run(0).document["run_id"]
    store = prepared_store(workspace, tmp_path / "history")
    before = size(workspace)

    dry = run_pipeline("prune", "--keep", "2", "--dry-run", *HERE)
    assert dry.exit_code == 0, dry.stderr
    assert f"Would remove the published run {oldest}" in dry.stdout
    assert size(workspace) == before
    done = run_pipeline("prune", "--keep", "2", *HERE)
    assert f"Removed run {oldest}: " in done.stdout
    # The run that was held has answers that a published run reuses.
    assert held not in done.stdout
    assert list(store.list(f"{LOCAL_DEFAULTS['RunsUri']}/{oldest}/")) == []
    assert not [path for path in workspace.rglob("*") if path.is_file() and oldest in str(path)]
    assert {each.run_id for each in list_published(PUBLISH, store=store)} == {rest.document["run_id"], last}
    assert read_forecasts(PUBLISH, store=store).attrs["run_id"] == last
    assert "Nothing to remove." in run_pipeline("prune", "--keep", "2", *HERE).stdout

    kept = run(0, "--keep-runs", "1", "-p", "RunLabel=again")
    assert kept.exit_code == 0, kept.stderr
    assert f"Removed run {held}: " in kept.stderr
    seen = [each.run_id for each in list_published(PUBLISH, store=store) if each.current]
    assert seen == [kept.document["run_id"]]
