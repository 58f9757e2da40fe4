"""The earlier run that ResumeFrom names: what it has answers for, and whether this run asks the same."""

from __future__ import annotations

import io
from collections.abc import Set
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq

from steps.errors import ConfigError, Problem
from steps.ledger import read_ledger
from steps.manifest import BASELINE_FILE, MANIFEST_FILE, Manifest
from steps.object_store import ObjectMissingError, ObjectStore, join_uri
from steps.run_layout import ledger_uri

__all__ = ["EarlierRun", "read_earlier_run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierRun:
    """`done` are the items that it has good forecasts of, its own or carried over; `baseline` is its whole table."""

    manifest: Manifest
    done: Set[str]
    baseline: pa.Table

    def check_same(self, *, run_date: date, forecast_days: int, payload_sha256: str) -> None:
        """Raises ConfigError with everything in which that run asked the model something else."""
        earlier = self.manifest
        problems = []
        for name, then, now, remedy in (
            ("run date", earlier.run_date, run_date, f"Pass RunDate {earlier.run_date}."),
            ("forecast days", earlier.forecast_days, forecast_days, f"Pass ForecastDays {earlier.forecast_days}."),
            (
                "payload.toml",
                earlier.payload_sha256,
                payload_sha256,
                "Deploy the payload file of that run, or pass none.",
            ),
        ):
            if then != now:
                what = (
                    f"run {earlier.run_id} has {name} {then}, this one {now}: their forecasts do not belong together."
                )
                problems.append(Problem("resume_mismatch", what, "ResumeFrom", remedy))
        if problems:
            raise ConfigError(*problems)


def read_earlier_run(store: ObjectStore, runs_uri: str, run_id: str) -> EarlierRun:
    """Read the run's manifest, ledger and baseline. Raises ConfigError when it is unknown or was never decided."""
    manifest = join_uri(runs_uri, run_id, "manifest")
    try:
        return EarlierRun(
            manifest=Manifest.from_json(store.read(join_uri(manifest, MANIFEST_FILE)), where=run_id),
            done={
                row.item_id
                for row in read_ledger(io.BytesIO(store.read(ledger_uri(runs_uri, run_id))))
                if row.status in ("ok", "carried")
            },
            baseline=pq.read_table(io.BytesIO(store.read(join_uri(manifest, BASELINE_FILE)))),
        )
    except ObjectMissingError as error:
        what = f"run {run_id} cannot be resumed: {error.problems[0].where} is missing."
        remedy = "Name a run whose report was written, or none."
        raise ConfigError(Problem("resume_from", what, "ResumeFrom", remedy)) from error
