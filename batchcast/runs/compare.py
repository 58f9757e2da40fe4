"""What changed between two runs: parameters, inputs, counts, forecasts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from itertools import starmap
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from batchcast.runs.published import stream_forecasts
from batchcast.runs.run_record import RunRecord
from batchcast.steps.contract.series import PUBLISHED_COLUMNS
from batchcast.steps.errors import ConfigError, DataError, Problem
from batchcast.steps.outcome.ledger import GOOD, LedgerRow, ledger_rows
from batchcast.steps.store.objects import ObjectMissingError

_NAMED = 20
_ROWS_AT_ONCE = 1 << 15
_INPUTS = ["item_id", "rows", "bytes", "sha256"]


def compare_runs(before: RunRecord, after: RunRecord) -> dict[str, Any]:
    """The whole comparison as JSON. A part that one of the runs does not have is None. Raises ConfigError when neither
    run has come so far that there is something to compare."""
    manifests, reports = (before.manifest(), after.manifest()), (before.report(), after.report())
    if not all(manifests):
        without = [run.run_id for run, manifest in zip((before, after), manifests, strict=True) if manifest is None]
        what = f"run {' and run '.join(without)} built no shards: there is nothing to compare."
        raise ConfigError(Problem("no_manifest", what, "RUN_ID", "Name runs whose BuildShards step succeeded."))
    built = [_built(manifest) for manifest in manifests]
    return {
        "runs": [before.run_id, after.run_id],
        "parameters": compare_values(before.parameters, after.parameters),
        "build": compare_values(*built),
        "inputs": _added_up(starmap(compare_inputs, paired(*(run.records(_INPUTS) for run in (before, after))))),
        "counts": compare_values(*({"outcome": one["outcome"], **one["counts"]} if one else {} for one in reports)),
        "items": compare_ledgers(before, after),
        "forecasts": _forecasts((before, after), reports),
    }


def paired(*sides: Iterator[pa.Table]) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Parts of two tables that both have their rows in the order of item_id: of each part the rows of both of the same
    items. There is one part at least; one is held of each table, with the rows of its last item."""
    streams = [
        (table.slice(at, _ROWS_AT_ONCE) for table in side for at in range(0, max(1, len(table)), _ROWS_AT_ONCE))
        for side in sides
    ]
    held = [next(stream) for stream in streams]
    ended = [False, False]
    while not all(ended):
        lasts = [
            (table["item_id"][-1].as_py() if len(table) else "", at) for at, table in enumerate(held) if not ended[at]
        ]
        last, at = min(lasts)
        whole = [pc.sum(pc.less(table["item_id"], last)).as_py() or 0 for table in held]
        yield held[0].slice(0, whole[0]), held[1].slice(0, whole[1])
        held = [table.slice(count) for table, count in zip(held, whole, strict=True)]
        more = next(streams[at], None)
        ended[at] = more is None
        held[at] = held[at] if more is None else pa.concat_tables([held[at], more])
    yield held[0], held[1]


def compare_values(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The names whose values differ; None on a side that lacks the name."""
    names = [*before, *(name for name in after if name not in before)]
    return [
        {"name": name, "before": before.get(name), "after": after.get(name)}
        for name in names
        if before.get(name) != after.get(name)
    ]


def compare_inputs(before: pa.Table, after: pa.Table) -> dict[str, Any]:
    """Items added and removed, rows and bytes of history, and records whose digest is another.

    Only records that both runs sent can be compared: a run has no bytes of what it carried over or quarantined.
    """
    both = before.select(_INPUTS).join(
        after.select(_INPUTS), "item_id", right_suffix="_after", join_type="inner", use_threads=False
    )
    sent = both.filter(pc.and_(both["sha256"].is_valid(), both["sha256_after"].is_valid()))
    changed = sent.filter(pc.not_equal(sent["sha256"], sent["sha256_after"]))
    names = [table["item_id"].combine_chunks() for table in (before, after)]
    removed, added = (
        left.filter(pc.invert(pc.is_in(left, value_set=right))).to_pylist() for left, right in (names, names[::-1])
    )
    totals = {
        name: [pc.sum(pc.fill_null(table[name].cast(pa.int64()), 0)).as_py() or 0 for table in (before, after)]
        for name in ("rows", "bytes")
    }
    return {
        "items": [before.num_rows, after.num_rows],
        "added": _listed(added),
        "removed": _listed(removed),
        **totals,
        "records_same": sent.num_rows - changed.num_rows,
        "records_changed": _listed(sorted(changed["item_id"].to_pylist())),
    }


def compare_fates(before: Sequence[LedgerRow], after: Sequence[LedgerRow]) -> dict[str, Any]:
    """Items that have a forecast in one of the runs only."""
    good = [{row.item_id for row in rows if row.status in GOOD} for rows in (before, after)]
    carried = sum(row.status == "carried" for row in after)
    return {
        "lost_forecast": _listed(sorted(good[0] - good[1])),
        "gained_forecast": _listed(sorted(good[1] - good[0])),
        "carried": carried,
    }


def compare_ledgers(*runs: RunRecord) -> dict[str, Any] | None:
    """What `compare_fates` says of two runs; None without both ledgers."""
    try:
        pairs = paired(*(run.ledger() for run in runs))
        rows = ([[*ledger_rows(table)] for table in pair] for pair in pairs)
        return _added_up(starmap(compare_fates, rows))
    except ObjectMissingError:
        return None


def _added_up(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The numbers of all parts in sum, and the first of what they name."""

    def add(one: Any, other: Any) -> Any:
        if isinstance(one, dict):
            return {name: add(one[name], other[name]) for name in one}
        if isinstance(one, int):
            return one + other
        named = any(isinstance(each, str) for each in one + other)
        return (one + other)[:_NAMED] if named or not one else [a + b for a, b in zip(one, other, strict=True)]

    return reduce(add, parts)


def _sums(before: pd.DataFrame, after: pd.DataFrame) -> tuple[int, set[Any], dict[str, Any]]:
    """How many items both have, their dates, and by target the sums of |after - before|, of |before|, of before and of
    after, with the items whose own sums have moved most."""
    targets = [name for name in before.columns if name in after.columns and name not in PUBLISHED_COLUMNS]
    both = before.merge(after, on=["item_id", "forecast_date"], suffixes=("", "_after"))
    found = {}
    for target in targets:
        change = both[f"{target}_after"] - both[target]
        sums = both.groupby("item_id", sort=True)[[target, f"{target}_after"]].sum()
        totals = [change.abs().sum(), both[target].abs().sum(), *sums.sum()]
        found[target] = pd.Series(totals, dtype=float), _movers(sums.set_axis(["before", "after"], axis=1))
    return int(both["item_id"].nunique()), set(both["forecast_date"]), found


def _movers(sums: pd.DataFrame) -> pd.DataFrame:
    order = (sums["after"] - sums["before"]).abs().sort_values(ascending=False, kind="stable").index
    return sums.loc[order[:_NAMED]]


def compare_forecasts(pairs: Iterable[tuple[pd.DataFrame, pd.DataFrame]]) -> dict[str, Any]:
    """How far the forecasts of two runs are apart, over the items and dates that both have; all that one says of an
    item is in one part of them.

    WAPE = sum of |after - before| / sum of |before|, None where the latter is 0. Movers are the items with the
    largest |difference of their sums|, in the unit of the target.
    """
    items, days, totals, movers = 0, set[Any](), dict[str, Any](), dict[str, Any]()
    for some, dates, found in starmap(_sums, pairs):
        items, days = items + some, days | dates
        for target, (sums, moved) in found.items():
            totals[target] = totals.get(target, 0.0) + sums
            movers[target] = _movers(pd.concat([movers[target], moved])) if target in movers else moved
    return {
        "items": items,
        "days": len(days),
        "targets": {target: _apart(movers[target], *totals[target]) for target in totals},
    }


def _apart(movers: pd.DataFrame, change: float, total: float, before: float, after: float) -> dict[str, Any]:
    return {
        "wape": round(float(change) / float(total), 6) if total else None,
        "sum": [round(float(before), 6), round(float(after), 6)],
        "movers": [
            {"item_id": str(item_id), "before": float(old), "after": float(new)}
            for item_id, old, new in movers.itertuples()
            if new - old
        ],
    }


def _built(manifest: Any) -> dict[str, Any]:
    names = ("forecast_horizon", "frequency", "contract_sha256", "code_version")
    named = {name: getattr(manifest, name) for name in names}
    return {"run_date": manifest.run_date.isoformat(), **named, "shards": len(manifest.shards)}


def _forecasts(runs: Sequence[RunRecord], reports: Sequence[Mapping[str, Any] | None]) -> dict[str, Any] | None:
    if not all(report and report["published"] for report in reports):
        return None
    pairs = paired(*(stream_forecasts(run.parameters["PublishUri"], run.run_id, run.store) for run in runs))
    try:
        return compare_forecasts(
            (before.to_pandas(date_as_object=False), after.to_pandas(date_as_object=False)) for before, after in pairs
        )
    except DataError:  # pruned since
        return None


def _listed(items: Sequence[str]) -> dict[str, Any]:
    """All by number, the first by name."""
    return {"number": len(items), "first": list(items[:_NAMED])}
