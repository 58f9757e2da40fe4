"""A run of a few items of the date that readers see: all that they see is published, with these items replaced."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from failing_store import Crash, FailingStore
from sample_run import PUBLISH, RUN_DATE, SampleRun, published_objects

from batchcast.runs.published import list_published, prune, read_forecasts, rollback
from batchcast.steps.answers.item_arrays import arrays_in
from batchcast.steps.publish.forecast_table import ForecastRows, forecast_table, moment_array
from batchcast.steps.publish.merged_rows import fill_up, replace_items
from batchcast.steps.store.objects import DirectoryStore

FIRST, SECOND, THIRD = "runaaaaaaaaa", "runbbbbbbbbb", "runccccccccc"


@pytest.fixture
def whole(tmp_path: Path) -> SampleRun:
    """Twelve items, published."""
    run = SampleRun(root=tmp_path)
    run.transform()
    run.step()
    return run


def few(root: Path, run_id: str, places: slice, **options: Any) -> SampleRun:
    """Some of the items, of twice the level."""
    items = SampleRun(root=root, run_id="unused000000").items[places]
    run = SampleRun(root=root, run_id=run_id, items=items, items_uri="s3://bucket/few.txt", level=20.0, **options)
    run.transform()
    return run


def seen(store: DirectoryStore) -> tuple[str, dict[str, str], dict[str, float]]:
    """What readers see: the run, and of each item the run that has answered and the first value."""
    frame = read_forecasts(PUBLISH, store=store)
    assert (frame.groupby("item_id").size() == 7).all()
    assert frame[["item_id", "step"]].equals(frame[["item_id", "step"]].sort_values(["item_id", "step"]))
    first = frame[frame["step"] == 1].set_index("item_id")
    sources = first["source_run_id"].astype(object).fillna(frame.attrs["run_id"])
    return frame.attrs["run_id"], sources.to_dict(), first["sales"].to_dict()


def test_three_items_are_replaced_and_the_others_stay_as_they_were(whole: SampleRun) -> None:
    _, _, before = seen(whole.store)
    run = few(whole.root, SECOND, slice(0, 3))
    report = run.step(systemic_failure_percent=20.0)
    assert (report["outcome"], report["pointer_moved"]) == ("COMPLETE", True)
    assert report["merged"] == {"run_id": FIRST, "replaced": 3, "items": 12}
    assert (
        "3 of 12 items are replaced in the forecasts of run runaaaaaaaaa" in run.report_file("report.html").read_text()
    )
    current, sources, values = seen(whole.store)
    assert current == SECOND
    assert sources == {item: SECOND if item in run.items else FIRST for item in whole.items}
    assert values == before | {item: run.values(item)[0] for item in run.items}
    newest = list_published(PUBLISH, store=whole.store)[-1]
    assert (newest.run_id, newest.items, newest.rows, newest.outcome) == (SECOND, 12, 12 * 7, "COMPLETE")


def test_a_merge_of_a_merge_can_be_rolled_back_one_by_one(whole: SampleRun) -> None:
    few(whole.root, SECOND, slice(0, 3)).step()
    few(whole.root, THIRD, slice(2, 4)).step()
    _, sources, _ = seen(whole.store)
    assert Counter(sources.values()) == {FIRST: 8, SECOND: 2, THIRD: 2}
    for run_id, counts in ((SECOND, {FIRST: 9, SECOND: 3}), (FIRST, {FIRST: 12})):
        assert rollback(PUBLISH, store=whole.store).run_id == run_id
        current, sources, _ = seen(whole.store)
        assert (current, Counter(sources.values())) == (run_id, counts)


def test_an_item_without_a_new_forecast_keeps_the_one_it_has(whole: SampleRun) -> None:
    run = few(whole.root, SECOND, slice(0, 3))
    bad = run.items[1]
    for name, items in run.shards.items():
        lines = [run.output_line(item, {"error": "no"} if item == bad else None) for item in items]
        run.put_output(name, b"".join(line + b"\n" for line in lines))
    report = run.step(max_failed_records=1)
    assert (report["outcome"], report["counts"]["failed"]) == ("COMPLETE_WITH_QUARANTINE", 1)
    _, sources, _ = seen(whole.store)
    assert sources[bad] == FIRST
    manifest = json.loads(whole.store.read(f"{PUBLISH}forecasts/run_date={RUN_DATE}/run_id={SECOND}/_MANIFEST.json"))
    assert (manifest["outcome"], manifest["counts"]["ok"], manifest["without_forecast"]) == ("COMPLETE", 12, [])


def test_an_item_that_had_none_is_added_and_the_other_stays_named_as_without(tmp_path: Path) -> None:
    names = SampleRun(root=tmp_path, run_id="unused000000").items
    lost = {names[0]: "too_short", names[5]: "too_short"}
    first = SampleRun(root=tmp_path, items=[item for item in names if item not in lost], quarantined=lost)
    first.transform()
    first.step(max_failed_records=2)
    few(tmp_path, SECOND, slice(0, 2)).step()
    _, sources, _ = seen(first.store)
    assert (len(sources), sources[names[0]]) == (11, SECOND)
    manifest = json.loads(first.store.read(f"{PUBLISH}forecasts/run_date={RUN_DATE}/run_id={SECOND}/_MANIFEST.json"))
    assert [row["item_id"] for row in manifest["without_forecast"]] == [names[5]]
    assert manifest["outcome"] == "COMPLETE_WITH_QUARANTINE"
    counts = {"expected": 12, "ok": 11, "quarantined": 1, "failed": 0, "missing": 0, "carried": 9}
    assert manifest["counts"] == counts


@pytest.mark.parametrize("change", [{"days": 6}, {"run_date": RUN_DATE + timedelta(days=7)}])
def test_a_run_of_another_horizon_or_date_is_not_mixed_with_the_other(whole: SampleRun, change: dict[str, Any]) -> None:
    report = few(whole.root, SECOND, slice(0, 3), **change).step(systemic_failure_percent=20.0)
    assert (report["merged"], report["pointer_moved"]) == (None, False)
    assert seen(whole.store)[0] == FIRST


def test_a_damaged_file_is_mixed_with_nothing(whole: SampleRun, capsys: pytest.CaptureFixture[str]) -> None:
    uri = f"{PUBLISH}forecasts/run_date={RUN_DATE}/run_id={FIRST}/part-00000.parquet"
    data = whole.store.read(uri)
    whole.store.write(uri, data[:-1] + b"x")
    report = few(whole.root, SECOND, slice(0, 3)).step(systemic_failure_percent=20.0)
    assert (report["merged"], report["pointer_moved"]) == (None, False)
    assert "is not what its manifest promises" in capsys.readouterr().err


def test_what_another_run_published_meanwhile_is_not_undone(whole: SampleRun) -> None:
    run = few(whole.root, SECOND, slice(0, 3))

    class Overtaken(FailingStore):
        def __getattr__(self, name: str) -> Any:
            if name == "list":  # a publication lists its folder after its files are there
                few(whole.root, THIRD, slice(4, 5)).step()
                self.list = self._store.list
            return super().__getattr__(name)

    report = run.step(store=Overtaken(whole.store))
    assert not report["pointer_moved"]
    assert f"latest.json stays at run {THIRD}, and this run is merged with {FIRST}" in report["pointer_note"]
    assert seen(whole.store)[0] == THIRD


@pytest.mark.parametrize("after", [False, True])
def test_a_merge_that_is_killed_at_any_call_leaves_all_or_nothing_of_it(
    whole: SampleRun, tmp_path: Path, after: bool
) -> None:
    counted: Any = FailingStore(whole.store)
    run, before = few(whole.root, SECOND, slice(0, 3)), seen(whole.store)
    saved = tmp_path / "saved"
    shutil.copytree(whole.store.root, saved)
    run.step(store=counted)
    expected, now = published_objects(whole.store), seen(whole.store)
    assert len(counted.operations) >= 8
    for at in range(len(counted.operations)):
        shutil.rmtree(whole.store.root)
        shutil.copytree(saved, whole.store.root)
        with pytest.raises(Crash):
            run.step(store=FailingStore(whole.store, at=at, after=after))
        assert seen(whole.store) in (before, now)
        run.step()
        assert published_objects(whole.store) == expected


def test_the_merge_stands_alone_when_the_run_it_was_made_from_is_pruned(whole: SampleRun) -> None:
    few(whole.root, SECOND, slice(0, 3)).step()
    later = SampleRun(root=whole.root, run_id=THIRD, run_date=RUN_DATE + timedelta(days=7))
    later.transform()
    later.step()
    rollback(PUBLISH, to=SECOND, store=whole.store)
    rollback(PUBLISH, to=THIRD, store=whole.store)
    assert [run.run_id for run in prune(PUBLISH, keep=2, store=whole.store)] == [FIRST]
    assert len(read_forecasts(PUBLISH, run_id=SECOND, store=whole.store)) == 12 * 7


def test_any_part_of_merged_rows_is_what_sorting_all_of_them_gives(tmp_path: Path) -> None:
    names = [f"i{number:03d}" for number in range(40)]
    targets, dates = ["sales"], ["2026-11-23", "2026-11-24", "2026-11-25"]
    mine = ForecastRows(
        item_ids=pa.chunked_array([names[:30]]),
        values=np.arange(30 * 3, dtype=float).reshape(30, 3, 1),
        places=np.array([3, 4, 11, 29]),
        dates=dates,
        targets=targets,
    )
    there = [name for name in names if name not in ("i004", "i017")]
    ids = pa.chunked_array([pa.array(there).take(pa.array(np.repeat(range(len(there)), 3)))])
    step = np.tile(np.arange(1, 4, dtype=np.int32), len(there))
    runs = pa.array(["one", "two", "three"]).take(pa.array(step - 1)).dictionary_encode()
    older = forecast_table(ids, step, {"sales": -1.0 * np.arange(len(step))}, moment_array(dates), "model", runs)
    kept = older.filter(pc.invert(pc.is_in(ids, pa.array([names[place] for place in mine.places]))))
    whole = pa.concat_tables([kept, mine.slice()]).sort_by([("item_id", "ascending"), ("step", "ascending")])
    with arrays_in(tmp_path):
        merged = replace_items((older.slice(at, 7) for at in range(0, len(older), 7)), mine, ["i004", "i005", "i017"])
    assert (merged.num_rows, merged.items, merged.named) == (len(whole), 35, {"i005"})
    for start in range(len(whole) + 1):
        for length in (None, 0, 1, 7, len(whole)):
            assert merged.slice(start, length).to_pylist() == whole.slice(start, length).to_pylist()


def test_the_words_of_a_column_are_there_once_however_many_parts_it_is_filled_up_from(tmp_path: Path) -> None:
    dates = ["2026-11-23"]
    ids = pa.chunked_array([["a", "b", "c", "d"]])
    mine = ForecastRows(item_ids=ids, values=np.ones((4, 1, 1)), places=np.array([1]), dates=dates, targets=["sales"])
    older = [
        pa.table({"item_id": [name], "forecast_date": moment_array(dates), "sales": [0.5], "source_run_id": [run]})
        for name, run in (("a", "y"), ("c", "x"), ("d", "y"))
    ]
    encoded = [each.set_column(3, "source_run_id", each["source_run_id"].dictionary_encode()) for each in older]
    with arrays_in(tmp_path):
        merged = fill_up(mine, pa.concat_tables(encoded))
    part = merged.slice(1, 2)
    assert part["source"].chunk(0).dictionary.to_pylist() == ["model", "carried_forward"]
    assert part["source_run_id"].chunk(0).dictionary.to_pylist() == ["y", "x"]
    assert part.select(["item_id", "source", "source_run_id"]).to_pylist() == [
        {"item_id": "b", "source": "model", "source_run_id": None},
        {"item_id": "c", "source": "carried_forward", "source_run_id": "x"},
    ]
