"""Containers that are sent tables: AutoGluon, Prophet behind a server, MLflow, and CSV."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

from emulators.containers.forecast import (
    RefusedError,
    Reply,
    Trained,
    expect,
    mean_forecast,
    numbers,
    quantile_forecasts,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["autogluon", "autogluon_csv", "csv_row", "mlflow", "prophet", "prophet_lines"]


def autogluon(body: bytes, content_type: str, trained: Trained) -> Reply:
    """AutoGluon (Cloud): a long data frame of many items as Parquet, a data frame as the answer."""
    import pandas as pd

    if content_type != "application/x-parquet":
        raise RefusedError(f"content type {content_type!r}", 415)
    buffer = io.BytesIO()
    _autogluon(pd.read_parquet(io.BytesIO(body)), trained).to_parquet(buffer)
    return Reply(body=buffer.getvalue(), content_type="application/x-parquet")


def autogluon_csv(body: bytes, content_type: str, trained: Trained) -> Reply:
    """The same as CSV, without a line of its index."""
    import pandas as pd

    if content_type != "text/csv":
        raise RefusedError(f"content type {content_type!r}", 415)
    frame = pd.read_csv(io.BytesIO(body)).assign(timestamp=lambda rows: pd.to_datetime(rows["timestamp"]))
    text = _autogluon(frame, trained).reset_index().to_csv(index=False)
    return Reply(body=text.encode(), content_type="text/csv")


def _autogluon(frame: pd.DataFrame, trained: Trained) -> pd.DataFrame:
    """As `TimeSeriesPredictor.predict`: mean and quantiles, indexed by item_id and timestamp."""
    import pandas as pd

    if list(frame.columns) != ["item_id", "timestamp", "target"]:
        raise RefusedError(f"the columns are {list(frame.columns)}, not item_id, timestamp, target")
    if not pd.api.types.is_datetime64_any_dtype(frame["timestamp"]):
        raise RefusedError(f"timestamp is {frame['timestamp'].dtype}")
    found = []
    for item, part in frame.groupby("item_id", sort=True):
        ordered = part.sort_values("timestamp")
        target = [None if pd.isna(value) else float(value) for value in ordered["target"]]
        step = ordered["timestamp"].diff().iloc[-1]
        dates = [ordered["timestamp"].iloc[-1] + number * step for number in range(1, trained.steps + 1)]
        rows = {"item_id": item, "timestamp": dates, "mean": mean_forecast(target, trained.steps)}
        found.append(pd.DataFrame({**rows, **quantile_forecasts(target, trained.steps)}))
    return pd.concat(found).set_index(["item_id", "timestamp"])


def prophet(body: bytes, content_type: str, trained: Trained) -> Reply:
    """A hand-written server around Prophet: rows of `ds` and `y` in, rows of `ds`, `yhat` and its bounds out."""
    return Reply(body=json.dumps(_prophet_rows(body, content_type, trained)).encode())


def prophet_lines(body: bytes, content_type: str, trained: Trained) -> Reply:
    """The same with a row of the answer a line."""
    rows = _prophet_rows(body, content_type, trained)
    return Reply(body="".join(f"{json.dumps(row)}\n" for row in rows).encode(), content_type="application/jsonlines")


def _prophet_rows(body: bytes, content_type: str, trained: Trained) -> list[dict[str, Any]]:
    import pandas as pd

    if content_type != "application/json":
        raise RefusedError(f"content type {content_type!r}", 415)
    rows = json.loads(body)
    if not isinstance(rows, list) or not rows:
        raise RefusedError("the body is not a list of rows")
    for row in rows:
        expect(row, "row", required=["ds", "y"])
    dates = [pd.Timestamp(row["ds"]) for row in rows]
    target = numbers([row["y"] for row in rows], "y")
    bounds = quantile_forecasts(target, trained.steps)
    later = pd.date_range(dates[-1], periods=trained.steps + 1, freq=pd.infer_freq(pd.DatetimeIndex(dates)))[1:]
    return [
        {
            "ds": str(later[step - 1]),
            "yhat": value,
            "yhat_lower": bounds["0.1"][step - 1],
            "yhat_upper": bounds["0.9"][step - 1],
        }
        for step, value in enumerate(mean_forecast(target, trained.steps), 1)
    ]


def mlflow(body: bytes, content_type: str, trained: Trained) -> Reply:
    """An MLflow scoring server: exactly one of four envelopes, `params` beside it."""
    if content_type != "application/json":
        raise RefusedError(f"content type {content_type!r}", 415)
    request = json.loads(body)
    envelopes = {"dataframe_split", "dataframe_records", "instances", "inputs"}
    if not isinstance(request, dict) or len(envelopes & request.keys()) != 1:
        raise RefusedError(f"the body has not exactly one of {sorted(envelopes)}")
    expect(request, "body", required=[*(envelopes & request.keys())], optional=["params"])
    split = expect(request.get("dataframe_split"), "dataframe_split", required=["columns", "data"])
    columns, data = split["columns"], split["data"]
    if columns != ["date", "sales"] or not isinstance(data, list) or any(len(row) != 2 for row in data):
        raise RefusedError("dataframe_split is not a table of date and sales")
    target = numbers([row[1] for row in data], "sales")
    return Reply(body=json.dumps({"predictions": mean_forecast(target, int(request["params"]["horizon"]))}).encode())


def csv_row(body: bytes, content_type: str, trained: Trained) -> Reply:
    """XGBoost's kind: a row of numbers, the last values of a series; a number a line as the answer."""
    if content_type != "text/csv":
        raise RefusedError(f"content type {content_type!r}", 415)
    found = []
    for line in body.decode().splitlines():
        values = [float(cell) if cell else None for cell in line.split(",")]
        if len(values) != trained.window:
            raise RefusedError(f"a row has {len(values)} features; the model was trained with {trained.window}")
        found.append(mean_forecast(values, 1)[0])
    return Reply(body="".join(f"{value}\n" for value in found).encode(), content_type="text/csv")
