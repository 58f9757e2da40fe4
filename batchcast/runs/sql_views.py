"""SQL with which analysts read what is published: a view of the run that `latest.json` names, each day once.

Read whole, `forecasts/` has a day as often as runs forecast it. The view follows the pointer at each query, so that a
run, a merge and a rollback are seen with nothing to refresh.
"""

import io
from pathlib import Path

from batchcast.runs.published import list_published
from batchcast.steps.errors import DataError, Problem
from batchcast.steps.publish.publication import pointer_uri, publication_uri, read_publication
from batchcast.steps.store.objects import DirectoryStore, ObjectStore, join_uri

_ATHENA_TYPES = {"date32[day]": "date", "timestamp[us]": "timestamp", "int32": "int", "double": "double"}
"""Of Arrow's types; all else is text."""


def view_sql(store: ObjectStore, publish_uri: str, dialect: str) -> str:
    """The statements, with the columns of the run that readers see. Raises DataError where nothing is published."""
    import pyarrow.parquet as pq

    current = next((run for run in list_published(publish_uri, store=store) if run.current), None)
    if current is None:
        remedy = "Publish a run first, or roll back to a published one."
        raise DataError(Problem("nothing_published", "no published run is named there.", publish_uri, remedy))
    manifest = read_publication(store, publish_uri, current.run_date, current.run_id)
    file = publication_uri(publish_uri, current.run_date, current.run_id) + manifest["files"][0]["name"]
    schema = pq.read_schema(io.BytesIO(store.read(file)))
    statements = Path(__file__).with_name(f"{dialect}.sql").read_text(encoding="utf-8")
    text = statements.format(
        columns=",\n  ".join(f"`{each.name}` {_ATHENA_TYPES.get(str(each.type), 'string')}" for each in schema),
        names=", ".join(f'published."{name}"' for name in schema.names),
        forecasts=_place(store, join_uri(publish_uri, "forecasts"), dialect) + "/",
        pointer=_place(store, pointer_uri(publish_uri), dialect),
        link=join_uri(publish_uri, "athena", "latest") + "/",
    )
    return text.rstrip()


def _place(store: ObjectStore, uri: str, dialect: str) -> str:
    """Where the engine finds it: in a workspace a file, quoted for SQL."""
    if isinstance(store, DirectoryStore) and dialect == "duckdb":
        return str(store.path(uri).absolute()).replace("'", "''")
    return uri
