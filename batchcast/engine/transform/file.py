"""One object on its way through an instance, and each of its mini-batches on its way through the model.

Mini-batches go out in order, answers come in as they come, output is in order. API reference, ModelClientConfig: an
invocation that fails is retried up to InvocationsMaxRetries times, each attempt within InvocationsTimeoutInSeconds.
Whether the service retries a 4xx and whether it waits between attempts is not published; our picks are no
(TransformOptions has a switch for all of them, and one for 429) and no.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import BinaryIO

from batchcast.engine.server.http_exchange import Answer, Connection, NoAnswerError
from batchcast.engine.server.model_server import ModelServer
from batchcast.engine.transform.context import Blame, DataLog, FailedFile, TransformContext, message_lines
from batchcast.engine.transform.data.data_processing import ProcessingError
from batchcast.engine.transform.data.packing import InputObject, MiniBatch, Packing, PackingError, mini_batches
from batchcast.steps.errors import DataError

_CHUNK_BYTES = 1 << 20
_EXIT_IS_SEEN_WITHIN_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Invoker:
    """What every invocation of one instance shares. `over` is set when the instance is to send nothing more."""

    job: TransformContext
    server: ModelServer
    instance: int
    packing: Packing
    log: DataLog
    over: threading.Event

    def invoke(self, connection: Connection, source: InputObject, batch: MiniBatch) -> bytes | FailedFile:
        """The body of a 2xx answer; what the last attempt came to when every one failed, which fails the whole file."""
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
        return failure

    def _retries(self, status: int) -> bool:
        options = self.job.options
        if status == HTTPStatus.TOO_MANY_REQUESTS and options.retry_too_many_requests:
            return True
        return options.retry_client_errors or not 400 <= status < 500

    def _attempt(self, connection: Connection, source: InputObject, batch: MiniBatch, attempt: int) -> Answer:
        timeout = self.job.timeout
        body: bytes | Iterable[bytes] = batch.body if isinstance(batch.body, bytes) else batch.body()
        sent = body if isinstance(body, bytes) else b""
        struck = self.job.faults.of_request(source.uri, batch.line, sent, self.instance, attempt)
        for fault in struck:
            if fault.effect == "latency":
                seconds = fault.seconds * self.job.options.time_scale
                self.over.wait(min(seconds, timeout))
                if seconds >= timeout:
                    raise NoAnswerError(f"no answer within {timeout:g} s (planned fault)")
                timeout -= seconds
            elif fault.effect == "status":
                return Answer(fault.status, fault.body.encode())
            elif fault.effect == "reset":
                raise NoAnswerError("connection reset (planned fault)")
            elif fault.effect == "crash":
                self.server.kill()
            elif fault.effect == "stop":
                self.job.stop.set()
        if isinstance(body, bytes) and self.packing.limit is None:
            view = memoryview(body)
            body = (bytes(view[start : start + _CHUNK_BYTES]) for start in range(0, len(view), _CHUNK_BYTES))
        answer = connection.post("/invocations", body, self.job.plan.headers, timeout=timeout)
        for fault in struck:
            if fault.effect == "truncated":
                raise NoAnswerError(f"the answer was cut after {len(answer.body) // 2} bytes (planned fault)")
            if fault.effect == "garbage":
                answer = Answer(answer.status, b"\x00garbage\xff")
        return answer

    def _no_answer(self, source: InputObject, batch: MiniBatch, error: NoAnswerError) -> FailedFile:
        # A connection that breaks may be the first sign of a container that is exiting.
        may_be_exiting = error.disconnected and not self.over.is_set()
        code = self.server.exit_code(within=_EXIT_IS_SEEN_WITHIN_SECONDS if may_be_exiting else 0.0)
        if code is not None:
            self.over.set()
            return FailedFile(source.uri, "AlgorithmError", f"Model container exited with code {code}", batch.line)
        what = "Unable to get response from algorithm"
        self.log.write_for_file(source.name, [what, *message_lines(str(error))])
        return FailedFile(source.uri, "AlgorithmError", f"{what}: {error}", batch.line)

    def _bad_status(self, source: InputObject, batch: MiniBatch, answer: Answer) -> FailedFile:
        blame: Blame = "ClientError" if 400 <= answer.status < 500 else "AlgorithmError"
        what = f"ClientError: {answer.status}"
        if blame == "AlgorithmError":
            what = f"Bad HTTP status received from algorithm: {answer.status}"
        self.log.write_for_file(source.name, [what, *message_lines(answer.body.decode("utf-8", "replace"))])
        return FailedFile(source.uri, blame, what, batch.line)


_AHEAD_BYTES = 64 << 20


class FileTransform:
    """The state of one object that one or more slots drain.

    Answers that are ahead of a slow record wait in memory up to 64 MiB; then no further record is taken, so that a file
    is never in memory whole. After a failure nothing more is taken either: the file gets no output, so it would be
    wasted (whether the service goes on is not published).
    """

    def __init__(self, invoker: Invoker, source: InputObject, sink: BinaryIO) -> None:
        self._invoker = invoker
        self._source = source
        self._sink = sink
        self._batches = mini_batches(lambda: invoker.job.store.open(source.uri), invoker.packing)
        self._waiting: dict[int, bytes] = {}
        self._waiting_bytes = 0
        self._taken = self._written = self._line = 0
        self._exhausted = False
        self._changed = threading.Condition()
        self.failure: FailedFile | None = None

    @property
    def complete(self) -> bool:
        return self._exhausted and self._written == self._taken and self.failure is None

    def drain(self, connection: Connection) -> None:
        """Send mini-batches over one slot's connection until there are none, or none is wanted any more."""
        try:
            self._drain(connection)
        except BaseException as error:
            # Not the file's fault, but the other slots must not wait for what this one had taken.
            self._fail(FailedFile(self._source.uri, "AlgorithmError", repr(error), self._line))
            raise

    def _drain(self, connection: Connection) -> None:
        while (batch := self._take()) is not None:
            try:
                answer = self._invoker.invoke(connection, self._source, batch)
                output = answer if isinstance(answer, FailedFile) else self._output(batch, answer)
            except (PackingError, ProcessingError, DataError) as error:
                output = self._unfit(error, batch.line)
            if isinstance(output, FailedFile):
                self._fail(output)
            else:
                self._deliver(batch.index, output)
                self._invoker.job.tally.add(records=batch.count)

    def _take(self) -> MiniBatch | None:
        with self._changed:
            while self._waiting_bytes > _AHEAD_BYTES and self.failure is None:
                self._changed.wait()
            if self.failure is not None or self._exhausted or self._invoker.over.is_set():
                return None
            try:
                batch = next(self._batches, None)
            except (PackingError, ProcessingError, DataError) as error:
                self._fail(self._unfit(error, self._line))
                return None
            if batch is None:
                self._exhausted = True
            else:
                self._taken += 1
                self._line = batch.line + batch.count
            return batch

    def _output(self, batch: MiniBatch, answer: bytes) -> bytes:
        """What the answer adds to the output object: joined, filtered, and ended as AssembleWith says."""
        packing, parts = self._invoker.packing, [answer]
        if packing.processing is not None:
            parts = packing.processing.finish(batch.records, answer, one_document=packing.one_document)
        if self._invoker.job.plan.assemble == "None":
            return b"".join(parts)
        # A newline at the end of every record; whether the service adds one to an answer that has it is not published.
        return b"".join(part if part.endswith(b"\n") else part + b"\n" for part in parts)

    def _deliver(self, index: int, output: bytes) -> None:
        with self._changed:
            self._waiting[index] = output
            self._waiting_bytes += len(output)
            was_full = self._waiting_bytes > _AHEAD_BYTES
            while (ready := self._waiting.pop(self._written, None)) is not None:
                self._sink.write(ready)
                self._waiting_bytes -= len(ready)
                self._written += 1
            if was_full:
                self._changed.notify_all()

    def _fail(self, failure: FailedFile) -> None:
        """The file fails as a whole; of several failures the one that came first is kept."""
        with self._changed:
            self.failure = self.failure or failure
            self._changed.notify_all()

    def _unfit(self, error: Exception, line: int) -> FailedFile:
        """A record or an answer the service itself cannot handle; its log shows the former like a 400 of the model."""
        blame: Blame = "ClientError"
        lines = ["ClientError: 400", *message_lines(str(error))]
        if isinstance(error, ProcessingError) and error.by_algorithm:
            blame, lines = "AlgorithmError", [str(error)]
        if isinstance(error, PackingError):
            lines = [f"ClientError: {error}"]
        self._invoker.log.write_for_file(self._source.name, lines)
        return FailedFile(self._source.uri, blame, str(error), line)
