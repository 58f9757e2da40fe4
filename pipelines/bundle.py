"""The code of the processing steps as one zip application, the same bytes on every machine.

Same bytes, same SHA-256: the bundle is stored under its digest, and an unchanged pipeline compiles to an unchanged
definition.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Bundle", "build_bundle"]

_ENTRY = b"""from steps.__main__ import main

main()
"""
_SKIPPED_SUFFIXES = {".pyc", ".pyo"}
# The earliest date a zip file can hold.
_NO_DATE = (1980, 1, 1, 0, 0, 0)
_UNIX, _REGULAR_FILE_READABLE = 3, 0o100644


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """The bytes of `app.pyz` and their SHA-256 in hexadecimal."""

    data: bytes
    sha256: str

    @property
    def key(self) -> str:
        """Where it lies below the code prefix; another content has another key."""
        return f"{self.sha256}/app.pyz"


def build_bundle(package: Path | None = None) -> Bundle:
    """Pack the package `steps`, or another directory that stands in for it: code and data files, sorted by name.

    Stored, not deflated: what deflate makes of a file differs between versions of zlib.
    """
    root = package or Path(__file__).resolve().parent.parent / "steps"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, "__main__.py", _ENTRY)
        for name, path in sorted(_files(root)):
            _add(archive, f"steps/{name}", path.read_bytes())
    data = buffer.getvalue()
    return Bundle(data=data, sha256=hashlib.sha256(data).hexdigest())


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
