"""Which object store the environment names: a directory on a laptop, S3 everywhere else."""

from collections.abc import Mapping
from pathlib import Path

from batchcast.steps.store.objects import STORE_VARIABLE, DirectoryStore, ObjectStore


def open_store(environ: Mapping[str, str]) -> ObjectStore:
    """The directory named by `BATCHCAST_OBJECT_STORE`, else S3 as boto3's own settings have it."""
    directory = environ.get(STORE_VARIABLE)
    if directory:
        return DirectoryStore(Path(directory))
    from batchcast.steps.store.s3 import S3Store

    return S3Store()
