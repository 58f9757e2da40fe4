"""The objects of a transform job, and the requests sent for them: SplitType, BatchStrategy and the payload limit.

Which objects they are, which instance gets each, and what its output is called.
"""

import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal, TypeVar, cast

from batchcast.engine.errors import ServiceException
from batchcast.engine.limits import BYTES_PER_MB
from batchcast.engine.transform.data.data_processing import DataProcessing
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
class InputObjects:
    """Objects made as they are asked for: a million of them take the memory of a million names.

    `cut` is what the names of outputs do not begin with.
    """

    base: str
    output_path: str
    names: Sequence[str]
    cut: str = ""

    def share(self, instance: int, instance_count: int) -> Iterator[InputObject]:
        for name in instance_share(self.names, instance, instance_count):
            yield InputObject(uri=self.base + name, below=name, output_uri=self.output_uri(name))

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
        # The service's words (amazon-sagemaker-examples issues 2268, 2270 and 2414).
        raise ServiceException(
            "ValidationException",
            f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket '
            f"exists in the selected region ({region}), that objects exist under that S3 prefix, and that the role "
            f'"{role}" has "s3:ListBucket" permissions on bucket "{split_uri(uri)[0]}".',
        )
    if kind == "ManifestFile":
        _manifest(uri, store)


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


_PIECE_BYTES = 1 << 20
_NOT_GZIP = (gzip.BadGzipFile, EOFError, zlib.error)


class PackingError(Exception):
    """An object that cannot become requests: too large, or not what CompressionType says."""


@dataclass(frozen=True, slots=True)
class MiniBatch:
    """One request to be: `body` is sent; `records` are what DataProcessing keeps of the unfiltered records in it.

    `line` is the 0-based line of its first record; `count` its number of records. A body that is a function gives its
    pieces anew for every attempt: an object of any size, sent in chunks.
    """

    index: int
    line: int
    count: int
    body: bytes | Callable[[], Iterator[bytes]]
    records: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """How the records of an object become requests. `limit` is in bytes, None for unlimited (MaxPayloadInMB 0)."""

    split: Literal["None", "Line"]
    compression: Literal["None", "Gzip"] = "None"
    strategy: Literal["SingleRecord", "MultiRecord"]
    limit: int | None
    processing: DataProcessing | None = None
    keep_newline: bool = False
    reject_blank_lines: bool = False

    @property
    def one_document(self) -> bool:
        """Whether an answer is one document, rather than one a line."""
        if self.split == "Line":
            return self.strategy == "SingleRecord"
        return self.processing is None or self.processing.media_type != "application/jsonlines"

    @property
    def limit_text(self) -> str:
        return "" if self.limit is None else f"MaxPayloadInMB ({self.limit // BYTES_PER_MB} MB = {self.limit} bytes)"


def mini_batches(open_object: Callable[[], BinaryIO], packing: Packing) -> Iterator[MiniBatch]:
    """The requests of one object, in order, read as they are asked for. Raises PackingError, and ProcessingError for a
    record that InputFilter cannot take."""
    if packing.split == "None" and packing.limit is None and packing.processing is None:
        yield MiniBatch(0, 0, 1, lambda: _pieces(open_object, packing.compression))
        return
    with _opened(open_object, packing.compression) as stream:
        if packing.split == "None":
            yield _whole_object(stream, packing)
        elif packing.strategy == "SingleRecord":
            for line, (record, body) in enumerate(_lines(stream, packing)):
                yield MiniBatch(line, line, 1, body, (record,) if packing.processing else ())
        else:
            yield from _multi_records(stream, packing)


@contextmanager
def _opened(open_object: Callable[[], BinaryIO], compression: str) -> Iterator[BinaryIO]:
    """The object's decompressed bytes, read in large pieces because slots wait while a record is read."""
    with open_object() as raw:
        stream = gzip.GzipFile(fileobj=raw, mode="rb") if compression == "Gzip" else raw
        with io.BufferedReader(cast(io.RawIOBase, stream), _PIECE_BYTES) as buffered:
            try:
                yield buffered
            except _NOT_GZIP as error:
                raise PackingError(f"the object cannot be decompressed as Gzip: {error}") from error


def _pieces(open_object: Callable[[], BinaryIO], compression: str) -> Iterator[bytes]:
    with _opened(open_object, compression) as stream:
        while piece := stream.read(_PIECE_BYTES):
            yield piece


def _whole_object(stream: BinaryIO, packing: Packing) -> MiniBatch:
    content = stream.read() if packing.limit is None else stream.read(packing.limit + 1)
    if packing.limit is not None and len(content) > packing.limit:
        raise PackingError(f"the object exceeds {packing.limit_text}")
    records: Sequence[Any] = [content] if packing.one_document else content.removesuffix(b"\n").split(b"\n")
    body = content
    if packing.processing and packing.processing.filters_input:
        bodies, records = zip(*map(packing.processing.filter_input, records), strict=True)
        body = b"\n".join(bodies)
    return MiniBatch(0, 0, len(records), body, tuple(records) if packing.processing else ())


def _multi_records(stream: BinaryIO, packing: Packing) -> Iterator[MiniBatch]:
    """As many consecutive records as fit, greedily; they stay separated by newlines."""
    separator = b"" if packing.keep_newline else b"\n"
    bodies: list[bytes] = []
    records: list[Any] = []
    size = index = first = 0
    for line, (record, body) in enumerate(_lines(stream, packing)):
        if bodies and packing.limit is not None and size + len(separator) + len(body) > packing.limit:
            yield MiniBatch(index, first, len(bodies), separator.join(bodies), tuple(records))
            bodies, records, size = [], [], 0
            index, first = index + 1, line
        size += len(body) + (len(separator) if bodies else 0)
        bodies.append(body)
        if packing.processing:
            records.append(record)
    if bodies:
        yield MiniBatch(index, first, len(bodies), separator.join(bodies), tuple(records))


def _lines(stream: BinaryIO, packing: Packing) -> Iterator[tuple[Any, bytes]]:
    """Each record as DataProcessing keeps it and as sent.

    Lines end at `\\n` alone; a newline at the end of the object adds no record.
    """
    filtering = packing.processing is not None and packing.processing.filters_input
    # With a filter the sent record may be smaller than the line, so only without one is the line's length bounded.
    bound = -1 if packing.limit is None or filtering else packing.limit + 2
    line = 0
    while text := stream.readline(bound):
        record: Any = text.removesuffix(b"\n")
        if packing.reject_blank_lines and not record:
            raise PackingError(f"line {line + 1} is blank")
        body = text if packing.keep_newline else record
        if packing.processing is not None and filtering:
            body, record = packing.processing.filter_input(record)
        if packing.limit is not None and len(body) > packing.limit:
            raise PackingError(f"the record on line {line + 1} exceeds {packing.limit_text}")
        yield record, body
        line += 1
