"""What can be wrong with a run's outputs, one kind at a time: does it stay out of the published forecasts?

Every structural kind must be caught, wherever it strikes. What only looks wrong is flagged; how much of it is
stated here and in the documentation, and so is what nobody can tell from the outputs alone.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sample_run import SampleRun, published_objects

from batchcast.steps.checks.flags import find_flags
from batchcast.steps.checks.gate import Past, gate_flags, measure_run
from batchcast.steps.checks.restlessness import restlessness
from batchcast.steps.outcome.comparison import Array, Comparison
from batchcast.steps.publish.forecast_table import forecast_schema

Outputs = dict[str, bytes]
Corruption = Callable[["Scene"], None]


class Scene:
    """The outputs of a clean run as raw bytes, and one place in them chosen at random."""

    def __init__(self, run: SampleRun, seed: int) -> None:
        chance = random.Random(seed)
        self.run = run
        self.outputs: Outputs = {
            name: b"".join(line + b"\n" for line in lines) for name, lines in run.answers().items()
        }
        self.shard, self.other = chance.sample(sorted(self.outputs), 2)
        self.at, self.beside = chance.sample(range(len(run.shards[self.shard])), 2)
        self.day = chance.randrange(run.days)

    @property
    def item(self) -> str:
        return self.run.shards[self.shard][self.at]

    def edit_lines(self, edit: Callable[[list[bytes]], list[bytes]]) -> None:
        lines = self.outputs[self.shard].splitlines(keepends=True)
        self.outputs[self.shard] = b"".join(edit(lines))

    def put_line(self, line: bytes) -> None:
        self.edit_lines(lambda lines: [*lines[: self.at], line + b"\n", *lines[self.at + 1 :]])

    def put_document(self, **changed: Any) -> None:
        document = {"SageMakerOutput": self.run.answer(self.item), "item_id": self.item, **changed}
        self.put_line(json.dumps({key: value for key, value in document.items() if value is not ...}).encode())

    def put_rows(self, edit: Callable[[list[dict[str, Any]]], Any]) -> None:
        answer = self.run.answer(self.item)
        answer["forecast"] = edit(answer["forecast"])
        self.put_document(SageMakerOutput=answer)

    def put_in_row(self, **changed: Any) -> None:
        def edit(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
            row = {**rows[self.day], **changed}
            rows[self.day] = {key: value for key, value in row.items() if value is not ...}
            return rows

        self.put_rows(edit)


STRUCTURAL: dict[str, Corruption] = {
    "no output object": lambda s: s.outputs.__delitem__(s.shard),
    "empty output object": lambda s: s.outputs.update({s.shard: b""}),
    "cut in the middle of a line": lambda s: s.outputs.update({s.shard: s.outputs[s.shard][:-20]}),
    "cut in the first line": lambda s: s.outputs.update({s.shard: s.outputs[s.shard][:30]}),
    "gzip instead of text": lambda s: s.outputs.update({s.shard: gzip.compress(s.outputs[s.shard])}),
    "the same output twice": lambda s: s.outputs.update({s.shard: s.outputs[s.shard] * 2}),
    "another shard's output": lambda s: s.outputs.update({s.shard: s.outputs[s.other]}),
    "two outputs exchanged": lambda s: s.outputs.update({s.shard: s.outputs[s.other], s.other: s.outputs[s.shard]}),
    "first line lost": lambda s: s.edit_lines(lambda lines: lines[1:]),
    "last line lost": lambda s: s.edit_lines(lambda lines: lines[:-1]),
    "a line lost": lambda s: s.edit_lines(lambda lines: lines[: s.at] + lines[s.at + 1 :]),
    "a line twice": lambda s: s.edit_lines(lambda lines: lines[: s.at] + lines[s.at : s.at + 1] + lines[s.at :]),
    "a line over another": lambda s: s.edit_lines(lambda lines: [*lines[: s.at], lines[s.beside], *lines[s.at + 1 :]]),
    "lines in reverse": lambda s: s.edit_lines(lambda lines: lines[::-1]),
    "a line moved by one": lambda s: s.edit_lines(lambda lines: [*lines[1:], lines[0]]),
    "another shard's line": lambda s: s.put_line(s.outputs[s.other].splitlines()[0]),
    "another shard's line on top": lambda s: s.edit_lines(
        lambda lines: [*lines, s.outputs[s.other].splitlines(keepends=True)[0]]
    ),
    "a blank line instead": lambda s: s.put_line(b""),
    "plain text": lambda s: s.put_line(b"ERROR"),
    "an HTML page": lambda s: s.put_line(b"<html><body>502 Bad Gateway</body></html>"),
    "a Python repr": lambda s: s.put_line(str({"SageMakerOutput": s.run.answer(s.item), "item_id": s.item}).encode()),
    "a byte that is not UTF-8": lambda s: s.put_line(s.run.output_line(s.item).replace(b"forecast", b"f\xffrecast")),
    "NUL bytes": lambda s: s.put_line(b"\0" * 100),
    "a byte order mark": lambda s: s.put_line(b"\xef\xbb\xbf" + s.run.output_line(s.item)),
    "a number instead of an object": lambda s: s.put_line(b"12.5"),
    "no envelope": lambda s: s.put_line(json.dumps(s.run.answer(s.item)).encode()),
    "no item id": lambda s: s.put_document(item_id=...),
    "item id null": lambda s: s.put_document(item_id=None),
    "another item's id": lambda s: s.put_document(item_id=s.run.shards[s.shard][s.beside]),
    "an id in capitals": lambda s: s.put_document(item_id=s.item.upper()),
    "an answer to another item": lambda s: s.put_document(
        SageMakerOutput=s.run.answer(s.run.shards[s.shard][s.beside])
    ),
    "an error": lambda s: s.put_document(SageMakerOutput={"error": "out of memory"}),
    "an error beside a forecast": lambda s: s.put_document(
        SageMakerOutput={**s.run.answer(s.item), "error": "fallback"}
    ),
    "answer null": lambda s: s.put_document(SageMakerOutput=None),
    "answer as text": lambda s: s.put_document(SageMakerOutput=json.dumps(s.run.answer(s.item))),
    "answer in a list": lambda s: s.put_document(SageMakerOutput=[s.run.answer(s.item)]),
    "no rows": lambda s: s.put_document(SageMakerOutput={"item_id": s.item}),
    "rows null": lambda s: s.put_rows(lambda _: None),
    "rows as columns": lambda s: s.put_rows(lambda _: {"date": [], "daily_sales": []}),
    "empty rows": lambda s: s.put_rows(lambda _: []),
    "a day lost": lambda s: s.put_rows(lambda rows: rows[: s.day] + rows[s.day + 1 :]),
    "a day too many": lambda s: s.put_rows(lambda rows: [*rows, rows[-1]]),
    "a day over another": lambda s: s.put_rows(lambda rows: [*rows[: s.day], rows[s.day - 1], *rows[s.day + 1 :]]),
    "days in reverse": lambda s: s.put_rows(lambda rows: rows[::-1]),
    "days shifted by one": lambda s: s.put_document(
        SageMakerOutput=replace(s.run, run_date=s.run.run_date.replace(day=21)).answer(s.item)
    ),
    "last week's forecast": lambda s: s.put_document(
        SageMakerOutput=replace(s.run, run_date=s.run.run_date.replace(day=15)).answer(s.item)
    ),
    "a date in another format": lambda s: s.put_in_row(date="11/23/2026"),
    "a date at noon": lambda s: s.put_in_row(date=s.run.dates()[s.day] + "T12:00:00"),
    "a date as a number": lambda s: s.put_in_row(date=1_795_392_000),
    "no date": lambda s: s.put_in_row(date=...),
    "no value": lambda s: s.put_in_row(daily_sales=...),
    "value null": lambda s: s.put_in_row(daily_sales=None),
    "value as text": lambda s: s.put_in_row(daily_sales="12.5"),
    "value true": lambda s: s.put_in_row(daily_sales=True),
    "value in a list": lambda s: s.put_in_row(daily_sales=[12.5]),
    "value NaN": lambda s: s.put_in_row(daily_sales=float("nan")),
    "value infinite": lambda s: s.put_in_row(daily_sales=float("inf")),
    "value beyond a double": lambda s: s.put_in_row(daily_sales=10**400),
    "value below the minimum": lambda s: s.put_in_row(daily_sales=-0.001),
}

HARMLESS: dict[str, Corruption] = {
    "nothing": lambda _: None,
    "no newline at the end": lambda s: s.outputs.update({s.shard: s.outputs[s.shard].rstrip(b"\n")}),
    "blank lines between records": lambda s: s.outputs.update({s.shard: s.outputs[s.shard].replace(b"\n", b"\n\n")}),
    "Windows line ends": lambda s: s.outputs.update({s.shard: s.outputs[s.shard].replace(b"\n", b"\r\n")}),
    "documents without a line end": lambda s: s.outputs.update({s.shard: s.outputs[s.shard].replace(b"\n", b"")}),
    "keys in another order": lambda s: s.put_line(
        json.dumps({"item_id": s.item, "SageMakerOutput": s.run.answer(s.item)}, indent=None).encode()
    ),
    "an unknown key in the answer": lambda s: s.put_document(SageMakerOutput={**s.run.answer(s.item), "took": 0.1}),
    "time stamps at midnight": lambda s: s.put_in_row(date=s.run.dates()[s.day] + "T00:00:00"),
    "whole numbers": lambda s: s.put_in_row(daily_sales=3),
}


def decided(tmp_path: Path, corruption: Corruption, seed: int) -> tuple[dict[str, Any], SampleRun]:
    run = SampleRun(root=tmp_path / str(seed))
    scene = Scene(run, seed)
    corruption(scene)
    for name, data in scene.outputs.items():
        run.put_output(name, data)
    return run.step(max_failed_percent=0.0), run


@pytest.mark.parametrize("kind", STRUCTURAL)
def test_a_structural_corruption_is_never_published(tmp_path: Path, kind: str) -> None:
    for seed in range(3):
        report, run = decided(tmp_path, STRUCTURAL[kind], seed)
        assert report["outcome"] in ("RETRY", "HELD"), seed
        assert published_objects(run.store) == {}
        assert report["mismatches"] or report["failed"]
        if report["outcome"] == "HELD":
            assert report["cause"]


@pytest.mark.parametrize("kind", HARMLESS)
def test_what_is_no_corruption_raises_no_alarm(tmp_path: Path, kind: str) -> None:
    report, _ = decided(tmp_path, HARMLESS[kind], 0)
    assert (report["outcome"], report["flags"]) == ("COMPLETE", [])


# --- what only looks wrong

ITEMS, DAYS = 400, 31


def weekly_sales(chance: np.random.Generator) -> tuple[Array, Comparison]:
    """Forecasts and naive of a mixed assortment: fast sellers, slow ones, some that have stopped."""
    level = np.concatenate([chance.lognormal(3, 1, ITEMS // 2), chance.uniform(0.05, 1.5, ITEMS // 2)])
    level[::25] = 0.0
    weekday = 1 + 0.5 * np.sin(np.arange(DAYS + 28) * 2 * np.pi / 7 + chance.uniform(0, 6, (ITEMS, 1)))
    expected = level[:, None] * weekday
    history = chance.poisson(expected[:, :28]).astype(float)
    naive = np.tile(history[:, 21:], 5)[:, :DAYS]
    forecast = np.maximum(0, expected[:, 28:] * chance.normal(1, 0.1, (ITEMS, DAYS)))
    forecast[1::25] = np.round(forecast[1::25])  # some models answer in whole numbers
    scale = history.mean(axis=1)
    actual = np.full((ITEMS, DAYS, 1), np.nan)
    before, naive = history[:, :, None], naive[:, :, None]
    compared = Comparison(naive=naive, actual=actual, scale=scale[:, None], before=before, season=7)
    return forecast[:, :, None], compared


def flagged(values: Array, compared: Comparison, last: Array | None = None) -> list[tuple[str, str]]:
    names = [f"i{number:03d}" for number in range(ITEMS)]
    nothing = np.full_like(values, np.nan)
    found = find_flags(names, values, compared, nothing if last is None else last[:, None], ["sales"])
    return [(flag.kind, flag.item_id) for flag in found]


def test_a_clean_assortment_raises_no_flag() -> None:
    for seed in range(50):
        values, compared = weekly_sales(np.random.default_rng(seed))
        last = np.abs(values).mean(axis=1) * np.random.default_rng(seed + 1).uniform(0.7, 1.4, (ITEMS, 1))
        assert flagged(values, compared, last) == [], seed


def another_items(values: Array, at: int, chance: np.random.Generator) -> None:
    values[at] = values[(at + chance.integers(1, ITEMS)) % ITEMS]


def zeros(values: Array, at: int, chance: np.random.Generator) -> None:
    values[at] = 0.0


def hundredfold(values: Array, at: int, chance: np.random.Generator) -> None:
    values[at] *= 100


def hundredth(values: Array, at: int, chance: np.random.Generator) -> None:
    values[at] /= 100


def double(values: Array, at: int, chance: np.random.Generator) -> None:
    values[at] *= 2


def other_day_order(values: Array, at: int, chance: np.random.Generator) -> None:
    values[at] = chance.permutation(values[at])


# The share of items for which the damage is flagged, at least and at most. What is at most 0 cannot be told from a
# forecast that is merely another one.
SEMANTIC: dict[str, tuple[Callable[[Array, int, np.random.Generator], None], float, float]] = {
    "another item's forecast": (another_items, 0.93, 1.0),
    "nothing but zeros": (zeros, 0.5, 0.6),
    "hundred times too much": (hundredfold, 0.97, 1.0),
    "a hundredth": (hundredth, 0.97, 1.0),
    "twice too much": (double, 0.0, 0.02),
    "days in another order": (other_day_order, 0.0, 0.0),
}


@pytest.mark.parametrize("kind", SEMANTIC)
def test_the_share_of_semantic_damage_that_is_flagged(kind: str) -> None:
    damage, least, most = SEMANTIC[kind]
    caught = tried = 0
    for seed in range(4):
        chance = np.random.default_rng(seed)
        clean, compared = weekly_sales(chance)
        for at in range(0, ITEMS, 4):
            values = clean.copy()
            damage(values, at, chance)
            if not np.array_equal(values, clean):
                tried += 1
                caught += any(item == f"i{at:03d}" for _, item in flagged(values, compared))
    assert least <= caught / tried <= most, f"{caught} of {tried}"


def test_a_level_far_from_the_last_published_run_is_flagged() -> None:
    values, compared = weekly_sales(np.random.default_rng(1))
    last = np.abs(values).mean(axis=1)
    last[7] *= 20
    assert flagged(values, compared, last) == [("last_run_scale", "i007")]


def test_the_documentation_counts_what_is_tested_here() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "results.md").read_text(encoding="utf-8")
    assert f"damages outputs in {len(STRUCTURAL)} structural ways" in page
    assert f"{len(HARMLESS)} harmless ones raise no alarm" in page
    for column in forecast_schema(["sales"]).names:
        assert f"`{column}`" in page or column == "sales"


def test_a_first_run_is_held_by_what_the_history_contradicts() -> None:
    values, compared = weekly_sales(np.random.default_rng(1))
    swing = 1 + 0.5 * np.sin(np.arange(DAYS) * 2 * np.pi / 7)[:, None]  # one week for all items, so that totals move
    week = compared.scale[:, None] * swing
    compared = replace(compared, naive=week, before=week[:, :28])
    values = np.maximum(week * np.random.default_rng(2).normal(1, 0.1, values.shape), 0)
    chance = np.random.default_rng(3)
    some = chance.random((ITEMS, 1, 1)) < 0.2
    held = {
        "clean": (values, set()),
        "half as much again": (values * 1.5, {"history_level"}),
        "a day early": (np.roll(values, -1, axis=1), {"history_shape"}),
        "a day late": (np.roll(values, 1, axis=1), {"history_shape"}),
        "another item's": (chance.permutation(values, axis=0), {"history_items"}),
        "a part of the items": (np.where(some, values * 0, values), {"history_items"}),
    }
    past = Past(run=None, by_date=np.full_like(values, np.nan), by_step=np.full_like(values, np.nan))
    for name, (damaged, kinds) in held.items():
        measured = measure_run(damaged, compared, past, ["sales"])
        found = gate_flags(measured, damaged, past, [str(item) for item in range(ITEMS)], ["sales"])
        assert kinds <= {flag.kind for flag in found}, name
        assert kinds or not found, name


@pytest.mark.parametrize("season", [1, 7])
def test_a_first_run_that_moves_as_the_history_does_by_chance_is_held(season: int) -> None:
    chance = np.random.default_rng(5)
    level = chance.uniform(20, 200, (ITEMS, 1)) * (1 + 0.3 * np.sin(np.arange(84) * 2 * np.pi / max(season, 2)))
    sold = level * chance.normal(1, 0.25, level.shape).clip(0.2)
    forecasts = {
        "an expectation": (level[:, 56:], False),
        "an expectation, a tenth off": (level[:, 56:] * chance.normal(1, 0.1, (ITEMS, 28)), False),
        "noise of 50 %": (level[:, 56:] * chance.normal(1, 0.5, (ITEMS, 28)).clip(0), True),
        "the actual values": (sold[:, 56:], True),
    }
    for name, (values, held) in forecasts.items():
        assert (restlessness(values, sold[:, :56], season)["restless"] > 0.6) == held, name
