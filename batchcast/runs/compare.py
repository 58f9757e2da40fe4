"""What changed between two runs: parameters, inputs, counts, forecasts."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from batchcast.runs.published import read_forecasts
from batchcast.runs.run_record import RunRecord
from batchcast.steps.contract.series import PUBLISHED_COLUMNS
from batchcast.steps.errors import ConfigError, DataError, Problem
from batchcast.steps.outcome.ledger import LedgerRow

_NAMED = 20
_GOOD = ("ok", "carried")


def compare_runs(before: RunRecord, after: RunRecord) -> dict[str, Any]:
    """The whole comparison as JSON. A part that one of the runs does not have is None.

    Raises ConfigError when neither run has come so far that there is something to compare.
    """
    manifests, reports = (before.manifest(), after.manifest()), (before.report(), after.report())
    if not all(manifests):
        without = [run.run_id for run, manifest in zip((before, after), manifests, strict=True) if manifest is None]
        what = f"run {' and run '.join(without)} built no shards: there is nothing to compare."
        raise ConfigError(Problem("no_manifest", what, "RUN_ID", "Name runs whose BuildShards step succeeded."))
    built = [_built(manifest) for manifest in manifests]
    old, new = (_published(run, report) for run, report in zip((before, after), reports, strict=True))
    return {
        "runs": [before.run_id, after.run_id],
        "parameters": compare_values(before.parameters, after.parameters),
        "build": compare_values(*built),
        "inputs": compare_inputs(before.records(), after.records()),
        "counts": compare_values(*({"outcome": one["outcome"], **one["counts"]} if one else {} for one in reports)),
        "items": compare_fates(before.ledger(), after.ledger()),
        "forecasts": None if old is None or new is None else compare_forecasts(old, new),
    }


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
    columns = ["item_id", "rows", "bytes", "sha256"]
    both = before.select(columns).join(
        after.select(columns), "item_id", right_suffix="_after", join_type="inner", use_threads=False
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


def compare_fates(before: Sequence[LedgerRow], after: Sequence[LedgerRow]) -> dict[str, Any] | None:
    """Items that have a forecast in one of the runs only; None without both ledgers."""
    if not before or not after:
        return None
    good = [{row.item_id for row in rows if row.status in _GOOD} for rows in (before, after)]
    carried = sum(row.status == "carried" for row in after)
    return {
        "lost_forecast": _listed(sorted(good[0] - good[1])),
        "gained_forecast": _listed(sorted(good[1] - good[0])),
        "carried": carried,
    }


def compare_forecasts(before: pd.DataFrame, after: pd.DataFrame) -> dict[str, Any]:
    """How far the forecasts are apart, over the items and dates that both runs have.

    WAPE = sum of |after - before| / sum of |before|, None where the latter is 0. Movers are the items with the
    largest |difference of their sums|, in the unit of the target.
    """
    keys = ["item_id", "forecast_date"]
    targets = [name for name in before.columns if name in after.columns and name not in PUBLISHED_COLUMNS]
    both = before.merge(after, on=keys, suffixes=("", "_after"))
    found = {target: _apart(both, target) for target in targets}
    return {"items": int(both["item_id"].nunique()), "days": int(both["forecast_date"].nunique()), "targets": found}


def _apart(both: pd.DataFrame, target: str) -> dict[str, Any]:
    change = both[f"{target}_after"] - both[target]
    total = float(both[target].abs().sum())
    sums = both.groupby("item_id", sort=True)[[target, f"{target}_after"]].sum()
    sums["change"] = sums[f"{target}_after"] - sums[target]
    order = sums["change"].abs().sort_values(ascending=False, kind="stable").index
    moved = sums.loc[order[:_NAMED]]
    return {
        "wape": round(float(change.abs().sum()) / total, 6) if total else None,
        "sum": [round(float(sums[target].sum()), 6), round(float(sums[f"{target}_after"].sum()), 6)],
        "movers": [
            {"item_id": str(item_id), "before": float(old), "after": float(new)}
            for item_id, old, new, changed in moved.itertuples()
            if changed
        ],
    }


def _built(manifest: Any) -> dict[str, Any]:
    names = ("forecast_horizon", "frequency", "contract_sha256", "code_version")
    named = {name: getattr(manifest, name) for name in names}
    return {"run_date": manifest.run_date.isoformat(), **named, "shards": len(manifest.shards)}


def _published(run: RunRecord, report: Mapping[str, Any] | None) -> pd.DataFrame | None:
    if report is None or not report["published"]:
        return None
    try:
        return read_forecasts(run.parameters["PublishUri"], run_id=run.run_id, store=run.store)
    except DataError:  # pruned since
        return None


def _listed(items: Sequence[str]) -> dict[str, Any]:
    """All by number, the first by name."""
    return {"number": len(items), "first": list(items[:_NAMED])}
