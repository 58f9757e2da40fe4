"""What a person does about a run that did not end well, command by command, in a workspace."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from bakery_run import ITEMS, MODEL, bakery_history, expected_forecasts, refusing_model, run_bakery
from click.testing import CliRunner, Result

from batchcast.cli.main import root
from batchcast.local.run import LOCAL_DEFAULTS
from batchcast.pipelines.settings import BuildSettings
from batchcast.runs.published import read_forecasts
from batchcast.session.workspace_models import declare_model
from batchcast.steps.errors import ConfigError
from batchcast.steps.store.objects import DirectoryStore

POISON = "2/101"
MENDED = ("-p", "ModelName=fixed-model")


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """A workspace in which a run of twelve items ended without publishing, because the model refuses one of them."""

    root: Path
    run_id: str

    def call(self, command: str, *arguments: str) -> Result:
        return CliRunner().invoke(root, [command, *arguments, "--workspace", str(self.root)])

    def document(self, command: str, *arguments: str) -> Any:
        return json.loads(self.call(command, *arguments, "--json").stdout)

    def forecasts(self, run_id: str) -> dict[str, list[float]]:
        """By item, as a reader of that publication sees them."""
        store = DirectoryStore(self.root / "s3")
        frame = read_forecasts(LOCAL_DEFAULTS["PublishUri"], run_id=run_id, store=store)
        return {str(item): rows["sales"].tolist() for item, rows in frame.groupby("item_id")}

    def executions(self) -> int:
        return len(list((self.root / "state" / "executions").glob("*.json")))


@pytest.fixture(scope="module")
def bakery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bakery_history(tmp_path_factory.mktemp("bakery") / "history")


def ended_badly(directory: Path, history: Path, settings: BuildSettings) -> Workspace:
    model = refusing_model(POISON)
    ended = run_bakery(directory, history, settings=settings, model=model, RecordsPerShard=2)
    declare_model(directory, LOCAL_DEFAULTS["ModelName"], model)
    declare_model(directory, "fixed-model", MODEL)
    return Workspace(root=directory, run_id=ended.run_id)


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory, bakery: Path) -> Workspace:
    """The run was decided, and held."""
    return ended_badly(tmp_path_factory.mktemp("held"), bakery, BuildSettings())


@pytest.fixture(scope="module")
def undecided(tmp_path_factory: pytest.TempPathFactory, bakery: Path) -> Workspace:
    """The pipeline without run conditions: the failed transform ended the execution."""
    return ended_badly(tmp_path_factory.mktemp("undecided"), bakery, BuildSettings(run_conditions=False))


def test_a_tolerant_rerun_publishes_the_rest_and_says_what_the_model_said(held: Workspace) -> None:
    document = held.document("rerun", held.run_id, "-p", "MaxFailedRecords=1")
    assert document["outcome"] == "COMPLETE_WITH_QUARANTINE"
    [failed] = document["failed"]
    assert failed["item_id"] == POISON
    assert failed["answer"] == {"what": "ClientError: 400", "message": f"cannot read promo of {POISON}"}
    # What was good was not sent again: one record in the first round, the same in the retry round.
    inputs = held.root / "s3" / "batchcast" / "runs" / document["run_id"] / "input"
    assert sorted(path.parent.name for path in inputs.rglob("*.jsonl")) == ["r0", "r1"]
    good = [item for item in ITEMS if item != POISON]
    assert held.forecasts(document["run_id"]) == expected_forecasts(good)


def test_a_rerun_with_a_fixed_model_completes_the_run_and_diff_tells_the_two_apart(held: Workspace) -> None:
    document = held.document("rerun", held.run_id, *MENDED)
    assert (document["outcome"], document["counts"]["ok"]) == ("COMPLETE", len(ITEMS))
    assert held.forecasts(document["run_id"]) == expected_forecasts(ITEMS)

    told = held.document("diff", held.run_id, document["run_id"])
    changed = {row["name"]: row["after"] for row in told["parameters"]}
    assert changed["ModelName"] == "fixed-model"
    assert changed["ResumeFrom"] == held.run_id
    assert told["items"]["gained_forecast"]["first"] == [POISON]
    assert told["items"]["carried"] == len(ITEMS) - 1
    assert told["inputs"]["records_changed"]["number"] == 0
    assert told["forecasts"] is None
    in_words = held.call("diff", held.run_id, document["run_id"])
    assert f"gained forecast: 1 ({POISON})" in in_words.stdout

    nothing_left = held.call("rerun", document["run_id"])
    assert isinstance(nothing_left.exception, ConfigError)
    assert nothing_left.exception.problems[0].code == "nothing_left"


def test_failed_records_are_a_list_of_items_to_run_alone_in_the_midst_of_what_readers_see(held: Workspace) -> None:
    failed_records = held.root / "s3" / "batchcast" / "runs" / held.run_id / "report" / "failed_records.jsonl"
    held.document("rerun", held.run_id, *MENDED)  # what readers see, whichever test ran before
    document = held.document("rerun", held.run_id, "--items", str(failed_records), *MENDED)
    assert (document["outcome"], document["counts"]["expected"]) == ("COMPLETE", 1)
    assert document["merged"] is not None
    assert (document["merged"]["replaced"], document["merged"]["items"]) == (1, len(ITEMS))
    assert held.forecasts(document["run_id"]) == expected_forecasts(ITEMS)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-p", "MaxFailedRecord=1"), "Did you mean MaxFailedRecords?"),
        (("-p", "MaxFailedRecords=many"), "MaxFailedRecords"),
        (("-p", "ForecastHorizon=7"), "its forecasts are carried over"),
        (("--no-wait",), "--no-wait"),
        (("--name", "other-pipeline"), "other-pipeline"),
    ],
)
def test_what_is_wrong_is_said_before_anything_starts(held: Workspace, arguments: tuple[str, ...], said: str) -> None:
    before = held.executions()
    result = held.call("rerun", held.run_id, *arguments)
    assert isinstance(result.exception, ConfigError)
    assert said in str(result.exception)
    assert held.executions() == before


@pytest.mark.parametrize("command", [("rerun",), ("diff", "{run_id}")])
def test_an_unknown_run_is_named_beside_those_that_there_are(held: Workspace, command: tuple[str, ...]) -> None:
    result = held.call(*(each.format(run_id=held.run_id) for each in command), "nosuchrun000")
    assert isinstance(result.exception, ConfigError)
    assert "nosuchrun000" in str(result.exception)
    assert "The latest are" in str(result.exception)


def test_a_backfill_runs_its_dates_once_and_leaves_the_pointer_at_the_latest(held: Workspace) -> None:
    dates = ("--from", "2019-03-16", "--to", "2019-03-29")
    first = held.document("backfill", *dates, *MENDED)
    assert [(row["run_date"], row["outcome"], row["skipped"]) for row in first] == [
        ("2019-03-16", "COMPLETE", False),
        ("2019-03-23", "COMPLETE", False),
    ]
    assert all(row["wape"] > 0 for row in first)
    before = held.executions()
    again = held.document("backfill", *dates, *MENDED)
    assert [(row["run_id"], row["skipped"]) for row in again] == [(row["run_id"], True) for row in first]
    assert held.executions() == before
    listed = {row["run_id"]: row for row in held.document("published")}
    assert {row["run_id"] for row in first} <= listed.keys()
    current = [row["run_date"] for row in listed.values() if row["current"]]
    assert current == [max(row["run_date"] for row in listed.values())]


def test_a_run_that_was_never_decided_is_completed_by_a_rerun(undecided: Workspace) -> None:
    assert not (undecided.root / "s3" / "batchcast" / "runs" / undecided.run_id / "report").exists()
    document = undecided.document("rerun", undecided.run_id, *MENDED)
    assert (document["outcome"], document["counts"]["ok"]) == ("COMPLETE", len(ITEMS))
    assert undecided.forecasts(document["run_id"]) == expected_forecasts(ITEMS)


def test_without_run_conditions_a_bad_record_is_isolated_by_one_rerun_and_named_by_the_next(
    undecided: Workspace,
) -> None:
    isolated = undecided.call("rerun", undecided.run_id, "--json")
    document = json.loads(isolated.stdout)
    assert (isolated.exit_code, document["outcome"]) == (5, None)
    assert f"`rerun {document['run_id']}`" in document["cause"]
    decided = undecided.document("rerun", document["run_id"], "-p", "MaxFailedRecords=1")
    assert decided["outcome"] == "COMPLETE_WITH_QUARANTINE"
    [named] = decided["quarantined"]
    assert (named["item_id"], named["reason"]) == (POISON, "no_answer")
    good = [item for item in ITEMS if item != POISON]
    assert undecided.forecasts(decided["run_id"]) == expected_forecasts(good)
