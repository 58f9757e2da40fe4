"""From the bytes of one object to the requests sent for it: SplitType, BatchStrategy and the payload limit."""

import gzip
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal, cast

from batchcast.engine.limits import BYTES_PER_MB
from batchcast.engine.transform.data.data_processing import DataProcessing

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
    def streams_objects(self) -> bool:
        """Whether an object of any size is passed on unread."""
        return self.split == "None" and self.limit is None and self.processing is None

    @property
    def one_document(self) -> bool:
        """Whether an answer is one document, rather than one a line."""
        if self.split == "Line":
            return self.strategy == "SingleRecord"
        return self.processing is None or self.processing.media_type != "application/jsonlines"

    @property
    def limit_text(self) -> str:
        """The limit as messages have it."""
        return "" if self.limit is None else f"MaxPayloadInMB ({self.limit // BYTES_PER_MB} MB = {self.limit} bytes)"


def mini_batches(open_object: Callable[[], BinaryIO], packing: Packing) -> Iterator[MiniBatch]:
    """The requests of one object, in order, read as they are asked for.

    Raises PackingError, and ProcessingError for a record that InputFilter cannot take.
    """
    if packing.streams_objects:
        yield MiniBatch(0, 0, 1, lambda: _pieces(open_object, packing.compression))
        return
    try:
        with _opened(open_object, packing.compression) as stream:
            if packing.split == "None":
                yield _whole_object(stream, packing)
            elif packing.strategy == "SingleRecord":
                for line, (record, body) in enumerate(_lines(stream, packing)):
                    yield MiniBatch(line, line, 1, body, (record,) if packing.processing else ())
            else:
                yield from _multi_records(stream, packing)
    except _NOT_GZIP as error:
        raise _not_gzip(error) from error


@contextmanager
def _opened(open_object: Callable[[], BinaryIO], compression: str) -> Iterator[BinaryIO]:
    """The object's decompressed bytes, read in large pieces because slots wait while a record is read."""
    with open_object() as raw:
        stream = gzip.GzipFile(fileobj=raw, mode="rb") if compression == "Gzip" else raw
        with io.BufferedReader(cast(io.RawIOBase, stream), _PIECE_BYTES) as buffered:
            yield buffered


def _pieces(open_object: Callable[[], BinaryIO], compression: str) -> Iterator[bytes]:
    try:
        with _opened(open_object, compression) as stream:
            while piece := stream.read(_PIECE_BYTES):
                yield piece
    except _NOT_GZIP as error:
        raise _not_gzip(error) from error


def _not_gzip(error: Exception) -> PackingError:
    return PackingError(f"the object cannot be decompressed as Gzip: {error}")


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
