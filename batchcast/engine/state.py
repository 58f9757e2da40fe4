"""JSON records in a directory: whole or absent, one writer each, and readable by every process; their names and times.

Who runs a job or an execution holds a lock on its record for as long as it runs. The kernel drops the lock when the
process dies, so any other process can tell a running record from an interrupted one without asking for a pid.
"""

import fcntl
import json
import os
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from batchcast.steps.errors import DataError, Problem
from batchcast.steps.store.documents import parse_document
from batchcast.steps.store.objects import atomic_write

Record = dict[str, Any]

_CHECKSUM = "Crc32"
_LOOKER_SECONDS = 0.05
_POLL_SECONDS = 0.01


def lock_file(path: Path, *, patience_seconds: float) -> IO[str] | None:
    """The lock of that file, held until the result is closed; None when another owner keeps it for so long."""
    lock = path.open("w")
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                lock.close()
                return None
            time.sleep(_POLL_SECONDS)
        else:
            return lock


@dataclass(frozen=True, slots=True)
class RecordFolder:
    """The records of one kind, `<folder>/<name>.json`. Names are resource names: letters, digits and hyphens.

    `types` are the members that every record has: a file that is no such record is set aside as `<name>.damaged`, said
    on stderr, and is none from then on. With `lasting` a record survives a power loss.
    """

    folder: Path
    types: Mapping[str, type] = field(default_factory=dict)
    lasting: bool = True

    def create(self, name: str, record: Mapping[str, Any]) -> bool:
        """Write a record that must not exist yet; whether this call made it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(dir=self.folder, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(_encoded(record))
                stream.flush()
                os.fsync(stream.fileno())
            os.link(scratch, self._path(name, "json"))
        except FileExistsError:
            return False
        finally:
            Path(scratch).unlink()
        return True

    def write(self, name: str, record: Mapping[str, Any]) -> None:
        with atomic_write(self._path(name, "json"), self.folder, sync=self.lasting) as stream:
            stream.write(_encoded(record))

    def read(self, name: str) -> Record | None:
        path = self._path(name, "json")
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            record = parse_document(data, self.types, code="record", where=str(path), remedy="")
            # Earlier versions wrote none.
            checksum = record.pop(_CHECKSUM, None)
            if checksum not in (None, _checksum(record)):
                raise DataError(Problem("record", "is damaged: its checksum is another.", str(path)))
            return record
        except DataError as error:
            with suppress(FileNotFoundError):
                path.replace(path.with_suffix(".damaged"))
            sys.stderr.write(f"{error} It was set aside as {path.with_suffix('.damaged').name}.\n")
            return None

    def all(self) -> Iterator[Record]:
        for path in sorted(self.folder.glob("*.json")):
            record = self.read(path.stem)
            if record is not None:
                yield record

    def delete(self, name: str) -> None:
        """Remove a record and what lies beside it; no error when there is none."""
        for kind in ("json", "stop", "lock"):
            self._path(name, kind).unlink(missing_ok=True)

    def own(self, name: str, *, patience_seconds: float = _LOOKER_SECONDS) -> IO[str] | None:
        """Take the record's lock, held until the result is closed; None when another owner keeps it.

        The patience is for an owner that only looks, as is_owned does, or that is just about to end.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        return lock_file(self._path(name, "lock"), patience_seconds=patience_seconds)

    def is_owned(self, name: str) -> bool:
        """Whether a living owner holds the record's lock."""
        lock = self.own(name)
        if lock is None:
            return True
        lock.close()
        return False

    def stop(self, name: str, stopped: Callable[[Record], Record]) -> None:
        """Ask the owner, whichever process it is, to stop; without one the record becomes what `stopped` gives."""
        self._path(name, "stop").touch()
        lock = self.own(name)
        if lock is not None:
            with lock:
                if record := self.read(name):
                    self.write(name, stopped(record))
                self.clear_stop(name)

    def status(self, name: str, record: Record, *, going: str) -> str:
        """The record's; Stopping is the time between the request and its effect."""
        return "Stopping" if record["Status"] == going and self.stop_requested(name) else str(record["Status"])

    def stop_requested(self, name: str) -> bool:
        return self._path(name, "stop").exists()

    def clear_stop(self, name: str) -> None:
        """The request was served, or a new run begins."""
        self._path(name, "stop").unlink(missing_ok=True)

    def _path(self, name: str, kind: str) -> Path:
        return self.folder / f"{name}.{kind}"


def _encoded(record: Mapping[str, Any]) -> bytes:
    return json.dumps({**record, _CHECKSUM: _checksum(record)}, indent=1).encode()


def _checksum(record: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(record).encode())


REGION = "local"
ACCOUNT = "000000000000"


def arn(resource: str, name: str) -> str:
    """The ARN of a local resource, e.g. of ("transform-job", "x")."""
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{resource}/{name}"


def resource_id(resource: str, name: str) -> str:
    """The name of a record that is one resource's among those of all kinds."""
    return f"{resource}--{name}"


def now() -> str:
    """The present, as records keep it: ISO 8601, UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
