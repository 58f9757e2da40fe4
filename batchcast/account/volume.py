"""Whether the volumes of the processing jobs have room for a run."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from batchcast.pipelines.parameters import Parameters
from batchcast.session.finding import Line
from batchcast.session.session import Session
from batchcast.steps.contract.frequency import DAILY
from batchcast.steps.contract.model_contract import parse_contract

_GROWTH = 6
"""The history, the rows in buckets and the records take 5 to 10 times the Parquet together; measured on hourly rows and
on daily ones. The step itself measures before it writes."""


def check_volume(
    session: Session, jobs: Sequence[Mapping[str, Any]], values: Parameters, size: int, items: int | None
) -> Iterator[Line]:
    """The disk of the step that builds the records, for a history of `size` bytes, and of the one that checks the
    answers, where the number of items is known."""
    clusters = (job["ProcessingResources"]["ClusterConfig"] for job in jobs if "ProcessingResources" in job)
    volume = max((cluster.get("VolumeSizeInGB", 0) for cluster in clusters), default=0)
    parts = {"history and records": math.ceil(_GROWTH * size / 2**30)}
    if items is not None:
        checked = _checked_gb(session, jobs, values.forecast_horizon, items)
        parts[f"the answers of {items:,} items and what they are checked in"] = checked
    for what, wanted in parts.items():
        if 0 < volume < wanted:
            said = f"VolumeSizeInGB is {volume}; {what} will take about {wanted:,} GB."
            yield "warning", said, f"Deploy with --volume-size-in-gb {max(parts.values())}."


def _checked_gb(session: Session, jobs: Sequence[Mapping[str, Any]], horizon: int, items: int) -> int:
    from batchcast.steps.history.disk_space import checked_bytes, volume_gb

    inputs = (each for job in jobs for each in job.get("ProcessingInputs", ()) if each["InputName"] == "contract")
    uri = next(inputs)["S3Input"]["S3Uri"]
    contract = parse_contract(session.store.read(uri), where=uri)
    series = contract.series
    return volume_gb(checked_bytes(contract, items, horizon, series.season or (series.frequency or DAILY).season))
