"""One object on its way through an instance: mini-batches out in order, answers in as they come, output in order."""

import threading
from typing import BinaryIO

from batchcast.engine.server.http_exchange import Connection
from batchcast.engine.transform.context import Blame, TransformContext, message_lines
from batchcast.engine.transform.data.data_processing import ProcessingError
from batchcast.engine.transform.data.input import InputObject
from batchcast.engine.transform.data.packing import MiniBatch, Packing, PackingError, mini_batches
from batchcast.engine.transform.invocation import Invoker, RecordFailedError
from batchcast.steps.errors import DataError

_AHEAD_BYTES = 64 << 20


class FileTransform:
    """The state of one object that one or more slots drain.

    Answers that are ahead of a slow record wait in memory up to 64 MiB; then no further record is taken, so that a file
    is never in memory whole. After a failure nothing more is taken either: the file gets no output, so it would be
    wasted (whether the service goes on is not published).
    """

    def __init__(
        self, job: TransformContext, source: InputObject, packing: Packing, invoker: Invoker, sink: BinaryIO
    ) -> None:
        self._job = job
        self._source = source
        self._packing = packing
        self._invoker = invoker
        self._sink = sink
        self._batches = mini_batches(lambda: job.store.open(source.uri), packing)
        self._waiting: dict[int, bytes] = {}
        self._waiting_bytes = 0
        self._taken = self._written = self._line = 0
        self._exhausted = False
        self._changed = threading.Condition()
        self.failure: RecordFailedError | None = None

    @property
    def complete(self) -> bool:
        """Whether every record was answered and written."""
        return self._exhausted and self._written == self._taken and self.failure is None

    def drain(self, connection: Connection) -> None:
        """Send mini-batches over one slot's connection until there are none, or none is wanted any more."""
        try:
            self._drain(connection)
        except BaseException as error:
            # Not the file's fault, but the other slots must not wait for what this one had taken.
            self._fail(RecordFailedError("AlgorithmError", repr(error), line=self._line))
            raise

    def _drain(self, connection: Connection) -> None:
        while (batch := self._take()) is not None:
            try:
                output = self._output(batch, self._invoker.invoke(connection, self._source, batch))
            except RecordFailedError as failure:
                self._fail(failure)
            except (PackingError, ProcessingError, DataError) as error:
                self._fail(self._unfit(error, batch.line))
            else:
                self._deliver(batch.index, output)
                self._job.tally.add(records=batch.count)

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
        processing = self._job.plan.processing
        parts = [answer]
        if processing is not None:
            parts = processing.finish(batch.records, answer, one_document=self._packing.one_document)
        if self._job.plan.assemble == "None":
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

    def _fail(self, failure: RecordFailedError) -> None:
        """The file fails as a whole; of several failures the one that came first is kept."""
        with self._changed:
            self.failure = self.failure or failure
            self._changed.notify_all()

    def _unfit(self, error: Exception, line: int) -> RecordFailedError:
        """A record or an answer the service itself cannot handle; its log shows the former like a 400 of the model."""
        blame: Blame = "ClientError"
        lines = ["ClientError: 400", *message_lines(str(error))]
        if isinstance(error, ProcessingError) and error.by_algorithm:
            blame, lines = "AlgorithmError", [str(error)]
        if isinstance(error, PackingError):
            lines = [f"ClientError: {error}"]
        self._invoker.log.write_for_file(self._source.name, lines)
        return RecordFailedError(blame, str(error), line=line)
