"""All items on the page: by class of volume, and a field that finds one, from a copy of the numbers in the page."""

import base64
import json
import math
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import compress, count, pairwise
from operator import ne
from typing import Any

import numpy as np
import numpy.typing as npt

from batchcast.steps.answers.item_arrays import summed
from batchcast.steps.checks.flags import Flag
from batchcast.steps.contract.answer import Expected
from batchcast.steps.contract.checks import CHECKS
from batchcast.steps.outcome.comparison import Array
from batchcast.steps.outcome.ledger import REASONS, LedgerRow
from batchcast.steps.plain_text import html_text as escape
from batchcast.steps.report.charts import short_number, three_decimals
from batchcast.steps.report.html import html_table
from batchcast.steps.report.page_items import MOST_ITEMS, PageItems

_PAGE, _LEAST = 950_000, 100_000
"""The copy has the bytes that the rest of the page leaves of so many, though at least so many: the page stays below
1 MB."""
_FEW, _VALUES_A_PART = 100, 4_096
_CLASSES = {"A": "the first 80 % of the volume", "B": "the next 15 %", "C": "all others"}


def all_items(
    report: Mapping[str, Any],
    rows: Mapping[int, LedgerRow],
    flags: Iterable[Flag],
    expected: Expected,
    items: PageItems,
    taken: int,
) -> str:
    """The search and the classes. `rows` are the items whose first answer was not good, by their place; `flags` are all
    of the run; the rest of the page has `taken` so many bytes."""
    names, words = items.item_ids, _flag_words(flags)
    flagged = {place: words[names[place]] for place in names.places([*words])}
    odd = {
        place: "has a forecast, carried over from an earlier run"
        if row.status == "carried"
        else f"{row.status}: {REASONS[row.reason].removeprefix(f'{row.status}: ')}"
        for place, row in rows.items()
        if row.status != "ok"
    }
    copy, count = _copy(items, odd, flagged, max(_PAGE - taken, _LEAST))
    total = f"Total {expected.targets[0]}"
    return _search(total, copy, count, len(names)) + _groups(report, total, items, [*flagged])


def _flag_words(flags: Iterable[Flag]) -> dict[str, str]:
    kinds: defaultdict[str, list[str]] = defaultdict(list)
    for flag in flags:
        if flag.item_id:
            kinds[flag.item_id].append(CHECKS[flag.kind].words)
    return {item: "; ".join(dict.fromkeys(words)) for item, words in kinds.items()}


def _changes(sums: Array) -> Array:
    """In percent of what the last run said; NaN where it said nothing."""
    new, old = sums[:, 1], sums[:, 2]
    changes: Array = 100 * np.divide(new - old, old, out=np.full(len(new), np.nan), where=old > 0)
    return changes


def _groups(report: Mapping[str, Any], total: str, items: PageItems, flagged: Sequence[int]) -> str:
    errors = {row["items"]: row for row in report["scorecard"]["items"]}
    rows = []
    for name, members in items.classes.items():
        totals, count, known = summed(_group, items.sums, members)
        (change,), error = _changes(totals[None]).tolist(), errors.get(name, {})
        counts = count, count - known, np.count_nonzero(members[list(flagged)])
        row = [f"{name}: {_CLASSES[name]}", *(f"{number:,}" for number in counts), short_number(totals[0])]
        row.append("-" if math.isnan(change) else f"{change:+.1f}%")
        rows.append([*row, three_decimals(error.get("wape")), three_decimals(error.get("wape_naive"))])
    head = ("Class", "Items", "Without forecast", "Flagged", total, "Against last run", "WAPE", "Of the naive")
    return f"<section><h2>Items by volume</h2>{html_table(head, rows)}</section>"


def _group(sums: Array, members: npt.NDArray[np.bool_]) -> tuple[Array, int, int]:
    """The totals of the members, how many there are, and how many of them have a forecast."""
    mine = sums[members]
    return np.nansum(mine, axis=0), len(mine), int(np.isfinite(mine[:, 0]).sum())


def _copy(items: PageItems, odd: Mapping[int, str], flagged: Mapping[int, str], most_bytes: int) -> tuple[str, int]:
    """The items as a browser opens them, and how many: those without a forecast and with a flag first, then by size."""
    order = np.concatenate([np.array([*odd, *flagged], np.int64), items.largest])
    order = order[np.sort(np.unique(order, return_index=True)[1])]
    count = min(len(order), MOST_ITEMS)
    while True:
        some = np.sort(order[:count]).tolist()
        letters = np.full(len(some), "-")
        for name, members in items.classes.items():
            letters[members[some]] = name
        columns = {
            "name": _long_list(_short_names(items.item_ids.at(some))),
            "total": _numbers(items.sums[some, 0], 4),
            "change": _numbers(_changes(items.sums[some]), 2),
            "class": _json("".join(letters)),
            "odd": _json({at: odd[place] for at, place in enumerate(some) if place in odd}),
            "flags": _json({at: flagged[place] for at, place in enumerate(some) if place in flagged}),
        }
        text = ",".join(f'"{name}":{column}' for name, column in columns.items())
        packed = base64.b64encode(zlib.compress(f"{{{text}}}".encode(), 6))
        if len(packed) <= most_bytes or count <= _FEW:
            return packed.decode(), count
        count = max(_FEW, int(count * 0.98 * most_bytes / len(packed)))


def _short_names(names: Sequence[str]) -> list[int | str]:
    """Of each name how much of it is that of the one before, and the rest."""
    found: list[int | str] = []
    for before, name in pairwise(["", *names]):
        same = next(compress(count(), map(ne, before, name)), len(before))
        # A browser counts in UTF-16.
        found += [len(name[:same].encode("utf-16-le")) // 2, name[same:]]
    return found


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _long_list(values: Sequence[object]) -> str:
    """The same, part by part: the encoder holds a text for each value until the end."""
    parts = (values[start : start + _VALUES_A_PART] for start in range(0, len(values), _VALUES_A_PART))
    return f"[{','.join(_json(part)[1:-1] for part in parts)}]"


def _numbers(values: Array, digits: int) -> str:
    """A list of numbers in JSON with so many digits each."""
    texts = (f"{value:.{digits}g}" if math.isfinite(value) else "null" for value in values.tolist())
    return f"[{','.join(texts)}]"


def _search(total: str, copy: str, count: int, items: int) -> str:
    which = f"{count:,} items"
    if count < items:
        which += f" of {items:,}: those without a forecast or with a flag, then the largest; ledger.parquet has all"
    head = ("Item", "Status", total, "Against last run", "Class", "What is odd")
    table = html_table(head, ()).replace("<table>", "<table hidden>")
    return (
        f'<section id="find" hidden data-items="{copy}"><h2>Find an item</h2>'
        f'<p><label for="wanted">Item, or a part of its name</label> '
        f'<input id="wanted" type="search" autocomplete="off" spellcheck="false"></p>'
        f'<p class="facts">Among {escape(which)}.</p><p role="status"></p>{table}</section>'
    )
