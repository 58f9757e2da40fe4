"""One record, or one mini-batch, and its way through the model: attempts, time limits, retries and planned faults.

API reference, ModelClientConfig: an invocation that fails is retried up to InvocationsMaxRetries times, each attempt
within InvocationsTimeoutInSeconds. Whether the service retries a 4xx and whether it waits between attempts is not
published; our picks are no (TransformOptions has a switch for all of them, and one for 429) and no.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus

from batchcast.engine.faults import Fault
from batchcast.engine.server.http_exchange import Answer, Connection, NoAnswerError
from batchcast.engine.server.model_server import ModelServer
from batchcast.engine.transform.context import Blame, DataLog, TransformContext, message_lines
from batchcast.engine.transform.data.input import InputObject
from batchcast.engine.transform.data.packing import MiniBatch

_CHUNK_BYTES = 1 << 20
_EXIT_IS_SEEN_WITHIN_SECONDS = 0.5


class RecordFailedError(Exception):
    """A mini-batch that stays without an answer, which fails its whole file."""

    def __init__(self, blame: Blame, what: str, *, line: int) -> None:
        super().__init__(what)
        self.blame: Blame = blame
        self.what = what
        self.line = line


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoker:
    """What every invocation of one instance shares. `over` is set when the instance is to send nothing more."""

    job: TransformContext
    server: ModelServer
    instance: int
    chunked: bool
    log: DataLog
    over: threading.Event

    def invoke(self, connection: Connection, source: InputObject, batch: MiniBatch) -> bytes:
        """The body of a 2xx answer. Raises RecordFailedError when every attempt failed."""
        for attempt in range(1, self.job.plan.max_retries + 2):
            try:
                answer = self._attempt(connection, source, batch, attempt)
            except NoAnswerError as error:
                failure = self._no_answer(source, batch, error)
            else:
                if 200 <= answer.status < 300:
                    return answer.body
                failure = self._bad_status(source, batch, answer)
                if not self._retries(answer.status):
                    break
            if self.over.is_set():
                break
        raise failure

    def _retries(self, status: int) -> bool:
        options = self.job.options
        if status == HTTPStatus.TOO_MANY_REQUESTS and options.retry_too_many_requests:
            return True
        return options.retry_client_errors or not 400 <= status < 500

    def _attempt(self, connection: Connection, source: InputObject, batch: MiniBatch, attempt: int) -> Answer:
        timeout = self.job.timeout
        if not self.job.faults.faults:
            return self._exchange(connection, batch, timeout)
        sent = batch.body if isinstance(batch.body, bytes) else b""
        struck = self.job.faults.of_request(
            file=source.uri, line=batch.line, body=sent, instance=self.instance, attempt=attempt
        )
        for fault in struck:
            timeout, answer = self._strike_before(fault, timeout)
            if answer is not None:
                return answer
        answer = self._exchange(connection, batch, timeout)
        for fault in struck:
            answer = _strike_after(fault, answer)
        return answer

    def _exchange(self, connection: Connection, batch: MiniBatch, timeout: float) -> Answer:
        body: bytes | Iterable[bytes] = batch.body if isinstance(batch.body, bytes) else batch.body()
        if isinstance(body, bytes) and self.chunked:
            view = memoryview(body)
            body = (bytes(view[start : start + _CHUNK_BYTES]) for start in range(0, len(view), _CHUNK_BYTES))
        return connection.post("/invocations", body, self.job.plan.headers, timeout=timeout)

    def _strike_before(self, fault: Fault, timeout: float) -> tuple[float, Answer | None]:
        """What a fault does before anything is sent: the time left, and the answer if that is made up."""
        if fault.effect == "latency":
            seconds = fault.seconds * self.job.options.time_scale
            self.over.wait(min(seconds, timeout))
            if seconds >= timeout:
                raise NoAnswerError(f"no answer within {timeout:g} s (planned fault)")
            return timeout - seconds, None
        if fault.effect == "status":
            return timeout, Answer(fault.status, fault.body.encode())
        if fault.effect == "reset":
            raise NoAnswerError("connection reset (planned fault)")
        if fault.effect == "crash":
            self.server.kill()
        if fault.effect == "stop":
            self.job.stop.set()
        return timeout, None

    def _no_answer(self, source: InputObject, batch: MiniBatch, error: NoAnswerError) -> RecordFailedError:
        # A connection that breaks may be the first sign of a container that is exiting.
        may_be_exiting = error.disconnected and not self.over.is_set()
        code = self.server.exit_code(within=_EXIT_IS_SEEN_WITHIN_SECONDS if may_be_exiting else 0.0)
        if code is not None:
            self.over.set()
            return RecordFailedError("AlgorithmError", f"Model container exited with code {code}", line=batch.line)
        what = "Unable to get response from algorithm"
        self.log.write_for_file(source.name, [what, *message_lines(str(error))])
        return RecordFailedError("AlgorithmError", f"{what}: {error}", line=batch.line)

    def _bad_status(self, source: InputObject, batch: MiniBatch, answer: Answer) -> RecordFailedError:
        blame: Blame = "ClientError" if 400 <= answer.status < 500 else "AlgorithmError"
        what = f"ClientError: {answer.status}"
        if blame == "AlgorithmError":
            what = f"Bad HTTP status received from algorithm: {answer.status}"
        self.log.write_for_file(source.name, [what, *message_lines(answer.body.decode("utf-8", "replace"))])
        return RecordFailedError(blame, what, line=batch.line)


def _strike_after(fault: Fault, answer: Answer) -> Answer:
    if fault.effect == "truncated":
        raise NoAnswerError(f"the answer was cut after {len(answer.body) // 2} bytes (planned fault)")
    if fault.effect == "garbage":
        return Answer(answer.status, b"\x00garbage\xff")
    return answer
