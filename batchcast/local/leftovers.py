"""What the runs of a workspace left behind and nothing refers to any more."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from batchcast.local.inputs import DOWNLOADED
from batchcast.runs.published import list_damaged, list_published
from batchcast.runs.run_record import find_run
from batchcast.session.session import WorkspaceSession, pages
from batchcast.session.workspace_inputs import start_lock
from batchcast.steps.errors import DataError
from batchcast.steps.store.objects import join_uri

_UNFINISHED = ("Executing", "Stopping")


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """A run that nothing refers to, or a folder of scratch files; `size` in bytes."""

    what: str
    size: int


def clear_leftovers(
    session: WorkspaceSession, pipeline_name: str, publish_uri: str, *, keep: int, dry_run: bool = False
) -> list[Leftover]:
    """Remove what is left of all runs but the `keep` newest: shards, outputs, reports, jobs, logs and scratch files.

    A run stays that is published, that has not ended, or whose answers such a run reuses. With `dry_run` nothing is
    removed. Returns what is removed, or would be.
    """
    with start_lock(session.workspace):
        runs = _runs(session, pipeline_name)
        kept = _kept(session, pipeline_name, publish_uri, runs, keep)
        found = [
            _clear_run(session, pipeline_name, arn, dry_run=dry_run)
            for arn, _ in runs
            if arn.rsplit("/", 1)[-1] not in kept
        ]
        if not any(status in _UNFINISHED for _, status in runs):
            found += [_clear_folder(folder, dry_run=dry_run) for folder in _scratch(session)]
    return found


def _runs(session: WorkspaceSession, pipeline_name: str) -> list[tuple[str, str]]:
    """ARN and status of every execution, the newest first."""
    client = session.client("sagemaker")
    if not any(each["PipelineName"] == pipeline_name for each in client.list_pipelines()["PipelineSummaries"]):
        return []
    listing = pages(client.list_pipeline_executions, PipelineName=pipeline_name, MaxResults=100)
    return [
        (each["PipelineExecutionArn"], each["PipelineExecutionStatus"])
        for page in listing
        for each in page["PipelineExecutionSummaries"]
    ]


def _kept(
    session: WorkspaceSession, pipeline_name: str, publish_uri: str, runs: list[tuple[str, str]], keep: int
) -> set[str]:
    there = {arn.rsplit("/", 1)[-1]: status for arn, status in runs}
    store = session.store
    published = {run.run_id for run in list_published(publish_uri, store=store)}
    published |= {run.run_id for run in list_damaged(publish_uri, store=store)}
    kept = {
        *list(there)[:keep],
        *(run_id for run_id, status in there.items() if status in _UNFINISHED),
        *published,
    }
    left = [run_id for run_id in kept if run_id in there]
    while left:
        resumed = _resumed(session, pipeline_name, left.pop())
        if resumed in there and resumed not in kept:
            kept.add(resumed)
            left.append(resumed)
    return kept


def _resumed(session: WorkspaceSession, pipeline_name: str, run_id: str) -> str:
    """The run whose answers this one reuses; empty when it reuses none, or nobody can tell any more."""
    try:
        manifest = find_run(session, pipeline_name, run_id).manifest()
    except DataError:
        return ""
    return (manifest and manifest.resume_from) or ""


def _clear_run(session: WorkspaceSession, pipeline_name: str, arn: str, *, dry_run: bool) -> Leftover:
    run_id = arn.rsplit("/", 1)[-1]
    run = find_run(session, pipeline_name, run_id)
    objects = list(session.store.list(join_uri(run.parameters["RunsUri"], run_id) + "/"))
    size = sum(each.size for each in objects) + sum(_size(folder) for folder in session.engine.job_folders(run_id))
    if not dry_run:
        for each in objects:
            session.store.delete(each.uri)
        _remove_empty(session.store.path(join_uri(run.parameters["RunsUri"], run_id)))
        session.engine.forget_execution(arn)
    return Leftover(what=f"run {run_id}", size=size)


def _scratch(session: WorkspaceSession) -> Iterator[Path]:
    """Folders of unfinished files, and copies of histories on S3 that are no bucket any more."""
    mounted = {path.resolve() for path in session.store.root.iterdir()} if session.store.root.is_dir() else set()
    copies = session.workspace / DOWNLOADED
    folders = [*copies.iterdir()] if copies.is_dir() else []
    folders = [folder for folder in folders if folder.resolve() not in mounted]
    folders += [session.store.root / ".tmp", session.workspace / "partial"]
    yield from (folder for folder in folders if folder.is_dir() and any(folder.iterdir()))


def _clear_folder(folder: Path, *, dry_run: bool) -> Leftover:
    size = _size(folder)
    if not dry_run:
        shutil.rmtree(folder, ignore_errors=True)
    return Leftover(what=f"scratch files in {folder}", size=size)


def _remove_empty(folder: Path) -> None:
    """A store lists objects; what is left of a run once they are gone are its empty folders."""
    for directory, _, files in os.walk(folder, topdown=False):
        if not files:
            Path(directory).rmdir()


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
