from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from tuning_document import write_tuning_document

from batchcast.cli.plan.plan import plan_command
from batchcast.cli.plan.prices import prices_command
from batchcast.cli.plan.simulate import simulate_command
from batchcast.pipelines.parameters import parse_overrides
from batchcast.planner.prices.prices import PRICES_FILE, load_prices
from batchcast.steps.errors import ConfigError

REFERENCE = json.loads((Path(__file__).parents[1] / "planner" / "reference-cases.json").read_text())
JOB = ["--items", "100000", "--seconds", "30"]


def run(command: Any, *arguments: str) -> str:
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def scenario(text: str, name: str) -> dict[str, Any]:
    return next(one for one in json.loads(text)["scenarios"] if one["name"] == name)


@pytest.mark.parametrize("cell", REFERENCE["cells"], ids=str)
def test_the_formula_on_the_command_line_gives_every_reference_cell(cell: dict[str, Any]) -> None:
    job = ["--items", "100000", "--seconds", str(cell["sec"])]
    shape = ["--instances", str(cell["inst"]), "--concurrency", str(cell["mct"])]
    batch = scenario(run(plan_command, *job, *shape, "--formula", "--json"), "batch")
    assert batch["compute_hours"] == pytest.approx(cell["compute_h"], abs=0.01)
    assert batch["wall_hours"] == pytest.approx(cell["wall_h"], abs=0.01)
    assert batch["instance_hours"] == pytest.approx(cell["inst_h"], abs=0.01)
    assert batch["cost_usd"] == pytest.approx(cell["cost"], abs=0.01)


def test_the_table_shows_rows_warnings_formula_price_and_choice() -> None:
    text = run(plan_command, *JOB)
    for part in (
        "Batch Transform",
        "Endpoint 24/7",
        "6-hour queue",
        "The rule that decided",
        "$195.16",
        "4.33",
        "as of 2026",
    ):
        assert part in text


def test_a_deadline_is_met_and_a_budget_kept() -> None:
    document = json.loads(run(plan_command, *JOB, "--deadline", "6", "--budget", "100", "--json"))
    in_time, affordable, front = document["search"].values()
    assert in_time[0]["p95"] <= 6
    assert affordable[0]["cost_usd"] <= 100
    assert len(front) > 3


def test_the_answer_is_the_first_line_and_its_parameters_are_those_of_the_pipeline() -> None:
    first = run(plan_command, *JOB, "--deadline", "6").splitlines()[0]
    assert first.startswith("Cheapest that ends within 6 h with 95 %: ")
    hours, settings = re.findall(r"([\d.]+) h,", first)[0], dict(re.findall(r"-p (\w+)=(\S+)", first))
    assert float(hours) <= 6
    found = json.loads(run(plan_command, *JOB, "--deadline", "6", "--json"))["search"]
    [best] = next(rows for title, rows in found.items() if title.startswith("Cheapest"))
    assert parse_overrides([f"{name}={value}" for name, value in settings.items()]) == settings
    assert settings["TransformInstanceCount"] == str(best["instances"])
    assert settings["TransformInstanceType"] == best["instance_type"]
    assert settings["MaxConcurrentTransforms"] == str(best["concurrency"])


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_what_cannot_be_done_is_said_first_and_is_exit_2(as_json: list[str]) -> None:
    result = CliRunner().invoke(plan_command, [*JOB, "--deadline", "0.01", *as_json])
    assert result.exit_code == ConfigError.exit_code
    if not as_json:
        assert result.stdout.splitlines()[0].endswith("nothing does, with up to 100 instances of any priced type.")


def test_the_pipeline_s_own_defaults_are_used() -> None:
    inputs = json.loads(run(plan_command, *JOB, "--json"))["inputs"]
    assert (inputs["instance_type"], inputs["instances"], inputs["concurrency"]) == ("ml.m5.4xlarge", 20, 4)
    assert (inputs["usd_per_hour"], inputs["region"]) == (0.922, "us-east-1")


def test_no_more_records_go_into_a_request_than_fit_the_payload() -> None:
    job = [*JOB, "--items-per-request", "64", "--max-payload", "6"]
    large = json.loads(run(plan_command, *job, "--record-mb", "1", "--json"))["inputs"]
    small = json.loads(run(plan_command, *job, "--record-mb", "0.01", "--json"))["inputs"]
    assert (large["items_per_request"], large["requests"]) == (5, large["items"] / 5)
    assert (small["items_per_request"], small["requests"]) == (64, -(-small["items"] // 64))
    assert f" in {small['requests']:,} requests of 64 " in run(plan_command, *job, "--record-mb", "0.01")


def test_what_was_measured_says_how_many_records_a_request_holds(tmp_path: Path) -> None:
    tuned = ["--tuning", str(write_tuning_document(tmp_path / "tuning.json", items_per_request=4))]
    inputs = json.loads(run(plan_command, *JOB, *tuned, "--json"))["inputs"]
    assert (inputs["items_per_request"], inputs["requests"]) == (4, inputs["items"] / 4)
    with pytest.raises(ConfigError, match="measured with 4 records a request, the run has 16"):
        run(plan_command, *JOB, *tuned, "--items-per-request", "16")


@pytest.mark.parametrize("command", [plan_command, simulate_command])
def test_more_items_than_a_plan_is_made_for_are_refused(command: Any) -> None:
    result = CliRunner().invoke(command, ["--items", "1000000001", "--seconds", "1"])
    assert result.exit_code == 2
    assert "1000000001 is not in the range 1<=x<=1000000000" in result.output


def test_a_given_price_is_used_where_the_table_has_none() -> None:
    job = [*JOB, "--instance-type", "ml.m4.4xlarge", "--formula", "--json"]
    with pytest.raises(ConfigError, match="--price-per-hour"):
        run(plan_command, *job)
    assert scenario(run(plan_command, *job, "--price-per-hour", "2"), "batch")["cost_usd"] == pytest.approx(
        423.33, abs=0.01
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--items.*\n.*--seconds"),
        (["--items", "5"], "--seconds"),
        ([*JOB, "--instance-type", "ml.r5.4xlarge"], "Nearest it takes: ml.r6i.4xlarge"),
        ([*JOB, "--record-mb", "200"], "at most 100"),
        ([*JOB, "--tuning", "nowhere.json"], "nowhere.json"),
    ],
)
def test_what_is_missing_or_impossible_is_refused_by_name(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run(plan_command, *arguments)


def random_job(seed: int, tuning: Path) -> list[str]:
    """Of any spread from 0 to 2, often with a timeout that some requests exceed, often in few files."""
    rng = np.random.default_rng(seed)
    seconds, items = float(np.exp(rng.uniform(0, 4))), int(np.exp(rng.uniform(5.5, 9)))
    timeout = min(3600, math.ceil(seconds * rng.choice([3, 8, 1000])))
    write_tuning_document(tuning, timeout=timeout, retries=int(rng.integers(0, 3)))
    given = {
        "items": items,
        "seconds": seconds,
        "seconds-cv": rng.choice([0.0, rng.uniform(0, 1), rng.uniform(1, 2)]),
        "instances": rng.integers(1, 20),
        "concurrency": rng.choice([1, 2, 4, 8]),
        "tuning": tuning,
    }
    if rng.random() < 0.5:
        given["files"] = rng.integers(1, 60)
    return [str(word) for name, value in given.items() for word in (f"--{name}", value)]


@pytest.mark.parametrize("seed", range(30))
def test_the_plan_that_is_printed_is_the_job_as_it_is_played(seed: int, tmp_path: Path) -> None:
    job = random_job(seed, tmp_path / "tuning.json")
    planned = scenario(run(plan_command, *job, "--json"), "batch")
    played = json.loads(run(simulate_command, *job, "--runs", "200", "--json"))
    assert planned["wall_hours"] == pytest.approx(played["wall_hours"]["p50"], rel=0.05)
    assert planned["cost_usd"] == pytest.approx(played["cost_usd"]["p50"], rel=0.05)
    assert played["plan_wall_hours"] == planned["wall_hours"]
    assert played["wall_hours"]["p5"] < played["wall_hours"]["p50"] < played["wall_hours"]["p95"]


def test_a_played_job_is_told_in_four_lines_with_the_plan_beside_it() -> None:
    text = run(simulate_command, *JOB, "--runs", "5")
    assert "P95" in text
    assert f"(`plan`: {scenario(run(plan_command, *JOB, '--json'), 'batch')['wall_hours']:.2f} h)" in text


def test_prices_show_has_every_row_with_its_source() -> None:
    text = run(prices_command, "show")
    assert text.count("ml.") >= len(load_prices().rates["us-east-1"])
    assert "offer-2026-04" in text
    with pytest.raises(ConfigError, match=r"no prices for mars-1.*us-east-1"):
        run(prices_command, "show", "--region", "mars-1")


def offer_file(tmp_path: Path) -> Path:
    path = tmp_path / "index.csv"
    path.write_text(
        '"FormatVersion","v1.0"\n"Disclaimer","none"\n"Publication Date","2026-11-20T00:00:00Z"\n"Version","7"\n'
        '"OfferCode","AmazonSageMaker"\n"TermType","PricePerUnit","usageType","Region Code"\n'
        '"OnDemand","0.9500000000","USE1-Tsform:ml.m5.4xlarge","us-east-1"\n'
        '"OnDemand","0.9500000000","USE1-Host:ml.m5.4xlarge","us-east-1"\n'
    )
    return path


def test_a_refresh_shows_the_diff_and_writes_when_told_to(tmp_path: Path) -> None:
    table = tmp_path / "prices.json"
    table.write_bytes(PRICES_FILE.read_bytes())
    arguments = ["refresh", "--region", "us-east-1", "--csv", str(offer_file(tmp_path)), "--table", str(table)]
    declined = CliRunner().invoke(prices_command, arguments, input="n\n", catch_exceptions=False)
    assert "- 0.922        + 0.95  ml.m5.4xlarge" in declined.stdout
    assert table.read_bytes() == PRICES_FILE.read_bytes()
    assert f"1 of {len(load_prices().rates['us-east-1'])} types change" in run(prices_command, *arguments, "--yes")
    assert load_prices(table).rates["us-east-1"]["ml.m5.4xlarge"].usd == 0.95
