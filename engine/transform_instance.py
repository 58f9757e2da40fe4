"""One instance of a transform job: its server from start to stop, and its share of the objects."""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from engine.execution_parameters import (
    ExecutionParameters,
    ask_container,
    execution_parameters,
    left_to_container,
)
from engine.http_exchange import Connection
from engine.invocation import Invoker
from engine.model_server import ModelServer, StartError, start_model_server, wait_until_ready
from engine.packing import Packing
from engine.slots import Slots
from engine.transform_context import FailedFile, TransformContext
from engine.transform_file import FileTransform
from engine.transform_input import InputObject
from engine.transform_log import DataLog

__all__ = ["TransformInstance"]


class TransformInstance:
    """`run` in a thread of its own; `abort` from any thread ends it within moments."""

    def __init__(self, job: TransformContext, number: int, objects: Sequence[InputObject], *, port: int) -> None:
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
        """Start the server, wait for its ping, transform the share, stop the server."""
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
            wait_until_ready(
                server,
                aborted=self._over,
                log=self._container_log,
                time_scale=self._job.options.time_scale,
                slow_pings=self._job.faults.slow_pings(self._number),
            )
        except StartError as error:
            if not self._aborted:
                self.failed_to_start = True
                self.failure = f"AlgorithmError: {error}"
                self._log.write(self.failure)
            return False
        return True

    def _parameters(self, server: ModelServer) -> ExecutionParameters:
        plan = self._job.plan
        answered: dict[str, Any] = {}
        if left_to_container(plan.request):
            with contextlib.closing(server.connect()) as connection:
                answered, notes = ask_container(connection, timeout=plan.timeout * self._job.options.time_scale)
            self._log.write(*notes)
        parameters = execution_parameters(plan.request, answered)
        self._log.write(str(parameters))
        return parameters

    def _transform(self, server: ModelServer, parameters: ExecutionParameters) -> None:
        """One object at a time when it is split, its records in all slots; else an object a slot (see fidelity)."""
        packing = self._job.plan.packing(parameters, self._job.options)
        invoker = self._invoker(server, chunked=packing.limit is None)
        self._connections = [server.connect() for _ in range(parameters.max_concurrent_transforms)]
        with Slots(self._connections, f"instance-{self._number}") as slots:
            if self._aborted:
                return
            if packing.split == "Line":
                for source in self._objects:
                    self._transform_object(source, packing, invoker, slots.in_every_slot)
            else:
                slots.in_one_slot_each(self._in_one_slot(source, packing, invoker) for source in self._objects)
        if self._over.is_set() and not self._aborted:
            self.failure = f"AlgorithmError: Model container exited with code {server.exit_code()} during the job"
            self._log.write(self.failure)

    def _in_one_slot(self, source: InputObject, packing: Packing, invoker: Invoker) -> Callable[[Connection], None]:
        return lambda connection: self._transform_object(source, packing, invoker, lambda work: work(connection))

    def _invoker(self, server: ModelServer, *, chunked: bool) -> Invoker:
        job = self._job
        return Invoker(
            plan=job.plan,
            options=job.options,
            faults=job.faults,
            server=server,
            instance=self._number,
            chunked=chunked,
            log=self._log,
            over=self._over,
            stop=job.stop,
        )

    def _transform_object(
        self,
        source: InputObject,
        packing: Packing,
        invoker: Invoker,
        run: Callable[[Callable[[Connection], None]], None],
    ) -> None:
        job = self._job
        if self._over.is_set():
            self._not_processed(source)
        elif job.options.resume and job.store.exists(source.output_uri):
            job.outputs.append(source.output_uri)
        else:
            partial = job.partial_folder / f"{uuid.uuid4().hex}.out"
            try:
                with partial.open("wb") as sink:
                    file = FileTransform(job, source, packing, invoker, sink)
                    run(file.drain)
                if file.complete and not self._aborted and not job.faults.loses_output(source.uri):
                    job.outputs.append(source.output_uri)
                    job.store.upload(partial, source.output_uri)
                elif file.failure is not None and not self._aborted:
                    job.failed.append(_failed(source, file))
            finally:
                partial.unlink(missing_ok=True)
        job.tally.file()

    def _not_processed(self, source: InputObject) -> None:
        """Which files of a dead instance the service still serves is not published; our pick is none."""
        if not self._aborted:
            reason = "not processed: the model container of its instance had exited"
            self._job.failed.append(FailedFile(uri=source.uri, blame="AlgorithmError", reason=reason, line=0))


def _failed(source: InputObject, file: FileTransform) -> FailedFile:
    failure = file.failure
    assert failure is not None
    return FailedFile(uri=source.uri, blame=failure.blame, reason=failure.what, line=failure.line)
