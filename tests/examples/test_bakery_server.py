"""The server keeps the contract of a SageMaker model container, over real HTTP."""

from __future__ import annotations

import copy
import json
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import pytest
from bakery_server import Client, Record, RunningServer

DAYS = [date(2019, 3, 31) + timedelta(days=step) for step in range(31)]


def line(record: Record) -> bytes:
    return json.dumps(record).encode()


@pytest.fixture
def record(records: dict[str, Record]) -> Record:
    """One record, to be changed at will."""
    return copy.deepcopy(records["26/109"])


def test_ping_is_answered_with_an_empty_200(client: Client) -> None:
    response = client.send("GET", "/ping")
    assert (response.status, response.body) == (200, b"")


def test_execution_parameters_tell_what_a_batch_should_use(client: Client) -> None:
    response = client.send("GET", "/execution-parameters")
    assert response.status == 200
    expected = {"MaxConcurrentTransforms": 2, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 6}
    assert json.loads(response.body) == expected


def test_a_record_is_answered_with_a_forecast_of_each_day(client: Client, record: Record) -> None:
    response = client.forecast(line(record))
    assert response.status == 200
    assert response.headers["Content-Type"] == "application/json"
    answer = json.loads(response.body)
    assert answer.keys() == {"item_id", "forecast"}
    assert answer["item_id"] == "26/109"
    assert [row["date"] for row in answer["forecast"]] == [day.isoformat() for day in DAYS]
    assert all(row.keys() == {"date", "daily_sales"} for row in answer["forecast"])
    forecasts = [row["daily_sales"] for row in answer["forecast"]]
    assert all(value >= 0 and value == round(value, 2) for value in forecasts)
    assert max(forecasts) > 0


def test_an_answer_is_one_line(client: Client, record: Record) -> None:
    assert b"\n" not in client.forecast(line(record)).body


def test_json_lines_are_answered_a_line_each_in_their_order(client: Client, records: dict[str, Record]) -> None:
    lines = [line(record) for record in list(records.values())[:5]]
    alone = [client.forecast(each).body for each in lines]
    for body in (b"\n".join(lines), b"\n".join(lines) + b"\n"):
        assert client.forecast(body).body.split(b"\n") == alone


def test_an_indented_record_is_one_record(client: Client, record: Record) -> None:
    indented = client.forecast(json.dumps(record, indent=2).encode())
    assert indented.body == client.forecast(line(record)).body


def test_a_connection_serves_request_after_request(client: Client, record: Record) -> None:
    client.forecast(line(record))
    connected = client.connection.sock
    client.send("GET", "/ping")
    client.forecast(b"")
    assert client.connection.sock is connected


def test_answers_depend_neither_on_the_worker_nor_on_concurrency(
    server: RunningServer, client: Client, records: dict[str, Record]
) -> None:
    lines = [line(record) for record in list(records.values())[:12]]
    alone = [client.forecast(each).body for each in lines]

    def ask(order: int) -> list[bytes]:
        with server.connect() as own:
            answers = {
                index: own.forecast(lines[index]).body for index in sorted(range(12), key=lambda i: i * order % 13)
            }
        return [answers[index] for index in range(12)]

    with ThreadPoolExecutor(6) as clients:
        assert list(clients.map(ask, range(1, 7))) == [alone] * 6


def test_the_order_of_the_rows_does_not_matter(client: Client, record: Record) -> None:
    expected = client.forecast(line(record)).body
    record["historical_rows"].reverse()
    record["future_rows"].reverse()
    assert client.forecast(line(record)).body == expected


def test_what_the_model_was_not_told_changes_nothing_but_the_forecast(client: Client, record: Record) -> None:
    """Unknown cells, days without a row and a history of a day are all forecast."""
    record["historical_rows"][-3]["sales"] = None
    record["historical_rows"][-4]["promo"] = None
    del record["historical_rows"][-60:-40]
    short = {**record, "historical_rows": record["historical_rows"][:1]}
    for unusual in (record, short):
        answer = json.loads(client.forecast(line(unusual)).body)
        assert [row["date"] for row in answer["forecast"]] == [day.isoformat() for day in DAYS]


def test_known_promotions_of_the_forecast_days_count(client: Client, record: Record) -> None:
    without = json.loads(client.forecast(line(record)).body)["forecast"]
    for row in record["future_rows"]:
        row["promo"] = True
    promoted = json.loads(client.forecast(line(record)).body)["forecast"]
    assert sum(row["daily_sales"] for row in promoted) > sum(row["daily_sales"] for row in without)


def change(**keys: Any) -> Callable[[Record], Any]:
    return lambda record: {**record, **keys}


def without(key: str) -> Callable[[Record], Any]:
    return lambda record: {name: value for name, value in record.items() if name != key}


def with_row(rows: str, **cells: Any) -> Callable[[Record], Any]:
    return lambda record: {**record, rows: [*record[rows][:-1], {**record[rows][-1], **cells}]}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        pytest.param(without("request_type"), "request_type", id="no request type"),
        pytest.param(change(request_type="quantiles"), "iterative_forecast", id="another request type"),
        pytest.param(change(target_cols=["returns"]), "daily_sales", id="another target"),
        pytest.param(without("historical_rows"), "historical_rows", id="no history"),
        pytest.param(change(historical_rows=[]), "historical_rows: at least one row", id="history without rows"),
        pytest.param(change(historical_rows=["2019-03-30"]), "historical_rows: each row needs", id="rows of text"),
        pytest.param(change(future_rows=[]), "future_rows: at least one row", id="no future"),
        pytest.param(change(forecast_days=30), "future_rows: 30 consecutive days", id="more future than forecast days"),
        pytest.param(change(forecast_days=0), "forecast_days", id="no forecast days"),
        pytest.param(change(forecast_days=True), "forecast_days", id="forecast days that are no number"),
        pytest.param(with_row("historical_rows", date="30.03.2019"), "30.03.2019", id="a date of another form"),
        pytest.param(with_row("historical_rows", date="2019-03-29"), "repeat a date", id="a date twice"),
        pytest.param(with_row("historical_rows", date="2019-04-01"), "begin 2019-03-31", id="history in the future"),
        pytest.param(with_row("historical_rows", sales="12"), "sales of 2019-03-30", id="sales as text"),
        pytest.param(with_row("historical_rows", sales=1e300), "up to 1e+09", id="sales beyond reason"),
        pytest.param(with_row("future_rows", date="2019-05-02"), "consecutive", id="a gap in the future"),
        pytest.param(with_row("future_rows", promo=[]), "promo of 2019-04-30", id="a promotion that is none"),
    ],
)
def test_a_bad_record_is_refused_by_what_is_wrong_and_by_its_item(
    client: Client, record: Record, spoil: Callable[[Record], Any], said: str
) -> None:
    response = client.forecast(line(spoil(record)))
    assert response.status == 400
    answer = json.loads(response.body)
    assert answer["item_id"] == "26/109"
    assert said in answer["error"]


def test_a_row_without_a_known_column_is_refused_by_its_day(client: Client, record: Record) -> None:
    del record["future_rows"][4]["holiday"]
    response = client.forecast(line(record))
    assert response.status == 400
    assert json.loads(response.body)["error"] == "the row of 2019-04-04 has no holiday"


def test_a_history_without_any_sales_is_refused(client: Client, record: Record) -> None:
    for row in record["historical_rows"]:
        row["sales"] = None
    response = client.forecast(line(record))
    assert response.status == 400
    assert "no row has a sales value" in json.loads(response.body)["error"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "the body is empty"),
        (b" \n", "the body is empty"),
        (b"store,product\n2,101\n", "not JSON"),
        (b'{"item_id": "2/101"', "not JSON"),
        (b'{"item_id": NaN}', "NaN is not a JSON value"),
        (b'{"item_id": "\xff"}', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"1" * 10_000, "not JSON"),
        (b"[1, 2]", "must be a JSON object"),
        (b"{}", "item_id"),
        (b'{"item_id": 7}', "item_id"),
    ],
)
def test_a_body_that_holds_no_record_is_refused(client: Client, body: bytes, said: str) -> None:
    response = client.forecast(body)
    assert response.status == 400
    answer = json.loads(response.body)
    assert said in answer["error"]
    assert "item_id" not in answer


def test_one_bad_record_among_good_ones_is_named(client: Client, record: Record) -> None:
    bad = {**record, "item_id": "bad", "future_rows": None}
    response = client.forecast(line(record) + b"\n" + line(bad))
    assert response.status == 400
    assert json.loads(response.body)["item_id"] == "bad"


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/", {}, 404),
        ("POST", "/ping", {}, 404),
        ("POST", "/invocations", {"Content-Length": "6291457"}, 413),
        ("POST", "/invocations", {"Transfer-Encoding": "chunked"}, 411),
        ("POST", "/invocations", {"Content-Length": "²"}, 411),
    ],
)
def test_other_requests_are_refused_with_the_status_that_fits(
    client: Client, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    response = client.send(method, path, None, headers)
    assert response.status == status
    assert json.loads(response.body)["error"]


def test_a_client_that_asks_before_it_sends_is_told_to_go_on(server: RunningServer, record: Record) -> None:
    body = line(record)
    head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(head.encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
