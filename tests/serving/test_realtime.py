"""The client of a real-time endpoint: several at once, fewer when refused, in order, and never more than allowed."""

from __future__ import annotations

import io
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber

from batchcast.serving.realtime import RealTimeAnswer, ask_all, ask_endpoint, ask_url
from batchcast.session.service_errors import TranslatingClient
from batchcast.steps.errors import ConfigError, ServiceError

RECORDS = [str(number).encode() for number in range(60)]


class Server:
    """Refuses more than `most` at once."""

    def __init__(self, most: int) -> None:
        self.most, self.now, self.peak = most, 0, 0
        self.asked: Counter[bytes] = Counter()
        self.refused = 0
        self._lock = threading.Lock()

    def __call__(self, record: bytes) -> RealTimeAnswer:
        with self._lock:
            self.now += 1
            self.peak = max(self.peak, self.now)
            self.asked[record] += 1
            full = self.now > self.most
            self.refused += full
        time.sleep(0.001)
        with self._lock:
            self.now -= 1
        return RealTimeAnswer(status=429 if full else 200, body=record, content_type="application/json")


def test_answers_come_in_the_order_of_the_records_and_never_too_many_at_once() -> None:
    server = Server(most=100)
    found = ask_all(server, RECORDS, concurrency=8)
    assert [answer.body for answer in found] == RECORDS
    assert server.peak <= 8
    assert set(server.asked.values()) == {1}


def test_an_endpoint_that_is_too_small_for_the_client_still_answers_everything() -> None:
    server = Server(most=2)
    found = ask_all(server, RECORDS, concurrency=16, attempts=50, sleep=lambda _: None)
    assert {answer.status for answer in found} == {200}
    assert server.refused < len(RECORDS)  # the client learns


def test_a_record_that_is_always_refused_keeps_the_refusal() -> None:
    waits: list[float] = []
    (found,) = ask_all(Server(most=0), [b"x"], concurrency=1, attempts=4, sleep=waits.append)
    assert found.status == 429
    assert waits == [0.5, 1.0, 2.0]


def stubbed() -> tuple[object, Stubber]:
    client = boto3.client(
        "sagemaker-runtime",
        region_name="eu-central-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(retries={"max_attempts": 0}),
    )
    stubber = Stubber(client)
    stubber.activate()
    return TranslatingClient(client, "sagemaker-runtime"), stubber


def test_an_endpoint_is_asked_for_json() -> None:
    client, stubber = stubbed()
    expected = {"EndpointName": "live", "ContentType": "application/json", "Accept": "application/json", "Body": b"{}"}
    stubber.add_response("invoke_endpoint", {"Body": io.BytesIO(b"[1]"), "ContentType": "application/json"}, expected)
    assert ask_endpoint(client, "live")(b"{}") == RealTimeAnswer(
        status=200, body=b"[1]", content_type="application/json"
    )


@pytest.mark.parametrize(
    ("code", "status"), [("ThrottlingException", 429), ("ServiceUnavailable", 429), ("ModelError", 500)]
)
def test_what_the_endpoint_refuses_becomes_a_status(code: str, status: int) -> None:
    client, stubber = stubbed()
    more = {"OriginalStatusCode": 500, "OriginalMessage": "no memory"} if code == "ModelError" else {}
    stubber.add_client_error("invoke_endpoint", code, "said no", 424, modeled_fields=more)
    assert ask_endpoint(client, "live")(b"{}").status == status


def test_an_endpoint_that_is_not_there_is_an_error() -> None:
    client, stubber = stubbed()
    stubber.add_client_error("invoke_endpoint", "ValidationError", "Endpoint live of account not found.", 400)
    with pytest.raises(ConfigError, match="not found"):
        ask_endpoint(client, "live")(b"{}")


def test_a_url_where_nobody_listens_is_an_error() -> None:
    with pytest.raises(ServiceError, match="no_answer"):
        ask_url("http://127.0.0.1:1")(b"{}")
    with pytest.raises(ConfigError, match="http"):
        ask_url("ftp://somewhere")


def test_records_are_not_sent_where_a_redirect_leads() -> None:
    """A redirect is the answer: 307 would send the records to whatever host it names, 302 would ask it for nothing."""
    asked: list[str] = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        do_POST = do_GET  # noqa: N815 - http.server's name

        def log_message(self, *_: object) -> None:
            return

    elsewhere = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)

    class Redirecting(Elsewhere):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{elsewhere.server_port}/stolen")
            self.send_header("Content-Length", "0")
            self.end_headers()

    redirecting = ThreadingHTTPServer(("127.0.0.1", 0), Redirecting)
    for server in (elsewhere, redirecting):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        answer = ask_url(f"http://127.0.0.1:{redirecting.server_port}")(b"{}")
    finally:
        for server in (elsewhere, redirecting):
            server.shutdown()
            server.server_close()
    assert (answer.status, asked) == (302, [])
