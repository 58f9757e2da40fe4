"""Train the sample's model: one LightGBM model of all series, from `history/` to `model.txt`.

    python examples/bakery/train.py

It learns from the days up to `LAST_TRAINING_DAY`, so the 31 days after it are out of sample. The same history and the
same release of LightGBM give the same file, byte for byte.
"""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path

import lightgbm
import numpy as np
import pyarrow.dataset as ds

from features import KNOWN, Panel, day_features, feature_names

__all__ = ["main", "read_panel", "train"]

HERE = Path(__file__).resolve().parent
LAST_TRAINING_DAY = date(2019, 3, 30)
FIRST_DAY_LEARNED = 100  # days; before that there is too little past to say much about a day
ROUNDS = 120
PARAMETERS = {
    "objective": "regression_l1",  # weighted by the level below: the absolute error in pieces, which WAPE measures
    "num_leaves": 31,
    "learning_rate": 0.1,
    "min_data_in_leaf": 50,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "seed": 20190330,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbose": -1,
}


def read_panel(history: Path, last_day: date) -> Panel:
    """All series of the Parquet files under `history` up to `last_day`, ordered by store and product."""
    columns = ["store", "product", "date", "sales", *KNOWN]
    table = ds.dataset(history, format="parquet").to_table(columns=columns, filter=ds.field("date") <= last_day)
    rows = table.sort_by([("store", "ascending"), ("product", "ascending"), ("date", "ascending")])
    days = rows["date"].to_numpy()
    first_day, length = days.min(), int((days.max() - days.min()).astype(int)) + 1
    if len(rows) % length or not np.array_equal(
        days.reshape(-1, length)[:, 0], np.repeat(first_day, len(rows) // length)
    ):
        raise ValueError(f"{history}: every series must have each day from {first_day} to {days.max()}")
    matrices = {name: rows[name].to_numpy().astype(float).reshape(-1, length) for name in ("sales", *KNOWN)}
    return Panel(first_day=first_day.astype(date), sales=matrices.pop("sales"), known=matrices)


def train(panel: Panel, rounds: int = ROUNDS) -> lightgbm.Booster:
    """A model of the share of its level that a series sells on a day."""
    features, shares, levels = [], [], []
    for day in range(FIRST_DAY_LEARNED, panel.sales.shape[1]):
        of_day, level = day_features(panel, day)
        features.append(of_day)
        shares.append(panel.sales[:, day] / level)
        levels.append(level)
    data = lightgbm.Dataset(
        np.concatenate(features),
        np.concatenate(shares),
        weight=np.concatenate(levels),
        feature_name=feature_names(),
    )
    return lightgbm.train(PARAMETERS, data, num_boost_round=rounds)


def main() -> None:
    """Train on the history named on the command line and write the model file."""
    parser = argparse.ArgumentParser(description="Train the bakery sample's model.")
    parser.add_argument("--history", type=Path, default=HERE / "history")
    parser.add_argument("--output", type=Path, default=HERE / "model.txt")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="boosting rounds (default: %(default)s)")
    options = parser.parse_args()
    panel = read_panel(options.history, LAST_TRAINING_DAY)
    train(panel, options.rounds).save_model(options.output)
    print(f"trained on {len(panel.sales)} series up to {LAST_TRAINING_DAY}: {options.output}")


if __name__ == "__main__":
    main()
