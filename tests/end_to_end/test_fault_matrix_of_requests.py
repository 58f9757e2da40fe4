"""The fault matrix where requests travel otherwise: by position, and two series in each of them.

The steps and the transform jobs run in this process, without the pipeline around them. Two requests are a shard, on
two instances; a request of two series is lost with either, and the retry round sends each alone.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from bakery_run import ITEMS, MODEL, EditedStore, bakery_history, expected_forecasts
from command import ROOT, RUN_DATE
from test_fault_matrix import CASES, Case, lost
from two_steps import PUBLISH, RUNS, TwoSteps

from batchcast.engine.faults import FaultPlan
from batchcast.runs.published import read_forecasts
from batchcast.steps.outcome.ledger import LedgerRow, read_ledger
from batchcast.steps.shards.manifest import read_records

RUN, HORIZON = "run1", 31
ALONE = (ROOT / "examples" / "bakery" / "model.toml").read_text()
TOGETHER = """
body = '{"records": $records}'
items_per_request = 2
record = '''"""
SEVERAL = ALONE.replace("\nbody = '''", TOGETHER).replace("[answer]", '[answer]\nrecords = "answers"')
WAYS = {
    "position": ALONE.replace("[request]", '[request]\npairing = "position"'),
    "several": SEVERAL,
}
CRASHES = "a record that kills the server whenever it is sent"


@pytest.fixture(scope="module")
def bakery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bakery_history(tmp_path_factory.mktemp("bakery") / "history")


class MatrixRun(TwoSteps):
    """A run of a case of the matrix, with the contract of a way; `report` is that of its end."""

    def __init__(self, root: Path, case: Case, contract: str, bakery: Path) -> None:
        super().__init__(root, contract=contract)
        (root / "history" / "sales.parquet").unlink()
        (root / "history").rmdir()
        (root / "history").symlink_to(bakery)
        if case.edit:
            self.store = EditedStore(self.store.root, case.edit)
        self.per_shard = 4 if contract is not WAYS["position"] else 2
        self.parameters = {_flag(name): value for name, value in case.parameters.items() if name.startswith("Max")}
        self.parameters |= {"systemic_failure_percent": case.parameters.get("SystemicFailurePercent", 20.0)}
        self.client = {name: value for name, value in case.parameters.items() if name.startswith("Invocations")}
        self.time_scale: Any = case.parameters.get("time_scale", 0.05)
        self.jobs: list[str] = []
        self.report = self._to_end(FaultPlan(case.faults))

    def _to_end(self, faults: FaultPlan) -> dict[str, Any]:
        sizes = {"max_concurrent_transforms": 4, "records_per_shard": self.per_shard}
        assert self.build(RUN, run_date=RUN_DATE, forecast_horizon=HORIZON, **sizes) == 0
        for number in (0, 1):
            how: dict[str, Any] = {**self.client, "time_scale": self.time_scale}
            job = self.transform_on_engine(RUN, number, MODEL, instances=2, concurrency=4, faults=faults, **how)
            self.jobs.append(job)
            given = {"max_failed_records": 0, "max_retry_records": 10_000, **self.parameters}
            report = self.publish(RUN, number, **given)
            if report["outcome"] != "RETRY":
                break
        return report

    @property
    def ledger(self) -> dict[str, LedgerRow]:
        return {row.item_id: row for row in read_ledger(self.store.path(f"{RUNS}{RUN}/report/ledger.parquet"))}

    @property
    def records(self) -> pa.Table:
        return read_records(self.store.path(f"{RUNS}{RUN}/manifest"))

    def members(self, *shards: str) -> list[str]:
        """The items whose records lie in these shards of the first round."""
        return sorted(row["item_id"] for row in self.records.to_pylist() if row["shard"] in shards)


def _flag(name: str) -> str:
    return re.sub("(?<!^)(?=[A-Z])", "_", name).lower()


def expected_losses(name: str, run: MatrixRun) -> dict[str, tuple[str, str]]:
    """Those of the case, but where they are the other items of a shard."""
    if name == CRASHES:
        # The retry round's files of instance 0 are every other one of those that its own shards held.
        return lost(*run.members("part-00000.jsonl", "part-00002.jsonl", "part-00004.jsonl")[::2])
    if "exchanged" in name:
        return lost(*run.members("part-00000.jsonl"), reason="wrong_id")
    return dict(CASES[name].lost)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", CASES)
def test_whatever_goes_wrong_in_a_request_every_item_is_accounted_for(
    name: str, way: str, bakery: Path, tmp_path: Path
) -> None:
    case = CASES[name]
    run = MatrixRun(tmp_path, case, WAYS[way], bakery)
    assert (run.report["outcome"], run.report["cause_kind"]) == (case.outcome, case.cause_kind)
    losses = expected_losses(name, run)
    assert {item: (row.status, row.reason) for item, row in run.ledger.items() if row.status != "ok"} == losses
    assert run.report["counts"]["ok"] == len(ITEMS) - len(losses)
    assert run.jobs[0] == case.transform
    assert max(run.records["position"].to_pylist()) == (way == "several")
    assert_failed_records(run, losses)
    if case.outcome == "HELD":
        assert not list(run.store.list(f"{PUBLISH}forecasts/"))
    else:
        frame = read_forecasts(PUBLISH, store=run.store)
        published = {item: rows["sales"].tolist() for item, rows in frame.groupby("item_id")}
        assert published == expected_forecasts([item for item in ITEMS if item not in losses])


def assert_failed_records(run: MatrixRun, losses: dict[str, tuple[str, str]]) -> None:
    """Each lost record is there to be sent again, and lies where the line says."""
    lines = run.store.read(f"{RUNS}{RUN}/report/failed_records.jsonl").splitlines()
    replay = {line["item_id"]: line for line in map(json.loads, lines)}
    assert replay.keys() == losses.keys()
    for item, line in replay.items():
        alone = line["record"]["records"] if "records" in line["record"] else [line["record"]]
        assert [record["item_id"] for record in alone] == [item]
        sent = json.loads(run.store.read(line["contract"]).splitlines()[line["line"]])
        body = sent.get("body", sent)
        assert body.get("records", [body])[line["position"]] == alone[0]
