"""What the forecasts are compared with: the seasonal naive, the actuals where they exist, the level of the history."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Array = npt.NDArray[np.float64]


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


def arrange(
    baseline: pa.Table, item_ids: pa.ChunkedArray, targets: Sequence[str], days: int, season: int
) -> Comparison:
    """The rows of baseline.parquet as arrays in the order of `item_ids` and `targets`."""
    item = pc.index_in(baseline["item_id"], value_set=item_ids.combine_chunks())
    target = pc.index_in(baseline["target"], value_set=pa.array(list(targets)))
    step = baseline["step"].to_numpy().astype(np.int64)
    past = 1 - min(int(step.min(initial=1)), 1)
    known = pc.and_(pc.is_valid(item), pc.is_valid(target)).to_numpy() & (step <= days)
    at = (_integers(item)[known], step[known] - 1 + past, _integers(target)[known])
    arrays = {}
    for name in ("naive", "actual", "scale"):
        arrays[name] = np.full((len(item_ids), past + days, len(targets)), np.nan)
        arrays[name][at] = baseline[name].to_numpy()[known]
    before = arrays["actual"][:, :past]
    naive = arrays["naive"][:, past:]
    return Comparison(
        naive=naive,
        usual=usual_season(before, season, days) if past else naive,
        actual=arrays["actual"][:, past:],
        scale=arrays["scale"][:, past, :],
        before=before,
        season=season,
    )


def usual_season(before: Array, season: int, days: int) -> Array:
    """The median of the values at each place in the season, for the `days` after them; `before` has whole seasons."""
    ordered = np.sort(before.reshape(len(before), -1, season, before.shape[2]), axis=1)  # NaN comes last
    count = np.isfinite(ordered).sum(axis=1, keepdims=True)
    low, high = (np.take_along_axis(ordered, at, axis=1) for at in (np.maximum(count - 1, 0) // 2, count // 2))
    median: Array = ((low + high) / 2)[:, 0]
    return median[:, np.arange(days) % season]


def score(values: Array, compared: Comparison, targets: Sequence[str]) -> dict[str, Any] | None:
    """WAPE of the model and of the seasonal naive over the days whose actual value is known; None without any.

    WAPE = sum of absolute errors / sum of absolute actual values, over the same cells for both; with several
    targets the headline is the mean of theirs.
    """
    known = np.isfinite(values) & np.isfinite(compared.actual) & np.isfinite(compared.naive)
    by_target = {}
    for number, target in enumerate(targets):
        cells = known[:, :, number]
        actual = compared.actual[:, :, number][cells]
        total = float(np.abs(actual).sum())
        if total > 0:
            errors = {"wape_model": values, "wape_naive": compared.naive}
            by_target[target] = {
                name: round(float(np.abs(found[:, :, number][cells] - actual).sum()) / total, 6)
                for name, found in errors.items()
            }
    if not by_target:
        return None
    return {
        "items": int(known.any(axis=(1, 2)).sum()),
        "days": int(known.any(axis=(0, 2)).sum()),
        "wape_model": round(sum(each["wape_model"] for each in by_target.values()) / len(by_target), 6),
        "wape_naive": round(sum(each["wape_naive"] for each in by_target.values()) / len(by_target), 6),
        "by_target": by_target,
    }


def _integers(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    filled: npt.NDArray[np.int64] = pc.fill_null(column, 0).to_numpy().astype(np.int64)
    return filled
