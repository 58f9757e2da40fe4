"""Runs the step `build_shards` on a table, as the container would, and reads back what it left."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from contract_text import contract_text

from batchcast.steps.__main__ import main
from batchcast.steps.shards.manifest import Manifest, read_baseline, read_manifest, read_records

__all__ = ["DAILY_CONTRACT", "Build", "build", "build_arguments", "build_environment", "daily_rows", "write_files"]

DAILY_CONTRACT = contract_text()


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """What one run of the step left under `root`; `message` is the error, "" for none."""

    root: Path
    exit_code: int
    message: str

    @property
    def shards(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(self.root.glob("processing/output/shards/*"))}

    @property
    def records(self) -> dict[str, dict[str, Any]]:
        """By item id, in output order, what the model gets."""
        lines = [json.loads(line) for text in self.shards.values() for line in text.decode().split("\n") if line]
        return {line["item_id"]: line["body"] for line in lines}

    @property
    def manifest(self) -> Manifest:
        return read_manifest(self.root / "processing/output/manifest")

    @property
    def records_table(self) -> pa.Table:
        """records.parquet."""
        return read_records(self.root / "processing/output/manifest")

    @property
    def table(self) -> list[dict[str, Any]]:
        """The rows of records.parquet."""
        return list(self.records_table.to_pylist())

    @property
    def baseline(self) -> list[dict[str, Any]]:
        return list(read_baseline(self.root / "processing/output/manifest").to_pylist())

    @property
    def reasons(self) -> dict[str, str]:
        """Quarantine reason by item id."""
        return {row["item_id"]: row["quarantine_reason"] for row in self.table if row["quarantine_reason"]}

    @property
    def files(self) -> dict[str, bytes]:
        """Every file of every output."""
        output = self.root / "processing/output"
        return {str(path.relative_to(output)): path.read_bytes() for path in output.rglob("*") if path.is_file()}


def daily_rows(
    items: Sequence[str], days: int = 10, *, first: str = "2026-01-01", sales: Iterable[Any] | None = None
) -> pa.Table:
    """`days` rows an item, item by item."""
    begin = pa.scalar(first).cast(pa.date32()).cast(pa.int32()).as_py()
    dates = pa.array([begin + day for _ in items for day in range(days)], pa.int32()).cast(pa.date32())
    values = list(range(days * len(items))) if sales is None else list(sales)
    return pa.table({"item": [item for item in items for _ in range(days)], "date": dates, "sales": values})


def write_files(directory: Path, tables: Iterable[pa.Table], *, group_rows: int = 1 << 20) -> None:
    """One Parquet file a table, in place of what is there."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for number, table in enumerate(tables):
        pq.write_table(table, directory / f"part-{number}.parquet", row_group_size=group_rows)


def build(
    root: Path, contract: str, tables: Iterable[pa.Table] | None, *, group_rows: int = 1 << 20, **flags: Any
) -> Build:
    """Run the step under `root`. `tables` None leaves the history as it is; `flags` override the arguments."""
    if tables is not None:
        write_files(root / "processing/input/history", tables, group_rows=group_rows)
    (root / "processing/input/contract").mkdir(parents=True, exist_ok=True)
    (root / "processing/input/contract/model.toml").write_text(contract, encoding="utf-8")
    (root / "output/message").unlink(missing_ok=True)
    exit_code = main(build_arguments(**flags), build_environment(root))
    message = root / "output/message"
    text = message.read_text(encoding="utf-8") if message.is_file() else ""
    return Build(root=root, exit_code=exit_code, message=text)


def build_environment(root: Path) -> dict[str, str]:
    """What moves the container's root and the object store under `root`."""
    return {"OPT_ML": str(root), "BATCHCAST_OBJECT_STORE": str(root / "s3")}


def build_arguments(**flags: Any) -> list[str]:
    """The step's command line; `flags` override the arguments."""
    arguments = {
        "run_id": "abc123def456",
        "run_date": "auto",
        "run_label": "manual",
        "forecast_horizon": 7,
        "transform_instance_count": 2,
        "max_concurrent_transforms": 2,
        "max_payload_in_mb": 6,
        "records_per_shard": 0,
        "systemic_failure_percent": 100,
        "items_uri": "all",
        "resume_from": "none",
        "runs_uri": "s3://bucket/runs",
        "publish_uri": "s3://bucket/published",
        "processes": 1,
    } | flags
    words = [word for name, value in arguments.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    return ["build_shards", *words]
