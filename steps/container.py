"""The paths of a SageMaker processing container, under a root that a laptop can move.

Source: SageMaker developer guide, "Build your own processing container", read 2023-03.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerPaths:
    """Where inputs lie, where outputs go and where the exit message is left."""

    root: Path = Path("/opt/ml")

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> ContainerPaths:
        """`OPT_ML` moves the root; in the container it is unset."""
        return cls(root=Path(environ.get("OPT_ML", "/opt/ml")))

    def input(self, name: str) -> Path:
        """The local directory of the ProcessingInput called `name`."""
        return self.root / "processing" / "input" / name

    def output(self, name: str) -> Path:
        """The local directory of the ProcessingOutput called `name`; the service creates it before the start."""
        return self.root / "processing" / "output" / name

    @property
    def message(self) -> Path:
        """The first 1 KB of this UTF-8 file becomes the job's ExitMessage."""
        return self.root / "output" / "message"


@contextmanager
def scratch_directory(paths: ContainerPaths) -> Iterator[Path]:
    """An empty directory beside inputs and outputs. What a killed run left is removed first."""
    parent = paths.root / "processing" / "scratch"
    shutil.rmtree(parent, ignore_errors=True)
    parent.mkdir(parents=True)
    scratch = Path(tempfile.mkdtemp(dir=parent))
    try:
        yield scratch
    finally:
        shutil.rmtree(parent, ignore_errors=True)


def empty_directory(directory: Path) -> None:
    """Make the directory, or remove what an earlier run left in it."""
    directory.mkdir(parents=True, exist_ok=True)
    for entry in directory.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
