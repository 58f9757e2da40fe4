"""Train the grocery sample's model: `history/` to one LightGBM file a quantile level in `model/`.

    python examples/grocery/train.py

It learns from the weeks up to `LAST_TRAINING_WEEK`, so the six weeks after it are out of sample. The same history and
the same release of LightGBM give the same files, byte for byte.
"""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path

import lightgbm
import numpy as np
import pyarrow.dataset as ds

from quantile_model import FEATURES, LEVELS, SHORTEST, Numbers, level_of, week_features

__all__ = ["main", "read_series", "train"]

HERE = Path(__file__).resolve().parent
LAST_TRAINING_WEEK = date(2017, 11, 19)
WEEKS_AHEAD = 6
ROUNDS = 60
PARAMETERS = {
    "objective": "quantile",
    "num_leaves": 11,
    "learning_rate": 0.08,
    "min_data_in_leaf": 80,
    "feature_fraction": 0.8,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "seed": 20171119,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbose": -1,
}


def read_series(history: Path, last_week: date) -> list[dict[str, Numbers]]:
    """Sales, price, display and mailer of each series up to `last_week`, oldest week first."""
    rows = ds.dataset(history, format="parquet").to_table(filter=ds.field("week") <= last_week).to_pandas()
    columns = ["sales", "price", "display", "mailer"]
    ordered = rows.sort_values(["store", "category", "week"]).groupby(["store", "category"], sort=True)
    return [{name: part[name].to_numpy(dtype=np.float64) for name in columns} for _, part in ordered]


def train(series: list[dict[str, Numbers]], rounds: int = ROUNDS) -> dict[float, lightgbm.Booster]:
    """Quantile level to its model of the share of its level that a series sells."""
    features, shares, weights = [], [], []
    for one in series:
        for now in range(SHORTEST, len(one["sales"])):
            ahead = range(1, min(WEEKS_AHEAD, len(one["sales"]) - now) + 1)
            past, future = ([one[name][part] for name in ("display", "mailer")] for part in (np.s_[:now], np.s_[now:]))
            features.append(week_features(one["sales"][:now], one["price"][:now], past, future, ahead))
            level = level_of(one["sales"][:now])
            shares.append(one["sales"][now : now + len(ahead)] / level)
            weights.append(np.full(len(ahead), level))
    data = np.concatenate(features), np.concatenate(shares), np.concatenate(weights)
    return {level: _booster(level, *data, rounds) for level in LEVELS}


def _booster(level: float, features: Numbers, shares: Numbers, weights: Numbers, rounds: int) -> lightgbm.Booster:
    data = lightgbm.Dataset(features, shares, weight=weights, feature_name=list(FEATURES))
    return lightgbm.train({**PARAMETERS, "alpha": level}, data, num_boost_round=rounds)


def main() -> None:
    """Train on the history named on the command line and write the model files."""
    parser = argparse.ArgumentParser(description="Train the grocery sample's model.")
    parser.add_argument("--history", type=Path, default=HERE / "history")
    parser.add_argument("--output", type=Path, default=HERE / "model")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="boosting rounds (default: %(default)s)")
    options = parser.parse_args()
    series = read_series(options.history, LAST_TRAINING_WEEK)
    options.output.mkdir(parents=True, exist_ok=True)
    for level, booster in train(series, options.rounds).items():
        booster.save_model(options.output / f"q{level * 100:.0f}.txt")
    print(f"trained on {len(series)} series up to {LAST_TRAINING_WEEK}: {options.output}")


if __name__ == "__main__":
    main()
