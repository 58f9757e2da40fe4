"""Objects behind `s3://bucket/key`: real S3, or a directory that stands in for it on a laptop.

Both stores keep the promises S3 makes: a prefix is a string match and not a folder, keys list in byte order,
an object appears whole or not at all, and a conditional put has exactly one winner.
"""

import fcntl
import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Protocol

from batchcast.steps.errors import ConfigError, DataError, Problem, ServiceError

STORE_VARIABLE = "BATCHCAST_OBJECT_STORE"
_COPY_BYTES = 1 << 20
_BUFFER_BYTES = 1 << 18  # a record is longer than Python's own buffer, and would be a system call each
_KEY_BYTES, _NAME_BYTES = 1024, 255  # of S3, and of a file's name


class ObjectMissingError(DataError):
    """There is no object at that URI."""


class ConflictError(ServiceError):
    """A conditional put lost: the object is no longer what the writer saw."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of a listing: `size` in bytes, `version` changes with its content, `modified` is the store's time."""

    uri: str
    size: int
    version: str = field(default="", compare=False)
    modified: datetime | None = field(default=None, compare=False)


class ObjectStore(Protocol):
    """What a run needs of an object store. URIs are `s3://bucket/key`."""

    @property
    def environment(self) -> Mapping[str, str]:
        """What the environment of another process needs for `open_store` to open this store there."""

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Every object whose URI begins with the string `prefix`, keys in byte order."""

    def read(self, uri: str) -> bytes:
        """The whole object. Raises ObjectMissingError."""

    def read_tagged(self, uri: str) -> tuple[bytes, str]:
        """The whole object and its etag, for a later `put_if`. Raises ObjectMissingError."""

    def age(self, uri: str) -> timedelta:
        """How long ago the object was written, both times by the store's own clock. Raises ObjectMissingError."""

    def open(self, uri: str) -> BinaryIO:
        """A forward-only stream over the object. Raises ObjectMissingError."""

    def write(self, uri: str, data: bytes) -> None:
        """Create or overwrite the object."""

    def put_if(self, uri: str, data: bytes, etag: str | None) -> str:
        """Write only if the object still has `etag` (None: does not exist yet); its new etag.

        Raises ConflictError. A put whose reply was lost is recognised by its bytes and is no conflict.
        """

    def upload(self, path: Path, uri: str) -> None:
        """Copy a local file to the object."""

    def download(self, uri: str, path: Path) -> None:
        """Copy the object to a local file, which appears whole or not at all. Raises ObjectMissingError."""
        with self.open(uri) as source, atomic_write(path, path.parent) as target:
            shutil.copyfileobj(source, target, _COPY_BYTES)

    def exists(self, uri: str) -> bool:
        """Whether there is an object at exactly this URI."""

    def delete(self, uri: str) -> None:
        """Remove the object; no error when there is none."""


def split_uri(uri: str) -> tuple[str, str]:
    """`s3://bucket/some/key` -> `("bucket", "some/key")`. Raises ConfigError for anything else."""
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise ConfigError(Problem("uri", f"{uri!r} is not an s3:// URI.", remedy="Write s3://bucket/prefix/."))
    return bucket, key


def join_uri(prefix: str, *names: str) -> str:
    """Names below a prefix with exactly one `/` between them."""
    return "/".join([prefix.rstrip("/"), *(name.strip("/") for name in names)])


def key_path(folder: Path, key: str) -> Path:
    """Where an object with this key lies below a folder: the only way from a key to a path.

    Raises ConfigError for a key that no file can have, or that would lead out of the folder.
    """
    parts = key.split("/")
    sizes = [len(part.encode(errors="surrogatepass")) for part in parts]
    # A surrogate stands for a byte that is not UTF-8, as every key is.
    unwritable = not {"", ".", ".."}.isdisjoint(parts) or re.search("[\0\ud800-\udfff]", key)
    if unwritable or max(sizes) > _NAME_BYTES or sum(sizes) + len(sizes) > _KEY_BYTES:
        raise _unplaceable(key)
    return folder.joinpath(*parts)


def _unplaceable(key: str) -> ConfigError:
    what = f"a directory cannot hold the key {key[:_NAME_BYTES]!r}."
    return ConfigError(Problem("key", what, remedy="Use short names between the slashes, and no key below a key."))


def missing(uri: str) -> ObjectMissingError:
    return ObjectMissingError(Problem("object_missing", "there is no such object.", where=uri))


def conflict(uri: str) -> ConflictError:
    what = "another writer changed the object first."
    return ConflictError(Problem("conditional_put", what, where=uri, remedy="Read it again and decide anew."))


class DirectoryStore(ObjectStore):
    """`s3://bucket/key` is the file `root/bucket/key`; a bucket may be a symbolic link to a directory elsewhere."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def environment(self) -> Mapping[str, str]:
        return {STORE_VARIABLE: str(self.root.absolute())}

    def path(self, uri: str) -> Path:
        """The file that holds the object. Raises ConfigError for a key that no file can have."""
        bucket, key = split_uri(uri)
        if bucket.startswith("."):
            raise _unplaceable(uri)
        return key_path(key_path(self.root, bucket), key)

    def list(self, prefix: str) -> Iterator[StoredObject]:
        bucket, key = split_uri(prefix)
        try:
            folder = self.path(f"s3://{bucket}/{key[: key.rfind('/') + 1]}x").parent
        except ConfigError:  # no file can have such a key
            return
        for path in _files(os.fspath(folder), key[key.rfind("/") + 1 :]):
            with suppress(FileNotFoundError):  # deleted meanwhile
                status = Path(path).stat()
                yield StoredObject(
                    uri=f"s3://{bucket}/{path[len(os.fspath(self.root / bucket)) + 1 :]}",
                    size=status.st_size,
                    version=str(status.st_mtime_ns),
                    modified=datetime.fromtimestamp(status.st_mtime, UTC),
                )

    def read(self, uri: str) -> bytes:
        with self.open(uri) as stream:
            return stream.read()

    def read_tagged(self, uri: str) -> tuple[bytes, str]:
        data = self.read(uri)
        return data, _digest(data)

    def age(self, uri: str) -> timedelta:
        # A file written just now tells the time of the file system, which may be another machine's.
        probe = self.root / ".tmp" / f".clock-{uuid.uuid4().hex}"
        probe.parent.mkdir(parents=True, exist_ok=True)
        probe.touch()
        try:
            return timedelta(seconds=probe.stat().st_mtime - self.path(uri).stat().st_mtime)
        except FileNotFoundError:
            raise missing(uri) from None
        finally:
            probe.unlink(missing_ok=True)

    def open(self, uri: str) -> BinaryIO:
        try:
            return self.path(uri).open("rb")
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise missing(uri) from None

    def write(self, uri: str, data: bytes) -> None:
        with self._appearing(uri, sync=True) as stream:
            stream.write(data)

    def put_if(self, uri: str, data: bytes, etag: str | None) -> str:
        with one_at_a_time(self.root / ".lock"):
            current = _digest(self.read(uri)) if self.exists(uri) else None
            if current != etag and current != _digest(data):
                raise conflict(uri)
            self.write(uri, data)
        return _digest(data)

    def upload(self, path: Path, uri: str) -> None:
        with path.open("rb") as source, self._appearing(uri) as target:
            shutil.copyfileobj(source, target, _COPY_BYTES)

    def exists(self, uri: str) -> bool:
        return self.path(uri).is_file()

    def delete(self, uri: str) -> None:
        with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
            self.path(uri).unlink()

    @contextmanager
    def _appearing(self, uri: str, *, sync: bool = False) -> Iterator[BinaryIO]:
        # Temporary files lie outside every bucket so that no listing can meet one.
        try:
            with atomic_write(self.path(uri), self.root / ".tmp", sync=sync) as stream:
                yield stream
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise _unplaceable(uri) from error


def _files(folder: str, beginning: str = "") -> Iterator[str]:
    """The paths of the files below the folder that begin so, in byte order; names of one folder at a time are held."""
    try:
        with os.scandir(folder) as entries:
            names = [
                os.fsencode(each.name + "/" * each.is_dir()) for each in entries if each.name.startswith(beginning)
            ]
    except OSError:  # there is no such folder
        return
    for name in sorted(names):
        path = f"{folder}/{os.fsdecode(name)}"
        if path.endswith("/"):
            yield from _files(path[:-1])
        else:
            yield path


@contextmanager
def one_at_a_time(lock: Path) -> Iterator[None]:
    """One caller at a time, over all processes; `lock` is a file for nothing else."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def write_file(path: Path, data: bytes) -> None:
    """The whole file, or nothing of it."""
    with atomic_write(path) as stream:
        stream.write(data)


@contextmanager
def atomic_write(path: Path, scratch: Path | None = None, *, sync: bool = False) -> Iterator[BinaryIO]:
    """A file that appears at `path` complete, or not at all.

    It is written in `scratch`, on the same file system; in the folder of `path` unless given.

    `sync`: it survives a power loss once this returns. Without it, it may come back empty.
    """
    scratch = scratch or path.absolute().parent
    scratch.mkdir(parents=True, exist_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not tempfile: its files are for their owner alone, and so would be what is published.
    partial = scratch / f".partial-{uuid.uuid4().hex}"
    try:
        with partial.open("xb", buffering=_BUFFER_BYTES) as stream:
            yield stream
            if sync:
                stream.flush()
                os.fsync(stream.fileno())
        partial.replace(path)
        if sync:
            _sync_directory(path.parent)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _sync_directory(directory: Path) -> None:
    """Let the directory's entries survive a power loss; a file's own sync does not carry its name."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _digest(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
