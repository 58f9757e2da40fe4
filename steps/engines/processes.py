"""The engine that needs nothing else: a lane a process, on one instance."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from batchcast.steps.contract.model_contract import ModelContract
from batchcast.steps.history.date_axis import DateAxis
from batchcast.steps.history.files import ParquetHistory, Unit
from batchcast.steps.history.items import ItemSurvey, RowCounts, count_rows, survey_items
from batchcast.steps.history.partition import Numbers, Partition, Spill, bucket_tasks, spill_units
from batchcast.steps.history.workers import Progress, Workers
from batchcast.steps.shards.records import BuiltRecords, RecordWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessEngine:
    """Processes, a lane of units for each, and the directory for what lies between the passes."""

    workers: Workers
    lanes: list[list[Unit]]
    scratch: Path
    hosts: int = 1

    def survey(self, history: ParquetHistory, contract: ModelContract) -> list[ItemSurvey]:
        """The items of each lane."""
        tasks = [(units, contract, history, self.scratch) for units in self.lanes]
        return self.workers.run(survey_items, tasks, Progress("survey the items", history.rows, "rows"))

    def count(self, history: ParquetHistory, column: str, axis: DateAxis, items: list[int]) -> list[RowCounts]:
        """The rows of each lane's items, of which there are `items`."""
        tasks = [
            (units, number, column, history, axis, self.scratch)
            for units, number in zip(self.lanes, items, strict=True)
        ]
        return self.workers.run(count_rows, tasks, Progress("count the rows", history.rows, "rows"))

    def write(
        self, writer: RecordWriter, partition: Partition, positions: list[Numbers], attributes: Mapping[str, pa.Array]
    ) -> list[BuiltRecords]:
        """Scatter the rows to one spill file a lane by the `positions` of its items, and write the records bucket by
        bucket. `attributes` are the values of id and static columns at every place of the output."""
        spills = self._scatter(partition, positions)
        tasks = []
        for buckets in bucket_tasks(partition.starts, writer.shard_starts):
            first, end = (int(partition.starts[bucket]) for bucket in (buckets.start, buckets.stop))
            places = pa.array(np.arange(first, end))
            pieces = [spill.only(buckets) for spill in spills]
            tasks.append((buckets, pieces, first, {name: column.take(places) for name, column in attributes.items()}))
        return self.workers.run(writer.write, tasks, Progress("write the records", partition.rows, "rows"))

    def fetch_codes(self) -> None:
        """The code files of all lanes lie in `scratch` already."""

    def _scatter(self, partition: Partition, positions: list[Numbers]) -> list[Spill]:
        tasks = [
            (units, places, partition, self.scratch / f"spill-{lane}.arrow")
            for lane, (units, places) in enumerate(zip(self.lanes, positions, strict=True))
        ]
        progress = Progress("sort the rows into buckets", partition.history.rows, "rows")
        return self.workers.run(spill_units, tasks, progress)
