"""One output object of the transform: its documents, and the records each of them belongs to.

Where requests are envelopes, an output line is `{"SageMakerOutput": <answer>, "item_id": "…"}`: the join of input and
answer, filtered to the ids (SageMaker developer guide, "Associate prediction results with input records", read
2023-03). Elsewhere it is the answer itself, and its place says whose it is.
The service writes an object only when every request of the shard was answered, in input order. None of that is
taken for granted here: the object may be absent, cut, too long, garbled, or another shard's.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from batchcast.steps.contract.answer import (
    AnswerError,
    Expected,
    Values,
    answered_item,
    pick_answer,
    read_answer,
    split_answers,
)
from batchcast.steps.contract.request import Request
from batchcast.steps.outcome.answer_types import decode_stored_answer
from batchcast.steps.outcome.ledger import LedgerRow
from batchcast.steps.reading_note import reading

ShardStatus = Literal["ok", "missing", "short", "long", "garbled"]

_ID, _ANSWER = "item_id", "SageMakerOutput"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One JSON document of an output object; `line` counts from 1, `problem` says why it cannot be read.

    `item_ids` are those that the service joined to it, none where it does not.
    """

    line: int
    sha256: str
    item_ids: tuple[str, ...] = ()
    answer: object = None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usable:
    """A record's answer that passed every check; `values` is days x targets."""

    values: Values
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFault:
    """Why a record has no usable answer; `reason` is one of `batchcast.steps.outcome.ledger.REASONS`."""

    reason: str
    detail: str
    sha256: str = ""


Reading = Usable | RecordFault


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardReading:
    """What became of a shard: one reading a record in input order, and every answer that is another item's."""

    status: ShardStatus
    readings: tuple[Reading, ...]
    mismatches: tuple[str, ...] = ()


def read_documents(data: bytes, request: Request) -> list[Document]:
    """Every document of an output object; blank lines are no documents, two on one line are two."""
    if request.mode == "object":
        return [_whole(data, request)]
    documents = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        text = line.strip()
        if text:
            documents.extend(documents_of_line(text, number, enveloped=request.enveloped))
    return documents


def read_shard(name: str, data: bytes | None, requests: Sequence[Sequence[str]], expected: Expected) -> ShardReading:
    """The records of a shard, given by the items of each of its requests, with the answers in `data` (None: there is no
    output object). One reading an item, in their order."""
    every = [item for items in requests for item in items]
    if data is None:
        absent = RecordFault(reason="no_output", detail=f"{name}.out does not exist")
        return ShardReading(status="missing", readings=(absent,) * len(every))
    with reading(f"{name}.out", remedy="Correct what the model answers."):
        documents = read_documents(data, expected.request)
    readings: dict[str, Reading] = {}
    mismatches: list[str] = []
    for document, owner in zip(documents, _owners(documents, requests, expected.request), strict=True):
        where = f"{name}.out line {document.line}"
        found = read_document(document, requests[owner] if owner is not None else (), where, expected)
        mismatches += [
            one.detail for one in found.values() if isinstance(one, RecordFault) and one.reason == "wrong_id"
        ]
        if owner is None:
            continue
        for item in requests[owner]:
            again = RecordFault(reason="answered_twice", detail=where, sha256=document.sha256)
            readings[item] = again if item in readings else found[item]
    kind = "short_output" if len(documents) <= len(requests) else "long_output"
    absent = RecordFault(reason=kind, detail=f"{name}.out holds {len(documents)} answers to {len(requests)} requests")
    return ShardReading(
        status=_status(documents, len(requests)),
        readings=tuple(readings.get(item, absent) for item in every),
        mismatches=tuple(mismatches),
    )


def read_again(document: Document, row: LedgerRow, uri: str, expected: Expected) -> Reading | None:
    """The answer of the document that the row of a ledger speaks of, checked anew; None where it has none."""
    if document.problem:
        return None
    where, answer = f"{uri} line {document.line}", document.answer
    try:
        answer = pick_answer(answer, expected.outputs, row.position, row.item_id)
    except AnswerError as error:
        return RecordFault(reason=error.reason, detail=f"{where}: {error.detail}", sha256=document.sha256)
    return _read(answer, row.item_id, document, where, expected)


def _owners(documents: Sequence[Document], requests: Sequence[Sequence[str]], request: Request) -> list[int | None]:
    if len(documents) == len(requests):
        return list(range(len(requests)))
    # Nothing says whose answers these are.
    return _owners_by_id(documents, requests) if request.enveloped else [None] * len(documents)


def _status(documents: Sequence[Document], requests: int) -> ShardStatus:
    if len(documents) < requests:
        return "short"
    if len(documents) > requests:
        return "long"
    return "garbled" if any(document.problem for document in documents) else "ok"


def _owners_by_id(documents: Sequence[Document], requests: Sequence[Sequence[str]]) -> list[int | None]:
    """The request of each document of a shard whose count is wrong; None: it cannot be read, or is none's here."""
    lines = {tuple(items): line for line, items in enumerate(requests)}
    owners: list[int | None] = []
    last = -1
    for document in documents:
        owner = lines.get(document.item_ids) if not document.problem else None
        # Answers come in input order; one that does not is not where its request was sent.
        in_order = owner is not None and owner >= last
        owners.append(owner if in_order else None)
        last = owner if in_order and owner is not None else last
    return owners


def read_document(document: Document, item_ids: Sequence[str], where: str, expected: Expected) -> dict[str, Reading]:
    """What a document holds for each of the items of a request; under "" what is no item's here."""
    if document.problem:
        return _all(
            item_ids, RecordFault(reason="unparsable", detail=f"{where}: {document.problem}", sha256=document.sha256)
        )
    if expected.request.enveloped and document.item_ids != tuple(item_ids):
        return _wrong_id(document, item_ids, _named(document.item_ids), where)
    if not item_ids:
        return {}
    try:
        answers = split_answers(document.answer, expected.outputs, len(item_ids))
    except AnswerError as error:
        # Sent alone each may well be answered: one bad series can spoil the request of all.
        reason = error.reason if len(item_ids) == 1 else "spoiled_request"
        return _all(item_ids, RecordFault(reason=reason, detail=f"{where}: {error.detail}", sha256=document.sha256))
    names = [answered_item(answer, expected.outputs) for answer in answers]
    if len(item_ids) > 1 and set(names) == set(item_ids):
        answers = [answers[names.index(item)] for item in item_ids]
    found = zip(item_ids, answers, strict=True)
    return {item: _read(answer, item, document, where, expected) for item, answer in found}


def _read(answer: object, item_id: str, document: Document, where: str, expected: Expected) -> Reading:
    echoed = answered_item(answer, expected.outputs)
    if echoed is not None and echoed != item_id:
        return _wrong_id(document, [item_id], repr(echoed), where)[item_id]
    try:
        return Usable(values=read_answer(answer, expected), sha256=document.sha256)
    except AnswerError as error:
        return RecordFault(reason=error.reason, detail=f"{where}: {error.detail}", sha256=document.sha256)


def _wrong_id(document: Document, item_ids: Sequence[str], found: str, where: str) -> dict[str, Reading]:
    place = f"{_named(item_ids)} was expected" if item_ids else "that is no record in its place"
    what = f"{where}: answers {found}; {place}"
    return _all(item_ids or [""], RecordFault(reason="wrong_id", detail=what, sha256=document.sha256))


def _named(item_ids: Sequence[str]) -> str:
    return repr(item_ids[0]) + (f" and {len(item_ids) - 1} more" if len(item_ids) > 1 else "") if item_ids else "''"


def _all(item_ids: Sequence[str], fault: RecordFault) -> dict[str, Reading]:
    return dict.fromkeys(item_ids, fault)


def _whole(data: bytes, request: Request) -> Document:
    digest = hashlib.sha256(data).hexdigest()
    try:
        return Document(line=1, sha256=digest, answer=decode_stored_answer(data, request))
    except (ValueError, RecursionError) as error:
        return Document(line=1, sha256=digest, problem=f"not {request.accept}: {error}")


def documents_of_line(text: bytes, number: int, *, enveloped: bool) -> list[Document]:
    """Those of one line that is not blank: one, or several that follow each other."""
    digest = hashlib.sha256(text).hexdigest()
    try:
        values = _json_values(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        return [Document(line=number, sha256=digest, problem=f"not JSON in UTF-8: {error}")]
    if not enveloped:
        return [Document(line=number, sha256=digest, answer=value) for value in values]
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
    found = value.get(_ID)
    item_ids = tuple(found) if isinstance(found, list) else (found,)
    if not all(isinstance(item, str) and item for item in item_ids):
        return Document(line=number, sha256=digest, problem=f"no text under the key {_ID!r}")
    return Document(line=number, sha256=digest, item_ids=item_ids, answer=value[_ANSWER])
