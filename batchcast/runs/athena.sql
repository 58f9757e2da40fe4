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
