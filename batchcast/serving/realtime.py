"""Ask a real-time endpoint as a good client does: several requests at once, fewer when it says that it is too many.

This is what a weekly run on such an endpoint is fairly compared with, and what the parity check asks with.
"""

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from batchcast.engine.server.model_server import ModelSource
from batchcast.session.service_errors import error_code
from batchcast.session.workspace_models import served_model
from batchcast.steps.contract.request import PLAIN_REQUEST, Request
from batchcast.steps.errors import BatchcastError, ConfigError, Problem, ServiceError

# API reference, InvokeEndpoint: a model has 60 s to answer; a client should wait 70.
TIMEOUT_SECONDS = 70.0
_THROTTLED_CODES = (
    "ThrottlingException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "TooManyRequestsException",
)
_THROTTLED_STATUSES = (429, 503)
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.5, 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RealTimeAnswer:
    status: int
    body: bytes
    content_type: str

    @property
    def good(self) -> bool:
        """Whether the model answered: any 2xx."""
        return 200 <= self.status < 300


Ask = Callable[[bytes], RealTimeAnswer]
"""Sends one record and waits. A status 429 or 503 says that it was too many."""


def ask_endpoint(runtime: Any, endpoint: str, request: Request = PLAIN_REQUEST) -> Ask:
    """Ask a SageMaker endpoint; `runtime` is the session's client of sagemaker-runtime."""
    fixed = {"EndpointName": endpoint, "ContentType": request.content_type, "Accept": request.accept}

    def ask(record: bytes) -> RealTimeAnswer:
        try:
            answer = runtime.invoke_endpoint(**fixed, Body=record)
        except BatchcastError as error:
            code = error_code(error)
            if code in _THROTTLED_CODES:
                return RealTimeAnswer(status=429, body=str(error).encode(), content_type="")
            if code == "ModelError":
                said = getattr(error.__cause__, "response", {})
                body = str(said.get("OriginalMessage", error)).encode()
                return RealTimeAnswer(status=int(said.get("OriginalStatusCode", 424)), body=body, content_type="")
            raise
        return RealTimeAnswer(status=200, body=answer["Body"].read(), content_type=answer.get("ContentType", ""))

    return ask


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The records go to the host that was named, and to no other that it might name: a redirect is the answer."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)


def ask_url(url: str, request: Request = PLAIN_REQUEST) -> Ask:
    """Ask a container that runs somewhere: POST /invocations below `url`. Raises ConfigError for no http URL."""
    if not url.startswith(("http://", "https://")):
        what = f"{url!r} is not an http:// URL."
        raise ConfigError(Problem("model_url", what, "--model-url", "Write http://host:port."))
    place = f"{url.rstrip('/').removesuffix('/invocations')}/invocations"
    headers = {"Content-Type": request.content_type, "Accept": request.accept}

    def ask(record: bytes) -> RealTimeAnswer:
        post = urllib.request.Request(place, data=record, headers=headers, method="POST")  # noqa: S310
        try:
            try:
                answer = _OPENER.open(post, timeout=TIMEOUT_SECONDS)
            except urllib.error.HTTPError as error:  # an answer, too
                answer = error
            with answer:
                kind = answer.headers.get("Content-Type", "")
                return RealTimeAnswer(status=answer.status, body=answer.read(), content_type=kind)
        except OSError as error:
            remedy = "Start the server, or correct --model-url."
            raise ServiceError(Problem("no_answer", f"{error}.", place, remedy)) from error

    return ask


def ask_all(
    ask: Ask,
    records: Sequence[bytes],
    *,
    concurrency: int,
    attempts: int = 8,
    sleep: Callable[[float], None] = time.sleep,
) -> list[RealTimeAnswer]:
    """Every record's answer, in order; at most `concurrency` requests at once, half as many after each refusal.

    A record that was refused `attempts` times keeps the refusal as its answer.
    """
    limit = _AdaptiveLimit(concurrency)

    def one(record: bytes) -> RealTimeAnswer:
        wait = _FIRST_WAIT_SECONDS
        for _ in range(attempts - 1):
            answer = limit.ask(ask, record)
            if answer.status not in _THROTTLED_STATUSES:
                return answer
            sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
        return limit.ask(ask, record)

    with ThreadPoolExecutor(max_workers=concurrency) as pool:
        return list(pool.map(one, records))


def ask_model(
    model: ModelSource, records: Sequence[bytes], *, concurrency: int, request: Request = PLAIN_REQUEST
) -> list[RealTimeAnswer]:
    """Every record's answer by a server that runs, or that is started for them and ended again."""
    with served_model(model) as url:
        return ask_all(ask_url(url, request), records, concurrency=concurrency)


class _AdaptiveLimit:
    """How many may ask at once: halved by a refusal, one more after as many answers as are allowed at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._allowed = float(most)
        self._asking = 0
        self._changed = threading.Condition()

    def ask(self, ask: Ask, record: bytes) -> RealTimeAnswer:
        with self._changed:
            self._changed.wait_for(lambda: self._asking < int(self._allowed))
            self._asking += 1
        refused = True
        try:
            answer = ask(record)
            refused = answer.status in _THROTTLED_STATUSES
            return answer
        finally:
            with self._changed:
                self._asking -= 1
                grown = min(self._most, self._allowed + 1 / self._allowed)
                self._allowed = max(1.0, self._allowed / 2) if refused else grown
                self._changed.notify_all()
