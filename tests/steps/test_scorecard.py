"""Twenty weekly runs, each of which scores those before it, against the same numbers computed with pandas."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from sample_run import PUBLISH, RUN_DATE, SampleRun

from batchcast.cli.main import root
from batchcast.runs.scorecard import read_scorecard
from batchcast.steps.store.objects import DirectoryStore

WEEKS, HORIZON = 20, 16
FIRST = RUN_DATE - timedelta(weeks=WEEKS - 1)
OFF = ("last_run_change", "last_run_level", "last_run_shape", "stale_answers", "history_items")
CONTRACT = SampleRun.contract + "[checks]\n" + "".join(f'{name} = "off"\n' for name in OFF)


def sold(item: str, day: date) -> float:
    """A weekly rhythm, growth and chance; nothing at all of one item on Sundays."""
    seed = int.from_bytes(hashlib.sha256(f"{item} {day}".encode()).digest()[:4], "big")
    level = 1 + int(item[-3:]) ** 2
    if item.endswith("003") and day.weekday() == 6:
        return 0.0
    return round(level * (1.3 + math.sin(day.toordinal() * 2 * math.pi / 7)) * (0.8 + seed % 40 / 100), 3)


class Week(SampleRun):
    """Forecasts what is sold, within 10 %; in the last three weeks two times as much."""

    def values(self, item: str) -> list[float]:
        days = [self.run_date + timedelta(step + 1) for step in range(self.days)]
        wrong = 2.0 if self.run_date > RUN_DATE - timedelta(weeks=3) else 1.0
        return [round(wrong * sold(item, day) * (1 + 0.1 * math.cos(step)), 3) for step, day in enumerate(days)]


@pytest.fixture(scope="module")
def weeks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """The runs' root, and their reports."""
    root = tmp_path_factory.mktemp("weeks")
    reports = []
    for week in range(WEEKS):
        run = Week(
            root=root,
            run_id=f"runaaaaaaa{week:02d}",
            run_date=FIRST + timedelta(weeks=week),
            days=HORIZON,
            sold=sold,
            contract=CONTRACT,
        )
        run.transform()
        reports.append(run.step())
    return root, reports


SUMMED = ("actual", "error", "naive_error", "bias", "scaled_error", "scaled_naive_error")


def reference(store: DirectoryStore) -> pd.DataFrame:
    """A row a run, item and day that is known after the last run, from the published files and the sales alone."""
    files = [store.path(stored.uri) for stored in store.list(PUBLISH) if stored.uri.endswith(".parquet")]
    frames = [
        pd.read_parquet(path).assign(run_date=path.parent.parent.name.removeprefix("run_date=")) for path in files
    ]
    rows = pd.concat(frames, ignore_index=True)
    rows["day"] = pd.to_datetime(rows["forecast_date"]).dt.date
    rows = rows[rows["day"] <= RUN_DATE].copy()
    made = pd.to_datetime(rows["run_date"]).dt.date
    rows["actual"] = [sold(item, day) for item, day in zip(rows["item_id"], rows["day"], strict=True)]
    back = [day - timedelta(7 * math.ceil((day - run).days / 7)) for day, run in zip(rows["day"], made, strict=True)]
    rows["naive"] = [sold(item, day) for item, day in zip(rows["item_id"], back, strict=True)]
    rows["error"], rows["naive_error"] = (rows["sales"] - rows["actual"]).abs(), (rows["naive"] - rows["actual"]).abs()
    # Of the six weeks that the run which scores a day has read.
    span = 6 * 7
    scored = [run + timedelta(7 * math.ceil((day - run).days / 7)) for day, run in zip(rows["day"], made, strict=True)]
    unit = [
        pd.Series([sold(item, week - timedelta(back)) for back in range(span)]).diff(7).abs().mean()
        for item, week in zip(rows["item_id"], scored, strict=True)
    ]
    rows["scaled_error"], rows["scaled_naive_error"] = rows["error"] / unit, rows["naive_error"] / unit
    rows["bias"] = rows["sales"] - rows["actual"]
    return rows


def summed(rows: pd.DataFrame, by: str) -> pd.DataFrame:
    found = rows.groupby(by).agg(cells=("actual", "size"), **{name: (name, "sum") for name in SUMMED})
    found = found.assign(**{f"mase{which}": found[f"scaled{which}_error"] / found["cells"] for which in ("", "_naive")})
    return found.assign(wape=found["error"] / found["actual"], wape_naive=found["naive_error"] / found["actual"])


def test_twenty_weeks_by_run_and_lead_are_what_pandas_finds(weeks: tuple[Path, list[dict[str, Any]]]) -> None:
    store = DirectoryStore(weeks[0] / "s3")
    rows, card = reference(store), read_scorecard(PUBLISH, store=store)
    for name, by in (("runs", "run_date"), ("leads", "step")):
        expected = summed(rows, by)
        found = pd.DataFrame(card[name]).set_index("run_date" if name == "runs" else "lead")
        assert len(found) == len(expected) == (WEEKS - 1 if name == "runs" else HORIZON)
        assert found.index.tolist() == expected.index.tolist()
        for column in expected.columns:
            np.testing.assert_allclose(
                found[column].to_numpy(float), expected[column].to_numpy(float), rtol=1e-5, atol=1e-6
            )


def test_every_class_of_items_has_its_share_of_the_volume(weeks: tuple[Path, list[dict[str, Any]]]) -> None:
    card = read_scorecard(PUBLISH, store=DirectoryStore(weeks[0] / "s3"))
    shares = [row["actual"] for row in card["items"]]
    assert [row["items"] for row in card["items"]] == ["A", "B", "C"]
    assert shares[0] / sum(shares) == pytest.approx(0.85, abs=0.1)
    assert sum(row["cells"] for row in card["items"]) == sum(row["cells"] for row in card["runs"])


def test_two_weeks_that_are_worse_than_the_naive_are_said_and_one_is_not(
    weeks: tuple[Path, list[dict[str, Any]]],
) -> None:
    kinds = [set(report["flag_counts"]) & {"worse_than_naive"} for report in weeks[1]]
    # Twice too much since the 18th run: the 19th scores it for the first time, the 20th for the second.
    assert [bool(found) for found in kinds] == [False] * (WEEKS - 1) + [True]
    detail = next(flag["detail"] for flag in weeks[1][-1]["flags"] if flag["kind"] == "worse_than_naive")
    assert detail.startswith("WAPE 0.46")


def test_a_second_run_of_a_week_scores_the_same_and_counts_once(
    weeks: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:

    shutil.copytree(weeks[0] / "s3", tmp_path / "s3")
    store = DirectoryStore(tmp_path / "s3")
    before = read_scorecard(PUBLISH, store=store)
    again = Week(
        root=tmp_path,
        run_id="runbbbbbbb00",
        run_date=RUN_DATE,
        days=HORIZON,
        sold=sold,
        contract=CONTRACT,
    )
    again.transform()
    assert again.step()["pointer_moved"]
    assert read_scorecard(PUBLISH, store=store) == before
    few = Week(
        root=tmp_path,
        run_id="runccccccc00",
        days=HORIZON,
        sold=sold,
        items=list(again.items)[:3],
        items_uri="s3://bucket/few.txt",
        contract=CONTRACT,
    )
    few.transform()
    assert few.step()["merged"]
    assert read_scorecard(PUBLISH, store=store) == before


def test_the_command_and_the_report_show_it(weeks: tuple[Path, list[dict[str, Any]]]) -> None:
    told = CliRunner().invoke(
        root, ["scorecard", "--workspace", str(weeks[0]), "--publish-uri", PUBLISH], catch_exceptions=False
    )
    assert told.exit_code == 0
    assert "worse than the seasonal naive" in told.stdout.splitlines()[0]
    assert f"{RUN_DATE}" in told.stdout
    document = CliRunner().invoke(root, ["scorecard", "--workspace", str(weeks[0]), "--publish-uri", PUBLISH, "--json"])
    assert json.loads(document.stdout) == read_scorecard(PUBLISH, store=DirectoryStore(weeks[0] / "s3"))
    assert weeks[1][-1]["scorecard"] == json.loads(document.stdout)
    page = (weeks[0] / "s3/bucket/runs/runaaaaaaa19/report/report.html").read_text()
    assert "How the last runs did" in page
    for name in ("actual", "last", "model", "naive"):
        assert page.count(f'<path class="{name}" d="M') >= 12, name


def test_without_anything_known_there_is_no_scorecard(tmp_path: Path) -> None:
    run = SampleRun(root=tmp_path)
    run.transform()
    run.step()
    card = read_scorecard(PUBLISH, store=run.store)
    assert card["runs"] == []
    manifest = json.loads(run.store.read(f"{PUBLISH}forecasts/run_date={RUN_DATE}/run_id={run.run_id}/_MANIFEST.json"))
    assert manifest["scores"] == []
