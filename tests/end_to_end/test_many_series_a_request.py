"""Several series a request: what a bad one costs, and what a person sees of it."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from many_series import CONTRACT, DAYS, LAST_DAY, SERVER, STEPS, item_name, many_rows, run_many, write_rows
from tuning_document import write_tuning_document
from two_steps import PUBLISH, RUNS, TwoSteps

from batchcast.engine.server.model_server import ModelCommand, ModelUrl
from batchcast.runs.published import read_forecasts
from batchcast.session.workspace_models import served_model
from batchcast.steps.outcome.ledger import read_ledger

ITEMS, TOGETHER, POISON = 10_000, 64, 4_711
REQUESTS = -(-ITEMS // TOGETHER)


@pytest.fixture(scope="module")
def model_url() -> Iterator[str]:
    with served_model(ModelCommand(command=f"{SERVER} {{port}}")) as url:
        yield url


def test_one_bad_series_in_ten_thousand_costs_itself_and_the_requests_that_are_stated(
    tmp_path: Path, model_url: str
) -> None:
    history = write_rows(tmp_path / "history", many_rows(ITEMS, frozenset({POISON})))
    alone = {"RecordsPerShard": TOGETHER, "MaxFailedRecords": 1}
    # What was measured takes the place of what the contract says.
    tuned = write_tuning_document(tmp_path / "tuning.json", where="local", items_per_request=TOGETHER)
    run = run_many(tmp_path, history, CONTRACT.format(items=16), model_url, tuned, **alone)
    assert run.document["outcome"] == "COMPLETE_WITH_QUARANTINE", run.document["cause"]
    assert run.forecasts == {item_name(n): [float(n)] * STEPS for n in range(ITEMS) if n != POISON}

    lost = [row for row in run.ledger if row.status != "ok"]
    assert [(row.item_id, row.reason, row.round) for row in lost] == [(item_name(POISON), "no_answer_after_retry", 1)]
    assert "a value is negative" in lost[0].detail

    spent = {(row.shard, row.line) for row in run.ledger if row.round}
    assert len(spent) == TOGETHER
    assert run.document["requests"] == {"first": REQUESTS, "retry": TOGETHER}
    assert run.requests == [f"Requests:  {REQUESTS}, and {TOGETHER} more in the retry round"]

    first, retry = run.seen["Transform"], run.seen["TransformRetry"]
    assert (first.records_total, retry.records_total) == (ITEMS, TOGETHER)
    assert (retry.records_done, retry.files_done) == (TOGETHER - 1, TOGETHER)
    assert ITEMS - TOGETHER - REQUESTS < first.records_done < ITEMS


FEW, RUN = 24, "run1"
REASONS = {-1.0: "no_answer_after_retry", -2.0: "error_answer"}
WAYS = st.fixed_dictionaries(
    {
        "files": st.integers(1, 3),
        "order": st.randoms(use_true_random=False),
        "items_per_request": st.integers(1, 7),
        "travel": st.sampled_from(["", 'pairing = "position"', 'mode = "object"']),
        "per_shard": st.integers(0, FEW),
        "instances": st.integers(1, 3),
        "concurrency": st.integers(1, 4),
        "worth": st.sampled_from(sorted(REASONS)),
    }
)


def cut_run(root: Path, model_url: str, bad: frozenset[int], way: dict[str, Any]) -> TwoSteps:
    """A run to its end, of the same rows in any order, cut into files, shards and requests in any way."""
    rows, places = many_rows(FEW, bad, way["worth"]), list(range(FEW * DAYS))
    way["order"].shuffle(places)
    contract = CONTRACT.format(items=way["items_per_request"]).replace("[request]", f"[request]\n{way['travel']}")
    run = TwoSteps(root, contract=contract)
    (root / "history" / "sales.parquet").unlink()
    write_rows(root / "history", *(rows.take(places[number :: way["files"]]) for number in range(way["files"])))
    sizes = {
        "transform_instance_count": way["instances"],
        "max_concurrent_transforms": way["concurrency"],
        "records_per_shard": way["per_shard"],
    }
    assert run.build(RUN, run_date=LAST_DAY, forecast_horizon=STEPS, **sizes) == 0
    tolerated = {"max_failed_records": 3, "max_retry_records": 10_000, "systemic_failure_percent": 20.0}
    for number in (0, 1):
        model = ModelUrl(url=model_url)
        run.transform_on_engine(RUN, number, model, instances=way["instances"], concurrency=way["concurrency"])
        if run.publish(RUN, number, **tolerated)["outcome"] != "RETRY":
            break
    return run


# A request of seven that one bad series spoils is no 29 % of bad series.
SPOILED = {"files": 1, "order": random.Random(0), "items_per_request": 7, "travel": "", "per_shard": 0}


@settings(max_examples=20)
@example(bad=frozenset({3}), way={**SPOILED, "instances": 1, "concurrency": 1, "worth": -2.0})
@given(bad=st.frozensets(st.integers(0, FEW - 1), max_size=3), way=WAYS)
def test_no_way_of_cutting_a_run_changes_what_is_published(
    model_url: str, bad: frozenset[int], way: dict[str, Any]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = cut_run(Path(folder), model_url, bad, way).store
        frame = read_forecasts(PUBLISH, store=store)
        ledger = read_ledger(store.path(f"{RUNS}{RUN}/report/ledger.parquet"))
    published = {item: rows["sales"].tolist() for item, rows in frame.groupby("item_id")}
    assert published == {item_name(n): [float(n)] * STEPS for n in range(FEW) if n not in bad}
    lost = {item_name(n): ("failed", REASONS[way["worth"]]) for n in bad}
    expected = {item_name(n): ("ok", "") for n in range(FEW)} | lost
    assert {row.item_id: (row.status, row.reason) for row in ledger} == expected
