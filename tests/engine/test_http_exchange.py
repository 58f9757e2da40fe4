"""The HTTP client of a slot, against servers that speak the bytes a test gives them."""

from __future__ import annotations

import contextlib
import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scripted_model import Reply, ScriptedModel

from batchcast.engine.server.http_exchange import Answer, Connection, NoAnswerError
from batchcast.engine.server.model_server import ModelUrl, start_model_server

pytestmark = pytest.mark.timed

Talk = Callable[[socket.socket], None]


@contextmanager
def raw_server(talk: Talk) -> Iterator[Connection]:
    """A connection to a server that hands each accepted socket to `talk`."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                accepted, _ = listener.accept()
            except OSError:
                return
            with accepted:
                talk(accepted)

    thread = threading.Thread(target=accept)
    thread.start()
    connection = Connection(*listener.getsockname())
    try:
        yield connection
    finally:
        connection.close()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def answering(*pieces: bytes, pause: float = 0.0) -> Talk:
    """Read one segment, then send the pieces with a pause after each."""

    def talk(accepted: socket.socket) -> None:
        accepted.recv(1 << 20)
        for piece in pieces:
            try:
                accepted.sendall(piece)
            except OSError:
                return
            time.sleep(pause)

    return talk


@pytest.mark.parametrize(
    ("pieces", "answer"),
    [
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"], Answer(200, b"ok")),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", b"\r\no", b"k"], Answer(200, b"ok")),
        ([b"HTTP/1.1 500 X\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n"], Answer(500, b"ok")),
        ([b"HTTP/1.0 200 OK\r\n\r\n", b"until the end"], Answer(200, b"until the end")),
        ([b"HTTP/1.1 204 No Content\r\n\r\n"], Answer(204, b"")),
        ([b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"], Answer(200, b"")),
    ],
)
def test_answers_of_every_framing(pieces: list[bytes], answer: Answer) -> None:
    with raw_server(answering(*pieces, pause=0.002)) as connection:
        assert connection.post("/", b"body", {}, timeout=5) == answer


@pytest.fixture(scope="module")
def told() -> Iterator[tuple[Connection, list[bytes]]]:
    """A connection to a server that ends each of its own with the pieces in the list."""
    pieces: list[bytes] = []

    def talk(accepted: socket.socket) -> None:
        accepted.recv(1 << 20)
        with contextlib.suppress(OSError):  # the client may have seen enough
            for piece in tuple(pieces):
                accepted.sendall(piece)
                time.sleep(0.0005)
            accepted.shutdown(socket.SHUT_WR)

    with raw_server(talk) as connection:
        yield connection, pieces


class _AsSocket:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _: str) -> io.BytesIO:
        return io.BytesIO(self._data)


HEADERS = st.sampled_from(
    [
        b"Content-Length: 3", b"content-length:0", b"Content-Length: 70000", b"Content-Length: 3 ",
        b"Content-Length : 3", b"Content-Length: -3", b"Transfer-Encoding: chunked", b"Connection: keep-alive",
        b"Connection: close", b"Connection: Keep-Alive, close", b"X-Content-Length: 9", b"X: y\r\n Content-Length: 2",
        b"Server: \xe9",
    ]
)  # fmt: skip


@given(
    status=st.sampled_from(
        [b"HTTP/1.1 200 OK", b"HTTP/1.1 503 ", b"HTTP/1.1 204 X", b"HTTP/1.1 200", b"HTTP/1.0 200 OK"]
    ),
    headers=st.lists(HEADERS, max_size=3),
    body=st.sampled_from([b"", b"abc", b"abcd", b"3\r\nabc\r\n0\r\n\r\n", b"long"]),
    cut=st.integers(0, 200),
)
@example(
    status=b"HTTP/1.1 200 OK", headers=[b"Content-Length: -3", b"Content-Length: 3"], body=b"", cut=0
)  # of two that contradict each other `http.client` goes by the first
@settings(max_examples=200, deadline=None)
def test_every_answer_is_read_as_http_client_reads_it(
    told: tuple[Connection, list[bytes]], status: bytes, headers: list[bytes], body: bytes, cut: int
) -> None:
    whole = b"\r\n".join([status, *headers, b"", b"x" * 70_000 if body == b"long" else body])
    connection, pieces = told
    connection.close()
    pieces[:] = [whole[:cut], whole[cut:]]
    expected: Answer | None
    try:
        response = HTTPResponse(_AsSocket(whole))  # type: ignore[arg-type]
        response.begin()
        expected = Answer(response.status, response.read())
    except (HTTPException, ValueError):
        expected = None
    try:
        answer: Answer | None = connection.post("/", b"body", {}, timeout=5)
    except NoAnswerError:
        answer = None
    assert answer == expected


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [b"HTTP/1.1 200 OK\r\n"],
        [b"HTTP/1.1 200 OK\r\nContent-Le"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok"],
        [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nok"],
        [b"SMTP ready\r\n\r\n"],
        [b"HTTP/1.1 two hundred\r\n\r\n"],
    ],
)
def test_what_is_no_whole_answer(pieces: list[bytes]) -> None:
    with raw_server(answering(*pieces)) as connection, pytest.raises(NoAnswerError):
        connection.post("/", b"body", {}, timeout=5)


def test_head_and_body_leave_in_one_segment() -> None:
    segments: list[bytes] = []

    def talk(accepted: socket.socket) -> None:
        segments.append(accepted.recv(1 << 16))
        accepted.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with raw_server(talk) as connection:
        connection.post("/invocations", b"the body", {"Accept": "text/csv"}, timeout=5)
    (segment,) = segments
    assert segment.startswith(b"POST /invocations HTTP/1.1\r\nHost: 127.0.0.1:")
    assert segment.endswith(b"Accept: text/csv\r\nContent-Length: 8\r\n\r\nthe body")


def test_the_time_limit_holds_for_the_whole_answer() -> None:
    """A server that sends a byte every 20 ms is never silent for long, and still too late."""
    slow = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", *[b"x"] * 100, pause=0.02)
    with raw_server(slow) as connection:
        began = time.monotonic()
        with pytest.raises(NoAnswerError, match=r"no answer within 0\.2 s"):
            connection.post("/", b"", {}, timeout=0.2)
        assert time.monotonic() - began < 1


def test_a_server_that_does_not_read_is_too_late_as_well() -> None:
    with raw_server(lambda _: time.sleep(0.5)) as connection, pytest.raises(NoAnswerError, match="no answer within"):
        connection.post("/", b"x" * (32 << 20), {}, timeout=0.2)


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nServer: x",
        b"HTTP/1.1 200 OK\r\n\r\nhalf of what ends with the connection",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf",
    ],
)
def test_an_answer_that_stops_anywhere_is_too_late_and_never_taken_for_whole(beginning: bytes) -> None:
    late = r"no answer within 0\.1 s"
    with raw_server(answering(beginning, pause=0.3)) as connection, pytest.raises(NoAnswerError, match=late):
        connection.post("/", b"body", {}, timeout=0.1)


@settings(deadline=None)
@given(st.floats(2.0, 3600.0) | st.integers(2, 3600).map(lambda seconds: seconds - 1e-9))
def test_any_time_limit_can_be_kept(echo: Connection, timeout: float) -> None:
    assert echo.post("/invocations", b"x", {}, timeout=timeout).body == b"x"


def test_many_requests_go_over_one_connection() -> None:
    with ScriptedModel() as model:
        server = start_model_server(ModelUrl(url=model.url), port=0, environment={}, log=None)  # type: ignore[arg-type]
        connection = server.connect()
        answers = [connection.post("/invocations", b"%d" % number, {}, timeout=5).body for number in range(20)]
        connection.close()
        assert answers == [b"%d" % number for number in range(20)]
        assert model.connections == 1


def test_after_a_failure_the_next_request_has_a_new_connection() -> None:
    with ScriptedModel(lambda call: Reply(reset=call.body == b"bad", body=call.body)) as model:
        connection = Connection("127.0.0.1", int(model.url.rpartition(":")[2]))
        with pytest.raises(NoAnswerError):
            connection.post("/invocations", b"bad", {}, timeout=5)
        assert connection.post("/invocations", b"good", {}, timeout=5).body == b"good"
        connection.close()


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = taken.getsockname()
    with pytest.raises(NoAnswerError, match="ConnectionRefusedError"):
        Connection(*address).get("/ping", timeout=5)


def test_another_thread_breaks_an_exchange_off() -> None:
    with ScriptedModel(lambda _: Reply(seconds=20)) as model:
        connection = Connection("127.0.0.1", int(model.url.rpartition(":")[2]))
        threading.Timer(0.1, connection.break_off).start()
        began = time.monotonic()
        with pytest.raises(NoAnswerError):
            connection.post("/invocations", b"", {}, timeout=60)
        assert time.monotonic() - began < 2
        with pytest.raises(NoAnswerError, match="broken off"):
            connection.post("/invocations", b"", {}, timeout=60)
        connection.close()


def test_a_body_that_fails_on_the_way_leaves_no_half_request_behind() -> None:
    def broken() -> Iterator[bytes]:
        yield b"one"
        raise KeyError("the object is gone")

    with ScriptedModel() as model:
        connection = Connection("127.0.0.1", int(model.url.rpartition(":")[2]))
        with pytest.raises(KeyError):
            connection.post("/invocations", broken(), {}, timeout=5)
        assert connection.post("/invocations", b"whole", {}, timeout=5).body == b"whole"
        connection.close()
        assert model.bodies == [b"whole"]


@pytest.fixture(scope="module")
def echo() -> Iterator[Connection]:
    with ScriptedModel() as model:
        connection = Connection("127.0.0.1", int(model.url.rpartition(":")[2]))
        yield connection
        connection.close()


@settings(deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=6), st.integers(0, 200_000))
def test_whatever_is_sent_arrives_whole_or_in_chunks(echo: Connection, pieces: list[bytes], padding: int) -> None:
    pieces = [*pieces, b"x" * padding]
    whole = b"".join(pieces)
    assert echo.post("/invocations", whole, {}, timeout=5).body == whole
    assert echo.post("/invocations", iter(pieces), {}, timeout=5).body == whole


def dripping(beginning: bytes, piece: bytes, seconds: float = 3.0) -> Talk:
    """Answer with `beginning` and then, for some seconds, with a piece every 50 ms."""

    def talk(accepted: socket.socket) -> None:
        accepted.recv(1 << 20)
        deadline = time.monotonic() + seconds
        try:
            accepted.sendall(beginning)
            while time.monotonic() < deadline:
                accepted.sendall(piece)
                time.sleep(0.05)
        except OSError:
            return

    return talk


@pytest.mark.parametrize(
    ("beginning", "piece"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
        (b"HTTP/1.1 200 OK\r\n", b"X-Slow: x\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X-Trailer: x\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
    ],
    ids=["status", "header", "headers", "continue", "chunk-size", "chunks", "trailer", "body", "endless"],
)
def test_e37_an_answer_that_drips_is_too_late_wherever_it_drips(beginning: bytes, piece: bytes) -> None:
    with raw_server(dripping(beginning, piece)) as connection:
        began = time.monotonic()
        with pytest.raises(NoAnswerError, match=r"no answer within 0\.4 s") as error:
            connection.post("/", b"body", {}, timeout=0.4)
        assert 0.35 < time.monotonic() - began < 0.8
        assert not error.value.disconnected


def test_e37_a_server_that_reads_slowly_is_too_late() -> None:
    def talk(accepted: socket.socket) -> None:
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        accepted.settimeout(1)
        for _ in range(20):  # a second: what the kernel still holds would come for twenty
            try:
                if not accepted.recv(20_000):
                    return
            except OSError:
                return
            time.sleep(0.05)

    for body in (b"x" * (32 << 20), iter([b"x" * (1 << 20)] * 32)):
        with raw_server(talk) as connection:
            began = time.monotonic()
            with pytest.raises(NoAnswerError, match=r"no answer within 0\.4 s"):
                connection.post("/", body, {}, timeout=0.4)
            assert time.monotonic() - began < 0.9


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n", b"x" * 11],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"6\r\nxxxxxx\r\n5\r\nxxxxx\r\n0\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 11],
    ],
)
def test_p17_an_answer_has_a_largest_size(pieces: list[bytes]) -> None:
    with raw_server(answering(*pieces)) as server:
        connection = Connection(*server._address, max_answer_bytes=10)
        with pytest.raises(NoAnswerError, match="larger than 10 bytes"):
            connection.post("/", b"body", {}, timeout=5)
        connection.close()
    with raw_server(answering(*pieces)) as server:
        connection = Connection(*server._address, max_answer_bytes=11)
        assert connection.post("/", b"body", {}, timeout=5).body == b"x" * 11
        connection.close()
