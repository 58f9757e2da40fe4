"""The container under examination: its process where there is one, and single exchanges with it."""

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from batchcast.engine.limits import DEFAULT_INVOCATION_TIMEOUT_SECONDS
from batchcast.engine.server.http_exchange import Answer, Connection, NoAnswerError
from batchcast.engine.server.model_server import (
    PING_INTERVAL_SECONDS,
    PING_TIMEOUT_SECONDS,
    ModelServer,
    ModelSource,
    ModelUrl,
    StartError,
    free_ports,
    start_model_server,
)

JSON_HEADERS: Mapping[str, str] = {"Content-Type": "application/json", "Accept": "application/json"}
"""What the pipeline's transform jobs send."""

_SHOWN_BYTES = 120
_TAIL_LINES = 5
_PATIENCE_SECONDS = 5.0
_PATIENCE_FACTOR = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckLimits:
    """How long to wait and to measure, in seconds. SageMaker waits about 30 minutes for a container to start."""

    start: float = 120.0
    answer: float = DEFAULT_INVOCATION_TIMEOUT_SECONDS
    recovery: float = 10.0
    stop: float = 30.0
    level: float = 2.0
    ping_interval: float = PING_INTERVAL_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one request: a status and a body, or `why` there is none."""

    seconds: float
    status: int | None = None
    body: bytes = b""
    why: str = ""

    @property
    def answered(self) -> bool:
        """Whether a job would take it for an answer: any 2xx."""
        return self.status is not None and 200 <= self.status < 300

    def __str__(self) -> str:
        if self.status is None:
            return f"no answer ({self.why})"
        text = " ".join(self.body[:_SHOWN_BYTES].decode("utf-8", "replace").split())
        return f"{self.status} {text}".strip()


class Container:
    """A server to examine; a command is started as often as need be, its output goes to a log in `folder`."""

    def __init__(self, source: ModelSource, limits: CheckLimits, folder: Path) -> None:
        self.limits = limits
        self._source = source
        self._log = folder / "container.log"
        self._server: ModelServer | None = None
        self._patience = limits.answer

    @property
    def is_ours(self) -> bool:
        """Whether the check starts and stops it."""
        return not isinstance(self._source, ModelUrl)

    def start(self) -> float:
        """Start it, if it is a command, and wait until /ping answers 200; how long that took. Raises StartError."""
        self.close()
        began = time.monotonic()
        port = free_ports(1)[0] if self.is_ours else 0
        self._server = start_model_server(
            self._source, port=port, environment={"SAGEMAKER_BATCH": "true"}, log=self._log
        )
        why = self._ping_until_ready(began + self.limits.start)
        if why:
            raise StartError(why)
        return time.monotonic() - began

    def ping(self) -> Outcome:
        return self._timed(lambda connection: connection.get("/ping", timeout=PING_TIMEOUT_SECONDS), self.connect())

    def connect(self) -> Connection:
        """A connection to it; opened at its first exchange."""
        assert self._server is not None, "not started"
        return self._server.connect()

    def ask(
        self, body: bytes, *, headers: Mapping[str, str] = JSON_HEADERS, connection: Connection | None = None
    ) -> Outcome:
        """One POST /invocations; on a connection of its own unless one is given."""
        timeout = self._patience
        return self._timed(
            lambda used: used.post("/invocations", body, headers, timeout=timeout),
            connection or self.connect(),
            close=connection is None,
        )

    def expect_answers_within(self, seconds: float) -> None:
        """From now on wait for an answer twenty times as long as the longest took, and not for the whole time-out."""
        self._patience = min(self.limits.answer, max(_PATIENCE_SECONDS, seconds * _PATIENCE_FACTOR))

    def exit_code(self, *, within: float = 0.0) -> int | None:
        """How the started process ended; None while it runs, and for a server that was not started here."""
        return self._server.exit_code(within=within) if self._server else None

    def terminate(self) -> float | None:
        """Send SIGTERM to the process group; seconds until the command ended, None when it had to be killed."""
        assert self._server is not None and self._server.group is not None, "not started here"
        began = time.monotonic()
        os.killpg(self._server.group, signal.SIGTERM)
        code = self.exit_code(within=self.limits.stop)
        self.close()
        return None if code is None else time.monotonic() - began

    def close(self) -> None:
        if self._server is not None:
            self._server.kill()

    def last_lines(self) -> Sequence[str]:
        return self._log.read_text("utf-8", "replace").splitlines()[-_TAIL_LINES:] if self._log.exists() else []

    def _ping_until_ready(self, deadline: float) -> str:
        """Empty once /ping answered 200, else why it never did."""
        while True:
            outcome = self.ping()
            code = self.exit_code()
            if code is not None:
                return f"it exited with code {code} before /ping answered: {' | '.join(self.last_lines()) or '-'}"
            if outcome.status == 200:
                return ""
            if time.monotonic() + self.limits.ping_interval > deadline:
                return f"/ping did not answer 200 within {self.limits.start:g} s; the last was {outcome}"
            time.sleep(self.limits.ping_interval)

    def _timed(
        self, exchange: Callable[[Connection], Answer], connection: Connection, *, close: bool = True
    ) -> Outcome:
        began = time.monotonic()
        try:
            answer = exchange(connection)
        except NoAnswerError as error:
            return Outcome(seconds=time.monotonic() - began, why=str(error))
        finally:
            if close:
                connection.close()
        return Outcome(seconds=time.monotonic() - began, status=answer.status, body=answer.body)
