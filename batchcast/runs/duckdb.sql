CREATE OR REPLACE VIEW forecasts AS
SELECT pointer.run_date, pointer.run_id, {names}
FROM read_parquet('{forecasts}*/*/*.parquet', filename = 'path', hive_partitioning = false, union_by_name = true)
  AS published
JOIN read_json('{pointer}', columns = {{run_id: 'VARCHAR', run_date: 'VARCHAR'}}) AS pointer
  ON contains(published.path, '/run_id=' || pointer.run_id || '/');
