"""Objects in memory, for tests that write a hundred thousand of them."""

from __future__ import annotations

import bisect
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from batchcast.steps.store.objects import StoredObject, conflict, missing, whole_file


class MemoryStore:
    """Keeps the promises of `ObjectStore`; the keys stay sorted, so that a listing costs what it lists."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self._sorted: list[str] = []

    def list(self, prefix: str) -> Iterator[StoredObject]:
        found = []
        for uri in self._sorted[bisect.bisect_left(self._sorted, prefix) :]:
            if not uri.startswith(prefix):
                break
            found.append(StoredObject(uri, len(self.objects[uri])))
        yield from found

    def read(self, uri: str) -> bytes:
        if uri not in self.objects:
            raise missing(uri)
        return self.objects[uri]

    def read_tagged(self, uri: str) -> tuple[bytes, str]:
        data = self.read(uri)
        return data, _digest(data)

    def open(self, uri: str) -> BinaryIO:
        return io.BytesIO(self.read(uri))

    def write(self, uri: str, data: bytes) -> None:
        if uri not in self.objects:
            bisect.insort(self._sorted, uri)
        self.objects[uri] = data

    def put_if(self, uri: str, data: bytes, etag: str | None) -> str:
        current = _digest(self.objects[uri]) if uri in self.objects else None
        if current != etag and current != _digest(data):
            raise conflict(uri)
        self.write(uri, data)
        return _digest(data)

    def upload(self, path: Path, uri: str) -> None:
        self.write(uri, path.read_bytes())

    def download(self, uri: str, path: Path) -> None:
        with whole_file(path, path.parent) as target:
            target.write(self.read(uri))

    def exists(self, uri: str) -> bool:
        return uri in self.objects

    def delete(self, uri: str) -> None:
        if self.objects.pop(uri, None) is not None:
            del self._sorted[bisect.bisect_left(self._sorted, uri)]


def _digest(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
