"""Which file a process reads, noted outside of it: Arrow ends the process itself on some damaged or encrypted files.

The note is an error in the form of `batchcast.steps.errors`. In the step's own process it stands where the service
looks for the exit message, so that an abort names the file; a worker process has a note of its own.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from batchcast.steps.errors import BatchcastError, DataError, Problem

_WHAT = (
    "the process ended while it read this file. It is damaged, or one of its columns is encrypted; "
    "after exit code 137 the memory did not suffice."
)
_REMEDY = "Write the file again, or leave it out."
_descriptor: int | None = None
_lock, _read_now = Lock(), list[bytes]()


@contextmanager
def keep_reading_note(path: Path) -> Iterator[None]:
    """Keep the note in `path`, which is there only while a file is read and after an abort; an outer note stays."""
    global _descriptor
    if _descriptor is not None:
        yield
        return
    descriptor = open_reading_note(path)
    try:
        yield
    finally:
        os.close(descriptor)
        _descriptor = None
        path.unlink(missing_ok=True)


def open_reading_note(path: Path) -> int:
    """Keep the note in `path` for as long as the process lives; its descriptor."""
    global _descriptor
    path.parent.mkdir(parents=True, exist_ok=True)
    _descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    return _descriptor


@contextmanager
def reading(name: str, *, code: str = "unreadable", remedy: str = _REMEDY) -> Iterator[None]:
    """Note the file for as long as it is read. Raises DataError in place of whatever the reader raises."""
    with _noted(name, remedy):
        try:
            yield
        except BatchcastError:
            raise
        except Exception as error:
            # Arrow has no one error for a damaged file: a name or a date in it is at times the interpreter's to refuse.
            what = f"cannot be read: {str(error).rstrip('.') or type(error).__name__}."
            raise DataError(Problem(code, what, name, remedy)) from error


@contextmanager
def _noted(name: str, remedy: str) -> Iterator[None]:
    if _descriptor is None:
        yield
        return
    descriptor = _descriptor
    text = str(DataError(Problem("reader_aborted", _WHAT, name, remedy))).encode(errors="backslashreplace")
    with _lock:
        _read_now.append(text)
        _write_note(descriptor)
    try:
        yield
    finally:
        with _lock:
            _read_now.remove(text)
            # A generator may be closed after the note was: the descriptor is then none of ours.
            if descriptor == _descriptor:
                _write_note(descriptor)


def _write_note(descriptor: int) -> None:
    """Of several files that threads read at once, the one begun last."""
    text = _read_now[-1] if _read_now else b""
    os.pwrite(descriptor, text, 0)
    os.ftruncate(descriptor, len(text))
