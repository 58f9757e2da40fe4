"""What a run in a workspace is made of: history, contract, code, item list and model, each as a digest.

A run that was killed is resumed only when these are the same still: its finished shards and the ones that are
left have to be answered by one model on one history. The digests stand in the execution's description.

One command at a time prepares and starts a run: its inputs are there for all runs. The lock is held from before the
first of them is touched until the run is recorded; from then on the run's own record tells every other command that it
goes on.
"""

import hashlib
import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from batchcast.engine.requests.request_check import get_path
from batchcast.engine.state import lock_file
from batchcast.pipelines.requests import walk_steps
from batchcast.session.session import WorkspaceSession
from batchcast.session.workspace_models import read_models
from batchcast.steps.arguments import ALL
from batchcast.steps.errors import Problem, ServiceError

_PATIENCE_SECONDS = 30.0


@contextmanager
def start_lock(workspace: Path) -> Iterator[None]:
    """Hold the lock of the workspace. Raises ServiceError when another command has it for longer than the patience."""
    workspace.mkdir(parents=True, exist_ok=True)
    lock = lock_file(workspace / ".starting", patience_seconds=_PATIENCE_SECONDS)
    if lock is None:
        what = f"another command has been starting a run there for {_PATIENCE_SECONDS:g} seconds."
        raise ServiceError(Problem("locked", what, str(workspace), "Wait for it, or give another --workspace."))
    with lock:
        yield


_MARK = "batchcast inputs "
_NAMES = {
    "history": "the history",
    "contract": "the contract",
    "code": "the code",
    "items": "the list of items",
    "model": "the model's server or the files beside it",
    "definition": "the pipeline's definition",
}
_READ_WHOLE_BYTES = 16 << 20
"""A larger file of the model is known by its size and time: hashing a model of gigabytes would delay every start."""
_NOT_THE_MODEL = (".log", ".pid", ".pyc", ".sock", ".tmp")
_MOST_FILES = 1000


def run_inputs(session: WorkspaceSession, pipeline_name: str, values: Mapping[str, str]) -> dict[str, str]:
    """What a run with these parameters would be made of now: the part to its digest."""
    definition = session.client("sagemaker").describe_pipeline(PipelineName=pipeline_name)["PipelineDefinition"]
    store = session.store
    history = ((stored.uri, store.path(stored.uri)) for stored in store.list(values["HistoryUri"]))
    found = {"definition": _digest([definition.encode()]), "history": _listing(history)}
    objects = fixed_inputs(definition)
    if values["ItemsUri"] != ALL:
        objects["items"] = values["ItemsUri"]
    for name, uri in sorted(objects.items()):
        # What an input brings to a job: the object, or all that lies under a prefix.
        found[name] = _digest(store.read(each.uri) for each in store.list(uri))
    source = read_models(session.workspace).get(values["ModelName"])
    command = getattr(source, "command", None)
    texts = [repr(source).encode()] if command is None else [command.encode(), *_files_of(command)]
    return {**found, "model": _digest(texts)}


def describe_inputs(inputs: Mapping[str, str]) -> str:
    """The description of an execution that is made of them."""
    return _MARK + json.dumps(inputs, sort_keys=True)


def changed_inputs(description: str, now: Mapping[str, str]) -> list[str]:
    """In words, what is not what it was when the execution with this description was started; [] when all is."""
    try:
        then = json.loads(description.removeprefix(_MARK)) if description.startswith(_MARK) else None
    except (ValueError, RecursionError):
        then = None
    if not isinstance(then, dict):
        return ["inputs that were not recorded"]
    return [_NAMES.get(key, key) for key in sorted({*then, *now}) if then.get(key) != now.get(key)]


def _listing(files: Iterable[tuple[str, Path]]) -> str:
    return _digest(_size_and_time(name, path) for name, path in sorted(files))


def _size_and_time(name: str, path: Path) -> bytes:
    try:
        status = path.stat()
        text = f"{name} {status.st_size} {status.st_mtime_ns}"
    except OSError:  # a link to nothing, or removed meanwhile
        text = f"{name} gone"
    return text.encode(errors="surrogateescape")


def fixed_inputs(definition: str) -> dict[str, str]:
    """URI by name of every processing input that is the same in all runs: what `deploy` puts there."""
    steps = walk_steps(json.loads(definition)["Steps"])
    inputs = (each for step in steps for each in step["Arguments"].get("ProcessingInputs", ()))
    return {each["InputName"]: uri for each in inputs if isinstance(uri := get_path(each, "S3Input", "S3Uri"), str)}


def _files_of(command: str) -> Iterator[bytes]:
    """The files that the command names, and those beside a script that it names: where a model usually lies."""
    try:
        words = shlex.split(command)
    except ValueError:
        return
    for number, word in enumerate(words):
        path = Path(word)
        try:
            if path.is_file():
                whole = path.stat().st_size <= _READ_WHOLE_BYTES
                yield hashlib.sha256(path.read_bytes()).digest() if whole else _size_and_time(str(path), path)
                if number or not path.is_absolute():
                    yield _files_in(path.parent).encode()
            elif path.is_dir():
                yield _files_in(path).encode()
        except (OSError, ValueError):
            continue


def _files_in(directory: Path) -> str:
    files = [
        (each.name, each)
        for each in sorted(directory.iterdir())[:_MOST_FILES]
        if each.is_file() and not each.name.startswith(".") and not each.name.endswith(_NOT_THE_MODEL)
    ]
    return _listing(files)


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8) + part)
    return digest.hexdigest()[:16]
