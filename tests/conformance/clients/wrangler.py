"""awswrangler on the engine's store: `python wrangler.py <workspace>` prints what it reads back, as JSON."""

from __future__ import annotations

import json
import sys

import awswrangler as wr
import pandas as pd
from house_prices import engine

import batchcast as bc


def main(workspace: str) -> None:
    """A table written and read as Parquet and as CSV, listed and deleted; a session that is handed over."""
    session = bc.local_session(engine(workspace))
    table = pd.DataFrame({"area": [120.0, 80.0], "town": ["Ås", "Bø"]})
    wr.s3.to_parquet(table, "s3://houses/table/part.parquet", boto3_session=session)
    read = wr.s3.read_parquet("s3://houses/table/", boto3_session=session)
    rows = wr.s3.read_csv("s3://houses/rows.csv", header=None, boto3_session=session)
    listed = wr.s3.list_objects("s3://houses/table/", boto3_session=session)
    wr.s3.delete_objects(listed, boto3_session=session)
    seen = {
        "parquet": read.to_dict("list"),
        "rows": rows.to_numpy().tolist(),
        "listed": listed,
        "left": wr.s3.list_objects("s3://houses/table/", boto3_session=session),
        "account": wr.sts.get_account_id(boto3_session=session),
    }
    print(json.dumps(seen), file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1])
