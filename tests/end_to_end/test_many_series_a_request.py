"""Several series a request: what a bad one costs, and what a person sees of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from many_series import CONTRACT, SERVER, STEPS, item_name, many_rows, run_many, write_rows

from batchcast.engine.server.model_server import ModelCommand
from batchcast.session.workspace_models import served_model

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
    run = run_many(tmp_path, history, CONTRACT.format(items=TOGETHER), model_url, **alone)
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
