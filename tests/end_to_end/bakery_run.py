"""A run of the committed pipeline on the small bakery, in this process, with what goes wrong in it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.compute as pc
from command import LAST_WEEK, LAST_WEEK_SERVER, ROOT, RUN_DATE, small_bakery, write_history
from engine_client import EngineClient

from batchcast.engine.faults import FaultPlan
from batchcast.engine.server.model_server import ModelCommand
from batchcast.engine.transform.plan import TransformOptions
from batchcast.local.run import LOCAL_DEFAULTS, LOCAL_ROLE
from batchcast.pipelines.definition import define, write_definition
from batchcast.pipelines.settings import BuildSettings, bundle
from batchcast.runs.follow import ExecutionView, view
from batchcast.runs.published import read_forecasts
from batchcast.steps.outcome.ledger import LedgerRow, read_ledger
from batchcast.steps.store.objects import DirectoryStore, ObjectStore

COMMITTED_SETTINGS = BuildSettings()
MODEL = ModelCommand(command=LAST_WEEK[1])
"""Forecasts the last week once more."""


def refusing_model(item: str) -> ModelCommand:
    """A model that answers 400 to this item."""
    return ModelCommand(command=f"{LAST_WEEK_SERVER} {{port}} {item}")


ITEMS = sorted(
    f"{row['store']}/{row['product']}"
    for row in small_bakery().group_by(["store", "product"]).aggregate([]).to_pylist()
)
Edit = Callable[[str, bytes], bytes]


class EditedStore(DirectoryStore):
    """A store in which an output object arrives otherwise than the transform wrote it.

    `edit` is given each output's name, such as `r0/part-00000.jsonl.out`, and its bytes, and says what is stored.
    """

    def __init__(self, root: Path, edit: Edit) -> None:
        super().__init__(root)
        self._edit = edit

    def upload(self, path: Path, uri: str) -> None:
        if uri.endswith(".out"):
            name = uri.partition("/output/")[2]
            path.write_bytes(self._edit(name, path.read_bytes()))
        super().upload(path, uri)


@cache
def _bundle() -> bytes:
    return bundle()


@dataclass(frozen=True, kw_only=True)
class EndedRun:
    """A run that has ended, and where its objects lie."""

    execution: ExecutionView
    store: DirectoryStore
    parameters: Mapping[str, str]

    @property
    def run_id(self) -> str:
        return self.execution.run_id

    def path(self, *names: str) -> Path:
        """A file of the run's own prefix."""
        return self.store.path("/".join([self.parameters["RunsUri"], self.run_id, *names]))

    @property
    def report(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.path("report", "report.json").read_text())
        return loaded

    @property
    def ledger(self) -> dict[str, LedgerRow]:
        return {row.item_id: row for row in read_ledger(self.path("report", "ledger.parquet"))}

    @property
    def failed_records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path("report", "failed_records.jsonl").read_text().splitlines()]

    @property
    def forecasts(self) -> pd.DataFrame:
        """What a reader of the published data sees."""
        return read_forecasts(self.parameters["PublishUri"], store=self.store)

    @property
    def has_published(self) -> bool:
        return any("/lock.json" not in one.uri for one in self.store.list(self.parameters["PublishUri"]))

    def statuses(self) -> dict[str, str]:
        return {step.name: step.status for step in self.execution.steps}


def expected_forecasts(items: list[str]) -> dict[str, list[float]]:
    """What the model forecasts: the last week once more, for 31 days."""
    table = small_bakery()
    found = {}
    for item in items:
        store, product = map(int, item.split("/"))
        rows = table.filter((pc.field("store") == store) & (pc.field("product") == product)).sort_by("date").to_pylist()
        week = [row["sales"] or 0.0 for row in rows if row["date"] <= RUN_DATE][-7:]
        found[item] = [week[day % 7] for day in range(31)]
    return found


def prepared_store(workspace: Path, history: Path, edit: Edit | None = None) -> DirectoryStore:
    """The code, the contract file and the history in the store of a new workspace."""
    root = workspace / "s3"
    store = EditedStore(root, edit) if edit else DirectoryStore(root)
    put_code(store)
    if not (root / "history").exists():
        (root / "history").symlink_to(history)
    return store


def put_code(store: ObjectStore) -> None:
    """The code and the contract file, where the committed definition looks for them."""
    settings = BuildSettings()
    store.write(settings.code_uri, _bundle())
    store.write(settings.contract_uri, (ROOT / "examples" / "bakery" / "model.toml").read_bytes())


def run_bakery(
    workspace: Path,
    history: Path,
    *,
    faults: FaultPlan | None = None,
    edit: Edit | None = None,
    time_scale: float = 1.0,
    settings: BuildSettings = COMMITTED_SETTINGS,
    model: ModelCommand = MODEL,
    **parameters: object,
) -> EndedRun:
    """Run the committed pipeline to its end."""
    store = prepared_store(workspace, history, edit)
    client = EngineClient(
        workspace,
        {LOCAL_DEFAULTS["ModelName"]: model},
        store,
        faults or FaultPlan(),
        options=TransformOptions(time_scale=time_scale),
    )
    values = {**LOCAL_DEFAULTS, "RunDate": str(RUN_DATE), **{name: str(value) for name, value in parameters.items()}}
    return EndedRun(execution=execute(client, values, settings), store=store, parameters=values)


def execute(
    client: EngineClient, values: Mapping[str, str], settings: BuildSettings = COMMITTED_SETTINGS
) -> ExecutionView:
    """Run the committed definition, with these settings, with these parameters to its end."""
    text = write_definition(define(settings))
    if not client.list_pipelines()["PipelineSummaries"]:
        client.create_pipeline(PipelineName="batchcast", PipelineDefinition=text, RoleArn=LOCAL_ROLE)
    started = client.start_pipeline_execution(
        PipelineName="batchcast", PipelineParameters=[{"Name": name, "Value": value} for name, value in values.items()]
    )
    while not (ended := view(client, started["PipelineExecutionArn"])).ended:
        time.sleep(0.05)
    return ended


def bakery_history(directory: Path) -> Path:
    """The small bakery as Parquet files."""
    return write_history(directory, small_bakery())
