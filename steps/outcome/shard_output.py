"""One output object of the transform: its documents, and the record each of them belongs to.

An output line is `{"SageMakerOutput": <answer>, "item_id": "…"}`: the join of input and answer, filtered to the id
(SageMaker developer guide, "Associate prediction results with input records", read 2023-03).
The service writes an object only when every record of the shard was answered, in input order. None of that is
taken for granted here: the object may be absent, cut, too long, garbled, or another shard's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from batchcast.steps.contract.answer import AnswerError, Expected, Values, answered_item, read_answer, split_answers

__all__ = ["Document", "Fault", "Reading", "ShardReading", "ShardStatus", "Usable", "read_documents", "read_shard"]

ShardStatus = Literal["ok", "missing", "short", "long", "garbled"]

_ID, _ANSWER = "item_id", "SageMakerOutput"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One JSON document of an output object; `line` counts from 1, `problem` says why it cannot be read."""

    line: int
    sha256: str
    item_id: str = ""
    answer: object = None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usable:
    """A record's answer that passed every check; `values` is steps x published columns."""

    values: Values
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why a record has no usable answer; `reason` is one of `batchcast.steps.outcome.ledger.REASONS`."""

    reason: str
    detail: str
    sha256: str = ""


Reading = Usable | Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardReading:
    """What became of a shard: one reading a record in input order, and every answer that is another item's."""

    status: ShardStatus
    readings: tuple[Reading, ...]
    mismatches: tuple[str, ...] = ()


def read_documents(data: bytes) -> list[Document]:
    """Every JSON document of an output object; blank lines are no documents, two on one line are two."""
    documents = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        text = line.strip()
        if text:
            documents.extend(_documents_of_line(text, number))
    return documents


def read_shard(name: str, data: bytes | None, item_ids: Sequence[str], expected: Expected) -> ShardReading:
    """The records of a shard, by line and by id, with the answers in `data` (None: there is no output object)."""
    if data is None:
        absent = Fault(reason="no_output", detail=f"{name}.out does not exist")
        return ShardReading(status="missing", readings=(absent,) * len(item_ids))
    documents = read_documents(data)
    if len(documents) == len(item_ids):
        owners: list[int | None] = list(range(len(item_ids)))
    else:
        owners = _owners_by_id(documents, item_ids)
    readings: dict[int, Reading] = {}
    mismatches = []
    for document, owner in zip(documents, owners, strict=True):
        where = f"{name}.out line {document.line}"
        reading = _read(document, item_ids[owner] if owner is not None else None, where, expected)
        if isinstance(reading, Fault) and reading.reason == "wrong_id":
            mismatches.append(reading.detail)
        if owner is not None:
            again = Fault(reason="answered_twice", detail=where, sha256=document.sha256)
            readings[owner] = again if owner in readings else reading
    absent = Fault(reason="short_output", detail=f"{name}.out holds {len(documents)} of {len(item_ids)} answers")
    return ShardReading(
        status=_status(documents, len(item_ids)),
        readings=tuple(readings.get(line, absent) for line in range(len(item_ids))),
        mismatches=tuple(mismatches),
    )


def _status(documents: Sequence[Document], records: int) -> ShardStatus:
    if len(documents) < records:
        return "short"
    if len(documents) > records:
        return "long"
    return "garbled" if any(document.problem for document in documents) else "ok"


def _owners_by_id(documents: Sequence[Document], item_ids: Sequence[str]) -> list[int | None]:
    """The record of each document of a shard whose count is wrong; None: it cannot be read, or is no record's here."""
    lines = {item_id: line for line, item_id in enumerate(item_ids)}
    owners: list[int | None] = []
    last = -1
    for document in documents:
        owner = lines.get(document.item_id) if not document.problem else None
        # Answers come in input order; one that does not is not where its record was sent.
        in_order = owner is not None and owner >= last
        owners.append(owner if in_order else None)
        last = owner if in_order and owner is not None else last
    return owners


def _read(document: Document, item_id: str | None, where: str, expected: Expected) -> Reading:
    if document.problem:
        return Fault(reason="unparsable", detail=f"{where}: {document.problem}", sha256=document.sha256)
    try:
        (answer,) = split_answers(document.answer, expected.outputs, 1)
    except AnswerError as error:
        return Fault(reason=error.reason, detail=f"{where}: {error.detail}", sha256=document.sha256)
    echoed = answered_item(answer, expected.outputs)
    found = document.item_id if echoed is None or document.item_id != item_id else echoed
    if found != item_id:
        place = f"{item_id!r} was expected" if item_id is not None else "that is no record in its place"
        what = f"{where}: answers {found!r}; {place}"
        return Fault(reason="wrong_id", detail=what, sha256=document.sha256)
    try:
        return Usable(values=read_answer(answer, expected), sha256=document.sha256)
    except AnswerError as error:
        return Fault(reason=error.reason, detail=f"{where}: {error.detail}", sha256=document.sha256)


def _documents_of_line(text: bytes, number: int) -> list[Document]:
    digest = hashlib.sha256(text).hexdigest()
    try:
        values = _json_values(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        return [Document(line=number, sha256=digest, problem=f"not JSON in UTF-8: {error}")]
    return [_document(value, number, digest) for value in values]


def _json_values(text: str) -> list[object]:
    try:
        return [json.loads(text)]
    except json.JSONDecodeError as error:
        if not error.msg.startswith("Extra data"):
            raise
    values, position, decoder = [], 0, json.JSONDecoder()
    while position < len(text):
        value, position = decoder.raw_decode(text, position)
        values.append(value)
        position += len(text[position:]) - len(text[position:].lstrip())
    return values


def _document(value: object, number: int, digest: str) -> Document:
    if not isinstance(value, dict) or _ANSWER not in value:
        return Document(line=number, sha256=digest, problem=f"no object with a key {_ANSWER!r}")
    item_id = value.get(_ID)
    if not isinstance(item_id, str) or not item_id:
        return Document(line=number, sha256=digest, problem=f"no text under the key {_ID!r}")
    return Document(line=number, sha256=digest, item_id=item_id, answer=value[_ANSWER])
