"""The input objects of a transform job: which they are, which instance gets each, and what its output is called."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from batchcast.engine.errors import ServiceException
from batchcast.steps.errors import DataError
from batchcast.steps.store.objects import ObjectStore, split_uri

_Object = TypeVar("_Object")


@dataclass(frozen=True, slots=True, kw_only=True)
class InputObject:
    """One object to transform, its name below the input's prefix, and the URI of its `.out`."""

    uri: str
    below: str
    output_uri: str

    @property
    def name(self) -> str:
        """`bucket/key`, as the service's log lines have it."""
        return self.uri.removeprefix("s3://")


@dataclass(frozen=True, slots=True)
class InputObjects(Sequence[InputObject]):
    """Objects made as they are asked for: a million of them take the memory of a million names.

    `cut` is what the names of outputs do not begin with.
    """

    base: str
    output_path: str
    names: Sequence[str]
    cut: str = ""

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> InputObject: ...

    @overload
    def __getitem__(self, index: slice) -> "InputObjects": ...

    def __getitem__(self, index: int | slice) -> "InputObject | InputObjects":
        if isinstance(index, slice):
            return InputObjects(self.base, self.output_path, self.names[index], self.cut)
        name = self.names[index]
        return InputObject(uri=self.base + name, below=name, output_uri=self.output_uri(name))

    def output_uri(self, name: str) -> str:
        """Of the object with this name below the input's prefix."""
        return f"{self.output_path}/{name.lstrip(self.cut)}.out"


def check_input(source: Mapping[str, Any], store: ObjectStore, *, region: str, role: str) -> None:
    """Raises ServiceException when the service would refuse this S3DataSource at create."""
    kind, uri = source["S3DataType"], source["S3Uri"]
    if kind not in ("S3Prefix", "ManifestFile"):
        what = f"S3DataType {kind} is not compatible with a transform job: use S3Prefix or ManifestFile."
        raise ServiceException("ValidationException", what)
    if next(store.list(uri), None) is None:
        raise ServiceException("ValidationException", _nothing_there(uri, region, role))
    if kind == "ManifestFile":
        _manifest(uri, store)


def _nothing_there(uri: str, region: str, role: str) -> str:
    """The service's words (amazon-sagemaker-examples issues 2268, 2270 and 2414)."""
    bucket, _ = split_uri(uri)
    return (
        f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket exists '
        f"in the selected region ({region}), that objects exist under that S3 prefix, and that the role "
        f'"{role}" has "s3:ListBucket" permissions on bucket "{bucket}".'
    )


def input_objects(source: Mapping[str, Any], output_path: str, store: ObjectStore) -> InputObjects:
    """Every object the S3DataSource names, keys in byte order.

    An S3Prefix is a string and not a folder: `s3://b/in` finds `in/a` and `input2/b` (API reference,
    TransformS3DataSource). Raises ServiceException for a manifest that cannot be read.
    """
    if source["S3DataType"] == "ManifestFile":
        base, named = _manifest(source["S3Uri"], store)
        return InputObjects(base, output_path.rstrip("/"), sorted(set(named), key=str.encode), cut="/")
    base, names = _listed(source["S3Uri"], store)
    return InputObjects(base, output_path.rstrip("/"), names)


def _listed(prefix: str, store: ObjectStore) -> tuple[str, list[str]]:
    """What is cut from each URI to name its output, and what is left of each.

    The prefix itself where it ends at a `/` of every key. Where it ends inside a name, or is a whole key, nothing is
    published about the service; our pick is the prefix up to its last `/`, so that no two outputs share a name.
    """
    base = prefix[: prefix.rindex("/") + 1] if split_uri(prefix)[1] else prefix.rstrip("/") + "/"
    names = [entry.uri[len(base) :] for entry in store.list(prefix)]
    inside = prefix[len(base) :] + "/"
    if inside != "/" and all(name.startswith(inside) for name in names):
        return base + inside, [name[len(inside) :] for name in names]
    return base, names


def _manifest(uri: str, store: ObjectStore) -> tuple[str, list[str]]:
    """The prefix and the names of `[{"prefix": "s3://b/p/"}, "name", …]`; the manifest is strict JSON."""
    try:
        content = json.loads(store.read(uri))
    except (DataError, ValueError) as error:
        raise _unreadable(uri, str(error)) from error
    if not isinstance(content, list) or not content or not isinstance(content[0], dict):
        raise _unreadable(uri, 'it must be an array that begins with {"prefix": "s3://…"}')
    prefix, names = content[0].get("prefix"), content[1:]
    if not isinstance(prefix, str) or set(content[0]) != {"prefix"}:
        raise _unreadable(uri, 'its first element must be {"prefix": "s3://…"}')
    if not names or not all(isinstance(name, str) and name for name in names):
        raise _unreadable(uri, "after its first element come one or more names, each a string")
    return prefix, names


def _unreadable(uri: str, why: str) -> ServiceException:
    return ServiceException("ValidationException", f'The manifest "{uri}" cannot be read: {why}.')


def instance_share(objects: Sequence[_Object], instance: int, instance_count: int) -> Sequence[_Object]:
    """The objects of one instance: object `i` in key order goes to instance `i mod instance_count`, for good.

    SageMaker maps whole objects to instances by key (developer guide, "Use Batch Transform") and does not publish how.
    """
    return objects[instance::instance_count]
