from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from chromium import chromium
from planning import TODAY, reference_inputs
from playwright.sync_api import Browser, Page

from batchcast.planner.arithmetic import scenarios
from batchcast.planner.arithmetic.capacity import Capacity
from batchcast.planner.arithmetic.conditions import PRIOR
from batchcast.planner.arithmetic.formula import for_the_job
from batchcast.planner.arithmetic.inputs import PlanInputs
from batchcast.planner.plan.page import MOST_INSTANCES, page_data, render_page
from batchcast.planner.plan.plan import make_plan
from batchcast.planner.prices.prices import load_prices

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
REFERENCE = json.loads((Path(__file__).parent / "reference-cases.json").read_text())
SOURCES = dict(load_prices().sources)
WIDTHS = [360, 768, 1440]


def rendered(inputs: PlanInputs) -> str:
    return render_page(make_plan(inputs, load_prices(), TODAY), SOURCES)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "plan.html"
    path.write_text(rendered(reference_inputs()))
    return path


@pytest.fixture(scope="module")
def window(browser: Browser) -> Iterator[tuple[Page, list[str]]]:
    """A page, and what must not happen on it: errors, and requests for anything but the file itself."""
    page = browser.new_page(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on(
        "request", lambda request: None if request.url.startswith(("file:", "blob:")) else faults.append(request.url)
    )
    yield page, faults
    page.close()


@pytest.fixture
def page(window: tuple[Page, list[str]], file: Path) -> Iterator[Page]:
    page, faults = window
    faults.clear()
    page.goto("about:blank")
    page.goto(file.as_uri())
    yield page
    assert faults == []


def readout(page: Page) -> str:
    return page.locator("#readout").inner_text()


@pytest.mark.parametrize("cell", REFERENCE["cells"], ids=str)
def test_javascript_and_python_agree_on_every_reference_cell(page: Page, cell: dict[str, Any]) -> None:
    found = page.evaluate("([s, m, n]) => Model.ideal(s, m, n)", [cell["sec"], cell["mct"], cell["inst"]])
    ours = for_the_job(
        "batch", items=100_000, seconds=cell["sec"], instances=cell["inst"], concurrency=cell["mct"], usd_per_hour=0.922
    )
    assert found["cost"] == pytest.approx(cell["cost"], abs=0.01)
    assert found["wall"] == pytest.approx(cell["wall_h"], abs=0.01)
    assert (found["compute"], found["wall"], found["instanceHours"], found["cost"]) == pytest.approx(
        (ours.compute_hours, ours.wall_hours, ours.instance_hours, ours.cost_usd), rel=1e-12
    )


def test_javascript_and_python_agree_on_the_whole_plan(page: Page) -> None:
    for seconds in (0.01, 0.5, 7.0, 30.0):
        for concurrency in (1, 4, 9, 16):
            series = page.evaluate("([s, m]) => Model.series(s, m)", [seconds, concurrency])
            assert [one["instances"] for one in series] == list(range(1, MOST_INSTANCES + 1))
            for one in series[::7]:
                inputs = reference_inputs(seconds=seconds, concurrency=concurrency, instances=one["instances"])
                ours = scenarios.batch(inputs)
                assert (one["wall"], one["wallP5"], one["wallP95"], one["cost"]) == pytest.approx(
                    (ours.wall_hours, ours.p5, ours.p95, ours.cost_usd), rel=1e-9
                )


def test_javascript_and_python_agree_on_uneven_shares_and_requests_of_several(browser: Browser, tmp_path: Path) -> None:
    inputs = reference_inputs(conditions=replace(PRIOR, busiest_share=1.4), items_per_request=64)
    (tmp_path / "plan.html").write_text(rendered(inputs))
    page = browser.new_page()
    page.goto((tmp_path / "plan.html").as_uri())
    for one in page.evaluate("Model.series(30, 4)"):
        ours = scenarios.batch(replace(inputs, instances=one["instances"]))
        assert (one["wall"], one["wallP95"]) == pytest.approx((ours.wall_hours, ours.p95), rel=1e-9)
    page.close()


def test_the_cheapest_the_balanced_and_the_fastest_are_marked_and_can_be_chosen(page: Page) -> None:
    page.locator("#deadline").fill("12")
    fitting = [one for one in page.evaluate("Model.series(30, 4)") if one["wallP95"] <= 12]
    marks = {
        "cheapest": min(fitting, key=lambda one: one["cost"])["instances"],
        "balanced": min(fitting, key=lambda one: one["cost"] * one["wallP95"])["instances"],
        "fastest": min(fitting, key=lambda one: one["wallP95"])["instances"],
    }
    assert page.locator("#marks button").all_inner_texts() == [f"{name}: {n} × 4" for name, n in marks.items()]
    page.locator("#marks button").nth(2).click()
    assert page.locator("#instances").input_value() == str(marks["fastest"])
    page.locator("summary").click()
    assert f"{marks['cheapest']}, cheapest" in page.locator("#table").inner_text()


def test_a_job_that_loses_requests_says_that_the_page_leaves_them_out(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "plan.html").write_text(rendered(reference_inputs(conditions=replace(PRIOR, timeout=60.0))))
    page = browser.new_page()
    page.goto((tmp_path / "plan.html").as_uri())
    assert "Requests are lost, or a few long ones decide" in page.locator("#mind").inner_text()
    page.close()


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (reference_inputs(files=1), "One file: SageMaker does not split it over instances. One works, 19 idle"),
        (reference_inputs(files=7), "7 files on 20 instances: 13 idle and are paid"),
        (reference_inputs(files=50), "50 files on 20 instances: some get 3, the mean is 2.5"),
        (reference_inputs(conditions=replace(PRIOR, busiest_share=1.4)), "had 1.4 times an even share"),
    ],
    ids=["one", "few", "uneven", "seen"],
)
def test_files_that_do_not_fill_the_instances_are_told(
    browser: Browser, tmp_path: Path, inputs: PlanInputs, words: str
) -> None:
    (tmp_path / "plan.html").write_text(rendered(inputs))
    page = browser.new_page()
    page.goto((tmp_path / "plan.html").as_uri())
    assert words in page.locator("main").inner_text()
    page.close()


def test_a_measured_curve_bounds_the_slider_and_says_why() -> None:
    measured = reference_inputs(capacity=Capacity(kind="knee", theta=(4.0, 0.0), max_tested=8))
    assert page_data(measured, SOURCES)["cap"] == {
        "concurrency": 8,
        "tested": 8,
        "reason": "8 is the most that was measured; nothing is known beyond it.",
    }
    assert "17 x 6 MB = 102 MB" in page_data(reference_inputs(), SOURCES)["cap"]["reason"]


def test_the_sliders_move_by_keyboard_and_do_not_touch_one_another(page: Page) -> None:
    page.locator("#concurrency").focus()
    page.keyboard.press("ArrowRight")
    assert "20 × 5 →" in readout(page)
    page.locator("#seconds").focus()
    page.keyboard.press("Home")
    assert page.locator("#seconds-out").inner_text() == "10 ms"
    assert "20 × 5 →" in readout(page)
    page.locator("#concurrency").focus()
    page.keyboard.press("End")
    assert "20 × 16 →" in readout(page)
    assert page.locator("#seconds-out").inner_text() == "10 ms"


def test_the_sliders_and_the_bars_answer_the_mouse(page: Page) -> None:
    slider = page.locator("#concurrency").bounding_box()
    assert slider
    page.mouse.click(slider["x"] + slider["width"] - 4, slider["y"] + slider["height"] / 2)
    assert "20 × 16 →" in readout(page)
    page.locator('#chart rect[data-instances="7"]').click()
    assert "7 × 16 →" in readout(page)
    assert page.locator("#instances").input_value() == "7"


def test_the_state_is_in_the_fragment_and_comes_back_from_it(page: Page, file: Path) -> None:
    fragment = "#seconds=2&concurrency=8&instances=12&deadline=3&budget=50&view=scatter&unit=month&kept=30,4,20"
    page.goto("about:blank")
    page.goto(file.as_uri() + fragment)
    assert "12 × 8 →" in readout(page)
    assert page.locator("#compare").is_visible()
    assert page.locator("#deadline").input_value() == "3"
    assert page.evaluate("location.hash") == fragment
    page.locator("#instances").fill("13")
    page.locator("#instances").press("Enter")
    assert "instances=13" in page.evaluate("location.hash")


@pytest.mark.parametrize(
    "fragment", ["#seconds=-5&concurrency=999&instances=x", "#kept=1,2", "#view=%3Cb%3E&deadline=-1"]
)
def test_a_mangled_link_shows_a_sound_state(page: Page, file: Path, fragment: str) -> None:
    page.goto("about:blank")
    page.goto(file.as_uri() + fragment)
    assert " → " in readout(page)
    assert "NaN" not in page.locator("main").inner_text()


def test_two_states_are_compared_and_forgotten(page: Page) -> None:
    page.locator("#pin").click()
    page.locator("#concurrency").focus()
    page.keyboard.press("Home")
    comparison = page.locator("#compare-table").inner_text()
    assert "30 s, 20 × 4" in comparison
    assert "30 s, 20 × 1" in comparison
    assert page.locator("#chart path.pin").count() == 1
    page.locator("#pin").click()
    assert page.locator("#compare").is_hidden()


def test_csv_and_json_hold_the_numbers_of_the_table(page: Page) -> None:
    with page.expect_download() as download:
        page.locator("#csv").click()
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text())))
    with page.expect_download() as download:
        page.locator("#json").click()
    document = json.loads(Path(download.value.path()).read_text())
    assert len(rows) == len(document["rows"]) == MOST_INSTANCES
    ours = scenarios.batch(reference_inputs())
    assert float(rows[19]["cost_usd"]) == pytest.approx(ours.cost_usd)
    assert document["rows"][19]["wall_hours"] == pytest.approx(ours.wall_hours)
    assert document["inputs"]["seconds"] == 30
    page.locator("summary").click()
    assert page.locator("#table tbody tr").count() == MOST_INSTANCES
    assert f"${ours.cost_usd:,.2f}" in page.locator("#table tr.current").inner_text()


def test_deadline_and_budget_are_drawn_and_the_instances_that_keep_them_named(page: Page) -> None:
    page.locator("#deadline").fill("12")
    page.locator("#budget").fill("250")
    series = page.evaluate("Model.series(30, 4)")
    fitting = [one["instances"] for one in series if one["wallP95"] <= 12 and one["cost"] <= 250]
    assert f"{fitting[0]} to {fitting[-1]} instances end within 12 h 00 m" in readout(page)
    assert page.locator("#chart line.limit").count() == 2
    assert page.locator("#chart rect.fits").count() == len(fitting)
    page.locator("#deadline").fill("1")
    assert "No number of instances ends within" in readout(page)


@pytest.mark.parametrize("view", ["bars", "scatter"])
@pytest.mark.parametrize("seconds", [0.01, 0.3, 30])
@pytest.mark.parametrize("concurrency", [1, 16])
def test_the_axes_contain_the_data_and_the_endpoint_with_its_label(
    page: Page, view: str, seconds: float, concurrency: int
) -> None:
    page.evaluate("changes => set(changes)", {"seconds": seconds, "concurrency": concurrency, "view": view})
    height = page.locator("svg.chart").bounding_box()
    assert height
    ends = page.evaluate(
        """() => [...document.querySelectorAll("svg.chart path.time")].flatMap((path) => {
          const box = path.getBBox();
          return [box.x, box.y, box.x + box.width, box.y + box.height];
        })"""
    )
    assert min(ends) >= 0
    assert max(ends[1::2]) <= height["height"]
    assert str(page.locator("#chart .endpoint-text").first.text_content()).startswith("endpoint 24/7 $466")
    line = page.evaluate('Number(document.querySelector("#chart line.endpoint").getAttribute("y1"))')
    assert 0 < line < height["height"]


def test_bars_start_at_zero_and_the_current_one_has_whiskers(page: Page) -> None:
    assert page.locator("#chart text.axis-cost").first.text_content() == "$0"
    assert page.locator("#chart line.whisker.cost").count() == 3
    assert page.locator("#chart path.ghost").count() == 1


def test_the_endpoint_with_a_savings_plan_is_a_second_line(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "discount.html"
    path.write_text(rendered(reference_inputs(endpoint_discount_percent=40.0)))
    page = browser.new_page()
    page.goto(path.as_uri())
    assert page.locator("#chart line.endpoint").count() == 2
    assert "40 % off" in str(page.locator("svg.chart").text_content())
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("fragment", ["", "#view=scatter&deadline=12&kept=30,4,20"])
def test_axe_finds_no_violation(browser: Browser, file: Path, scheme: Any, fragment: str) -> None:
    context = browser.new_context(color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(file.as_uri() + fragment)
    page.locator("summary").click()
    results = Axe().run(page)
    assert results.violations_count == 0, [(one["id"], one["nodes"]) for one in results.response["violations"]]
    context.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_window_and_texts_stay_inside_the_chart(
    browser: Browser, file: Path, width: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(file.as_uri() + "#deadline=12&budget=250")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    outside = page.evaluate(
        """() => {
          const box = document.querySelector("svg.chart").getBoundingClientRect();
          return [...document.querySelectorAll("svg.chart text")]
            .map((text) => [text.textContent, text.getBoundingClientRect()])
            .filter(([, at]) => at.left < box.left - 1 || at.right > box.right + 1)
            .map(([words]) => words);
        }"""
    )
    assert outside == []
    page.close()


def test_the_page_is_one_file_that_names_no_other(file: Path) -> None:
    text = file.read_text()
    assert "default-src 'none'" in text
    assert "src=" not in text
    assert "<link" not in text
    assert "https://" not in text
    assert "{{" not in text


def test_data_cannot_end_the_script_element() -> None:
    text = rendered(replace(reference_inputs(), region="</script><b>"))
    assert "</script><b>" not in text
