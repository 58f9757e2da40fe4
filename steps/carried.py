"""Answers carried over from an earlier run: found by that run's ledger, read where they lie, and checked again."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterable

from steps.answer import AnswerError, Expected, read_answer
from steps.errors import DataError, Problem
from steps.ledger import LedgerRow, read_ledger
from steps.object_store import ObjectMissingError, ObjectStore
from steps.reconcile import CarriedAnswer
from steps.run_layout import ledger_uri, output_uri
from steps.shard_output import Document, Fault, Reading, Usable, read_documents

__all__ = ["read_carried"]


def read_carried(
    store: ObjectStore, runs_uri: str, resume_from: str, item_ids: Iterable[str], expected: Expected
) -> dict[str, CarriedAnswer]:
    """The answers of these items in the run `resume_from`, which may itself have carried them over.

    An answer that is gone, changed or not what this run asks for is a Fault, and no reason to stop.
    Raises DataError when an item is not ok in that run's ledger: then the two runs do not belong together.
    """
    wanted = set(item_ids)
    rows = {row.item_id: row for row in _ledger(store, runs_uri, resume_from) if row.item_id in wanted}
    strangers = sorted(item for item in wanted if item not in rows or rows[item].status not in ("ok", "carried"))
    if strangers:
        what = f"{len(strangers)} items are to be carried over and are not ok there, first {strangers[0]!r}."
        remedy = "Build the run again; its ResumeFrom does not fit."
        raise DataError(Problem("resume_mismatch", what, ledger_uri(runs_uri, resume_from), remedy))
    objects: defaultdict[str, list[LedgerRow]] = defaultdict(list)
    for row in rows.values():
        objects[output_uri(runs_uri, row.run_id, row.round, str(row.shard))].append(row)
    return {
        row.item_id: CarriedAnswer(row=row, reading=reading)
        for uri in sorted(objects)
        for row, reading in _read(store, uri, objects[uri], expected)
    }


def _ledger(store: ObjectStore, runs_uri: str, run_id: str) -> list[LedgerRow]:
    uri = ledger_uri(runs_uri, run_id)
    try:
        return read_ledger(io.BytesIO(store.read(uri)))
    except ObjectMissingError:
        remedy = "Name a run that came to a decision, or none."
        raise DataError(Problem("resume_ledger", "the run has no ledger.", uri, remedy)) from None


def _read(store: ObjectStore, uri: str, rows: list[LedgerRow], expected: Expected) -> list[tuple[LedgerRow, Reading]]:
    try:
        documents = {document.item_id: document for document in read_documents(store.read(uri))}
    except ObjectMissingError:
        documents = {}
    return [(row, _reading(row, documents.get(row.item_id), uri, expected)) for row in rows]


def _reading(row: LedgerRow, document: Document | None, uri: str, expected: Expected) -> Reading:
    if document is None:
        return Fault(reason="answer_changed", detail=f"{uri} no longer holds its answer")
    if document.sha256 != row.answer_sha256:
        return Fault(reason="answer_changed", detail=f"{uri} line {document.line} is another answer than was accepted")
    try:
        return Usable(values=read_answer(document.answer, expected), sha256=document.sha256)
    except AnswerError as error:
        return Fault(reason=error.reason, detail=f"{uri} line {document.line}: {error.detail}", sha256=document.sha256)
