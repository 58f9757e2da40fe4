"""How records become the bytes of a request, and are found in them again.

In a line, a request is an envelope, `{"body":<what the model gets>,"item_id":"…"}`, of which the service sends the
body alone, or the body itself. Several records in one request are joined between a head and a tail that are the same
in every request of a run, so that each can be cut out by the records' sizes, byte for byte.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring

from batchcast.steps.shards.parquet_rows import cut_file, join_files

BODY_KEY = "body"
"""The key of an envelope that holds what the model gets."""
_OPEN, _ID = b'{"body":', b',"item_id":'


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestText:
    """`suffix` ends the objects' names. `enveloped`: a line carries the ids; `several`: as a list.

    `by_object`: an object is one request; `parquet`: it is a Parquet file with a row group a record, and a record is
    the file it would be alone. `head`, `separator` and `tail` stand around and between the records.
    """

    suffix: str = ".jsonl"
    enveloped: bool = True
    several: bool = False
    by_object: bool = False
    parquet: bool = False
    head: str = ""
    separator: str = ","
    tail: str = ""

    def request(self, item_ids: Sequence[str], records: Sequence[bytes]) -> bytes:
        """One request, without a newline after it."""
        return b"".join(next(self.requests(item_ids, records, [0, len(records)])))

    def requests(
        self, item_ids: Sequence[str], records: Sequence[bytes], cuts: Sequence[int], end: bytes = b""
    ) -> Iterator[tuple[bytes, ...]]:
        """The request of the records between each two `cuts`, in pieces that follow each other, and `end` after it.

        A long record is a piece of its own: it is not copied."""
        spans = list(itertools.pairwise(cuts))
        if self.parquet:
            return ((join_files(records[begin:after]),) for begin, after in spans)
        first, comma, last = (text.encode() for text in (self.head, self.separator, self.tail))
        alone = len(spans) == len(records)
        bodies = records if alone else [comma.join(records[begin:after]) for begin, after in spans]
        if not self.enveloped:
            return ((first, body, last + end) for body in bodies)
        texts = list(map(encode_basestring, item_ids))
        named = texts if alone else [",".join(texts[begin:after]) for begin, after in spans]
        opening, closing = ("[", "]}") if self.several else ("", "}")
        before, behind = self.tail + _ID.decode() + opening, closing + end.decode()
        return zip(itertools.repeat(_OPEN + first), bodies, [f"{before}{ids}{behind}".encode() for ids in named])

    def size(self, item_ids: Sequence[str], records: int) -> int:
        """The bytes of a request with these items whose records have so many bytes together."""
        if self.parquet:
            return records  # each with a footer of its own, of which the request has one
        empty = len(self.request(item_ids, [b""] * len(item_ids)))
        return empty + records

    def fits(self, item_ids: Sequence[str], records: int, limit: int) -> bool:
        """Whether such a request has at most `limit` bytes."""
        return self._most(sum(map(len, item_ids)), len(item_ids), records) <= limit or (
            self.size(item_ids, records) <= limit
        )

    def alone(self, item_ids: Sequence[str], sizes: Sequence[int], limit: int) -> list[bool]:
        """Which of the records fit a request of their own."""
        if self._most(max(map(len, item_ids)), 1, max(sizes)) <= limit:
            return [True] * len(sizes)
        return [self.fits([item_id], size, limit) for item_id, size in zip(item_ids, sizes, strict=True)]

    def _most(self, characters: int, items: int, records: int) -> int:
        # No text is longer in JSON than six bytes a character; measuring exactly costs more.
        return records + 6 * characters + 8 * items + 4 * (len(self.head) + len(self.tail)) + 64

    def body(self, request: bytes) -> bytes:
        """What the model gets of a request, which has no newline after it."""
        # Quotes in an id are escaped, so the last such key is the envelope's own.
        return request[len(_OPEN) : request.rindex(_ID)] if self.enveloped else request

    def record(self, request: bytes, sizes: Sequence[int], place: int) -> bytes:
        """The record at a place of a request whose records have these sizes."""
        if self.parquet:
            return cut_file(request, place)
        start = (len(_OPEN) if self.enveloped else 0) + len(self.head.encode())
        start += sum(sizes[:place]) + place * len(self.separator.encode())
        return request[start : start + sizes[place]]


PLAIN_TEXT = RequestText()
"""An envelope of one record."""
