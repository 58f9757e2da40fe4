"""Which items a run builds records for, carries over, or quarantines before their rows are read."""

import bisect
import difflib
import json
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from batchcast.steps.arguments import ALL
from batchcast.steps.contract.model_contract import ModelContract
from batchcast.steps.contract.series import ITEM_ID_KEY
from batchcast.steps.errors import ConfigError, Problem
from batchcast.steps.history.date_axis import DateAxis
from batchcast.steps.history.folders import STATIC_FILE
from batchcast.steps.history.items import Items
from batchcast.steps.history.static_table import StaticTable
from batchcast.steps.outcome.earlier_run import EarlierRun
from batchcast.steps.shards.manifest import QuarantineReason
from batchcast.steps.shards.quarantine import Quarantine, too_large, too_short
from batchcast.steps.shards.render import least_bytes_a_row
from batchcast.steps.store.objects import ObjectMissingError, ObjectStore

_NAMED_PROBLEMS = 5
_NEIGHBOURS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Items by their place in `Items`, in id order: `built` get records; `later` only begin after the run date.

    `nameless` rows without an item id count as one quarantined item, unless only some items were asked for.
    """

    built: npt.NDArray[np.int64]
    carried: list[int]
    quarantined: dict[int, Quarantine]
    later: int
    nameless: int


def read_item_ids(store: ObjectStore, uri: str) -> list[str]:
    """The ids of the object at `uri`. Raises ConfigError as `parse_item_ids`, and without the object."""
    try:
        return parse_item_ids(store.read(uri), uri)
    except ObjectMissingError as error:
        remedy = f"Name an object that lists item ids, or pass {ALL}."
        raise ConfigError(Problem("items_uri", "there is no such object.", uri, remedy)) from error


def parse_item_ids(data: bytes, where: str) -> list[str]:
    """Item ids, one a line: the id itself, or a JSON object with it under "item_id".

    Raises ConfigError when the text is not UTF-8, names nothing, or has a line that is neither.
    """
    try:
        lines = data.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        what = f"is not UTF-8 text: {error}."
        raise ConfigError(Problem("items_uri", what, where, "Write one item id a line.")) from error
    ids = [
        _item_id(line.rstrip("\r"), f"{where} line {number}") for number, line in enumerate(lines, 1) if line.strip()
    ]
    if not ids:
        raise ConfigError(Problem("items_uri", "names no item.", where, f"Write one item id a line, or pass {ALL}."))
    return ids


def select(
    items: Items,
    contract: ModelContract,
    static: StaticTable | None,
    *,
    wanted: Sequence[str] | None,
    earlier: EarlierRun | None,
    max_bytes: int,
) -> Selection:
    """Choose among all items, or the `wanted`; what the `earlier` run has good forecasts of is carried over.

    Raises ConfigError when a wanted item is not in the history.
    """
    listed = None if wanted is None else _known(wanted, items.ids)
    done = earlier.done if earlier else frozenset()
    unanswered = earlier.unanswered if earlier else {}
    least = least_bytes_a_row(contract)
    built: list[int] = []
    carried: list[int] = []
    quarantined: dict[int, Quarantine] = {}
    later = 0
    for place, item_id in enumerate(items.ids):
        if listed is not None and item_id not in listed:
            continue
        if listed is None and items.rows[place] == 0 and items.dateless[place] == 0:
            later += 1
        elif item_id in done:
            carried.append(place)
        elif item_id in unanswered:
            quarantined[place] = Quarantine(QuarantineReason.NO_ANSWER, f"sent {unanswered[item_id]}")
        elif (why := _spoiled(place, items, contract, static, least, max_bytes)) is not None:
            quarantined[place] = why
        else:
            built.append(place)
    selection = Selection(
        built=np.array(built, np.int64),
        carried=carried,
        quarantined=quarantined,
        later=later,
        nameless=items.nameless if listed is None else 0,
    )
    return selection if built else send_again(selection, items, contract, static, max_bytes)


def leave_out_implausible(selection: Selection, items: Items, axis: DateAxis, end: int) -> Selection:
    """The selection without the items that have a value at `end` or later: they are quarantined."""
    found = {
        item: Quarantine(
            QuarantineReason.IMPLAUSIBLE_DATE,
            f"a row is dated {axis.text(int(items.measured[item]))}, which cannot be",
            int(items.measured[item]),
        )
        for item in [*selection.built.tolist(), *selection.carried]
        if items.measured[item] >= end
    }
    if not found:
        return selection
    return replace(
        selection,
        built=np.array([item for item in selection.built.tolist() if item not in found], np.int64),
        carried=[item for item in selection.carried if item not in found],
        quarantined=selection.quarantined | found,
    )


def send_again(
    selection: Selection, items: Items, contract: ModelContract, static: StaticTable | None, max_bytes: int
) -> Selection:
    """One of the carried items is sent once more, if any still can be: whatever else is left to do, a transform job
    needs a record."""
    least = least_bytes_a_row(contract)
    for item in selection.carried:
        if _spoiled(item, items, contract, static, least, max_bytes) is None:
            return replace(
                selection,
                built=np.sort(np.append(selection.built, item)),
                carried=[other for other in selection.carried if other != item],
            )
    return selection


def _spoiled(
    place: int, items: Items, contract: ModelContract, static: StaticTable | None, least_bytes: int, max_bytes: int
) -> Quarantine | None:
    """Why its id, or the number of its rows, alone keeps an item from being sent; each has `least_bytes` at least."""
    rows, dateless = int(items.rows[place]), int(items.dateless[place])
    if dateless:
        return Quarantine(QuarantineReason.NULL_KEY, f"{dateless} rows have no date")
    if rows < contract.series.min_history:
        return too_short(rows, contract)
    if static is not None and items.names[place] not in static.rows:
        return Quarantine(QuarantineReason.NO_STATIC, f"{STATIC_FILE} has no row of it")
    newest = rows if contract.series.max_history is None else min(rows, contract.series.max_history)
    if contract.series.aggregate is None and newest * least_bytes > max_bytes:
        return too_large(f"{newest} rows and so more than {newest * least_bytes:,}", max_bytes)
    return None


def _item_id(line: str, where: str) -> str:
    if not line.startswith("{"):
        return line
    try:
        item_id = json.loads(line)[ITEM_ID_KEY]
    except (ValueError, KeyError, RecursionError):
        item_id = None
    if not isinstance(item_id, str):
        what = f'is not a JSON object with text under "{ITEM_ID_KEY}".'
        raise ConfigError(Problem("items_uri", what, where, f'Write {{"{ITEM_ID_KEY}": "…"}} or the id alone.'))
    return item_id


def _known(wanted: Sequence[str], ids: Sequence[str]) -> Set[str]:
    known = set(ids)
    strangers = [item_id for item_id in dict.fromkeys(wanted) if item_id not in known]
    if not strangers:
        return set(wanted)
    problems = []
    for item_id in strangers[:_NAMED_PROBLEMS]:
        what = f"there is no item {item_id!r} in the history; the nearest is {_nearest(item_id, ids)!r}."
        problems.append(Problem("unknown_item", what, "ItemsUri", "Correct it or leave it out."))
    if len(strangers) > _NAMED_PROBLEMS:
        what = f"{len(strangers) - _NAMED_PROBLEMS} more items are not in the history."
        problems.append(Problem("unknown_item", what, "ItemsUri", "Correct them or leave them out."))
    raise ConfigError(*problems)


def _nearest(item_id: str, ids: Sequence[str]) -> str:
    # Comparing with all of a hundred thousand ids takes seconds; those that sort near by are likely enough.
    place = bisect.bisect_left(ids, item_id)
    near = ids[max(place - _NEIGHBOURS, 0) : place + _NEIGHBOURS]
    return next(iter(difflib.get_close_matches(item_id, near, n=1, cutoff=0.0)), "")
