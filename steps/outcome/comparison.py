"""What the forecasts are compared with: the seasonal naive, the actuals where they exist, the level of the history."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from batchcast.steps.answers.item_arrays import Array as Array
from batchcast.steps.answers.item_arrays import ItemPlaces, Positions, at_once, each_block, kept_array, of_items
from batchcast.steps.shards.manifest import stream_baseline


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """`naive`, `usual` and `actual` are items x days x targets, `scale` items x targets; NaN where there is no value.

    `before` is items x days x targets up to the run date, whole seasons; `usual` is the median of its values at a day's
    place in the season, where `naive` is the last of them alone.
    """

    naive: Array
    usual: Array
    actual: Array
    scale: Array
    before: Array
    season: int


def arrange(baseline: Path, item_ids: pa.ChunkedArray, targets: Sequence[str], days: int, season: int) -> Comparison:
    """The rows of baseline.parquet, in the directory `baseline`, as arrays in the order of `item_ids` and `targets`."""
    past = 1 - min([1, *(pc.min(part["step"]).as_py() for part in stream_baseline(baseline, ["step"]) if len(part))])
    items, place = ItemPlaces(item_ids), pa.array(list(targets))
    known = kept_array((len(item_ids), past + days, len(targets)))
    naive, scale = kept_array((len(item_ids), days, len(targets))), kept_array((len(item_ids), len(targets)))

    def put(part: pa.Table) -> None:
        item, step = items.of(part["item_id"]), part["step"].to_numpy()
        target = pc.fill_null(pc.index_in(part["target"].cast(pa.string()), value_set=place), -1).to_numpy()
        mine = (item >= 0) & (target >= 0) & (step <= days)
        _put(known, mine, (item, step - 1 + past, target), part["actual"])
        _put(naive, mine & (step > 0), (item, step - 1, target), part["naive"])
        _put(scale, mine & (step == 1), (item, target), part["scale"])

    for _ in at_once(put, stream_baseline(baseline)):
        pass
    before, usual = known[:, :past], naive
    if past:
        usual = of_items(lambda some: usual_season(some, season, days), before)
    return Comparison(naive=naive, usual=usual, actual=known[:, past:], scale=scale, before=before, season=season)


def _put(array: Array, mine: npt.NDArray[np.bool_], at: tuple[Positions, ...], column: pa.ChunkedArray) -> None:
    values = column.to_numpy()
    if not mine.all():
        at, values = tuple(each[mine] for each in at), values[mine]
    flat = np.ravel_multi_index(at, array.shape)
    whole = len(flat) and flat[-1] - flat[0] == len(flat) - 1 and (np.diff(flat) == 1).all()
    array.reshape(-1)[slice(int(flat[0]), int(flat[-1]) + 1) if whole else flat] = values


def seasonal_changes(compared: Comparison) -> Array:
    """items x targets: by how much a value differs from the one a season before, the mean over `before`; what MASE is
    measured in. NaN where that is nothing or unknown."""
    before, season = compared.before, compared.season
    total, count = np.zeros((2, len(before), before.shape[2]))
    for at in range(season, before.shape[1]):
        change = np.abs(before[:, at] - before[:, at - season])
        total += np.nan_to_num(change)
        count += np.isfinite(change)
    found: Array = np.divide(total, count, out=np.full(total.shape, np.nan), where=total > 0)
    return found


def usual_season(before: Array, season: int, days: int) -> Array:
    """The median of the values at each place in the season, for the `days` after them; `before` has whole seasons."""
    ordered = np.sort(before.reshape(len(before), -1, season, before.shape[2]), axis=1)  # NaN comes last
    count = np.isfinite(ordered).sum(axis=1, keepdims=True)
    low, high = (np.take_along_axis(ordered, at, axis=1) for at in (np.maximum(count - 1, 0) // 2, count // 2))
    median: Array = ((low + high) / 2)[:, 0]
    return median[:, np.arange(days) % season]


def score(values: Array, compared: Comparison, targets: Sequence[str]) -> dict[str, Any] | None:
    """WAPE and MASE of the model and of the seasonal naive over the days whose actual value is known; None without any.

    WAPE = sum of absolute errors / sum of absolute actual values; MASE = the mean of absolute errors, each divided by
    its item's `seasonal_changes`, None where no item has any. Both over the same cells for both; with several targets
    the headline is the mean of theirs.
    """
    if not any(each_block(_has_values, compared.actual)):
        return None
    scale = seasonal_changes(compared)
    known = np.isfinite(values) & np.isfinite(compared.actual) & np.isfinite(compared.naive)
    by_target: dict[str, dict[str, float | None]] = {}
    for number, target in enumerate(targets):
        cells = known[:, :, number]
        actual = compared.actual[:, :, number][cells]
        total = float(np.abs(actual).sum())
        if total > 0:
            errors = {"wape_model": values, "wape_naive": compared.naive}
            unit = np.broadcast_to(scale[:, None, number], cells.shape)[cells]
            by_target[target] = {}
            for name, found in errors.items():
                error = np.abs(found[:, :, number][cells] - actual)
                scaled = error[np.isfinite(unit)] / unit[np.isfinite(unit)]
                mase = round(float(scaled.mean()), 6) if len(scaled) else None
                by_target[target] |= {name: round(float(error.sum()) / total, 6), name.replace("wape", "mase"): mase}
    if not by_target:
        return None
    found_by_name = {
        name: [value for each in by_target.values() if (value := each[name]) is not None]
        for name in ("wape_model", "wape_naive", "mase_model", "mase_naive")
    }
    return {
        "items": int(known.any(axis=(1, 2)).sum()),
        "days": int(known.any(axis=(0, 2)).sum()),
        **{name: round(sum(of) / len(of), 6) if of else None for name, of in found_by_name.items()},
        "by_target": by_target,
    }


def _has_values(values: Array) -> bool:
    return bool(np.isfinite(values).any())
