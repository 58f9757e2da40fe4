"""What a finished run on this machine is good for between the weeks: single forecasts, and the proof of parity."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from bakery_run import MODEL, EndedRun, expected_forecasts, run_bakery
from command import Ended
from last_week_model import Handler

from batchcast.local.run import LOCAL_DEFAULTS


@pytest.fixture
def ended(tmp_path: Path, history: Path) -> EndedRun:
    """A run of the small bakery in `workspace`."""
    run = run_bakery(tmp_path / "workspace", history)
    declared = f"[{LOCAL_DEFAULTS['ModelName']}]\ncommand = {json.dumps(MODEL.command)}\n"
    (tmp_path / "workspace" / "models.toml").write_text(declared)
    return run


@pytest.fixture
def url() -> Iterator[str]:
    """The model of the run, as an endpoint."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_single_items_are_forecast_as_the_run_forecast_them(
    ended: EndedRun, run_pipeline: Callable[..., Ended], tmp_path: Path
) -> None:
    items = ["3/110", "2/101"]
    told = run_pipeline("forecast", *items, "--workspace", "workspace", "--png", "plots/items.png", "--json")
    assert told.exit_code == 0, told.stderr
    assert told.document["source"] == f"Forecast by model {LOCAL_DEFAULTS['ModelName']}; history up to 30 Mar 2019."
    found = {each["item_id"]: list(each["forecast"].values()) for each in told.document["items"]}
    assert list(found) == items
    assert found == expected_forecasts(items)
    published = ended.forecasts
    for item in items:
        assert published[published["item_id"] == item]["sales"].tolist() == found[item]
    assert (tmp_path / "plots" / "items.png").read_bytes().startswith(b"\x89PNG")


def test_parity_compares_the_run_with_an_endpoint_in_strata_of_the_runs_own_contract_file(
    ended: EndedRun, run_pipeline: Callable[..., Ended], url: str
) -> None:
    options = ("--against", ended.run_id, "--workspace", "workspace", "--html", "parity.html", "--json")
    same = run_pipeline("parity", "--model-url", url, *options)
    assert same.exit_code == 0, same.stderr
    assert (same.document["match"], same.document["records"]) == (True, 12)
    assert same.document["strata"] == {"with events ahead": 12}
    output = ended.path("output", "r0", "part-00000.jsonl.out")
    output.write_bytes(output.read_bytes().replace(b'"daily_sales":', b'"daily_sales":1'))
    other = run_pipeline("parity", "--model-url", url, *options)
    assert other.exit_code == 4
    assert {each["kind"] for each in other.document["differences"]} == {"value"}
