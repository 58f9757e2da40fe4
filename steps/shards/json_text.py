"""The text of Arrow columns in JSON, and in CSV, exact and computed column by column.

Integers stay integers; a float is the shortest text that reads back as the same float and always looks like one
(18.0, never 18; float32 by its own precision); decimals keep their digits; a date is "2026-01-31" and a timestamp
"2026-01-31T00:00:00", with a fraction (of the column's unit) only where it is not zero. Null, NaN and infinity are
null. Text is written as it is, escaped only where JSON demands it. Dates must lie in the years 1 to 9999. CSV is the
same without the quotes around a date, and with text in quotes where a comma, a quote or a line break is in it.
"""

from json.encoder import encode_basestring

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batchcast.steps.contract.table import csv_field

_RETRY_CHUNKS = 16


class JsonColumn:
    """Texts of one column of a record, a fixed prefix before each, chunk after chunk.

    Where values repeat, each is written once a chunk. Whether they do is found by trying, again from time to time;
    the texts do not depend on it.
    """

    def __init__(self, prefix: str, null: str = "null", *, csv: bool = False) -> None:
        self._prefix, self._null, self._csv = prefix, null, csv
        self._until_retry = 0

    def texts(self, column: pa.Array) -> list[pa.Array | str]:
        """Arrays and fixed texts which, joined row by row, are prefix and value."""
        if self._until_retry == 0:
            # Floats that do not repeat show it in some of them; moments repeat from record to record only.
            some = column.slice(0, len(column) // 8) if pa.types.is_floating(column.type) else column
            if _repeats(some.dictionary_encode("encode")):
                encoded = column.dictionary_encode("encode")
                texts = json_texts(encoded.dictionary, self._null, csv=self._csv)
                distinct = pc.binary_join_element_wise(self._prefix, texts, "")
                return [distinct.take(encoded.indices)]
            self._until_retry = _RETRY_CHUNKS
        self._until_retry -= 1
        texts = json_texts(column, self._null, csv=self._csv)
        return [self._prefix, texts] if self._prefix else [texts]


def _repeats(encoded: pa.DictionaryArray) -> bool:
    return 2 * len(encoded.dictionary) <= len(encoded)


def json_texts(values: pa.Array, null: str = "null", *, csv: bool = False) -> pa.Array:
    """The JSON or CSV text of every value, an array of strings without nulls; `null` is written for what has none."""
    kind = values.type
    if pa.types.is_string(kind):
        texts = _quoted(values, csv=csv)
    elif pa.types.is_floating(kind):
        texts = _float_texts(values)
    elif pa.types.is_timestamp(kind):
        texts = _timestamp_texts(values)
    else:
        texts = values.cast(pa.string())
    if not csv and (pa.types.is_date(kind) or pa.types.is_timestamp(kind)):
        texts = pc.binary_join_element_wise('"', texts, '"', "")
    return texts.fill_null(null) if texts.null_count else texts


def _quoted(values: pa.Array, *, csv: bool) -> pa.Array:
    if not csv and _is_bare(values):
        return pc.binary_join_element_wise('"', values, '"', "")
    written = csv_field if csv else encode_basestring
    return pa.array([None if text is None else written(text) for text in values.to_pylist()], pa.string())


def _is_bare(values: pa.Array) -> bool:
    """Whether none of the texts has a character that JSON escapes."""
    _, offsets, data = values.buffers()
    first, end = np.frombuffer(offsets, np.int32)[[values.offset, values.offset + len(values)]] if offsets else (0, 0)
    text = np.frombuffer(data or b"", np.uint8)[first:end]
    return not ((text < ord(" ")) | (text == ord('"')) | (text == ord("\\"))).any()


def _float_texts(values: pa.Array) -> pa.Array:
    numbers = np.asarray(values.fill_null(0.5))
    if not np.isfinite(numbers).all():
        values = pc.if_else(pc.is_finite(values), values, pa.scalar(None, values.type))
        numbers = np.asarray(values.fill_null(0.5))
    texts = values.cast(pa.string())
    whole = numbers == np.trunc(numbers)
    if not whole.any():
        return texts
    # Large and small whole numbers come with an exponent, which says "float" already.
    bare = pc.and_(pa.array(whole), pc.invert(pc.match_substring(texts, "e")))
    return pc.if_else(bare, pc.binary_join_element_wise(texts, "0", "."), texts)


def _timestamp_texts(values: pa.Array) -> pa.Array:
    seconds = pc.binary_replace_slice(values.cast(pa.timestamp("s"), safe=False).cast(pa.string()), 10, 11, "T")
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[values.type.unit]
    whole = np.asarray(values.cast(pa.int64()).fill_null(0)) % per_second == 0
    if whole.all():
        return seconds
    return pc.if_else(pa.array(whole), seconds, pc.binary_replace_slice(values.cast(pa.string()), 10, 11, "T"))
