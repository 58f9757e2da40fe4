"""SQL with which analysts read what is published: a view of the run that `latest.json` names, each day once.

Read whole, `forecasts/` has a day as often as runs forecast it. The view follows the pointer at each query, so that a
run, a merge and a rollback are seen with nothing to refresh.
"""

import io

from batchcast.runs.published import list_published
from batchcast.steps.errors import DataError, Problem
from batchcast.steps.publish.publication import pointer_uri, publication_uri, read_publication
from batchcast.steps.store.objects import DirectoryStore, ObjectStore, join_uri

_ATHENA_TYPES = {"date32[day]": "date", "timestamp[us]": "timestamp", "int32": "int", "double": "double"}
"""Of Arrow's types; all else is text."""

_ATHENA = """\
-- Once, because a table's location in Athena is a prefix and never an object: a symbolic link to the pointer.
--   echo {pointer} | aws s3 cp - {link}link.txt
CREATE EXTERNAL TABLE IF NOT EXISTS forecasts_pointer (line string)
STORED AS INPUTFORMAT 'org.apache.hadoop.hive.ql.io.SymlinkTextInputFormat'
OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'
LOCATION '{link}';

CREATE EXTERNAL TABLE IF NOT EXISTS forecasts_of_all_runs (
  {columns}
)
STORED AS PARQUET
LOCATION '{forecasts}';

CREATE OR REPLACE VIEW forecasts AS
SELECT pointer.run_date, pointer.run_id, {names}
FROM forecasts_of_all_runs AS published
JOIN (
  SELECT max(regexp_extract(line, '^ *"run_id": "([^"]+)"', 1)) AS run_id,
    max(regexp_extract(line, '^ *"run_date": "([^"]+)"', 1)) AS run_date
  FROM forecasts_pointer
) AS pointer ON strpos(published."$path", '/run_id=' || pointer.run_id || '/') > 0;
"""

_DUCKDB = """\
CREATE OR REPLACE VIEW forecasts AS
SELECT pointer.run_date, pointer.run_id, {names}
FROM read_parquet('{forecasts}*/*/*.parquet', filename = 'path', hive_partitioning = false, union_by_name = true)
  AS published
JOIN read_json('{pointer}', columns = {{run_id: 'VARCHAR', run_date: 'VARCHAR'}}) AS pointer
  ON contains(published.path, '/run_id=' || pointer.run_id || '/');
"""

_DIALECTS = {"athena": _ATHENA, "duckdb": _DUCKDB}


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
    text = _DIALECTS[dialect].format(
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
