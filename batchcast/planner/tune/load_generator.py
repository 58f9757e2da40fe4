"""Keep a number of requests in flight at a real server or endpoint and time each."""

import collections
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from batchcast.container_check.container import JSON_HEADERS
from batchcast.engine.server.http_exchange import NoAnswerError
from batchcast.engine.server.model_server import ModelServer
from batchcast.planner.tune.levels import LOOK_EVERY, Exchange, Reading, Usage, never
from batchcast.steps.contract.request import PLAIN_REQUEST
from batchcast.steps.errors import BatchcastError

Slot = Callable[[bytes], str | None]
"""Sends one record and waits: None for an answer, else what went wrong."""


class ResourceUsage(NamedTuple):
    """Processor seconds so far of the server and of everybody else but us; percent of the memory the server holds."""

    server: float
    others: float
    memory_percent: float


class GroupUsage:
    """What a server's process group uses of this machine, from /proc."""

    def __init__(self, group: int, proc: Path = Path("/proc")) -> None:
        self._group, self._proc = str(group), proc
        self._ticks = os.sysconf("SC_CLK_TCK")
        self._page = os.sysconf("SC_PAGE_SIZE")
        self._memory = os.sysconf("SC_PHYS_PAGES") * self._page

    def now(self) -> ResourceUsage:
        """Everything used so far."""
        seconds, held = 0.0, 0
        for directory in self._proc.iterdir():
            if directory.name.isdecimal() and (fields := _stat(directory)) and fields[2] == self._group:
                # Its own, and those of its children that have ended.
                seconds += sum(map(int, fields[11:15])) / self._ticks
                held += int(fields[21]) * self._page
        own = sum(os.times()[:2])
        return ResourceUsage(seconds, self._machine_seconds() - seconds - own, 100 * held / self._memory)

    def _machine_seconds(self) -> float:
        user, nice, system, _idle, _wait, irq, softirq, *_ = (self._proc / "stat").read_text().split()[1:9]
        return sum(map(int, (user, nice, system, irq, softirq))) / self._ticks


@dataclass(slots=True)
class ClosedLoop:
    """`batchcast.planner.tune.levels.LoadTarget` over slots: `_open_slot` gives each thread its own connection."""

    _open_slot: Callable[[], AbstractContextManager[Slot]]
    _records: Sequence[bytes]
    _group: GroupUsage | None = None
    _usage: Usage | None = None

    def run(self, concurrency: int, records: Sequence[int], stop: Callable[[], bool] = never) -> list[Exchange]:
        """Send the records in order, `concurrency` in flight, until all are answered; no more when `stop` says so."""
        waiting = iter(records)
        lock = threading.Lock()
        exchanges: list[Exchange] = []
        before, began = self._group.now() if self._group else None, time.monotonic()
        with _running([(self._work, (waiting, lock, exchanges))] * concurrency) as threads:
            for thread in threads:
                while thread.is_alive():
                    thread.join(LOOK_EVERY)
                    if thread.is_alive() and stop():
                        with lock:
                            collections.deque(waiting, maxlen=0)
        self._note_usage(before, time.monotonic() - began)
        return exchanges

    def usage(self) -> Usage | None:
        """Of the last run."""
        return self._usage

    def others(self) -> Reading | None:
        """Where there is a group to tell them from."""
        return Reading(time.monotonic(), self._group.now().others / (os.cpu_count() or 1)) if self._group else None

    def wait(self, seconds: float) -> None:
        """Do nothing for so long."""
        time.sleep(seconds)

    def _work(self, waiting: Iterator[int], lock: threading.Lock, exchanges: list[Exchange]) -> None:
        with self._open_slot() as send:
            while True:
                with lock:
                    place = next(waiting, None)
                if place is None:
                    return
                began = time.monotonic()
                failure = send(self._records[place])
                exchange = Exchange(place, began, time.monotonic(), failure)
                with lock:
                    exchanges.append(exchange)

    def _note_usage(self, before: ResourceUsage | None, wall: float) -> None:
        if self._group and before:
            now = self._group.now()
            self._usage = Usage(
                cpu_percent=100 * (now.server - before.server) / wall,
                memory_percent=now.memory_percent,
                others_percent=100 * max(0.0, now.others - before.others) / wall / (os.cpu_count() or 1),
            )


@dataclass(frozen=True, slots=True)
class LoadOnInstances:
    """`levels.LoadTarget` over several instances behind one address: each is sent as many requests as the first.

    Which instance answers is not ours to say, so what the first sees stands for one instance of all of them.
    """

    _loops: Sequence[ClosedLoop]

    def run(self, concurrency: int, records: Sequence[int], stop: Callable[[], bool] = never) -> list[Exchange]:
        """The exchanges of the first, while the others do the same."""
        first, *others = self._loops
        with _running([(loop.run, (concurrency, records)) for loop in others]):
            return first.run(concurrency, records, stop)

    def usage(self) -> Usage | None:
        """Unknown: the instances are elsewhere."""
        return None

    def others(self) -> None:
        """Unknown as well."""

    def wait(self, seconds: float) -> None:
        """For nobody."""


def server_slots(server: ModelServer, timeout: float) -> Callable[[], AbstractContextManager[Slot]]:
    """Slots at a model server, with the headers of the pipeline's transform jobs."""

    @contextmanager
    def opened() -> Iterator[Slot]:
        connection = server.connect()

        def send(record: bytes) -> str | None:
            try:
                answer = connection.post("/invocations", record, JSON_HEADERS, timeout=timeout)
            except NoAnswerError as error:
                return str(error)
            said = answer.body[:200].decode(errors="replace")
            return None if answer.status < 300 else f"HTTP {answer.status}: {said}"

        try:
            yield send
        finally:
            connection.close()

    return opened


def endpoint_slots(runtime: Any, endpoint: str) -> Callable[[], AbstractContextManager[Slot]]:
    """Slots at a real-time endpoint; `runtime` is a `sagemaker-runtime` client, shared by all threads."""
    request = {"EndpointName": endpoint, "ContentType": PLAIN_REQUEST.content_type, "Accept": PLAIN_REQUEST.accept}

    @contextmanager
    def opened() -> Iterator[Slot]:
        def send(record: bytes) -> str | None:
            try:
                runtime.invoke_endpoint(**request, Body=record)["Body"].read()
            except BatchcastError as error:
                return str(error)
            return None

        yield send

    return opened


@contextmanager
def _running(calls: Sequence[tuple[Callable[..., object], tuple[Any, ...]]]) -> Iterator[list[threading.Thread]]:
    """Each call in a thread of its own; left when all have ended."""
    threads = [threading.Thread(target=call, args=arguments, daemon=True) for call, arguments in calls]
    for thread in threads:
        thread.start()
    yield threads
    for thread in threads:
        thread.join()


def _stat(directory: Path) -> list[str] | None:
    try:
        text = (directory / "stat").read_text()
    except OSError:
        return None
    # The name in parentheses may hold spaces; what follows the last one is numbers, the state first.
    return text.rpartition(")")[2].split()
