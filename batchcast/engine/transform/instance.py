"""One instance of a transform job: its server from start to stop, and its share of the objects, sent through its slots.

A slot is a thread with a connection of its own; there are as many as the instance may have requests in flight.
"""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from batchcast.engine.server.http_exchange import Connection
from batchcast.engine.server.model_server import ModelServer, StartError, start_model_server, wait_until_ready
from batchcast.engine.transform.context import DataLog, FailedFile, TransformContext
from batchcast.engine.transform.data.packing import InputObject
from batchcast.engine.transform.file import FileTransform, Invoker
from batchcast.engine.transform.plan import ExecutionParameters, ask_container, left_to_container, parameters_in_force

Drain = Callable[[Connection], None]


class Slots:
    """A context manager; at its end every connection is closed."""

    def __init__(self, connections: list[Connection], name: str) -> None:
        self._connections = connections
        self._broken = threading.Event()
        self._threads = ThreadPoolExecutor(len(connections), thread_name_prefix=name)

    def in_every_slot(self, work: Drain) -> None:
        """Run the same work in all slots; return when all have ended. Raises what the work raised."""
        for future in [self._threads.submit(self._in_a_slot, work, each) for each in self._connections]:
            future.result()

    def in_one_slot_each(self, works: Iterable[Drain]) -> None:
        """Run each work in the next slot that is idle; return when all have ended. Raises what a work raised.

        A work is taken when a slot is idle: there may be a million of them.
        """
        left, taking = iter(works), threading.Lock()

        def take(connection: Connection) -> None:
            while not self._broken.is_set():
                with taking:
                    work = next(left, None)
                if work is None:
                    return
                work(connection)

        self.in_every_slot(take)

    def __enter__(self) -> Slots:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)
        for connection in self._connections:
            connection.close()

    def _in_a_slot(self, work: Drain, connection: Connection) -> None:
        try:
            work(connection)
        except BaseException:
            # A bug or a broken store: the other slots need not wait for their answers.
            self._broken.set()
            for each in self._connections:
                each.break_off()
            raise


class TransformInstance:
    """`run` in a thread of its own; `abort` from any thread ends it within moments.

    An object that is split has all slots to itself, record by record; else each slot has an object. Whether SageMaker
    works on several split objects at once is not published; that it does on unsplit ones was seen
    (sagemaker-python-sdk issue 2084).
    """

    def __init__(self, job: TransformContext, number: int, objects: Iterable[InputObject], *, port: int) -> None:
        self._job = job
        self._number = number
        self._objects = objects
        self._port = port
        self._connections: list[Connection] = []
        self._server: ModelServer | None = None
        self._over = threading.Event()
        self._aborted = False
        folder = job.log_folder / f"instance-{number}"
        folder.mkdir(parents=True, exist_ok=True)
        self._container_log = folder / "container-log"
        self._log = DataLog(folder / "data-log")
        self.failed_to_start = False
        self.failure: str | None = None
        """Why the instance as a whole failed: its server did not start, or ended during the job."""

    def run(self) -> None:
        self._server = server = start_model_server(
            self._job.model, port=self._port, environment=self._job.plan.environment, log=self._container_log
        )
        try:
            if self._ready(server):
                self._transform(server, self._parameters(server))
        finally:
            server.stop()

    def abort(self) -> None:
        """Send nothing more, break off what is under way and kill the server."""
        self._aborted = True
        self._over.set()
        for connection in self._connections:
            connection.break_off()
        if self._server is not None:
            self._server.kill()

    def _ready(self, server: ModelServer) -> bool:
        try:
            return wait_until_ready(
                server,
                aborted=self._over,
                log=self._container_log,
                time_scale=self._job.options.time_scale,
                slow_pings=self._job.faults.slow_pings(self._number),
                patience=self._job.options.start_seconds,
            )
        except StartError as error:
            self.failed_to_start = True
            self._fail(str(error))
            return False

    def _parameters(self, server: ModelServer) -> ExecutionParameters:
        request = self._job.plan.request
        answered: dict[str, Any] = {}
        if left_to_container(request):
            with contextlib.closing(server.connect()) as connection:
                self._connections = [connection]
                answered, notes = ask_container(connection, timeout=self._job.timeout)
            self._log.write(*notes)
        parameters = parameters_in_force(request, answered)
        wanted = answered.get("max_concurrent_transforms", 0)
        if not request.get("MaxConcurrentTransforms") and wanted > parameters.max_concurrent_transforms:
            what = f"/execution-parameters: MaxConcurrentTransforms {wanted} times MaxPayloadInMB"
            self._log.write(f"{what} {parameters.max_payload_in_mb} is above the 100 MB in flight, so it is lowered")
        self._log.write(str(parameters))
        return parameters

    def _transform(self, server: ModelServer, parameters: ExecutionParameters) -> None:
        packing = self._job.plan.packing(parameters, self._job.options)
        invoker = Invoker(self._job, server, self._number, packing, self._log, self._over)
        self._connections = [server.connect() for _ in range(parameters.max_concurrent_transforms)]
        with Slots(self._connections, f"instance-{self._number}") as slots:
            if packing.split == "Line":
                for source in self._objects:
                    self._send(source, invoker, slots.in_every_slot)
            else:
                slots.in_one_slot_each(partial(self._send_over, source, invoker) for source in self._objects)
        if self._over.is_set() and not self._aborted:
            self._fail(f"Model container exited with code {server.exit_code()} during the job")

    def _send_over(self, source: InputObject, invoker: Invoker, connection: Connection) -> None:
        self._send(source, invoker, lambda drain: drain(connection))

    def _send(self, source: InputObject, invoker: Invoker, run: Callable[[Drain], None]) -> None:
        """Send one object; `run` lends the slots that drain it. A dead instance sends none (our pick)."""
        job, written = self._job, self._job.partial_folder / uuid.uuid4().hex
        ended = FailedFile(source.uri, "AlgorithmError", "not processed: its instance had ended", line=0)
        if self._over.is_set():
            job.failed.append(ended)
        elif job.options.resume and job.store.exists(source.output_uri):
            job.outputs.append(source.below)
        else:
            try:
                with written.open("wb") as sink:
                    file = FileTransform(invoker, source, sink)
                    run(file.drain)
                if not file.complete:
                    job.failed.append(file.failure or ended)
                elif not job.faults.loses_output(source.uri):
                    job.outputs.append(source.below)
                    job.store.upload(written, source.output_uri)
            finally:
                written.unlink(missing_ok=True)
        job.tally.add(files=1)

    def _fail(self, why: str) -> None:
        self.failure = f"AlgorithmError: {why}"
        self._log.write(self.failure)
