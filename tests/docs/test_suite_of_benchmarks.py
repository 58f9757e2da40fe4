"""The committed results of `make bench`: what README says of them, what they must show, and when a check fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.measured import Measured, fitted_exponent
from benchmarks.suite_results import check, exponent, page, read_results, sentences

ROOT = Path(__file__).resolve().parents[2]


def test_readme_has_the_numbers_of_the_committed_results() -> None:
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    for sentence in sentences(read_results("full")):
        assert sentence in text


def test_the_page_shows_the_committed_results() -> None:
    shown = (ROOT / "benchmarks" / "results" / "suite.md").read_text(encoding="utf-8")
    assert shown == page(read_results("full"))


def test_a_million_items_end_to_end_take_1200_mb_at_most() -> None:
    whole = read_results("full")["areas"]["end-to-end"]["programs"]["local"]["1000000"]
    assert whole["peak"] <= 1200
    assert {"BuildShards", "Transform", "ValidateAndPublish"} <= whole["steps"].keys()


def test_four_times_the_items_take_a_tenth_more_memory_at_most_on_two_processors() -> None:
    many = read_results("full")["areas"]["validate-many"]["programs"]["with 2 processors"]
    assert many["4000000"]["peak"] <= 1.1 * many["1000000"]["peak"]


def test_builder_and_validator_grow_as_their_items_do() -> None:
    areas = read_results("full")["areas"]
    for area, program in (("build-many", "build_shards"), ("validate", "validate_and_publish")):
        found = exponent(areas[area]["programs"][program], "cpu")
        assert found is not None
        assert found <= 1.05


def test_the_exponent_of_a_power_is_that_power() -> None:
    assert fitted_exponent([1, 2, 4, 8], [3, 6, 12, 24]) == pytest.approx(1.0)
    assert fitted_exponent([10, 100, 1000], [5, 500, 50_000]) == pytest.approx(2.0)


def runs(cpu: Callable[[int], float], peak: int) -> dict[int, list[Measured]]:
    return {size: [Measured(wall=1, cpu=cpu(size), peak=peak, load=1)] for size in (10, 20, 40)}


FLOOR = runs(lambda size: size / 10, 100_000_000)
COMMITTED = {
    "areas": {
        "build": {
            "programs": {
                "ours": {size: {"cpu": int(size) / 5, "peak": 200} for size in ("10", "20", "40")},
                "floor": {size: {"cpu": int(size) / 10, "peak": 100} for size in ("10", "20", "40")},
            }
        }
    }
}


@pytest.mark.parametrize(
    ("ours", "worse"),
    [
        (runs(lambda size: size / 5, 200_000_000), ""),
        (runs(lambda size: size / 3.5, 240_000_000), ""),
        (runs(lambda size: size / 3, 200_000_000), "build: CPU of ours over floor"),
        (runs(lambda size: size / 5, 270_000_000), "build: memory of ours over floor"),
        (runs(lambda size: size**1.2 / 10, 200_000_000), "build: exponent of ours's CPU"),
    ],
)
def test_a_check_fails_for_a_ratio_or_an_exponent_that_is_worse(
    ours: dict[int, list[Measured]], worse: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = check({"build": {"ours": ours, "floor": FLOOR}}, COMMITTED)
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("WORSE")]
    assert code == bool(worse)
    assert [line.split(": ", 1)[0] + ": " + line.split(": ")[1] for line in said] == [f"WORSE {worse}"] * bool(worse)


def test_a_check_fails_where_a_program_is_not_measured_any_more() -> None:
    assert check({"build": {"ours": FLOOR}}, COMMITTED) == 1
