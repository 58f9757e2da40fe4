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
    """`batchcast.planner.tune.levels.LoadTarget` over slots: `_open_slot` gives each thread its own connection.

    Each of several `_instances` behind one address is sent as many requests as the first. Which instance answers is not
    ours to say, so what the first is sent stands for one instance of all of them.
    """

    _open_slot: Callable[[], AbstractContextManager[Slot]]
    _records: Sequence[bytes]
    _group: GroupUsage | None = None
    _instances: int = 1
    _usage: Usage | None = None

    def run(self, concurrency: int, records: Sequence[int], stop: Callable[[], bool] = never) -> list[Exchange]:
        """Send the records in order, `concurrency` in flight, until all are answered; no more when `stop` says so."""
        lock = threading.Lock()
        loops: list[tuple[Iterator[int], list[Exchange]]] = [(iter(records), []) for _ in range(self._instances)]
        before, began = self._group.now() if self._group else None, time.monotonic()
        threads = [threading.Thread(target=self._work, args=(*loop, lock), daemon=True) for loop in loops * concurrency]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(LOOK_EVERY)
                if thread.is_alive() and stop():
                    with lock:
                        for waiting, _ in loops:
                            collections.deque(waiting, maxlen=0)
        self._note_usage(before, time.monotonic() - began)
        return loops[0][1]

    def usage(self) -> Usage | None:
        return self._usage

    def others(self) -> Reading | None:
        return Reading(time.monotonic(), self._group.now().others / (os.cpu_count() or 1)) if self._group else None

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def _work(self, waiting: Iterator[int], exchanges: list[Exchange], lock: threading.Lock) -> None:
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


def _stat(directory: Path) -> list[str] | None:
    try:
        text = (directory / "stat").read_text()
    except OSError:
        return None
    # The name in parentheses may hold spaces; what follows the last one is numbers, the state first.
    return text.rpartition(")")[2].split()
