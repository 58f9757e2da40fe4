"""The report as JSON and as a page."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sample_run import SampleRun

from batchcast.steps.report.charts import coverage_bar, forecast_chart, score_bars, short_number
from batchcast.steps.report.html import read_part

PART = "part-00001.jsonl"
VOID = {"meta", "br", "rect", "path", "line", "input"}


class Outline(HTMLParser):
    """Checks that every tag is closed in order; keeps the tags, the attributes and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def outline(run: SampleRun) -> Outline:
    page = Outline()
    page.feed(run.report_file("report.html").read_text(encoding="utf-8"))
    assert page.open == []
    return page


def test_the_page_of_a_complete_run_shows_outcome_counts_scores_and_plots(tmp_path: Path) -> None:
    run = SampleRun(root=tmp_path, with_actuals=True)
    run.transform()
    run.step()
    page = outline(run)
    for text in (
        "COMPLETE",
        "12 items expected",
        "Error against the actuals (WAPE)",
        "3 of 3 shards",
        "max_failed_records",
    ):
        assert text in page.text
    assert page.tags.count("figure") == 12
    assert "path" in page.tags


def test_the_page_runs_one_script_that_its_policy_names_and_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    run = SampleRun(root=tmp_path)
    run.transform()
    run.step()
    page = outline(run)
    assert not {"link", "img", "iframe"} & set(page.tags)
    assert page.tags.count("script") == 1
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in ("src", "href")]
    text = run.report_file("report.html").read_text()
    assert "url(" not in text
    policy = next(value for _, value in page.attributes if value and value.startswith("default-src 'none'"))
    script = read_part("find_items.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.endswith(f"script-src 'sha256-{digest}'")
    assert f"<script>{script}</script>" in text


def test_what_comes_from_the_data_is_text_and_never_markup(tmp_path: Path) -> None:
    evil = "shop/<script>alert(1)</script>&\"'"
    run = SampleRun(
        root=tmp_path, items=[evil, *(f"shop/{number}" for number in range(5))], quarantined={evil + "2": "too_short"}
    )
    answers = run.answers()
    shard = next(name for name, items in run.shards.items() if evil not in items)
    answers[shard][0] = run.output_line(run.shards[shard][0], {"error": "</td><img src=x onerror=alert(2)>"})
    run.transform(answers)
    run.step(max_failed_percent=60.0)
    page = outline(run)
    assert "img" not in page.tags
    assert page.tags.count("script") == 1
    assert evil in page.text
    assert "</td><img src=x onerror=alert(2)>" in page.text


def test_a_held_run_says_why_on_top_and_lists_what_is_missing(tmp_path: Path) -> None:
    run = SampleRun(root=tmp_path)
    answers = run.answers()
    answers[PART][1] = run.output_line(run.shards[PART][1], {"error": "no such store"})
    run.transform(answers)
    report = run.step()
    page = outline(run)
    assert report["cause"] in page.text
    assert "Nothing was published" in page.text
    assert run.shards[PART][1] in page.text
    assert "the model answered with an error" in page.text


def test_a_retry_and_a_run_without_any_answer_have_pages_too(tmp_path: Path) -> None:
    run = SampleRun(root=tmp_path)
    run.step(logs=[])
    assert "No item of 12 has a usable forecast" in outline(run).text
    answers = run.answers()
    del answers[PART]
    run.transform(answers)
    run.step()
    assert "4 records are sent to the model once more, each alone" in outline(run).text


def test_long_lists_are_cut_and_say_so(tmp_path: Path) -> None:
    run = SampleRun(root=tmp_path, items=[f"shop/{number:03d}" for number in range(250)], per_shard=50)
    report = run.step()
    assert len(report["failed"]) == 200
    assert report["reasons"] == {"no_output": 250}
    assert "The first 200 of 250" in outline(run).text


def test_the_items_with_a_flag_come_first_and_no_more_than_twenty_of_the_worst(tmp_path: Path) -> None:
    run = SampleRun(root=tmp_path, items=[f"shop/{number:03d}" for number in range(60)], per_shard=60)
    answers = {
        name: [run.output_line(item, scaled(run.answer(item), 500 if item == "shop/031" else 1)) for item in items]
        for name, items in run.shards.items()
    }
    run.transform(answers)
    report = run.step()
    assert {flag["item_id"] for flag in report["flags"] if flag["item_id"]} == {"shop/031"}
    page = run.report_file("report.html").read_text()
    names = re.findall(r"<figcaption><b>([^<]*)</b><br>(\w+)", page)
    assert names[0] == ("shop/031", "Flagged")
    assert [kind for _, kind in names] == ["Flagged"] + ["Largest"] * 19 + ["Median"] * 2 + ["Smallest"] * 2
    assert page.index("Worth a look") < page.index("Items to look at") < page.index("Parameters and shards")


def scaled(answer: dict[str, Any], factor: float) -> dict[str, Any]:
    rows = [{**row, "daily_sales": row["daily_sales"] * factor} for row in answer["forecast"]]
    return {**answer, "forecast": rows}


def test_a_chart_skips_gaps_and_starts_at_zero() -> None:
    chart = forecast_chart("label", ["d1", "d2", "d3", "d4"], {"model": np.array([1.0, np.nan, 3.0, 4.0])})
    path = re.search(r'<path class="model" d="([^"]*)"', chart)
    assert path is not None
    assert path[1].count("M") == 2
    assert path[1].count("L") == 1
    assert re.findall(r'text-anchor="end">([^<]*)</text>', chart)[:3] == ["0", "2", "4"]


@pytest.mark.parametrize("values", [[0.0, 0.0], [np.nan, np.nan], [5.0], [-3.0, -1.0], [1e-12, 1e12], [5e-324]])
def test_a_chart_of_odd_values_has_finite_coordinates(values: list[float]) -> None:
    chart = forecast_chart("label", ["d"] * len(values), {"model": np.array(values)})
    assert not re.search(r"nan|inf", chart)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (15_000, "15k"),
        (50_000, "50k"),
        (999, "999"),
        (999_600, "1M"),
        (1_500_000, "1.5M"),
        (-2e9, "-2G"),
        (0.025, "0.025"),
        (0, "0"),
        (7.5, "7.5"),
        (2e18, "2e18"),
        (1e-7, "1e-7"),
    ],
)
def test_the_label_of_an_axis_is_short_at_every_magnitude(value: float, text: str) -> None:
    assert short_number(value) == text


def test_a_horizon_of_one_step_is_drawn() -> None:
    chart = forecast_chart("label", ["d1"], {"model": np.array([2.0])})
    assert re.search(r'<path class="model" d="M[\d.]+ [\d.]+h0.01"', chart)


def test_a_part_that_is_there_is_seen_however_small() -> None:
    widths = [
        float(width) for width in re.findall(r'width="([\d.]+)" height="8"', coverage_bar({"ok": 100_000, "failed": 1}))
    ]
    assert widths[1] >= 0.5
    assert sum(widths) == pytest.approx(100, abs=0.1)
    assert "<rect" not in coverage_bar({"ok": 0})


def test_a_score_of_zero_is_a_bar_of_no_length() -> None:
    assert 'width="0.0"' in score_bars({"model": ("Model", 0.0)})
