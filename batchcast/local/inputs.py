"""What `local` puts into a workspace before a run.

Code, contract, history and the model's server are shared by all runs of the workspace. They are therefore read and
checked first, and put there only while no run is going on that would see other inputs than it was started with.
"""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from batchcast.engine.server.model_server import ModelSource
from batchcast.session.session import WorkspaceSession, pages
from batchcast.session.workspace_models import declare_model, read_models
from batchcast.steps.contract.model_contract import CONTRACT_FILE, parse_contract
from batchcast.steps.errors import ConfigError, Problem, ServiceError
from batchcast.steps.history.folders import history_folder
from batchcast.steps.store.objects import DirectoryStore

DOWNLOADED = "history-from-s3"
"""The folder of a workspace with the copies of histories that lie on S3."""
UNFINISHED = ("Executing", "Stopping")
"""How an execution stands that has not ended."""
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
    unfinished = [arn for arn, status in all_runs(session, pipeline_name) if status in UNFINISHED]
    interrupted = set(session.engine.interrupted()) if unfinished else set()
    going_on = [arn.rsplit("/", 1)[-1] for arn in unfinished if arn not in interrupted]
    changes = inputs.changes(session.workspace, session.store) if going_on else []
    if changes:
        run_id = going_on[0]
        what = f"run {run_id} goes on there, and this one would change {' and '.join(changes)} under it."
        remedy = f"Wait for it (`wait {run_id}`), stop it (`stop {run_id}`), or give another --workspace."
        raise ServiceError(Problem("locked", what, str(session.workspace), remedy))


def all_runs(session: WorkspaceSession, pipeline_name: str) -> list[tuple[str, str]]:
    """ARN and status of every execution, the newest first."""
    client = session.client("sagemaker")
    if not any(each["PipelineName"] == pipeline_name for each in client.list_pipelines()["PipelineSummaries"]):
        return []
    listing = pages(client.list_pipeline_executions, PipelineName=pipeline_name, MaxResults=100)
    found = (each for page in listing for each in page["PipelineExecutionSummaries"])
    return [(each["PipelineExecutionArn"], each["PipelineExecutionStatus"]) for each in found]


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
