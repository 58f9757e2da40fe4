"""Damaged documents wherever some are stored: named, passed over where that is safe, and never published from."""

from __future__ import annotations

import contextlib
import functools
import json
import random
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from engine_client import EngineClient
from fuzzing import PARTS, Rounds, damaged, damaged_value, in_child
from sample_run import PUBLISH, RUNS, SampleRun, published_objects
from tuning_document import write_tuning_document

from batchcast.account.deploy_settings import read_deploy_settings
from batchcast.engine.errors import ServiceException
from batchcast.engine.faults import parse_fault_plan
from batchcast.engine.pipeline.definition_reader import parse_definition
from batchcast.engine.server.model_server import ModelUrl
from batchcast.pipelines.cron import parse_cron
from batchcast.pipelines.lint.lint import lint
from batchcast.pipelines.lint.template_rules import parse_template_text
from batchcast.pipelines.tuning import read_tuning
from batchcast.planner.prices.prices import PRICES_FILE, load_prices
from batchcast.runs.published import list_publications, list_published, prune, read_forecasts, rollback
from batchcast.runs.scorecard import read_scorecard
from batchcast.session.workspace_models import read_models
from batchcast.steps.contract.model_contract import parse_contract
from batchcast.steps.errors import BatchcastError, ConfigError
from batchcast.steps.outcome.earlier_run import read_earlier_run
from batchcast.steps.outcome.stored_report import read_report
from batchcast.steps.publish.lock import read_lock
from batchcast.steps.shards.manifest import read_stored_run
from batchcast.steps.store.objects import DirectoryStore, key_path

DEFINITION = Path(__file__).parents[2] / "pipelines" / "pipeline.json"
DEPLOY = b"""pipeline_role_arn = "arn:aws:iam::123456789012:role/pipeline"
bucket = "bucket"
[parameters]
ForecastHorizon = 31
"""
MODELS = b'[demand-model]\ncommand = "python3 serve.py --port {port}"\n[other]\nurl = "http://127.0.0.1:8080"\n'
FAULTS = b'[[fault]]\neffect = "status"\nstatus = 400\nattempts = [1, 2]\ncontaining = \'"item_id":"2/101"\'\n'
ROLE = "arn:aws:iam::123456789012:role/r"
KEYS = ["..", ".", "", "a", "ä", "\udcff", "\0", "%2e%2e", "a" * 300, "~", "-rf", "C:\\x", "\x1b[2J", ".tmp", ".lock"]


def looks(run: SampleRun) -> list[Callable[[], object]]:
    """What readers, operators and the next run do with what is stored."""
    contract = parse_contract(run.contract.encode())
    return [
        lambda: read_forecasts(PUBLISH, store=run.store),
        lambda: list_published(PUBLISH, store=run.store),
        lambda: list_publications(PUBLISH, run.store)[1],
        lambda: read_lock(run.store, PUBLISH),
        lambda: read_report(run.store, RUNS, run.run_id),
        lambda: read_scorecard(PUBLISH, store=run.store),
        lambda: read_stored_run(run.store, RUNS, run.run_id),
        lambda: read_earlier_run(run.store, RUNS, run.run_id, contract, run.root),
        lambda: run.step(),
        lambda: rollback(PUBLISH, store=run.store),
        lambda: prune(PUBLISH, keep=1, store=run.store),
    ]


def look_at_damaged_store(dice: random.Random, root: Path) -> None:
    """Two published runs, then one stored object damaged: what is read and published stays whole or is refused."""
    place = root / f"{dice.randrange(1 << 48):x}"
    weeks = [
        SampleRun(root=place, run_id=f"run{n:09d}", run_date=date(2026, 11, 15 + 7 * n), with_actuals=n == 0)
        for n in range(2)
    ]
    for week in weeks:
        week.transform()
        assert week.step()["outcome"] == "COMPLETE"
    run = weeks[-1]
    clean = {one.run_id: read_forecasts(PUBLISH, run_id=one.run_id, store=run.store) for one in weeks}
    objects = {uri: data for uri, data in published_objects(run.store).items() if not uri.endswith(".tmp")}
    objects |= {one.uri: run.store.read(one.uri) for one in run.store.list(RUNS) if "/output/" not in one.uri}
    uri = dice.choice(sorted(objects))
    how = dice.choice([damaged, damaged_value, damaged_value, lambda *_: dice.choice(PARTS)])
    run.store.write(uri, how(objects[uri], dice))
    for look in looks(run):
        with contextlib.suppress(BatchcastError):
            look()
        with contextlib.suppress(BatchcastError):
            found = read_forecasts(PUBLISH, store=run.store)
            assert found.equals(clean[found.attrs["run_id"]])


def test_whatever_is_damaged_in_the_store_readers_get_a_whole_run_or_an_error(rounds: Rounds) -> None:
    rounds.few = 1
    for dice, root in rounds:
        in_child(look_at_damaged_store, dice, root, cases=6)
        rounds.cases += 6


def test_damaged_records_of_the_engine_are_set_aside(rounds: Rounds) -> None:
    kinds = ("pipelines", "executions", "models", "transform-jobs", "processing-jobs")
    for dice, root in rounds:
        rounds.cases += 1
        client = EngineClient(root, {"m": ModelUrl(url="http://127.0.0.1:9")})
        client.create_pipeline(
            PipelineName="p",
            PipelineDefinition=DEFINITION.read_text(),
            ClientRequestToken="t" * 32,
            RoleArn=ROLE,
        )
        for path in [*(root / "state").rglob("*.json")]:
            path.write_bytes(damaged(path.read_bytes(), dice))
        other = root / "state" / dice.choice(kinds) / "x.json"
        other.parent.mkdir(exist_ok=True, parents=True)
        other.write_bytes(dice.choice(PARTS))
        again = EngineClient(root, {"m": ModelUrl(url="http://127.0.0.1:9")})
        asked: list[Callable[[], object]] = [
            again.list_pipelines,
            again.list_models,
            again.list_transform_jobs,
            again.list_processing_jobs,
            again.interrupted,
            functools.partial(again.describe_pipeline, PipelineName="p"),
        ]
        for look in asked:
            with contextlib.suppress(BatchcastError, ServiceException):
                look()


def read_file(read: Callable[[Path], object]) -> Callable[[bytes, Path], object]:
    def look(data: bytes, path: Path) -> object:
        path.write_bytes(data)
        return read(path)

    return look


def parsers(folder: Path) -> list[tuple[bytes, Callable[[bytes, Path], Any]]]:
    """Files that users and programs write, with what reads them."""
    tuning = write_tuning_document(folder / "tuning.json").read_bytes()
    definition = json.dumps(json.loads(DEFINITION.read_text())).encode()
    return [
        (DEPLOY, read_file(lambda path: read_deploy_settings(path, {}, region="eu-central-1"))),
        (MODELS, read_file(lambda path: read_models(path.parent))),
        (FAULTS, lambda data, _: parse_fault_plan(data.decode("utf-8", "replace"))),
        (tuning, read_file(read_tuning)),
        (PRICES_FILE.read_bytes()[:3000], read_file(load_prices)),
        (definition, lambda data, _: parse_definition(data.decode("utf-8", "replace"))),
        (definition, lambda data, _: lint(parse_template_text(data, "x"))),
        (b"cron(0 6 ? * MON#1 *)", lambda data, _: parse_cron(data.decode("utf-8", "replace"))),
    ]


def test_damaged_files_of_users_are_refused_or_read(rounds: Rounds) -> None:
    for dice, root in rounds:
        for clean, read in parsers(root):
            for _ in range(10):
                rounds.cases += 1
                with contextlib.suppress(BatchcastError):
                    read(damaged(clean, dice), root / "models.toml")


def test_no_key_leads_out_of_its_folder(rounds: Rounds) -> None:
    for dice, root in rounds:
        for _ in range(50):
            rounds.cases += 1
            key = "/".join(dice.choice(KEYS) for _ in range(dice.randint(1, 4)))
            store = DirectoryStore(root / "in")
            with contextlib.suppress(ConfigError):
                assert (root / "in").resolve() in key_path(root / "in", key).resolve().parents
            bucket = dice.choice(["b", "b", "..", ".tmp", ""])
            for look in (functools.partial(store.write, data=b"x"), store.read, store.list, store.delete):
                with contextlib.suppress(BatchcastError):
                    list(look(f"s3://{bucket}/{key}") or ())
            assert [path.name for path in root.iterdir()] in ([], ["in"])


@pytest.mark.parametrize("effect", ["[1, 2]", "{}", "1", "2026-01-01"])
def test_an_effect_of_another_type_is_refused(effect: str) -> None:
    with pytest.raises(ConfigError, match="is none of"):
        parse_fault_plan(f"[[fault]]\neffect = {effect}\n")


@pytest.mark.parametrize("data", PARTS)
def test_what_no_reader_takes_is_refused_by_every_parser(data: bytes, tmp_path: Path) -> None:
    for clean, read in parsers(tmp_path):
        with contextlib.suppress(BatchcastError):
            read(data, tmp_path / "models.toml")
        with contextlib.suppress(BatchcastError):
            read(clean[: len(clean) // 2] + data, tmp_path / "models.toml")
