"""What the parity check finds, and what it lets pass: an endpoint on one side, a transform job on the other."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from contract_text import contract_text
from parity_model import Handler, answer_of, forecast_of

from batchcast.cli.main import root
from batchcast.serving.parity.page import parity_page
from batchcast.serving.parity.parity import NumberTolerance, Parity, compare_all, numbers_of
from batchcast.serving.parity.sample import SampledRecord, draw_shard_sample, open_line
from batchcast.serving.realtime import RealTimeAnswer
from batchcast.steps.contract.model_contract import parse_contract
from batchcast.steps.errors import ConfigError, DataError

ITEMS = [f"item-{number}" for number in range(6)]
CONTRACT = contract_text(
    '{"item_id": $item_id, "past": $history({"date": $date, "sales": $sales}), '
    '"ahead": $future({"date": $date, "promo": $promo})}',
    item_id=["store"],
    sales="forecast[*].daily_sales",
)


@pytest.fixture
def serve() -> Iterator[Callable[[str], str]]:
    """Start an endpoint in some mode; its URL."""
    servers = []

    def start(mode: str) -> str:
        handler = type("Moded", (Handler,), {"mode": mode})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def checked(url: str, mode: str, folder: Path, *more: str) -> Result:
    """Run the command: the endpoint at the URL against a batch server in that mode."""
    sample = folder / "records.jsonl"
    sample.write_text("".join(json.dumps({"item_id": item}) + "\n" for item in ITEMS))
    server = Path(__file__).with_name("parity_model.py")
    command = f"{sys.executable} {server} {{port}} {mode}"
    arguments = ["parity", "--model-url", url, "--model-command", command, "--sample", str(sample), "--json", *more]
    return CliRunner().invoke(root, arguments, catch_exceptions=False)


def test_the_same_server_passes_and_the_report_says_so(serve: Callable[[str], str], tmp_path: Path) -> None:
    page = tmp_path / "parity.html"
    ended = checked(serve(""), "plain", tmp_path, "--html", str(page))
    assert ended.exit_code == 0, ended.output
    document = json.loads(ended.stdout)
    assert (document["match"], document["records"], document["differences"]) == (True, 6, [])
    assert "MATCH" in page.read_text()
    assert page.read_text().count("<circle") == 12


@pytest.mark.parametrize(
    ("mode", "kind", "says"),
    [
        ("rounding", "rounding", "rounded to 2 decimals"),
        ("reordering", "order", "2026-11-25"),
        ("swapped", "swapped", "the answer of item-"),
        ("locale", "locale", ","),
        ("batch", "batch_environment", ""),
        ("schema", "schema", "there"),
    ],
)
def test_each_way_of_differing_is_caught_and_named(
    serve: Callable[[str], str], tmp_path: Path, mode: str, kind: str, says: str
) -> None:
    ended = checked(serve(""), mode, tmp_path)
    assert ended.exit_code == 4
    differences = json.loads(ended.stdout)["differences"]
    assert {each["kind"] for each in differences} == {kind}
    assert all(says in each["found"] for each in differences)
    wrong = {"item-1", "item-2"} if mode == "swapped" else set(ITEMS)
    assert {each["item_id"] for each in differences} == wrong


def test_an_endpoint_that_does_not_answer_json_is_named(serve: Callable[[str], str], tmp_path: Path) -> None:
    ended = checked(serve("headers"), "plain", tmp_path)
    assert ended.exit_code == 4
    assert [each["kind"] for each in json.loads(ended.stdout)["differences"]] == ["headers"]


def test_the_first_differences_are_told_in_words(serve: Callable[[str], str], tmp_path: Path) -> None:
    url = serve("")
    sample = tmp_path / "records.jsonl"
    sample.write_text("".join(f'{{"item_id": "item-{number}"}}\n' for number in range(12)))
    server = Path(__file__).with_name("parity_model.py")
    command = f"{sys.executable} {server} {{port}} locale"
    arguments = ["parity", "--model-url", url, "--model-command", command, "--sample", str(sample)]
    told = CliRunner().invoke(root, arguments, catch_exceptions=False).stdout
    assert "Batch answers 12 of them otherwise: 36 locale. The first differences:" in told
    (line,) = [line for line in told.splitlines() if line.startswith("  item-1 ")]
    assert line.startswith("  item-1 forecast[0].daily_sales: locale: endpoint")
    assert line.endswith("(and 2 more)")
    assert told.endswith("  … and 6 more of other items\n")


def test_a_command_without_a_place_for_the_port_is_refused_before_the_endpoint_is_asked() -> None:
    arguments = ["parity", "--model-url", "http://127.0.0.1:1", "--model-command", "python serve.py"]
    problem = CliRunner().invoke(root, arguments).exception
    assert isinstance(problem, ConfigError)
    assert "--model-command: 'python serve.py' has no {port}" in str(problem)


# --- the comparison itself


def answers(items: Sequence[str], mode: str = "") -> list[RealTimeAnswer]:
    return [
        RealTimeAnswer(status=200, body=json.dumps(answer_of(item, mode)).encode(), content_type="application/json")
        for item in items
    ]


def compared(first: Any, second: Any, batch: Any) -> Parity:
    sample = [SampledRecord(item_id=item, body=b"{}", stratum="spread") for item in ITEMS]
    return compare_all(sample, first, second, batch, NumberTolerance())


def batch_of(mode: str = "") -> dict[str, bytes | None]:
    return {item: json.dumps(answer_of(item, mode)).encode() for item in ITEMS}


def test_numbers_within_the_tolerance_are_the_same() -> None:
    near = {item: answer_of(item, "") for item in ITEMS}
    for answer in near.values():
        answer["forecast"][0]["daily_sales"] *= 1 + 1e-8
    batch = {item: json.dumps(answer).encode() for item, answer in near.items()}
    assert compared(answers(ITEMS), answers(ITEMS), batch).matches


def test_keys_in_another_order_are_no_difference() -> None:
    batch = {item: json.dumps(answer_of(item, ""), sort_keys=True).encode() for item in ITEMS}
    assert compared(answers(ITEMS), answers(ITEMS), batch).matches


def test_another_order_is_told_beside_other_numbers() -> None:
    changed = answer_of("item-0", "reordering")
    changed["forecast"][0]["daily_sales"] += 7
    found = compared(answers(ITEMS), answers(ITEMS), {**batch_of(), "item-0": json.dumps(changed).encode()})
    assert found.differences[0].kind == "order"
    assert {each.kind for each in found.differences} == {"order", "value"}


def test_numbers_alone_in_another_order_are_told_as_that() -> None:
    first = [
        RealTimeAnswer(status=200, body=b'{"mean": [1.5, 2.5, 2.5, 9]}', content_type="application/json") for _ in ITEMS
    ]
    found = compared(first, first, dict.fromkeys(ITEMS, b'{"mean": [2.5, 1.5, 9, 2.5]}'))
    assert [(each.kind, each.where) for each in found.differences[:1]] == [("order", "mean[0]")]
    assert {each.kind for each in found.differences} == {"order"}


def test_an_endpoint_that_rounds_is_named_as_well() -> None:
    found = compared(answers(ITEMS, "rounding"), answers(ITEMS, "rounding"), batch_of())
    assert {each.kind for each in found.differences} == {"rounding"}
    assert all(each.expected.endswith("rounded to 2 decimals") for each in found.differences)


def test_batch_may_be_as_noisy_as_the_endpoint_and_no_more() -> None:
    noisy = compared(answers(ITEMS), answers(ITEMS, "noise"), batch_of("noise"))
    assert noisy.noisy == 6
    far = compared(answers(ITEMS), answers(ITEMS, "noise"), batch_of("swapped"))
    assert {each.kind for each in far.differences} == {"swapped"}


SALES = [12.5, 3.25, 7.75, 20.125, 1.5, 9.0, 11.375, 4.5]
DAYS = [f"2026-11-{day}" for day in range(22, 30)]


def days_of(sales: Sequence[float], days: Sequence[str]) -> bytes:
    rows = [{"date": day, "sales": value, "levels": [0.5]} for day, value in zip(days, sales, strict=True)]
    return json.dumps({"forecast": rows}).encode()


@pytest.mark.parametrize(
    ("sales", "days", "kind", "cause"),
    [
        ([100 * value for value in SALES], DAYS, "factor", "100 times all"),
        ([9.0, *SALES[:-1]], DAYS, "shift", "all 1 step late"),
        ([*SALES[2:], 1.0, 2.0], DAYS, "shift", "all 2 steps early"),
        (SALES, ["2026-11-21", *DAYS[:-1]], "day_shift", "-1 days in all"),
        ([value + number for number, value in enumerate(SALES)], DAYS, "value", ""),
    ],
)
def test_one_cause_of_all_differences_is_named(
    sales: Sequence[float], days: Sequence[str], kind: str, cause: str
) -> None:
    said = [RealTimeAnswer(status=200, body=days_of(SALES, DAYS), content_type="application/json") for _ in ITEMS]
    found = compared(said, said, dict.fromkeys(ITEMS, days_of(sales, days)))
    assert {each.kind for each in found.differences} == {kind}
    assert all(cause in each.found for each in found.differences)
    assert found.verdict == "different"


def test_a_shift_is_named_whatever_the_order_of_keys() -> None:
    late = [9.0, *SALES[:-1]]
    expected = json.dumps({"low": SALES, "mean": [10 * value for value in SALES]}).encode()
    moved = json.dumps({"mean": [10 * value for value in late], "low": late}).encode()
    said = [RealTimeAnswer(status=200, body=expected, content_type="application/json") for _ in ITEMS]
    found = compared(said, said, dict.fromkeys(ITEMS, moved))
    assert {each.kind for each in found.differences} == {"shift"}
    assert all("all 1 step late" in each.found for each in found.differences)


def scaled(by: float) -> list[RealTimeAnswer]:
    body = days_of([by * value for value in SALES], DAYS)
    return [RealTimeAnswer(status=200, body=body, content_type="application/json") for _ in ITEMS]


@pytest.mark.parametrize(
    ("second", "batch", "verdict"),
    [
        (1.0, 1.0, "same"),
        (1.001, 1.001, "same"),  # a noise of 0.1 % hides nothing that matters
        (1.05, 1.03, "inconclusive"),
        (1.05, 1.2, "different"),
        (1.0, 1.03, "different"),
    ],
)
def test_noise_of_the_endpoint_makes_what_it_hides_inconclusive(second: float, batch: float, verdict: str) -> None:
    found = compared(scaled(1.0), scaled(second), dict.fromkeys(ITEMS, scaled(batch)[0].body))
    assert found.verdict == verdict
    assert found.noise == pytest.approx(1 - 1 / second)


def test_an_endpoint_that_was_quiet_for_an_item_by_chance_does_not_make_batch_different() -> None:
    second = [*scaled(1.05)[:-1], scaled(1.0)[0]]
    found = compared(scaled(1.0), second, dict.fromkeys(ITEMS, scaled(1.04)[0].body))
    assert (len(found.contradictions) > 0, found.verdict) == (True, "inconclusive")
    assert "INCONCLUSIVE" in parity_page(found, "endpoint", "run")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(None, "missing"), (b"<html>", "unparsable"), (b'{"item_id":"item-3","forecast":[]}', "length")],
)
def test_an_answer_that_is_none_is_named(answer: bytes | None, kind: str) -> None:
    found = compared(answers(ITEMS), answers(ITEMS), {**batch_of(), "item-3": answer})
    assert [(each.item_id, each.kind) for each in found.differences] == [("item-3", kind)]


def test_an_endpoint_that_fails_is_no_match() -> None:
    failed = [RealTimeAnswer(status=500, body=b"{}", content_type="application/json") for _ in ITEMS]
    assert {each.kind for each in compared(failed, failed, batch_of()).differences} == {"status"}


def test_the_page_escapes_what_the_model_says() -> None:
    batch = dict.fromkeys(ITEMS, b'{"item_id": "<script>"}')
    page = parity_page(compared(answers(ITEMS), answers(ITEMS), batch), "live", "run")
    assert "<script>" not in page
    assert "MISMATCH" in page


def test_numbers_are_those_of_the_answer_in_its_order() -> None:
    assert numbers_of({"a": [1, {"b": 2.5}], "c": True, "d": "7"}) == [1.0, 2.5]
    assert len(numbers_of(forecast_of("item-1"))) == 3


# --- the sample


def record(item: str, days: int, *, null: bool = False, promo: bool = False) -> bytes:
    past = [{"date": f"day-{day}", "sales": None if null and day == 0 else 1.0} for day in range(days)]
    return json.dumps({"item_id": item, "past": past, "ahead": [{"date": "d", "promo": promo}]}).encode()


def test_every_stratum_is_in_the_sample() -> None:
    records = [record(f"plain-{number:03d}", 50) for number in range(200)]
    records += [record("long", 400), record("new", 1), record("null", 50, null=True), record("promo", 50, promo=True)]
    sample = draw_shard_sample(
        [open_line(each) for each in records], 20, parse_contract(CONTRACT.encode(), where="model.toml")
    )
    assert len(sample) == 20
    assert len({each.item_id for each in sample}) == 20
    strata = {each.item_id: each.stratum for each in sample}
    assert strata["long"] == "longest"
    assert strata["null"] == "with nulls"
    assert strata["promo"] == "with events ahead"
    assert strata["new"] == "new"
    assert set(strata.values()) == {"longest", "shortest", "with nulls", "with events ahead", "new", "spread"}


def test_a_sample_larger_than_the_records_is_all_of_them() -> None:
    assert len(draw_shard_sample([("a", record("a", 3)), ("b", record("b", 2))], 100, None)) == 2


def test_a_record_without_an_id_is_refused() -> None:
    with pytest.raises(DataError, match="item_id"):
        open_line(b'{"rows": []}')
