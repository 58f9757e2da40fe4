"""Which object store the environment names: a directory on a laptop, S3 everywhere else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from batchcast.steps.store.objects import STORE_VARIABLE, DirectoryStore, ObjectStore

__all__ = ["open_store"]


def open_store(environ: Mapping[str, str]) -> ObjectStore:
    """The directory named by `BATCHCAST_OBJECT_STORE`, else S3 as boto3's own settings have it."""
    directory = environ.get(STORE_VARIABLE)
    if directory:
        return DirectoryStore(Path(directory))
    from batchcast.steps.store.s3 import S3Store

    return S3Store()
