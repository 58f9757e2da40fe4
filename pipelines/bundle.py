"""The code of the processing steps as one zip application, the same bytes on every machine.

Same bytes, same SHA-256: the bundle is stored under its digest, and an unchanged pipeline compiles to an unchanged
definition.
"""

import hashlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import batchcast.steps

_ENTRY = b"""import sys

from batchcast.steps.__main__ import main

sys.exit(main())
"""
_SKIPPED_SUFFIXES = {".pyc", ".pyo"}
# The earliest date a zip file can hold.
_NO_DATE = (1980, 1, 1, 0, 0, 0)
_UNIX, _REGULAR_FILE_READABLE = 3, 0o100644


def bundle(package: Path | None = None) -> bytes:
    """The bytes of `app.pyz`: the package `batchcast.steps`, or a directory in its place, and the package above it.

    Stored, not deflated: what deflate makes of a file differs between versions of zlib.
    """
    root = package or Path(batchcast.steps.__file__).parent
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, "__main__.py", _ENTRY)
        _add(archive, "batchcast/__init__.py", Path(batchcast.__file__).read_bytes())
        for name, path in sorted(_files(root)):
            _add(archive, f"batchcast/steps/{name}", path.read_bytes())
    return buffer.getvalue()


def content_key(data: bytes) -> str:
    """Where the bundle lies below the code prefix: another content has another key."""
    return f"{hashlib.sha256(data).hexdigest()}/app.pyz"


def _files(root: Path) -> Iterator[tuple[str, Path]]:
    for path in root.rglob("*"):
        name = path.relative_to(root)
        hidden = any(part.startswith(".") or part == "__pycache__" for part in name.parts)
        if path.is_file() and not hidden and path.suffix not in _SKIPPED_SUFFIXES:
            yield name.as_posix(), path


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo(name, date_time=_NO_DATE)
    entry.create_system = _UNIX
    entry.external_attr = _REGULAR_FILE_READABLE << 16
    archive.writestr(entry, data)
