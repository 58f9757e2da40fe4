"""The data of a processing job: inputs brought to each host before the start, outputs taken from it after the end.

Sources: SageMaker developer guide, "Build your own processing container" (2023-03); API reference, ProcessingS3Input
and ProcessingS3Output.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from batchcast.steps.errors import ConfigError
from batchcast.steps.store.objects import DirectoryStore, ObjectStore, join_uri, key_path

_OPT_ML = "/opt/ml"


class InputError(Exception):
    """An input cannot be brought to the job, which is the client's error."""


def private_path(root: Path, path: str) -> Path:
    """Where a path of the container, `/opt/ml/…`, lies on this machine."""
    return root / Path(path).relative_to(_OPT_ML)


def stage_inputs(inputs: Sequence[Mapping[str, Any]], store: ObjectStore, roots: Sequence[Path]) -> None:
    """Bring every input to every host's private root, or each host its share. Raises InputError."""
    for each in inputs:
        source = each["S3Input"]
        folders = [private_path(root, source["LocalPath"]) for root in roots]
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        sharded = source.get("S3DataDistributionType") == "ShardedByS3Key"
        count = 0
        for uri, name in _objects(source, store):
            for folder in [folders[count % len(folders)]] if sharded else folders:
                _stage(store, uri, folder, name, source["LocalPath"])
            count += 1
        if not count:
            raise InputError(f'No S3 objects found under S3 URL "{source["S3Uri"]}" of {each["InputName"]}.')


def _stage(store: ObjectStore, uri: str, folder: Path, name: str, place: str) -> None:
    try:
        path = key_path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            raise FileExistsError
        if isinstance(store, DirectoryStore):
            _link(path, store.path(uri).resolve())
        else:
            store.download(uri, path)
    except ConfigError as error:
        raise InputError(f"Cannot download {uri}: {error}") from None
    except (FileExistsError, NotADirectoryError):
        raise InputError(f"Cannot download {uri}: its place, {place}/{name}, is taken by another object.") from None


def _link(path: Path, source: Path) -> None:
    """A directory's objects are replaced, never written into: a link is as good as a copy, and costs no space."""
    try:
        path.hardlink_to(source)
    except OSError:  # on another file system
        path.symlink_to(source)


def upload_outputs(outputs: Sequence[Mapping[str, Any]], store: ObjectStore, roots: Sequence[Path]) -> None:
    """Copy what the hosts left in their output directories to the outputs' prefixes. Symbolic links are left out."""
    for each in outputs:
        target = each["S3Output"]
        for root in roots:
            folder = private_path(root, target["LocalPath"])
            for directory, folders, names in os.walk(folder):
                folders.sort()
                for path in (Path(directory, name) for name in sorted(names)):
                    if not path.is_symlink():
                        store.upload(path, join_uri(target["S3Uri"], path.relative_to(folder).as_posix()))


def _objects(source: Mapping[str, Any], store: ObjectStore) -> Iterator[tuple[str, str]]:
    """The objects of an input in key order, each with its name below LocalPath."""
    uri = source["S3Uri"]
    if source["S3DataType"] == "ManifestFile":
        yield from sorted(_manifest(uri, store))
        return
    for each in store.list(uri):
        rest = each.uri.removeprefix(uri)
        # `s3://b/in` also begins `s3://b/in/x` and `s3://b/input`: only the first lies inside a folder of that name.
        name = rest.lstrip("/") if uri.endswith("/") or rest.startswith("/") else each.uri[uri.rindex("/") + 1 :]
        if name:
            yield each.uri, name


def _manifest(uri: str, store: ObjectStore) -> Iterator[tuple[str, str]]:
    if not store.exists(uri):
        raise InputError(f"there is no manifest at {uri}.")
    try:
        first, *names = json.loads(store.read(uri))
        prefix = first["prefix"]
        pairs = [(prefix + name, name.lstrip("/")) for name in names]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f'{uri} is not a manifest, [{{"prefix": "s3://…"}}, "key", …]: {error!r}.') from None
    absent = [object_uri for object_uri, _ in pairs if not store.exists(object_uri)]
    if absent:
        raise InputError(f"{len(absent)} objects of the manifest {uri} do not exist, e.g. {absent[0]}.")
    yield from pairs
