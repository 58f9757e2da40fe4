"""`forecast`: the records of the weekly run, sent one by one; and an answer that is worth looking at."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from emulated_endpoint import Emulated, answer_after
from emulators.async_inference.endpoint import ModelAnswer
from memory_store import MemoryStore
from naive_model import naive_server
from rich.console import Console

from batchcast.cli.main import root
from batchcast.local.sample import SAMPLE, SAMPLE_RUN_DATE, bakery_records
from batchcast.serving.adhoc.history_rows import copy_items
from batchcast.serving.adhoc.plot import PlottedForecast, forecast_page, terminal_plot, week_table
from batchcast.serving.adhoc.records import build_records
from batchcast.serving.adhoc.request import follow_request, send
from batchcast.serving.endpoint.settings import MAX_INLINE_BYTES
from batchcast.steps.contract.model_contract import parse_contract
from batchcast.steps.errors import ConfigError, DataError, ModelError, ServiceError
from batchcast.steps.store.objects import DirectoryStore

pytestmark = pytest.mark.usefixtures("started_warm")

ITEMS = ["17/101", "45/110"]
CONTRACT = (SAMPLE / "model.toml").read_bytes()


def built(items: list[str], history: Path = SAMPLE / "history", run_date: str = SAMPLE_RUN_DATE) -> Any:
    return build_records(items, history=str(history), contract=CONTRACT, run_date=run_date, forecast_horizon=31)


@pytest.fixture(scope="module")
def weekly() -> dict[str, bytes]:
    """The records of the sample's weekly run."""
    return {json.loads(record)["item_id"]: record for record in bakery_records()}


def test_a_record_is_byte_for_byte_that_of_the_weekly_run(weekly: dict[str, bytes]) -> None:
    found = built(ITEMS)
    assert [record.item_id for record in found.records] == ITEMS
    assert [record.body for record in found.records] == [weekly[item] for item in ITEMS]


@pytest.fixture
def bucket(tmp_path: Path) -> DirectoryStore:
    """A store whose bucket `history` is the bakery's."""
    store = DirectoryStore(tmp_path / "s3")
    store.root.mkdir()
    (store.root / "history").symlink_to(SAMPLE / "history")
    return store


def test_so_is_one_of_a_history_on_s3_of_which_only_the_items_are_read(
    weekly: dict[str, bytes], bucket: DirectoryStore, tmp_path: Path
) -> None:
    contract = parse_contract(CONTRACT, where="model.toml")
    copy_items(bucket, None, "s3://history/", tmp_path / "history", ITEMS, contract)
    folders = (SAMPLE / "history", tmp_path / "history")
    every, some = (sum(pq.read_metadata(path).num_rows for path in folder.rglob("*.parquet")) for folder in folders)
    assert some < every / 10
    found = build_records(
        ITEMS,
        history="s3://history/",
        contract=CONTRACT,
        run_date=SAMPLE_RUN_DATE,
        forecast_horizon=31,
        objects=(bucket, None),
    )
    assert [record.body for record in found.records] == [weekly[item] for item in ITEMS]


def test_items_that_are_named_by_directories_are_found(tmp_path: Path) -> None:
    for store in ("a b", "c"):
        folder = tmp_path / "s3" / "lake" / f"store={store.replace(' ', '%20')}"
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"product": [1, 2], "sales": [1.0, 2.0]}), folder / "part.parquet")
    contract = parse_contract(CONTRACT, where="model.toml")
    copy_items(DirectoryStore(tmp_path / "s3"), None, "s3://lake", tmp_path / "copy", ["a b/2"], contract)
    found = {
        path.parent.name: pq.ParquetFile(path).read().to_pylist() for path in (tmp_path / "copy").rglob("*.parquet")
    }
    assert found == {"store=a%20b": [{"product": 2, "sales": 2.0}], "store=c": []}


def test_what_it_is_plotted_with_is_the_history_up_to_the_run_date_and_the_actuals_after_it() -> None:
    (record,) = built(ITEMS[:1]).records
    run_date = date.fromisoformat(SAMPLE_RUN_DATE)
    assert max(record.history) == run_date
    assert min(record.actual) == run_date + timedelta(days=1)
    assert record.naive[run_date + timedelta(days=1)] == record.history[run_date - timedelta(days=6)]


def test_an_unknown_item_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="nearest"):
        built(["17/9999"])


def test_an_item_that_the_weekly_run_would_quarantine_is_refused_with_the_reason() -> None:
    with pytest.raises(DataError, match="too_short"):
        built(ITEMS[:1], run_date="2016-01-05")


# --- the command


def forecast(*arguments: str) -> Result:
    return CliRunner().invoke(root, ["forecast", *arguments])


def test_the_command_sends_the_record_and_prints_a_plot_and_the_weeks(weekly: dict[str, bytes], tmp_path: Path) -> None:
    page, picture = tmp_path / "new" / "page.html", tmp_path / "new" / "picture.png"
    with naive_server() as (url, seen):
        ended = forecast("17/101", "--model-url", url, "--html", str(page), "--png", str(picture))
    assert ended.exit_code == 0, ended.output
    assert f"Forecast by {url}; history up to 30 Mar 2019." in ended.stdout
    assert f"Page: {page}\nPicture: {picture}\n" in ended.stderr
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert seen == [weekly["17/101"]]
    assert "17/101  sales, 31 Mar 2019 to 30 Apr 2019" in ended.stdout
    assert any("⠁" <= character <= "⣿" for character in ended.stdout)
    assert "WAPE" in ended.stdout
    assert "Week of" in ended.stdout
    assert page.read_text().count("<svg") == 1


def test_json_has_every_day(tmp_path: Path) -> None:
    with naive_server() as (url, _):
        ended = forecast("17/101", "--model-url", url, "--horizon", "7", "--json")
    (item,) = json.loads(ended.stdout)["items"]
    assert list(item["forecast"]) == [f"2019-{day}" for day in ("03-31", *(f"04-0{n}" for n in range(1, 7)))]


@pytest.mark.parametrize("server", [{"status": 500}, {"broken": True}])
def test_a_model_that_fails_ends_with_its_exit_code(server: dict[str, Any]) -> None:
    with naive_server(**server) as (url, _):
        ended = forecast("17/101", "--model-url", url)
    assert isinstance(ended.exception, ModelError)
    assert "17/101" in str(ended.exception)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--model-url", "http://x", "--endpoint", "y"],
        ["--history", str(SAMPLE / "history")],
        ["--model-url", "http://x", "--no-wait"],
        ["--ttl", "60"],
        ["--model", "m"],
        ["--endpoint", "y", "--workspace", "."],
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments: list[str]) -> None:
    assert isinstance(forecast("17/101", *arguments).exception, ConfigError)


def test_a_file_that_could_not_be_written_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for option in ("--html", "--png"):
        with naive_server() as (url, seen):
            ended = forecast("17/101", "--model-url", url, option, str(tmp_path / "file" / "x"))
        assert (ended.exit_code, seen) == (2, [])
        assert "no directory that can be written to" in ended.output


def test_items_keep_the_order_in_which_they_were_asked_for() -> None:
    assert [record.item_id for record in built(ITEMS[::-1]).records] == ITEMS[::-1]


def test_a_workspace_without_a_run_is_named(tmp_path: Path) -> None:
    problem = forecast("17/101", "--workspace", str(tmp_path)).exception
    assert isinstance(problem, ConfigError)
    assert f"[no_run] {tmp_path}: pipeline batchcast has no run there" in str(problem)


# --- through the asynchronous endpoint


def through(emulated: Emulated, body: bytes, ttl: int = 21_600) -> bytes:
    settings = emulated.deploy()
    emulated.fall_asleep()
    request = send(body, settings, emulated.client, emulated.store, ttl=ttl, timeout=900, now=emulated.now())
    return follow_request(request, emulated.store, now=emulated.now, sleep=emulated.sleep)


def test_a_sleeping_endpoint_answers_in_about_ten_minutes() -> None:
    emulated = Emulated(answer_after(30, b'{"item_id":"a"}'))
    began = emulated.now()
    assert through(emulated, b"{}") == b'{"item_id":"a"}'
    assert 9 * 60 < emulated.now() - began - 3600 - 420 < 13 * 60


def test_a_long_record_is_sent_by_its_place() -> None:
    seen: list[int] = []

    def model(body: bytes, _: Any) -> ModelAnswer:
        seen.append(len(body))
        return ModelAnswer(body=b"{}", seconds=1)

    emulated = Emulated(model)
    through(emulated, b"x" * MAX_INLINE_BYTES)
    assert not [uri for uri in emulated.store.objects if "/inputs/" in uri]
    emulated = Emulated(model)
    through(emulated, b"x" * (MAX_INLINE_BYTES + 1))
    assert len([uri for uri in emulated.store.objects if "/inputs/" in uri]) == 1
    assert seen == [MAX_INLINE_BYTES, MAX_INLINE_BYTES + 1]


def test_a_failure_is_told_in_the_words_of_the_model() -> None:
    emulated = Emulated(lambda _, __: ModelAnswer(body=b"no such store", seconds=1, status=400))
    with pytest.raises(ModelError, match="no such store"):
        through(emulated, b"{}")


def test_a_request_that_expires_without_a_trace_is_given_up_after_its_deadline() -> None:
    emulated = Emulated(answer_after(1), expiry_is_told=False)
    with pytest.raises(ServiceError, match="request_expired"):
        through(emulated, b"{}", ttl=60)


# --- the plot


def plotted(**changes: Any) -> PlottedForecast:
    first = date(2026, 11, 23)
    given: dict[str, Any] = {
        "item_id": "a",
        "target": "sales",
        "history": {first - timedelta(days=number): 10.0 + number % 7 for number in range(1, 100)},
        "forecast": {first + timedelta(days=number): 12.0 for number in range(31)},
        "naive": {},
        "actual": {},
    }
    return PlottedForecast(**{**given, **changes})


def test_a_line_parts_history_and_forecast_also_without_colours() -> None:
    lines = terminal_plot(plotted(), 80).plain.splitlines()[:-1]
    (place,) = {line.index("┊") for line in lines if "┊" in line}
    assert sum("┊" in line for line in lines) >= 6
    assert place == pytest.approx(80 * 56 / 87, abs=6)


@pytest.mark.parametrize("width", [40, 80, 110])
def test_the_plot_is_as_wide_as_it_may_be(width: int) -> None:
    lines = terminal_plot(plotted(), width).plain.splitlines()
    assert max(map(len, lines)) <= width
    assert {len(line) for line in lines[:-1]} == {max(map(len, lines[:-1]))}


def test_forecasts_of_nothing_and_without_a_history_are_plotted_too() -> None:
    days = [date(2026, 11, 23) + timedelta(days=number) for number in range(3)]
    assert terminal_plot(plotted(forecast=dict.fromkeys(days, 0.0), history={}), 60).plain
    assert "<svg" in forecast_page([plotted(forecast=dict.fromkeys(days, 0.0), history={})], "Forecast by nobody.")


def test_weeks_add_up() -> None:
    console = Console(width=120)
    with console.capture() as captured:
        console.print(week_table(plotted()))
    rows = captured.get().splitlines()
    assert rows[1].split()[-1] == "84.0"
    assert rows[-1].split()[-1] == "36.0"


@pytest.mark.parametrize("name", ["../../out.parquet", "a/../../../out.parquet"])
def test_a_key_of_the_history_does_not_lead_out_of_its_folder(tmp_path: Path, name: str) -> None:
    store = MemoryStore()
    store.write(f"s3://lake/history/{name}", b"")
    with pytest.raises(ConfigError, match="cannot hold the key"):
        copy_items(store, None, "s3://lake/history/", tmp_path / "a" / "b", ["2/1"], parse_contract(CONTRACT))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", [lambda data: data[:200], lambda data: data[:-9] + data[-8:], lambda _: b""])
def test_a_damaged_file_of_the_history_is_named(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    store = DirectoryStore(tmp_path / "s3")
    sink = io.BytesIO()
    pq.write_table(pa.table({"store": [2], "product": [1]}), sink)
    store.write("s3://lake/history/f.parquet", damage(sink.getvalue()))
    with pytest.raises(DataError, match=r"s3://lake/history/f\.parquet: cannot be read"):
        copy_items(store, None, "s3://lake/history/", tmp_path / "copy", ["2/1"], parse_contract(CONTRACT))
