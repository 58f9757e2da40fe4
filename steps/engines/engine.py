"""What building the shards asks of the machines it runs on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batchcast.steps.contract.model_contract import ModelContract
from batchcast.steps.history.date_axis import DateAxis
from batchcast.steps.history.files import ParquetHistory, Unit
from batchcast.steps.history.items import ItemSurvey, RowCounts
from batchcast.steps.history.partition import Partition
from batchcast.steps.shards.records import BuiltRecords, RecordWriter

Numbers = npt.NDArray[np.int64]


class BuildEngine(Protocol):
    """The four passes. Each is done lane by lane; the answers stand in the order of the lanes, that of `write` in any.

    Whatever the engine, the functions that work on rows are the same, and so are the bytes.
    """

    @property
    def lanes(self) -> list[list[Unit]]:
        """The units of the history, dealt to tasks."""
        ...

    @property
    def scratch(self) -> Path:
        """A directory for what lies between the passes."""
        ...

    @property
    def hosts(self) -> int:
        """How many instances share the work, and what it takes on disk."""
        ...

    def survey(self, history: ParquetHistory, contract: ModelContract) -> list[ItemSurvey]:
        """The items of each lane."""
        ...

    def count(self, history: ParquetHistory, column: str, axis: DateAxis, items: list[int]) -> list[RowCounts]:
        """The rows of each lane's items, of which there are `items`."""
        ...

    def write(
        self,
        writer: RecordWriter,
        partition: Partition,
        positions: list[Numbers],
        attributes: Mapping[str, pa.Array],
    ) -> list[BuiltRecords]:
        """Scatter the rows to buckets by the `positions` of each lane's items, and write the records of all buckets.
        `attributes` are the values of id and static columns at every place of the output."""
        ...

    def fetch_codes(self) -> None:
        """Have the code files of all lanes lie in `scratch`."""
        ...
