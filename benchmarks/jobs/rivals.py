"""What a user would write instead: pandas, polars and duckdb, and the floor, which no program that is right gets below.

    python benchmarks/jobs/rivals.py build_with_polars HISTORY OUTPUT
    python benchmarks/jobs/rivals.py read_with_duckdb OUTPUTS OUTPUT

`build_…` make the records of a history, the same values as build_shards in lines of JSON, and check nothing.
`read_…` read a transform's answers into columns, and check nothing either. An environment of their own has them
(requirements.lock); each is imported where it is used.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path

HORIZON = 31
MOMENT = "%Y-%m-%dT%H:%M:%S"


def columns_of(history: Path) -> list[str]:
    """Those of the rows of a record: `date`, and all others but the item's."""
    import pyarrow.parquet as pq

    names = pq.read_schema(next(history.glob("*.parquet"))).names
    return ["date", *(name for name in names if name not in ("item", "date"))]


def build_with_pandas(history: Path, output: Path) -> None:
    """The loop that everybody writes first. NaN comes out as `NaN`, which is no JSON; that is how it is written."""
    import pandas as pd

    frame, columns = pd.read_parquet(history), columns_of(history)
    daily = frame["date"].dtype.kind != "M"
    frame["date"] = frame["date"].astype(str) if daily else frame["date"].dt.strftime(MOMENT)
    with output.open("w") as stream:
        for item, rows in frame.groupby("item"):
            record = {
                "request_type": "iterative_forecast",
                "item_id": item,
                "historical_rows": rows.sort_values("date")[columns].to_dict("records"),
                "forecast_days": HORIZON,
            }
            stream.write(json.dumps(record, ensure_ascii=False) + "\n")


def build_with_polars(history: Path, output: Path) -> None:
    """Sort, a list of structs an item, and polars' own writer of JSON lines."""
    import polars as pl

    frame = pl.scan_parquet(history / "*.parquet")
    date = pl.col("date") if frame.collect_schema()["date"] == pl.Date else pl.col("date").dt.strftime(MOMENT)
    rows = pl.struct(date, *columns_of(history)[1:]).alias("historical_rows")
    records = frame.sort("item", "date").group_by("item", maintain_order=True).agg(rows)
    constant = (pl.lit("iterative_forecast").alias("request_type"), pl.lit(HORIZON).alias("forecast_days"))
    order = ("request_type", pl.col("item").alias("item_id"), "historical_rows", "forecast_days")
    records.with_columns(*constant).select(*order).collect().write_ndjson(output)


def build_with_duckdb(history: Path, output: Path) -> None:
    """One statement; what does not fit into 3 GB goes to disk."""
    row = ", ".join(
        ["date: replace(date::VARCHAR, ' ', 'T')", *(f"{name}: {name}" for name in columns_of(history)[1:])]
    )
    _duckdb(
        f"COPY (SELECT 'iterative_forecast' AS request_type, item AS item_id, list({{{row}}} ORDER BY date) "
        f"AS historical_rows, {HORIZON} AS forecast_days FROM '{history}/*.parquet' GROUP BY item) "
        f"TO '{output}' (FORMAT json)",
        output,
    )


def build_floor(history: Path, output: Path) -> None:
    """Every column decoded, and written once as text at the speed of C: orjson its numbers, Arrow the rest."""
    import numpy as np
    import orjson
    import pyarrow as pa
    import pyarrow.parquet as pq

    with output.open("wb") as stream:
        for path in sorted(history.glob("*.parquet")):
            for batch in pq.ParquetFile(path).iter_batches(1 << 18, columns=columns_of(history)):
                for column in batch.columns:
                    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
                        numbers = np.ascontiguousarray(column.fill_null(0))
                        stream.write(orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY))
                    else:
                        stream.write(memoryview(column.cast(pa.string()).buffers()[2]))


def read_bare(outputs: Path, _output: Path) -> None:
    """The floor: orjson parses every line, and nothing is done with it."""
    import orjson

    for path in sorted(outputs.glob("*.out")):
        for line in path.read_bytes().splitlines():
            with suppress(ValueError):  # some answers are damaged
                orjson.loads(line)


def read_with_pandas(outputs: Path, output: Path) -> None:
    """A frame of all answers, a row a step."""
    import pandas as pd

    frames = [pd.read_json(path, lines=True, dtype=False) for path in sorted(outputs.glob("*.out"))]
    rows = pd.concat(frames, ignore_index=True)[["item_id", "SageMakerOutput"]]
    rows["forecast"] = [answer["forecast"] for answer in rows.pop("SageMakerOutput")]
    exploded = rows.explode("forecast", ignore_index=True)
    steps = pd.DataFrame(exploded.pop("forecast").tolist())
    pd.concat([exploded, steps], axis=1).to_parquet(output)


def read_with_polars(outputs: Path, output: Path) -> None:
    """The same, lazily."""
    import polars as pl

    step = pl.Struct({"date": pl.String, "sales": pl.Float64})
    schema = {"SageMakerOutput": pl.Struct({"item_id": pl.String, "forecast": pl.List(step)}), "item_id": pl.String}
    rows = pl.scan_ndjson(outputs / "*.out", schema=schema)
    steps = rows.select("item_id", pl.col("SageMakerOutput").struct.field("forecast")).explode("forecast")
    steps.unnest("forecast").sink_parquet(output)


def read_with_duckdb(outputs: Path, output: Path) -> None:
    """The same in one statement."""
    types = (
        "{SageMakerOutput: 'STRUCT(item_id VARCHAR, forecast STRUCT(date DATE, sales DOUBLE)[])', item_id: 'VARCHAR'}"
    )
    _duckdb(
        "COPY (SELECT item_id, unnest(SageMakerOutput.forecast, recursive := true) FROM "
        f"read_json('{outputs}/*.out', format = 'nd', columns = {types})) TO '{output}' (FORMAT parquet)",
        output,
    )


def _duckdb(statement: str, output: Path) -> None:
    import duckdb

    connection = duckdb.connect(config={"memory_limit": "3GB", "temp_directory": str(output.parent / "duckdb")})
    connection.execute(statement)


if __name__ == "__main__":
    globals()[sys.argv[1]](*map(Path, sys.argv[2:]))
