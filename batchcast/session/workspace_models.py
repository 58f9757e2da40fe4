"""`models.toml` of a workspace: which server stands for which model, and a model while somebody asks it.

[demand-model]
command = "python3 serve.py --port {port}"
[other-model]
url = "http://127.0.0.1:8080"
"""

import json
import shlex
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

from batchcast.engine.server.model_server import (
    START_DEADLINE_SECONDS,
    ModelCommand,
    ModelServer,
    ModelSource,
    ModelUrl,
    StartError,
    free_ports,
    start_model_server,
    wait_until_ready,
)
from batchcast.steps.errors import ConfigError, ModelError, Problem
from batchcast.steps.store.objects import write_file

MODELS_FILE = "models.toml"
# A person waits: not the half hour that SageMaker gives a container.
LOCAL_START_SECONDS = 120.0
_KEYS = ("command", "url")


def read_models(workspace: Path) -> Mapping[str, ModelSource]:
    """The servers by model name; empty without the file. Raises ConfigError with everything that is wrong in it."""
    path = workspace / MODELS_FILE
    if not path.exists():
        return {}
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        remedy = "Correct it, or delete it: `local` writes it anew."
        raise ConfigError(Problem("models_file", f"is not TOML: {error}.", str(path), remedy)) from error
    ConfigError.raise_any(problem for name, table in tables.items() for problem in _problems(name, table, path))
    return {
        name: ModelCommand(command=table["command"]) if "command" in table else ModelUrl(url=table["url"])
        for name, table in tables.items()
    }


def declare_model(workspace: Path, name: str, source: ModelSource) -> None:
    """Let the server stand for the model `name`; what the file says of other models stays."""
    lines = []
    for each, server in {**read_models(workspace), name: source}.items():
        key, value = ("command", server.command) if isinstance(server, ModelCommand) else ("url", server.url)
        # A JSON string is a TOML string, as long as no character is written as two surrogates.
        lines += [f"[{json.dumps(each)}]", f"{key} = {json.dumps(value, ensure_ascii=False)}"]
    workspace.mkdir(parents=True, exist_ok=True)
    write_file(workspace / MODELS_FILE, "".join(f"{line}\n" for line in lines).encode())


def _problems(name: str, table: Any, path: Path) -> Iterator[Problem]:
    where = f"{path}: {name}"
    if not isinstance(table, Mapping):
        yield Problem("models_file", "is not a table.", where, f"Write [{name}] above its keys.")
        return
    for key in table.keys() - set(_KEYS):
        yield Problem("models_file", f"there is no key {key!r}.", where, "Known are: command, url.")
    given = [key for key in _KEYS if key in table]
    if len(given) != 1:
        yield Problem("models_file", f"has {len(given)} of command and url.", where, "Give exactly one of them.")
    for key in given:
        if not isinstance(table[key], str):
            yield Problem("models_file", f"{key} is not text.", where)
    if "{port}" not in str(table.get("command", "{port}")):
        yield Problem("models_file", "the command has no {port}.", where, "Write {port} where the port goes.")


@contextmanager
def served_model(model: ModelSource) -> Iterator[str]:
    """The URL it is asked at. Raises ModelError when the server does not start."""
    if isinstance(model, ModelUrl):
        yield model.url
        return
    with started_server(model, {}, patience=LOCAL_START_SECONDS) as server:
        yield server.url


@contextmanager
def started_server(
    model: ModelSource,
    environment: Mapping[str, str],
    *,
    patience: float = START_DEADLINE_SECONDS,
    time_scale: float = 1.0,
) -> Iterator[ModelServer]:
    """A server that answers /ping, waited for as `wait_until_ready` has it; it is ended again if this started it.
    Raises ModelError when it does not start."""
    with tempfile.TemporaryDirectory(prefix="model-") as folder:
        log = Path(folder, "server.log")
        log.touch()
        server = start_model_server(model, port=free_ports(1)[0], environment=environment, log=log)
        try:
            wait_until_ready(server, aborted=Event(), log=log, patience=patience, time_scale=time_scale)
            yield server
        except StartError as error:
            raise ModelError(Problem("model_start", f"{error}.", remedy="`check-container` looks closer.")) from error
        finally:
            server.stop()


def command_with_port(command: str, option: str) -> ModelCommand:
    """The server that an option's command starts. Raises ConfigError for one that cannot be told its port."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ConfigError(Problem("model", f"{command!r}: {error}.", option, "Close every quote.")) from error
    if not any("{port}" in word for word in words):
        remedy = "Write {port} where the server takes its port."
        raise ConfigError(Problem("model", f"{command!r} has no {{port}}.", option, remedy))
    return ModelCommand(command=command)


def model_server(command: str | None, url: str | None) -> ModelSource:
    """The server of --model-command or --model-url. Raises ConfigError unless exactly one of them is given."""
    if (command is None) == (url is None):
        what = "nothing says which model to ask." if command is None else "both --model-command and --model-url."
        raise ConfigError(Problem("model", what, remedy="Give one of --model-command and --model-url."))
    return ModelUrl(url=url) if url is not None else command_with_port(str(command), "--model-command")
