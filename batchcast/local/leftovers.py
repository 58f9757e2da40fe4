"""What runs left behind that nothing refers to any more."""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from batchcast.local.inputs import DOWNLOADED, UNFINISHED, all_runs
from batchcast.runs.published import list_publications, prune
from batchcast.runs.run_record import find_run
from batchcast.session.session import Session, WorkspaceSession
from batchcast.session.workspace_inputs import start_lock
from batchcast.steps.errors import DataError
from batchcast.steps.store.objects import join_uri


def remove_runs(session: Session, name: str, publish_uri: str, *, keep: int, dry_run: bool = False) -> list[str]:
    """Remove old published runs and, in a workspace, what its runs left behind, each in words; on AWS the bucket's
    lifecycle rules do that. With `dry_run` nothing is removed."""
    runs = prune(publish_uri, keep=keep, store=session.store, dry_run=dry_run)
    removed = [f"the published run {run.run_id} of {run.run_date}." for run in runs]
    if isinstance(session, WorkspaceSession):
        left = _clear(session, name, publish_uri, keep=keep, dry_run=dry_run)
        removed += [f"{what}: {size / 1e6:,.1f} MB." for what, size in left.items()]
    return removed


def _clear(
    session: WorkspaceSession, pipeline_name: str, publish_uri: str, *, keep: int, dry_run: bool
) -> dict[str, int]:
    """Remove what is left of all runs but the `keep` newest: shards, outputs, reports, jobs, logs and scratch files.

    A run stays that is published, that has not ended, or whose answers such a run reuses. Returns what is removed, or
    would be, with its bytes.
    """
    with start_lock(session.workspace):
        runs = all_runs(session, pipeline_name)
        kept = _kept(session, pipeline_name, publish_uri, runs, keep)
        old = [arn for arn, _ in runs if _run_id(arn) not in kept]
        found = {f"run {_run_id(arn)}": _clear_run(session, pipeline_name, arn, dry_run=dry_run) for arn in old}
        if not any(status in UNFINISHED for _, status in runs):
            for folder in _scratch(session):
                found[f"scratch files in {folder}"] = _size(folder)
                if not dry_run:
                    shutil.rmtree(folder, ignore_errors=True)
    return found


def _run_id(arn: str) -> str:
    return arn.rsplit("/", 1)[-1]


def _kept(
    session: WorkspaceSession, pipeline_name: str, publish_uri: str, runs: list[tuple[str, str]], keep: int
) -> set[str]:
    there = {_run_id(arn): status for arn, status in runs}
    whole, damaged = list_publications(publish_uri, session.store)
    kept = {*list(there)[:keep], *(run.run_id for run in whole), *(run.run_id for run in damaged)}
    kept |= {run_id for run_id, status in there.items() if status in UNFINISHED}
    left = [run_id for run_id in kept if run_id in there]
    while left:
        with suppress(DataError):  # then nobody can tell any more
            manifest = find_run(session, pipeline_name, left.pop()).manifest()
            resumed = manifest and manifest.resume_from
            if resumed in there and resumed not in kept:
                kept.add(resumed)
                left.append(resumed)
    return kept


def _clear_run(session: WorkspaceSession, pipeline_name: str, arn: str, *, dry_run: bool) -> int:
    run_id = _run_id(arn)
    run = find_run(session, pipeline_name, run_id)
    objects = list(session.store.list(join_uri(run.parameters["RunsUri"], run_id) + "/"))
    size = sum(each.size for each in objects) + sum(_size(folder) for folder in session.engine.job_folders(run_id))
    if not dry_run:
        for each in objects:
            session.store.delete(each.uri)
        # A store lists objects; what is left of a run once they are gone are its empty folders.
        folder = session.store.path(join_uri(run.parameters["RunsUri"], run_id))
        for directory, _, files in os.walk(folder, topdown=False):
            if not files:
                Path(directory).rmdir()
        session.engine.forget_execution(arn)
    return size


def _scratch(session: WorkspaceSession) -> Iterator[Path]:
    """Folders of unfinished files, and copies of histories on S3 that are no bucket any more."""
    mounted = {path.resolve() for path in session.store.root.iterdir()} if session.store.root.is_dir() else set()
    copies = session.workspace / DOWNLOADED
    folders = [each for each in copies.glob("*") if each.resolve() not in mounted]
    folders += [session.store.root / ".tmp", session.workspace / "partial"]
    yield from (folder for folder in folders if folder.is_dir() and any(folder.iterdir()))


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
