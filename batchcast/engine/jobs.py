"""Jobs of one kind in a workspace: their records, their running, their stopping, their survival of a killed process."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from batchcast.engine.errors import ServiceException, internal_error, storage_error
from batchcast.engine.state import Record, RecordFolder, arn, now
from batchcast.steps.errors import BatchcastError, ServiceError

IN_PROGRESS = "InProgress"
_POLL_SECONDS = 0.05
_MAX_FAILURE_REASON = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEnd:
    """How a run ended: status Completed, Failed or Stopped."""

    status: str
    failure_reason: str | None = None
    exit_message: str | None = None


@dataclass(frozen=True, slots=True)
class Jobs:
    """`kind` is Transform or Processing, as it stands in the names of the API's members.

    `execute` takes a checked request, whether an interrupted run came before this one, and what stops it.
    """

    kind: str
    records: RecordFolder
    check: Callable[[Mapping[str, Any]], None]
    execute: Callable[[Mapping[str, Any], bool, threading.Event], JobEnd]
    broken: dict[str, Exception]

    def arn(self, name: str) -> str:
        return arn(f"{self.kind.lower()}-job", name)

    def create(self, request: Mapping[str, Any], *, execution: str | None = None) -> IO[str]:
        """Check a request and record it; the result is the ownership that `run` needs.

        `execution` is the id of the pipeline execution the job is a step of. Raises ServiceException as the service
        would, `ResourceInUse` for a name that is taken, and NotEmulatedError.
        """
        self.check(request)
        name = self._name(request)
        moment = now()
        record = {"Request": request, "Status": IN_PROGRESS, "CreationTime": moment, "LastModifiedTime": moment}
        lock = self.take(name)
        if not self.records.create(name, record if execution is None else {**record, "Execution": execution}):
            lock.close()
            raise self._in_use(name)
        return lock

    def take(self, name: str) -> IO[str]:
        """The ownership of a job that nobody runs. Raises ServiceException `ResourceInUse`."""
        lock = self.records.own(name)
        if lock is None:
            raise self._in_use(name)
        return lock

    def start(self, request: Mapping[str, Any]) -> str:
        """Create the job and run it in the background; its ARN."""
        lock = self.create(request)
        name = self._name(request)
        self._in_background(name, lock, resume=False)
        return self.arn(name)

    def run(self, name: str, lock: IO[str], *, resume: bool, halted: threading.Event | None = None) -> Record:
        """Run the job to its end in this thread; its record then. `halted` stops it as a stop request does."""
        with lock:
            record = self.get(name)
            if record["Status"] != IN_PROGRESS:
                return record
            record |= {"StartTime": record.get("StartTime", now()), "LastModifiedTime": now()}
            self.records.write(name, record)
            end = self._end(name, record["Request"], resume, halted)
            record |= {"Status": end.status, "EndTime": now(), "LastModifiedTime": now()}
            if end.status == "Failed" and end.failure_reason:
                record["FailureReason"] = end.failure_reason[:_MAX_FAILURE_REASON]
            if end.exit_message:
                record["ExitMessage"] = end.exit_message
            self.records.write(name, record)
            self.records.clear_stop(name)
            return record

    def _end(self, name: str, request: Mapping[str, Any], resume: bool, halted: threading.Event | None) -> JobEnd:
        def is_stopped() -> bool:
            return (halted is not None and halted.is_set()) or self.records.stop_requested(name)

        with _watched(is_stopped) as stop:
            try:
                return self.execute(request, resume, stop)
            except BatchcastError as error:
                blame = "InternalServerError" if isinstance(error, ServiceError) else "ClientError"
                return JobEnd(status="Failed", failure_reason=f"{blame}: {error}")
            except Exception as error:  # the engine stands for the service here: its own failure is the job's
                if storage_error(error, self.records.folder) is not None:
                    raise  # not the job's: it is interrupted, and resumed once the disk is well
                return JobEnd(status="Failed", failure_reason=internal_error(error))

    def stop(self, name: str) -> None:
        """Ask a running job to stop; one whose process died is stopped at once. Raises ServiceException for an unknown
        job and for one that has ended."""
        record = self.get(name)
        if record["Status"] != IN_PROGRESS:
            kind = self.kind.lower()
            what = f"The request was rejected because the {kind} job is in status {record['Status']}."
            raise ServiceException("ValidationException", what)
        ended = {"Status": "Stopped", "EndTime": now(), "LastModifiedTime": now()}
        self.records.stop(name, lambda record: record | (ended if record["Status"] == IN_PROGRESS else {}))

    def names_of(self, execution_id: str) -> list[str]:
        """The jobs that are steps of an execution."""
        found = (record["Request"] for record in self.records.all() if record.get("Execution") == execution_id)
        return [self._name(request) for request in found]

    def interrupted(self) -> list[str]:
        """The ARNs of the jobs that ran in a process that died, but for the steps of executions."""
        return [
            self.arn(name)
            for record in self.records.all()
            if record["Status"] == IN_PROGRESS
            and "Execution" not in record
            and not self.records.is_owned(name := self._name(record["Request"]))
        ]

    def resume(self, arn: str) -> bool:
        """Run an interrupted job again in the background; False when it is none, or another process was faster."""
        name = arn.rsplit("/", 1)[-1]
        record = self.records.read(name)
        if record is None or record["Status"] != IN_PROGRESS or self.arn(name) != arn:
            return False
        lock = self.records.own(name)
        if lock is None:
            return False
        self._in_background(name, lock, resume=True)
        return True

    def get(self, name: str) -> Record:
        """The job's record. Raises ServiceException when there is none."""
        record = self.records.read(name)
        if record is None:
            raise ServiceException("ValidationException", f"Could not find requested job with name: {name}")
        return record

    def describe(self, name: str) -> dict[str, Any]:
        """What the service's Describe call answers, and more; times as text."""
        record = self.get(name)
        if record["Status"] == IN_PROGRESS and self.arn(name) in self.broken:
            raise self.broken[self.arn(name)]
        return self._described(record)

    def all(self) -> Iterator[dict[str, Any]]:
        """Every job, described."""
        return map(self._described, self.records.all())

    def _described(self, record: Record) -> dict[str, Any]:
        name = self._name(record["Request"])
        own = {"JobArn": self.arn(name), "JobStatus": self.records.status(name, record, going=IN_PROGRESS)}
        own |= {key: record[key] for key in ("StartTime", "EndTime") if key in record}
        return {**record["Request"], **record, **{f"{self.kind}{key}": value for key, value in own.items()}}

    def _in_background(self, name: str, lock: IO[str], *, resume: bool) -> None:
        def run() -> None:
            try:
                self.run(name, lock, resume=resume)
            except Exception as error:
                self.broken[self.arn(name)] = storage_error(error, self.records.folder) or error

        self.broken.pop(self.arn(name), None)
        threading.Thread(target=run, name=name, daemon=True).start()

    def _name(self, request: Mapping[str, Any]) -> str:
        return str(request[f"{self.kind}JobName"])

    def _in_use(self, name: str) -> ServiceException:
        what = "Job name must be unique within an AWS account and region, and a job with this name exists:"
        return ServiceException("ResourceInUse", f"{what} {self.arn(name)}")


@contextmanager
def _watched(is_stopped: Callable[[], bool]) -> Iterator[threading.Event]:
    """An event that is set once `is_stopped()` says so, looked at 20 times a second while the block runs."""
    stop, over = threading.Event(), threading.Event()

    def watch() -> None:
        while not over.is_set():
            if is_stopped():
                stop.set()
                return
            over.wait(_POLL_SECONDS)

    watcher = threading.Thread(target=watch, name="stop-watch", daemon=True)
    watcher.start()
    try:
        yield stop
    finally:
        over.set()
        watcher.join()
