"""One instance of a transform job: its server from start to stop, and its share of the objects."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from typing import Any

from batchcast.engine.server.http_exchange import Connection
from batchcast.engine.server.model_server import ModelServer, StartError, start_model_server, wait_until_ready
from batchcast.engine.transform.context import TransformContext
from batchcast.engine.transform.data.input import InputObject
from batchcast.engine.transform.execution_parameters import (
    ExecutionParameters,
    ask_container,
    left_to_container,
    parameters_in_force,
)
from batchcast.engine.transform.invocation import Invoker
from batchcast.engine.transform.log import DataLog
from batchcast.engine.transform.share import ShareTransform, Slots


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
        invoker = Invoker(
            job=self._job,
            server=server,
            instance=self._number,
            chunked=packing.limit is None,
            log=self._log,
            over=self._over,
        )
        self._connections = [server.connect() for _ in range(parameters.max_concurrent_transforms)]
        with Slots(self._connections, f"instance-{self._number}") as slots:
            ShareTransform(self._job, packing, invoker).run(self._objects, slots)
        if self._over.is_set() and not self._aborted:
            self._fail(f"Model container exited with code {server.exit_code()} during the job")

    def _fail(self, why: str) -> None:
        self.failure = f"AlgorithmError: {why}"
        self._log.write(self.failure)
