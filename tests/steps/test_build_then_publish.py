"""Both steps on the same run: what the first writes is what the second expects."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from two_steps import DAYS, HISTORY_DAYS, PUBLISH, RUNS, TwoSteps

from batchcast.runs.published import read_forecasts

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def pipeline(tmp_path: Path) -> TwoSteps:
    return TwoSteps(tmp_path)


def test_a_history_becomes_published_forecasts_with_a_score(pipeline: TwoSteps) -> None:
    assert pipeline.build("run1") == 0
    pipeline.transform("run1", 0, set())
    report = pipeline.publish("run1", 0)
    assert report["outcome"] == "COMPLETE_WITH_QUARANTINE"
    assert [(each["item_id"], each["reason"]) for each in report["quarantined"]] == [
        ("(null)", "null_key"),
        ("c/z", "too_short"),
    ]
    # The sales repeat every week, so that the naive and a model that copies the last week are both right.
    assert (report["score"]["wape_model"], report["score"]["wape_naive"]) == (0.0, 0.0)
    frame = read_forecasts(PUBLISH, store=pipeline.store)
    assert list(frame["item_id"].unique()) == ["a/x", "a/y", "b/x", "b/y"]
    assert len(frame) == 4 * DAYS


def test_neither_step_loads_pandas(tmp_path: Path) -> None:
    loaded: set[str] = set()

    def start(argv: Sequence[str], environ: Mapping[str, str]) -> int:
        command = [sys.executable, "-X", "importtime", "-m", "batchcast.steps", *argv]
        done = subprocess.run(command, cwd=REPOSITORY, env=dict(environ), stderr=subprocess.PIPE, text=True)
        loaded.update(re.findall(r"\| +([a-z]+\.[a-z_]+)", done.stderr))
        return done.returncode

    pipeline = TwoSteps(tmp_path, start)
    assert pipeline.build("run1") == 0
    pipeline.transform("run1", 0, set())
    assert pipeline.publish("run1", 0)["outcome"] == "COMPLETE_WITH_QUARANTINE"
    assert {name.partition(".")[0] for name in loaded} >= {"batchcast", "numpy", "pyarrow"}
    assert not [name for name in loaded if name.startswith("pandas.")]


@pytest.mark.parametrize(
    ("frequency", "first"),
    [
        ("D", "2024-01-26"),  # over a leap day
        ("W-WED", "2025-05-07"),  # over a year's end
        ("MS", "2022-10-01"),
        ("ME", "2022-10-31"),
        ("B", "2025-11-20"),
        ("h", "2026-03-27T14:00:00"),  # over both changes of the European clocks
        ("h", "2026-10-23T16:00:00"),
        ("15min", "2025-12-31T15:30:00"),
    ],
)
def test_published_dates_are_those_of_pandas(tmp_path: Path, frequency: str, first: str) -> None:
    moments = pd.date_range(first, periods=HISTORY_DAYS, freq=frequency)
    below_day = frequency in ("h", "15min")
    days = [moment.to_pydatetime() if below_day else moment.date() for moment in moments]
    pipeline = TwoSteps(tmp_path, days=days)
    assert pipeline.build("run1") == 0
    pipeline.transform("run1", 0, set())
    report = pipeline.publish("run1", 0)
    assert (report["frequency"], report["run_date"]) == (frequency, days[-DAYS - 1].isoformat())
    assert report["counts"]["ok"] == 4
    frame = read_forecasts(PUBLISH, store=pipeline.store)
    expected = pd.date_range(moments[-DAYS - 1], periods=DAYS + 1, freq=frequency)[1:]
    for _, rows in frame.groupby("item_id"):
        assert list(rows["forecast_date"]) == list(expected)
    stored = next(one.uri for one in pipeline.store.list(PUBLISH) if one.uri.endswith(".parquet"))
    kind = pq.read_schema(pipeline.store.path(stored)).field("forecast_date").type
    assert str(kind) == ("timestamp[us]" if below_day else "date32[day]")
    assert ":" not in stored.removeprefix("s3://")


PUBLISHING = ("run1-validate_and_publish-0", "run1-validate_and_publish-1", "run2-validate_and_publish-0")


def test_a_failed_record_is_retried_held_and_resumed_into_the_same_forecasts(tmp_path: Path) -> None:
    straight, crooked = TwoSteps(tmp_path / "straight"), TwoSteps(tmp_path / "crooked")
    straight.build("run1")
    straight.transform("run1", 0, set())
    straight.publish("run1", 0)

    crooked.build("run1")
    crooked.transform("run1", 0, {"b/x"})
    assert crooked.publish("run1", 0)["outcome"] == "RETRY"
    crooked.transform("run1", 1, {"b/x"})
    held = crooked.publish("run1", 1)
    assert (held["outcome"], [each["reason"] for each in held["failed"]]) == ("HELD", ["no_answer_after_retry"])

    crooked.build("run2", resume_from="run1")
    assert len(list(crooked.store.list(f"{RUNS}run2/input/r0/"))) == 1
    crooked.transform("run2", 0, set())
    report = crooked.publish("run2", 0, resume_from="run1")
    # The exit message of the job says the outcome of its report.
    messages = [(crooked.root / f"ml-{job}" / "output" / "message").read_text() for job in PUBLISHING]
    assert [messages[0], messages[2]] == ["RETRY", report["outcome"]]
    assert messages[1].startswith("CoverageError ")
    assert (report["outcome"], report["counts"]["carried"]) == ("COMPLETE_WITH_QUARANTINE", 3)

    frames = [read_forecasts(PUBLISH, store=each.store) for each in (straight, crooked)]
    assert frames[0].to_dict("list") == frames[1].to_dict("list")
    parts = [
        [each.store.read(stored.uri) for stored in each.store.list(PUBLISH) if stored.uri.endswith(".parquet")]
        for each in (straight, crooked)
    ]
    assert parts[0] == parts[1]


def test_a_broken_manifest_ends_the_step_with_a_code_and_a_message(pipeline: TwoSteps) -> None:
    pipeline.build("run1")
    pipeline.store.write(f"{RUNS}run1/manifest/manifest.json", b"{}")
    assert pipeline.publish_step("run1", 0) == 3
    message = pipeline.root / "ml-run1-validate_and_publish-0" / "output" / "message"
    assert "DataError [manifest]" in message.read_text()
    assert not pipeline.store.exists(f"{RUNS}run1/report/report.json")
