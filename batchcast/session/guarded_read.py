"""Reads of Parquet in a process of its own: Arrow ends the process itself on some damaged or encrypted files.

A command, and a notebook that calls one, is told then which file it was.
"""

import os
import pickle
import secrets
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

from batchcast.engine.server.guarded_process import kill_group, start_guarded
from batchcast.steps.errors import BatchcastError, Problem, ServiceError, parse_error
from batchcast.steps.reading_note import keep_reading_note

P = ParamSpec("P")
T = TypeVar("T")
# With the paths of this process, so that a checkout finds itself; not by multiprocessing, which runs a caller's script.
_PROGRAM = "import sys; folder, *sys.path = sys.argv[1:]; from batchcast.session.guarded_read import run; run(folder)"


def read_guarded(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What the function, of a module's top level, gives for these arguments in another process. Raises its error, and
    DataError that names the file where the process was ended by the reader."""
    with tempfile.TemporaryDirectory(prefix="reading-") as folder, Path(folder, "said").open("w+b") as said:
        Path(folder, "call").write_bytes(pickle.dumps((function, args, kwargs)))
        command = [sys.executable, "-c", _PROGRAM, folder, *sys.path]
        process = start_guarded(command, env=os.environ, cwd=Path.cwd(), output=said)
        try:
            code = process.wait()
        finally:
            kill_group(process)
        said.seek(0)
        sys.stderr.write(said.read().decode("utf-8", "replace"))
        if code == 0:
            found: T | BatchcastError = pickle.loads(Path(folder, "found").read_bytes())  # noqa: S301  our own process's
            if isinstance(found, BatchcastError):
                raise found
            return found
        note = Path(folder, "note")
        what = f"the process that read the history ended with exit code {code}."
        remedy = "Read what it said above; after 137 the memory did not suffice."
        error = parse_error(note.read_text(encoding="utf-8")) if note.is_file() else None
        raise error or ServiceError(Problem("reader_ended", what, remedy=remedy))


@dataclass(frozen=True)
class ServedRanges:
    """What a guarded function reads objects by, without the credentials of the process that called it."""

    address: tuple[str, int]
    key: bytes

    @cached_property
    def _connection(self) -> Connection:
        return Client(self.address, authkey=self.key)

    def read(self, uri: str, start: int, end: int) -> bytes:
        """The bytes from `start` to before `end`. Raises what the serving process met."""
        self._connection.send((uri, start, end))
        found: bytes | BatchcastError = self._connection.recv()
        if isinstance(found, BatchcastError):
            raise found
        return found


@contextmanager
def served_ranges(fetch: Callable[[str, int, int], bytes]) -> Iterator[ServedRanges]:
    """To be given to `read_guarded`: `fetch` gives what it reads, in a thread of this process."""
    key = secrets.token_bytes()
    with Listener(("127.0.0.1", 0), authkey=key) as listener:
        address = cast(tuple[str, int], listener.address)
        over = threading.Event()
        thread = threading.Thread(target=_serve, args=(listener, fetch, over), daemon=True)
        thread.start()
        try:
            yield ServedRanges(address, key)
        finally:
            over.set()
            with suppress(OSError):
                socket.create_connection(address).close()  # it waits for one
            thread.join()


def _serve(listener: Listener, fetch: Callable[[str, int, int], bytes], over: threading.Event) -> None:
    while not over.is_set():
        with suppress(OSError, EOFError, AuthenticationError), listener.accept() as connection:
            while True:
                asked = connection.recv()
                try:
                    found: bytes | BatchcastError = fetch(*asked)
                except BatchcastError as error:
                    found = error
                connection.send(found)


def run(folder: str) -> None:
    """The program of the other process."""
    function, args, kwargs = pickle.loads(Path(folder, "call").read_bytes())  # noqa: S301  our own process's
    with keep_reading_note(Path(folder, "note")):
        try:
            found = function(*args, **kwargs)
        except BatchcastError as error:
            found = error
    Path(folder, "found").write_bytes(pickle.dumps(found))
    sys.stdout.flush()
    sys.stderr.flush()
    # Arrow's threads may still let go of files of Python's, and ending the interpreter meanwhile aborts the process.
    os._exit(0)
