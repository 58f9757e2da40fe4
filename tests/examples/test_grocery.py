"""The grocery sample: what its history holds, how good its model is, and how strict its server."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pandas as pd
import pyarrow.dataset as ds
import pytest

from batchcast.engine.server.model_server import ModelCommand
from batchcast.session.workspace_models import served_model

GROCERY = Path(__file__).resolve().parents[2] / "examples" / "grocery"
LAST_WEEK = date(2017, 11, 19)
WEEKS = 6


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """The whole history, ordered."""
    frame = ds.dataset(GROCERY / "history", format="parquet").to_table().to_pandas()
    return frame.sort_values(["store", "category", "week"]).reset_index(drop=True)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The sample's own server."""
    command = shlex.join([sys.executable, str(GROCERY / "serve.py"), "--port", "{port}"])
    with served_model(ModelCommand(command=command)) as address:
        yield address


def ask(url: str, document: object) -> tuple[int, Any]:
    request = Request(f"{url}/invocations", json.dumps(document).encode(), {"Content-Type": "application/json"})
    try:
        with urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        return error.code, json.load(error)


def series(part: pd.DataFrame) -> dict[str, Any]:
    past = part[pd.to_datetime(part["week"]) <= pd.Timestamp(LAST_WEEK)]
    future = part[pd.to_datetime(part["week"]) > pd.Timestamp(LAST_WEEK)].head(WEEKS)
    return {
        "target": past["sales"].tolist(),
        "past_covariates": {name: past[name].tolist() for name in ("price", "display", "mailer")},
        "future_covariates": {name: future[name].tolist() for name in ("display", "mailer")},
    }


def test_every_series_has_each_week_once(rows: pd.DataFrame) -> None:
    sundays = pd.date_range("2017-01-08", "2017-12-31", freq="W-SUN")
    for _, part in rows.groupby(["store", "category"]):
        assert pd.to_datetime(part["week"]).tolist() == sundays.tolist()
    assert rows.groupby(["store", "category"]).ngroups == 160


def test_shares_are_shares_and_prices_are_there(rows: pd.DataFrame) -> None:
    assert rows[["display", "mailer"]].to_numpy().min() >= 0
    assert rows[["display", "mailer"]].to_numpy().max() <= 1
    assert rows["price"].min() > 0


def test_many_series_a_request_are_answered_in_order_and_beat_the_naive(rows: pd.DataFrame, url: str) -> None:
    parts = [part for _, part in rows.groupby(["store", "category"])]
    status, answer = ask(url, {"inputs": [series(one) for one in parts], "parameters": {"prediction_length": WEEKS}})
    assert status == 200
    actual = np.array([one["sales"].to_numpy()[-WEEKS:] for one in parts])
    last = np.array([one["sales"].to_numpy()[-WEEKS - 1] for one in parts])[:, None]
    low, median, high = (np.array([one[level] for one in answer["predictions"]]) for level in ("0.1", "0.5", "0.9"))
    wape = np.abs(actual - median).sum() / actual.sum()
    assert wape == pytest.approx(0.384, abs=0.01)
    assert np.abs(actual - last).sum() / actual.sum() == pytest.approx(0.494, abs=0.01)
    assert ((actual >= low) & (actual <= high)).mean() == pytest.approx(0.75, abs=0.02)
    assert (low <= median).all()
    assert (median <= high).all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": "a"}, "inputs.0.id: Extra inputs are not permitted"),
        ({"target": [1.0] * 11}, "at least 12 items"),
        ({"future_covariates": {"display": [0.0] * 5, "mailer": [0.0] * 6}}, "has 5 values, prediction_length is 6"),
        ({"past_covariates": {"display": [0.0], "mailer": [0.0], "price": [1.0]}}, "has 1 values, the target 46"),
    ],
)
def test_what_it_does_not_know_is_refused(rows: pd.DataFrame, url: str, change: dict[str, Any], said: str) -> None:
    one = series(rows.head(52)) | change
    status, answer = ask(url, {"inputs": [one], "parameters": {"prediction_length": WEEKS}})
    assert status == 400
    assert said in answer["error"]
