"""The slots of an instance: as many threads, each with a connection of its own, as it may have requests in flight."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

from batchcast.engine.server.http_exchange import Connection


class Slots:
    """A context manager; at its end every connection is closed."""

    def __init__(self, connections: list[Connection], name: str) -> None:
        self._connections = connections
        self._idle = list(connections)
        self._threads = ThreadPoolExecutor(len(connections), thread_name_prefix=name)

    def in_every_slot(self, work: Callable[[Connection], None]) -> None:
        """Run the same work in all slots; return when all have ended. Raises what the work raised."""
        for future in [self._threads.submit(self._in_a_slot, work) for _ in self._connections]:
            future.result()

    def in_one_slot_each(self, works: Iterable[Callable[[Connection], None]]) -> None:
        """Run each work in the next slot that is idle; return when all have ended. Raises what a work raised."""
        for future in [self._threads.submit(self._in_a_slot, work) for work in works]:
            future.result()

    def _in_a_slot(self, work: Callable[[Connection], None]) -> None:
        connection = self._idle.pop()
        try:
            work(connection)
        except BaseException:
            # A bug or a broken store: the other slots need not wait for their answers.
            for each in self._connections:
                each.break_off()
            raise
        finally:
            self._idle.append(connection)

    def __enter__(self) -> Slots:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(cancel_futures=True)
        for connection in self._connections:
            connection.close()
