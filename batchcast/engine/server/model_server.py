"""Model servers: one started process an instance, or one that already runs, and the wait until it answers /ping.

The container contract (developer guide, "Use Your Own Inference Code with Batch Transform", 2023-03): /ping answers 200
within 2 s before anything is sent. About one ping a second and about 30 minutes of patience were told by AWS staff
(amazon-sagemaker-examples issue 815).
"""

import contextlib
import os
import random
import shlex
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from batchcast.engine.server.guarded_process import kill_group, start_guarded, stop_group
from batchcast.engine.server.http_exchange import Connection, NoAnswerError
from batchcast.steps.errors import ConfigError, Problem

PING_TIMEOUT_SECONDS = 2.0
PING_INTERVAL_SECONDS = 1.0
START_DEADLINE_SECONDS = 1800.0

# Below those the system gives to outgoing connections, of which one could take a port before the server does; and
# multi-model-server 1.1.11 refuses ports from 32,767 on.
_PORTS = range(20_000, 32_000)
_TERMINATE_SECONDS = 1.0
_TAIL_BYTES = 8192
_TAIL_LINES = 20
# The service's words (amazon-sagemaker-examples issue 852).
_NO_PING = (
    "Model container failed to respond to ping. Please ensure /ping endpoint is implemented and responds with an HTTP "
    "200 status code"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCommand:
    """A server to start for each instance: `{port}` in `command` becomes its port; no shell is involved.

    `environment` is what CreateModel calls Environment. `directory` is where the command runs.
    """

    command: str
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUrl:
    """A server that already runs, e.g. `http://127.0.0.1:8080`; all instances of a job share it."""

    url: str


ModelSource = ModelCommand | ModelUrl


def to_model_source(given: ModelSource | str) -> ModelSource:
    """A text is the URL of a running server, or else a command line with `{port}` in it."""
    if not isinstance(given, str):
        return given
    return ModelUrl(url=given) if given.startswith(("http://", "https://")) else ModelCommand(command=given)


class StartError(Exception):
    """The server exited, or did not answer /ping in time."""


@dataclass(eq=False, slots=True)
class ModelServer:
    """Where a server listens and, when the engine started it, its process."""

    host: str
    port: int
    prefix: str = ""
    process: subprocess.Popen[bytes] | None = None
    _ended: bool = False

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}{self.prefix}"

    @property
    def group(self) -> int | None:
        """The process group of a server that the engine started."""
        return None if self.process is None else self.process.pid

    def connect(self) -> Connection:
        """A connection of its own for one slot; opened at its first exchange."""
        return Connection(self.host, self.port, prefix=self.prefix)

    def exit_code(self, *, within: float = 0.0) -> int | None:
        """The code the started process ended with, waited for up to `within` seconds; None while it runs."""
        if self.process is None:
            return None
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(within)
        return None

    def kill(self) -> None:
        """End the process group at once. A server the engine did not start is left alone."""
        if self.process is not None and not self._ended:
            kill_group(self.process)
            self._ended = True

    def stop(self) -> None:
        """Ask the process group to end, then make it: 1 s in all."""
        if self.process is not None and not self._ended:
            stop_group(self.process, grace_seconds=_TERMINATE_SECONDS)
            self._ended = True


def free_ports(count: int) -> list[int]:
    """As many free loopback ports; all are held until the last is found, so that they differ."""
    ports: list[int] = []
    with contextlib.ExitStack() as held:
        for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
            if len(ports) == count:
                break
            sock = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                sock.bind(("127.0.0.1", port))
                ports.append(port)
    return ports


def start_model_server(source: ModelSource, *, port: int, environment: Mapping[str, str], log: Path) -> ModelServer:
    """Start the command in a process group of its own, its output in the file `log`; or point at the running server.

    `environment` is added to this process's own, which leaves out what SageMaker's notebooks have of its own. Raises
    ConfigError for a command or URL that cannot be one; a program that does not exist is a server that exits at once.
    """
    if isinstance(source, ModelUrl):
        return _running_server(source.url)
    arguments = [argument.replace("{port}", str(port)) for argument in _words(source.command)]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SAGEMAKER_")}
    with log.open("ab") as output:
        process = start_guarded(
            arguments,
            env={**inherited, **source.environment, **environment},
            cwd=source.directory or Path.cwd(),
            output=output,
        )
    return ModelServer("127.0.0.1", port, process=process)


def _words(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ConfigError(Problem("model_command", f"{error}.", where=command, remedy="Close every quote.")) from error
    if not words:
        raise ConfigError(Problem("model_command", "the command is empty.", remedy="Name the program to start."))
    return words


def _running_server(url: str) -> ModelServer:
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        remedy = "Write http://host:port of a running model server."
        raise ConfigError(Problem("model_url", f"{url!r} is not an http:// URL.", remedy=remedy))
    return ModelServer(parts.hostname, parts.port or 80, prefix=parts.path.rstrip("/"))


def wait_until_ready(
    server: ModelServer,
    *,
    aborted: threading.Event,
    log: Path,
    time_scale: float = 1.0,
    slow_pings: int = 0,
    patience: float = START_DEADLINE_SECONDS,
) -> bool:
    """True once /ping answers 200, False when `aborted` is set first. Raises StartError when process or patience end.

    `patience` is in seconds. `time_scale` scales it and the other times of the service; the first `slow_pings` pings
    are taken as slower than their limit.
    """
    deadline = time.monotonic() + patience * time_scale
    attempt = 0
    while True:
        attempt += 1
        began = time.monotonic()
        answered = _ping(server, PING_TIMEOUT_SECONDS * time_scale) and attempt > slow_pings
        code = server.exit_code()
        # Looked at even after an answer: it may be another program's, which took the port first.
        if code is not None:
            tail = " | ".join(_last_lines(log)) or "(no output)"
            raise StartError(
                f"Model container exited with code {code} before it answered /ping. Its last lines: {tail}"
            )
        if answered:
            return True
        wait = began + PING_INTERVAL_SECONDS * time_scale - time.monotonic()
        if time.monotonic() + wait > deadline:
            raise StartError(_NO_PING)
        if aborted.wait(max(0.0, wait)):
            return False


def _ping(server: ModelServer, timeout: float) -> bool:
    with contextlib.closing(server.connect()) as connection, contextlib.suppress(NoAnswerError):
        return connection.get("/ping", timeout=timeout).status == 200
    return False


def _last_lines(log: Path) -> Sequence[str]:
    with log.open("rb") as stream:
        stream.seek(0, os.SEEK_END)
        stream.seek(max(0, stream.tell() - _TAIL_BYTES))
        return stream.read().decode("utf-8", "replace").splitlines()[-_TAIL_LINES:]
