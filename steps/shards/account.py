"""Every item of the run accounted for: the records table, the baseline and the manifest, written last."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from batchcast.steps.answers.item_names import ItemPlaces
from batchcast.steps.arguments import BuildArguments, value_given
from batchcast.steps.contract.model_contract import ModelContract
from batchcast.steps.contract.series import Series
from batchcast.steps.errors import DataError, Problem
from batchcast.steps.history.date_axis import EPOCH, DateAxis
from batchcast.steps.history.items import Items
from batchcast.steps.history.static_table import StaticTable
from batchcast.steps.outcome.earlier_run import EarlierRun
from batchcast.steps.shards.baseline import STORED_SCHEMA, baseline_tables, merged_baselines
from batchcast.steps.shards.manifest import (
    BASELINE_FILE,
    BASELINE_SCHEMA,
    NULL_ITEM,
    RECORDS_FILE,
    RECORDS_SCHEMA,
    ROWS_A_GROUP,
    Manifest,
    QuarantineReason,
    Totals,
    baseline_parts,
    code_version,
    write_manifest,
    write_table,
)
from batchcast.steps.shards.quarantine import REMEDIES, Quarantine
from batchcast.steps.shards.records import WRITTEN_SCHEMA, BuiltRecords
from batchcast.steps.shards.request_text import RequestText
from batchcast.steps.shards.selection import Selection

_EXAMPLES = 3
_CONTRADICTIONS = (
    QuarantineReason.OFF_GRID,
    QuarantineReason.DUPLICATE_DATE,
    QuarantineReason.GAP,
    QuarantineReason.IMPLAUSIBLE_DATE,
)
Locate = Callable[[int, int], str]
"""From an item and the key of a row to the row's place, `<file> row <number from 0>`; "" where it is not found."""
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """All that became of the items: `order` has the item (its place in `items`) at each place of the output."""

    items: Items
    selection: Selection
    order: Numbers
    built: Sequence[BuiltRecords]

    @property
    def quarantined(self) -> dict[int, Quarantine]:
        """By item, those found before and while the rows were read."""
        found = {int(self.order[place]): why for part in self.built for place, why in part.quarantined.items()}
        return self.selection.quarantined | found

    @property
    def sent(self) -> int:
        """The number of records."""
        return len(self.order) - sum(len(part.quarantined) for part in self.built)

    def attributes(self, series: Series, static: StaticTable | None) -> dict[str, pa.Array]:
        """The values of id and static columns at the places of the output."""
        order = pa.array(self.order)
        ids = [column.take(order) for column in self.items.names]
        attributes = dict(zip(series.item_id, ids, strict=True))
        if static is None:
            return attributes
        rows = static.rows(ids)
        return attributes | {name: column.take(rows) for name, column in static.columns.items()}

    @property
    def reasons(self) -> Counter[str]:
        """How many items are quarantined for each; rows without an item id are one."""
        reasons = Counter(str(why.reason) for why in self.quarantined.values())
        return reasons + Counter({str(QuarantineReason.NULL_KEY): min(self.selection.nameless, 1)})

    @property
    def written(self) -> pa.Table:
        """Of every record what WRITTEN_SCHEMA says."""
        parts = [WRITTEN_SCHEMA.empty_table(), *(table for part in self.built for table in part.written)]
        return pa.concat_tables(parts).combine_chunks()

    def records(self, written: pa.Table, axis: DateAxis) -> Iterator[pa.Table]:
        """The rows of records.parquet, a row group at a time: all at once would take twice the memory. Rows without an
        item id are one more item, quarantined."""
        row_of_item = np.full(len(self.items.rows), -1)
        row_of_item[self.order[np.asarray(written.column("place"))]] = np.arange(len(written))
        others = np.array([*self.selection.carried, *self.selection.quarantined], np.int64)
        present = np.sort(np.concatenate([self.selection.built, others]))
        quarantined = sorted(self.quarantined.items())
        found = pa.table(
            {
                "item": pa.array([item for item, _ in quarantined], pa.int64()),
                "reason": pa.array([str(why.reason) for _, why in quarantined], pa.string()),
                "detail": pa.array([why.detail for _, why in quarantined], pa.string()),
            }
        )
        cuts = range(ROWS_A_GROUP, len(present), ROWS_A_GROUP)
        tables = (self._rows(some, row_of_item[some], written, found, axis) for some in np.split(present, cuts))
        if self.selection.nameless:
            yield pa.concat_tables([*tables, _nameless(self.selection.nameless)]).sort_by("item_id")
        else:
            yield from tables

    def _rows(self, items: Numbers, places: Numbers, written: pa.Table, found: pa.Table, axis: DateAxis) -> pa.Table:
        """Those of some items, which have these places in `written` (-1: none); `found` are the quarantined."""
        row, rows = pa.array(places, mask=places < 0), self.items.rows[items]
        why = pc.index_in(pa.array(items), value_set=found["item"].combine_chunks())
        columns = {
            "item_id": self.items.ids.take(pa.array(items)),
            **{name: written.column(name).take(row) for name in ("shard", "line", "position", "bytes", "sha256")},
            "rows": pa.array(rows, pa.int32()),
            "first_date": _dates(self.items.first[items], rows, axis),
            "last_date": _dates(self.items.last[items], rows, axis),
            "quarantine_reason": found["reason"].take(why),
            "quarantine_detail": found["detail"].take(why),
            "carried": pc.is_in(pa.array(items), value_set=pa.array(self.selection.carried, pa.int64())),
        }
        return pa.table(columns, schema=RECORDS_SCHEMA)


def check_account(account: Account, percent: float, locate: Locate | None = None) -> None:
    """Raises DataError when more than `percent` % of the items are quarantined, or no record is left.

    `locate` finds the file and row of the examples that are named.
    """
    quarantined, reasons = account.quarantined, account.reasons
    count = reasons.total()
    records = account.sent
    expected = records + len(account.selection.carried) + count
    if records and count * 100 <= expected * percent:
        return
    parts = [f"{number} are {reason}" for reason, number in sorted(reasons.items()) if number]
    parts += [_example(account, item, locate) for item in sorted(quarantined)[:_EXAMPLES]]
    remedy = " ".join(REMEDIES[QuarantineReason(reason)] for reason in sorted(reasons) if reasons[reason])
    if records:
        code, what = "systemic_quarantine", f"{count} of {expected} items are quarantined, more than {percent:g} %"
        remedy = f"{remedy} Or raise SystemicFailurePercent."
    else:
        code, what = "nothing_to_forecast", f"no record is left of {expected} items"
        parts += [f"{len(account.selection.carried)} are carried over"] if account.selection.carried else []
        parts += [f"{account.selection.later} more begin after the run date"] if account.selection.later else []
        remedy = remedy or "Pass a later RunDate, or auto."
    raise DataError(Problem(code, f"{'; '.join([what, *parts])}.", remedy=remedy))


def refuse_contradictions(account: Account, locate: Locate) -> None:
    """Raises DataError when rows of any item contradict the frequency or the clock."""
    wrong = {item: why for item, why in account.quarantined.items() if why.reason in _CONTRADICTIONS}
    if not wrong:
        return
    reasons = Counter(why.reason for why in wrong.values())
    parts = [f"{number} of {len(account.items.ids)} items are {reason}" for reason, number in sorted(reasons.items())]
    parts += [_example(account, item, locate) for item in sorted(wrong)[:_EXAMPLES]]
    remedy = " ".join([*(REMEDIES[reason] for reason in sorted(reasons)), 'Or set off_grid = "quarantine".'])
    raise DataError(Problem("frequency", f"{'; '.join(parts)}.", remedy=remedy))


def _example(account: Account, item: int, locate: Locate | None) -> str:
    why = account.quarantined[item]
    where = "" if locate is None or why.key is None else locate(item, why.key)
    return f"{account.items.ids[item].as_py()}: {why.detail}{where and f' ({where})'}"


def write_account(
    account: Account,
    directory: Path,
    *,
    arguments: BuildArguments,
    contract: ModelContract,
    axis: DateAxis,
    request_text: RequestText,
) -> Manifest:
    """Write the records and, last, the manifest; it is returned."""
    written, reasons, carried = account.written, account.reasons, len(account.selection.carried)
    write_table(directory / RECORDS_FILE, account.records(written, axis), RECORDS_SCHEMA)
    shards = tuple(sorted((shard for part in account.built for shard in part.shards), key=lambda shard: shard.name))
    manifest = Manifest(
        run_id=arguments.run_id,
        run_date=axis.run_date,
        run_label=arguments.run_label,
        forecast_horizon=axis.forecast_horizon,
        resume_from=value_given(arguments.resume_from),
        parameters=arguments.parameters(),
        contract_sha256=contract.sha256,
        code_version=code_version(),
        totals=Totals(
            items=account.sent + reasons.total() + carried,
            records=account.sent,
            quarantined=reasons.total(),
            carried=carried,
            bytes=sum(shard.bytes for shard in shards),
            rows=int(account.items.rows[account.order[np.asarray(written["place"])]].sum()),
            later_items=account.selection.later,
            requests=pc.sum(pc.equal(written["position"], 0)).as_py() or 0,
        ),
        quarantined_by_reason=dict(sorted(reasons.items())),
        shards=shards,
        frequency=axis.frequency.alias,
        frequency_inferred=contract.series.frequency is None,
        season=axis.season,
        notes=axis.notes,
        request_text=request_text,
    )
    write_manifest(directory, manifest)
    return manifest


def write_baseline(
    account: Account, file: Path, directory: Path, contract: ModelContract, axis: DateAxis, earlier: EarlierRun | None
) -> None:
    """Write `baseline.parquet` from what was measured of the records, and the earlier run's of what is carried over."""
    places = np.concatenate([np.asarray(table.column("place")) for part in account.built for table in part.written])
    places = places[np.argsort(account.order[places])]
    ids = account.items.ids.take(pa.array(account.order[places]))
    tables = baseline_tables(file, places, ids, contract.series.targets, axis)
    if earlier and account.selection.carried:
        carried = ItemPlaces(pa.chunked_array([account.items.ids.take(pa.array(account.selection.carried))]))
        stored = (read() for read in baseline_parts(earlier.baseline))
        kept = (part.filter(pa.array(carried.of(part["item_id"]) >= 0)) for part in stored)
        tables = merged_baselines(*((part.cast(BASELINE_SCHEMA) for part in parts) for parts in (tables, kept)))
    write_table(directory / BASELINE_FILE, tables, STORED_SCHEMA)


def _dates(keys: Numbers, rows: Numbers, axis: DateAxis) -> pa.Array:
    low, high = date.min.toordinal() - EPOCH.toordinal(), date.max.toordinal() - EPOCH.toordinal()
    days = np.clip(axis.days(np.where(rows > 0, keys, 0)), low, high)
    return pa.array(days.astype(np.int32), mask=rows == 0).cast(pa.date32())


def _nameless(rows: int) -> pa.Table:
    row = dict.fromkeys(RECORDS_SCHEMA.names) | {
        "item_id": NULL_ITEM,
        "rows": rows,
        "quarantine_reason": str(QuarantineReason.NULL_KEY),
        "quarantine_detail": f"{rows} rows have no item id",
        "carried": False,
    }
    return pa.Table.from_pylist([row], schema=RECORDS_SCHEMA)
