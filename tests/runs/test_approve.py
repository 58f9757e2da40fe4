"""A run that is held for how its forecasts look: approved, rejected, and what the next run is held against."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sample_run import PUBLISH, RUN_DATE, RUNS, SampleRun, published_objects

from batchcast.runs.approve import approve_run, reject_run
from batchcast.runs.outcome import flag_lines
from batchcast.runs.published import list_published, read_forecasts
from batchcast.runs.run_record import RunRecord
from batchcast.steps.errors import ConfigError
from batchcast.steps.outcome.approval import Approval

DAYS = 28
NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
ITEMS = [f"shop-{number // 4}/item-{number:03d}" for number in range(24)]


class Weekly(SampleRun):
    """Whose values depend on the weekday alone."""

    def values(self, item: str) -> list[float]:
        first = (self.run_date - RUN_DATE).days
        return [super(Weekly, self).values(item)[(first + step) % 7] for step in range(self.days)]


def week(root: Path, number: int, *, factor: float = 1.0) -> SampleRun:
    """The run of that week, all answers times the factor; the same item has the same week of values each time."""

    class Scaled(Weekly):
        def answer(self, item: str) -> dict[str, Any]:
            found = super().answer(item)
            for row, day in zip(found["forecast"], range(len(found["forecast"])), strict=True):
                # Each week's answers differ a little, as a model's do that has seen one week more.
                row["daily_sales"] = row["daily_sales"] * factor * (1 + 0.01 * ((number + day) % 3))
            return found

    run_date = RUN_DATE + timedelta(weeks=number)
    run = Scaled(root=root, run_id=f"runaaaaaaaa{number}", items=ITEMS, run_date=run_date, days=DAYS)
    run.transform()
    return run


def past(run: SampleRun) -> RunRecord:
    parameters = {"RunsUri": RUNS, "PublishUri": PUBLISH}
    return RunRecord(arn=f"arn/execution/{run.run_id}", status="Failed", parameters=parameters, store=run.store)


def approve(run: SampleRun, *, as_reference: bool = False, at: datetime = NOW) -> dict[str, Any]:
    approval = Approval(by="ana", at=at.isoformat(), reason="the prices are in cents", as_reference=as_reference)
    return approve_run(past(run), run.contract.encode(), approval, at)


def test_a_run_a_hundred_times_too_high_is_held_and_an_approval_publishes_it(tmp_path: Path) -> None:
    assert week(tmp_path, 0).step()["outcome"] == "COMPLETE"
    run = week(tmp_path, 1, factor=100.0)
    held = run.step()
    assert (held["outcome"], held["cause_kind"], held["published"]) == ("HELD", "forecasts", None)
    assert "from run runaaaaaaaa0; the limit is" in held["cause"]
    assert held["flagged_run"][0] == "last_run_change"
    before = {stored.uri for stored in run.store.list(f"{RUNS}{run.run_id}/output/")}
    report = approve(run)
    assert (report["outcome"], report["pointer_moved"], report["approved"]["by"]) == ("COMPLETE", True, "ana")
    assert {stored.uri for stored in run.store.list(f"{RUNS}{run.run_id}/output/")} == before
    frame = read_forecasts(PUBLISH, store=run.store)
    assert len(frame) == 24 * DAYS
    manifest = json.loads(run.store.read(report["published"] + "_MANIFEST.json"))
    assert manifest["approved"]["reason"] == "the prices are in cents"
    assert "approved by ana" in run.report_file("report.html").read_text()
    assert list_published(PUBLISH, store=run.store)[-1].approved == "the prices are in cents"
    lines = flag_lines({"published": "x", "flagged": "one", "approved": report["approved"]})
    assert lines[1].startswith("Approved by ana")


def test_the_next_run_is_held_against_the_run_before_the_approved_one(tmp_path: Path) -> None:
    week(tmp_path, 0).step()
    wrong = week(tmp_path, 1, factor=1.3)
    assert wrong.step()["outcome"] == "HELD"
    approve(wrong)
    assert week(tmp_path, 2, factor=1.3).step()["outcome"] == "HELD"


def test_an_approved_reference_is_what_the_next_run_is_held_against(tmp_path: Path) -> None:
    week(tmp_path, 0).step()
    model = week(tmp_path, 1, factor=1.3)
    assert model.step()["outcome"] == "HELD"
    approve(model, as_reference=True)
    report = week(tmp_path, 2, factor=1.3).step()
    assert not {"last_run_level", "last_run_change"} & set(report["flagged_run"])


def test_an_approval_that_was_cut_off_is_finished_under_the_first_one(tmp_path: Path) -> None:
    week(tmp_path, 0).step()
    run = week(tmp_path, 1, factor=100.0)
    run.step()
    held = run.report_file("report.json").read_bytes()
    approve(run)
    run.report_file("report.json").write_bytes(held)  # killed between the publication and the report
    objects = published_objects(run.store)
    report = approve(run, at=NOW + timedelta(hours=1))
    assert report["approved"]["at"] == NOW.isoformat()
    assert {uri: data for uri, data in published_objects(run.store).items() if "lock" not in uri} == {
        uri: data for uri, data in objects.items() if "lock" not in uri
    }


def test_what_is_not_held_for_its_forecasts_cannot_be_approved(tmp_path: Path) -> None:
    run = week(tmp_path, 0)
    with pytest.raises(ConfigError, match="has no report"):
        approve(run)
    run.step()
    with pytest.raises(ConfigError, match="is COMPLETE, not held"):
        approve(run)
    lost = SampleRun(root=tmp_path / "lost", quarantined={"x": "too_short"})
    lost.transform()
    assert lost.step()["outcome"] == "HELD"
    with pytest.raises(ConfigError, match="not held for how its forecasts look"):
        approve(lost)


def test_a_rejected_run_stays_closed(tmp_path: Path) -> None:
    week(tmp_path, 0).step()
    run = week(tmp_path, 1, factor=100.0)
    run.step()
    report = reject_run(past(run), by="ana", at=NOW.isoformat(), reason="wrong unit")
    assert report["rejected"]["reason"] == "wrong unit"
    page = run.report_file("report.html").read_text()
    assert f"</h1><p>Rejected by ana at {NOW.isoformat()}: wrong unit</p>" in page
    with pytest.raises(ConfigError, match="was rejected by ana"):
        approve(run)
    assert [each.run_id for each in list_published(PUBLISH, store=run.store)] == ["runaaaaaaaa0"]


@pytest.mark.parametrize("severity", ["warn", "off"])
def test_a_check_holds_no_run_where_the_contract_says_so(tmp_path: Path, severity: str) -> None:
    week(tmp_path, 0).step()
    run = week(tmp_path, 1, factor=1.3)
    checks = "".join(f'last_run_{name} = "{severity}"\n' for name in ("change", "level", "shape"))
    contract = f"{run.contract}[checks]\n{checks}"
    other = Weekly(
        root=tmp_path, run_id="runbbbbbbbbb", items=ITEMS, run_date=run.run_date, contract=contract, days=DAYS
    )
    other.transform(run.answers())
    report = other.step()
    assert report["outcome"] == "COMPLETE"
    assert ("last_run_level" in report["flagged_run"]) == (severity == "warn")
    title = other.report_file("report.html").read_text().split("<title>")[1].split("</title>")[0]
    assert ("and the forecasts differ" in title) == (severity == "warn")
