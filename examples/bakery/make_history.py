"""Make `history/` from the bakery data set that the Python package ddop 0.7.6 ships.

    pip download --no-deps --no-binary :all: ddop==0.7.6
    python examples/bakery/make_history.py ddop-0.7.6.tar.gz

Nothing is installed and nothing of ddop runs: two CSV files are read out of the archive and checked by their SHA-256.
One Parquet file is written a month, so every series spans all files, and the rows of a file are shuffled with a fixed
seed, as rows from a data lake come in no order. The same archive gives the same rows in the same order; the bytes are
the same for the same release of pyarrow.

Left out, because it follows from the other columns: the calendar columns (month, year, and weekday, whose labels in the
source are one day early) and last week's promotion (this week's, seven days later).
"""

from __future__ import annotations

import argparse
import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow.csv import read_csv

__all__ = ["main", "read_archive", "write_history"]

HERE = Path(__file__).resolve().parent
FEATURES_SHA256 = "7561736117e885503cf285bcd0744e8814777a4ed03749f268862511ebb6a62b"
TARGET_SHA256 = "525f7b30912ce29eebb123c5708196514081640ffb496ab940c325bddced99ab"
SHUFFLE_SEED = 20160102

SCHEMA = pa.schema(
    [
        ("store", pa.int32()),
        ("product", pa.int32()),
        ("date", pa.date32()),
        ("sales", pa.float64()),  # pieces; 42 of the 127,575 values are fractions
        ("promo", pa.bool_()),  # the chain promotes the product this week
        ("holiday", pa.bool_()),
        ("holiday_soon", pa.bool_()),  # one of the next two days is a holiday
        ("school_holiday", pa.bool_()),
        ("rain", pa.float32()),  # as measured on the day, so unknown when the day is forecast
        ("temperature", pa.float32()),  # degrees Celsius, daily mean; as rain
    ]
)
SOURCE_NAMES = {
    "sales": "demand",
    "promo": "promotion_currentweek",
    "holiday": "is_holiday",
    "holiday_soon": "is_holiday_next2days",
    "school_holiday": "is_schoolholiday",
}


def read_archive(archive: Path) -> pa.Table:
    """The rows of ddop's bakery data, in its order, with the columns of `SCHEMA`.

    Raises ValueError when a CSV file is not the one of ddop 0.7.6.
    """
    with tarfile.open(archive) as members:
        rows = _read_csv(members, "bakery_data.csv", FEATURES_SHA256)
        target = _read_csv(members, "bakery_target.csv", TARGET_SHA256)
    rows = rows.append_column("demand", target["demand"])
    columns = [rows[SOURCE_NAMES.get(field.name, field.name)].cast(field.type) for field in SCHEMA]
    return pa.table(columns, schema=SCHEMA)


def _read_csv(archive: tarfile.TarFile, name: str, sha256: str) -> pa.Table:
    member = archive.extractfile(f"ddop-0.7.6/ddop/datasets/data/{name}")
    if member is None:
        raise ValueError(f"{name} is not a file in the archive: give the source distribution of ddop 0.7.6")
    content = member.read()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ValueError(f"{name} has SHA-256 {found}, not {sha256}: give the source distribution of ddop 0.7.6")
    return read_csv(io.BytesIO(content))


def write_history(rows: pa.Table, directory: Path) -> Iterator[Path]:
    """Write one shuffled Parquet file a month and yield each path."""
    directory.mkdir(parents=True, exist_ok=True)
    months = pc.strftime(rows["date"], format="%Y-%m")
    shuffle = np.random.default_rng(SHUFFLE_SEED)
    for month in sorted(pc.unique(months).to_pylist()):
        of_month = rows.filter(pc.equal(months, month))
        path = directory / f"sales-{month}.parquet"
        pq.write_table(of_month.take(shuffle.permutation(len(of_month))), path, compression="zstd")
        yield path


def main() -> None:
    """Read the archive named on the command line, write the history, say what was written."""
    parser = argparse.ArgumentParser(description="Make the bakery sample's history from ddop 0.7.6.")
    parser.add_argument("archive", type=Path, help="ddop-0.7.6.tar.gz")
    parser.add_argument("--output", type=Path, default=HERE / "history")
    options = parser.parse_args()
    rows = read_archive(options.archive)
    paths = list(write_history(rows, options.output))
    size = sum(path.stat().st_size for path in paths)
    print(f"{len(rows)} rows in {len(paths)} files, {size / 1e6:.2f} MB: {options.output}")


if __name__ == "__main__":
    main()
