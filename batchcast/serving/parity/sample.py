"""Which records to compare: the extreme ones, where implementations differ, and ordinary ones besides."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from batchcast.steps.contract.model_contract import ModelContract
from batchcast.steps.contract.series import ITEM_ID_KEY
from batchcast.steps.errors import DataError, Problem
from batchcast.steps.outcome.answer_types import decode_body
from batchcast.steps.shards.request_text import BODY_KEY, PLAIN_TEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledRecord:
    """A record as it is sent, and why it was chosen."""

    item_id: str
    body: bytes
    stratum: str


def draw_shard_sample(
    opened: Sequence[tuple[str, bytes]], count: int, contract: ModelContract | None
) -> list[SampledRecord]:
    """Up to `count` records, each once: longest, shortest, with nulls, with events ahead, new, and evenly spread ones.

    `opened` has the item id of each, and what the model gets. Without the contract file only what needs no knowledge
    of the record.
    """
    records = [body for _, body in opened]
    table = contract.request.content_type if contract and contract.request.tabular else None
    documents: list[Any] = [decode_body(body, table) if table else json.loads(body) for body in records]
    strata = _strata(records, documents, contract)
    share = max(1, count // (len(strata) + 1))
    chosen: dict[int, str] = {}
    for name, order in strata.items():
        fresh = [place for place in order if place not in chosen]
        chosen.update(dict.fromkeys(fresh[: min(share, count - len(chosen))], name))
    left = [place for place in range(len(records)) if place not in chosen]
    more = min(count - len(chosen), len(left))
    spread = [left[number * len(left) // more] for number in range(more)]
    chosen.update(dict.fromkeys(spread, "spread"))
    return [
        SampledRecord(item_id=opened[place][0], body=records[place], stratum=chosen[place]) for place in sorted(chosen)
    ]


def _strata(records: Sequence[bytes], documents: Sequence[Any], contract: ModelContract | None) -> dict[str, list[int]]:
    """By name the places of its records, those first that have most of it. Rare strata choose before common ones."""
    places = range(len(records))

    def size(place: int) -> tuple[int, int]:
        return len(records[place]), place

    strata = {"with nulls": _most(places, lambda place: _count(documents[place], lambda value: value is None))}
    if contract is not None:
        ahead = contract.row_lists("future")
        past = contract.row_lists("history")
        strata["with events ahead"] = _most(
            places, lambda place: sum(_count(part.rows(documents[place]), _is_event) for part in ahead)
        )
        days = {place: max((len(part.rows(documents[place])) for part in past), default=0) for place in places}
        strata["new"] = sorted(places, key=lambda place: (days[place], place))
    strata["longest"] = sorted(places, key=size, reverse=True)
    strata["shortest"] = sorted(places, key=size)
    return strata


def _most(places: Sequence[int], amount: Callable[[int], int]) -> list[int]:
    """Those with any, the most first."""
    amounts = {place: amount(place) for place in places}
    return sorted((place for place in places if amounts[place]), key=lambda place: (-amounts[place], place))


def _count(value: Any, test: Callable[[Any], bool]) -> int:
    if isinstance(value, dict):
        return sum(_count(each, test) for each in value.values())
    if isinstance(value, list):
        return sum(_count(each, test) for each in value)
    return int(test(value))


def _is_event(value: Any) -> bool:
    """A number or a flag of a forecast day that is not zero."""
    return not isinstance(value, str) and bool(value)


def open_line(line: bytes) -> tuple[str, bytes]:
    """The item id of a record, and what the model gets: of an envelope, or of a record that carries its id itself.
    Raises DataError for a record without an id."""
    document = json.loads(line)
    item_id = document.get(ITEM_ID_KEY) if isinstance(document, dict) else None
    if not isinstance(item_id, str):
        what = f"a record has no text under {ITEM_ID_KEY!r}: {line[:60]!r}."
        raise DataError(Problem("no_item_id", what, remedy="Answers are matched to records by it."))
    return item_id, PLAIN_TEXT.body(line) if document.keys() == {ITEM_ID_KEY, BODY_KEY} else line
