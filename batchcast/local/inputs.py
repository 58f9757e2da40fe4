"""What `local` puts into a workspace before a run, and what runs left behind that nothing refers to any more.

Code, contract, history and the model's server are shared by all runs of the workspace. They are therefore read and
checked first, and put there only while no run is going on that would see other inputs than it was started with.
"""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from batchcast.engine.server.model_server import ModelSource
from batchcast.runs.published import list_damaged, list_published
from batchcast.runs.run_record import find_run
from batchcast.session.session import WorkspaceSession, pages
from batchcast.session.workspace_inputs import start_lock
from batchcast.session.workspace_models import declare_model, read_models
from batchcast.steps.contract.model_contract import CONTRACT_FILE, parse_contract
from batchcast.steps.errors import ConfigError, DataError, Problem, ServiceError
from batchcast.steps.history.folders import history_folder
from batchcast.steps.store.objects import DirectoryStore, join_uri

DOWNLOADED = "history-from-s3"
"""The folder of a workspace with the copies of histories that lie on S3."""
_ONE_FILE = "history-of-one-file"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalInputs:
    """`objects` by URI; `history` is the directory that becomes the bucket `history_bucket`; `model` stands for
    `model_name`, None where models.toml says already which server does."""

    objects: dict[str, bytes]
    history: Path
    history_bucket: str
    model_name: str
    model: ModelSource | None

    def changes(self, workspace: Path, store: DirectoryStore) -> list[str]:
        """In words, what of the workspace would become something else."""
        return [what for what, _ in self._changes(workspace, store)]

    def put(self, workspace: Path, store: DirectoryStore) -> None:
        """Put into the workspace what is not there yet."""
        for _, uri in self._changes(workspace, store):
            if uri in self.objects:
                store.write(uri, self.objects[uri])
        bucket = store.root / self.history_bucket
        if not self._mounted(store):
            bucket.parent.mkdir(parents=True, exist_ok=True)
            bucket.unlink(missing_ok=True)
            bucket.symlink_to(self.history)
        if self.model is not None:
            declare_model(workspace, self.model_name, self.model)

    def _changes(self, workspace: Path, store: DirectoryStore) -> Iterator[tuple[str, str]]:
        for uri, data in self.objects.items():
            if not store.exists(uri) or store.read(uri) != data:
                yield f"the {'contract' if uri.endswith('.toml') else 'code'}", uri
        if not self._mounted(store):
            yield "the history", ""
        if self.model is not None and read_models(workspace).get(self.model_name) != self.model:
            yield f"the server of {self.model_name}", ""

    def _mounted(self, store: DirectoryStore) -> bool:
        bucket = store.root / self.history_bucket
        return bucket.is_symlink() and bucket.resolve() == self.history


def check_undisturbed(session: WorkspaceSession, pipeline_name: str, inputs: LocalInputs) -> None:
    """Raises ServiceError when a run of another process goes on and would see its inputs change."""
    unfinished = [arn for arn, status in _runs(session, pipeline_name) if status in _UNFINISHED]
    interrupted = set(session.engine.interrupted()) if unfinished else set()
    going_on = [arn.rsplit("/", 1)[-1] for arn in unfinished if arn not in interrupted]
    changes = inputs.changes(session.workspace, session.store) if going_on else []
    if changes:
        run_id = going_on[0]
        what = f"run {run_id} goes on there, and this one would change {' and '.join(changes)} under it."
        remedy = f"Wait for it (`wait {run_id}`), stop it (`stop {run_id}`), or give another --workspace."
        raise ServiceError(Problem("locked", what, str(session.workspace), remedy))


def history_directory(history: str, workspace: Path) -> Path:
    """The directory of the history: the user's own, one that links to the user's one file, or a copy of what lies on
    S3. Raises ConfigError for none."""
    if history.startswith("s3://"):
        return _download(history, workspace / DOWNLOADED)
    named = sha256(str(Path(history).resolve()).encode(errors="surrogateescape")).hexdigest()[:16]
    return history_folder(history, (workspace / _ONE_FILE / named).resolve())


def _download(prefix: str, folder: Path) -> Path:
    """A copy named by what is listed there: one that a run is made of stays as it is when S3 has new files."""
    from batchcast.steps.store.s3 import S3Store

    source = S3Store()
    listed = list(source.list(prefix))
    named = sha256(repr([prefix, [(each.uri, each.size, each.version) for each in listed]]).encode()).hexdigest()[:16]
    directory, partial = folder / named, folder / f".partial-{named}"
    if directory.is_dir():
        return directory
    shutil.rmtree(partial, ignore_errors=True)
    copies = DirectoryStore(partial)
    for each in listed:
        name = each.uri.removeprefix(prefix).lstrip("/") or each.uri.rsplit("/", 1)[-1]
        # The store turns keys into paths, and refuses one that would lead elsewhere.
        source.download(each.uri, copies.path(f"s3://history/{name}"))
    copy = partial / "history"
    copy.mkdir(parents=True, exist_ok=True)
    copy.rename(directory)
    shutil.rmtree(partial, ignore_errors=True)
    return directory


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
        old = [arn for arn, _ in runs if arn.rsplit("/", 1)[-1] not in kept]
        found = [_clear_run(session, pipeline_name, arn, dry_run=dry_run) for arn in old]
        if not any(status in _UNFINISHED for _, status in runs):
            found += [_clear_folder(folder, dry_run=dry_run) for folder in _scratch(session)]
    return found


def _runs(session: WorkspaceSession, pipeline_name: str) -> list[tuple[str, str]]:
    """ARN and status of every execution, the newest first."""
    client = session.client("sagemaker")
    if not any(each["PipelineName"] == pipeline_name for each in client.list_pipelines()["PipelineSummaries"]):
        return []
    listing = pages(client.list_pipeline_executions, PipelineName=pipeline_name, MaxResults=100)
    found = (each for page in listing for each in page["PipelineExecutionSummaries"])
    return [(each["PipelineExecutionArn"], each["PipelineExecutionStatus"]) for each in found]


def _kept(
    session: WorkspaceSession, pipeline_name: str, publish_uri: str, runs: list[tuple[str, str]], keep: int
) -> set[str]:
    there = {arn.rsplit("/", 1)[-1]: status for arn, status in runs}
    store = session.store
    published = {run.run_id for run in list_published(publish_uri, store=store)}
    published |= {run.run_id for run in list_damaged(publish_uri, store=store)}
    kept = {*list(there)[:keep], *(run_id for run_id, status in there.items() if status in _UNFINISHED), *published}
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
        # A store lists objects; what is left of a run once they are gone are its empty folders.
        folder = session.store.path(join_uri(run.parameters["RunsUri"], run_id))
        for directory, _, files in os.walk(folder, topdown=False):
            if not files:
                Path(directory).rmdir()
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
    found = Leftover(what=f"scratch files in {folder}", size=_size(folder))
    if not dry_run:
        shutil.rmtree(folder, ignore_errors=True)
    return found


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def with_items_per_request(contract: bytes, records: int) -> bytes:
    """The contract with so many records a request. Raises ConfigError where it has no place for more than one."""
    if parse_contract(contract).request.items_per_request == records:
        return contract
    declared = rb"(?m)^(\s*items_per_request\s*=\s*)[\d_]+"
    changed = re.sub(declared, rb"\g<1>%d" % records, contract)
    if parse_contract(changed).request.items_per_request != records:
        what = f"{records} records a request were measured, and [request] has no items_per_request."
        raise ConfigError(Problem("tuning_items", what, CONTRACT_FILE, f"Write items_per_request = {records} there."))
    return changed
