"""Which items a run builds records for, carries over, or quarantines before their rows are read."""

import bisect
import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

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
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Items by their place in `Items`, in id order: `built` get records; `later` only begin after the run date.

    `nameless` rows without an item id count as one quarantined item, unless only some items were asked for.
    """

    built: Numbers
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
    asked = np.ones(len(items.ids), bool) if wanted is None else _known(wanted, items.ids)
    begun = np.full(len(items.ids), True) if wanted is not None else (items.rows > 0) | (items.dateless > 0)
    done = asked & begun & (_among(items.ids, earlier.done) if earlier else False)
    unanswered = earlier.unanswered if earlier else {}
    left = asked & begun & ~done
    quarantined = {
        place: Quarantine(QuarantineReason.NO_ANSWER, f"sent {unanswered[items.ids[place].as_py()]}")
        for place in np.flatnonzero(left & _among(items.ids, pa.array(sorted(unanswered), pa.string()))).tolist()
    }
    quarantined = _spoiled(items, np.flatnonzero(left), contract, static, max_bytes) | quarantined
    left[list(quarantined)] = False
    selection = Selection(
        built=np.flatnonzero(left),
        carried=np.flatnonzero(done).tolist(),
        quarantined=dict(sorted(quarantined.items())),
        later=int(np.count_nonzero(asked & ~begun)),
        nameless=items.nameless if wanted is None else 0,
    )
    return selection if len(selection.built) else send_again(selection, items, contract, static, max_bytes)


def leave_out_implausible(selection: Selection, items: Items, axis: DateAxis, end: int) -> Selection:
    """The selection without the items that have a value at `end` or later: they are quarantined."""
    members = np.array([*selection.built, *selection.carried], np.int64)
    found = {
        item: Quarantine(
            QuarantineReason.IMPLAUSIBLE_DATE,
            f"a row is dated {axis.text(int(items.measured[item]))}, which cannot be",
            int(items.measured[item]),
        )
        for item in members[items.measured[members] >= end].tolist()
    }
    if not found:
        return selection
    return replace(
        selection,
        built=np.setdiff1d(selection.built, list(found)),
        carried=[item for item in selection.carried if item not in found],
        quarantined=selection.quarantined | found,
    )


def send_again(
    selection: Selection, items: Items, contract: ModelContract, static: StaticTable | None, max_bytes: int
) -> Selection:
    """One of the carried items is sent once more, if any still can be: whatever else is left to do, a transform job
    needs a record."""
    spoiled = _spoiled(items, np.array(selection.carried, np.int64), contract, static, max_bytes)
    for item in selection.carried:
        if item not in spoiled:
            return replace(
                selection,
                built=np.sort(np.append(selection.built, item)),
                carried=[other for other in selection.carried if other != item],
            )
    return selection


def _spoiled(
    items: Items, places: Numbers, contract: ModelContract, static: StaticTable | None, max_bytes: int
) -> dict[int, Quarantine]:
    """Those of the items whose id, or the number of whose rows, alone keeps them from being sent, and why."""
    series, least = contract.series, least_bytes_a_row(contract)
    lone = np.asarray(static.rows(items.names).is_null()) if static else np.zeros(len(items.rows), bool)
    newest = items.rows if series.max_history is None else np.minimum(items.rows, series.max_history)
    large = (newest * least > max_bytes) & (series.aggregate is None)
    short = items.rows < series.min_history
    found = {}
    for item in places[((items.dateless > 0) | short | lone | large)[places]].tolist():
        rows = int(newest[item])
        if items.dateless[item]:
            found[item] = Quarantine(QuarantineReason.NULL_KEY, f"{items.dateless[item]} rows have no date")
        elif short[item]:
            found[item] = too_short(int(items.rows[item]), contract)
        elif lone[item]:
            found[item] = Quarantine(QuarantineReason.NO_STATIC, f"{STATIC_FILE} has no row of it")
        else:
            found[item] = too_large(f"{rows} rows and so more than {rows * least:,}", max_bytes)
    return found


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


def _among(ids: pa.Array, some: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.is_in(ids, value_set=some))


def _known(wanted: Sequence[str], ids: pa.Array) -> npt.NDArray[np.bool_]:
    """Which of the ids are wanted."""
    names = ids.to_pylist()
    known = set(names)
    strangers = [item_id for item_id in dict.fromkeys(wanted) if item_id not in known]
    if not strangers:
        return _among(ids, pa.array(wanted, pa.string()))
    problems = []
    for item_id in strangers[:_NAMED_PROBLEMS]:
        what = f"there is no item {item_id!r} in the history; the nearest is {_nearest(item_id, names)!r}."
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
