"""Tasks in processes of their own, with one line of progress now and then."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TextIO, TypeVar

import pyarrow as pa

from batchcast.steps.errors import BatchcastError, Problem, ServiceError, parse_error
from batchcast.steps.no_pandas import refuse_pandas
from batchcast.steps.reading_note import open_reading_note

P = ParamSpec("P")
T = TypeVar("T")
Advance = Callable[[int], None]
"""Called by a task with the number of units it has done since the last call."""

_POLL_SECONDS = 0.2
_LINE_SECONDS = 5.0
_END_SECONDS = 2.0
_ABORTS = (signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)
_done: Synchronized[int] | None = None


class Progress:
    """Writes `<what>: <done> of <total> <unit> (<percent>), <rate> a second`, at most a line in five seconds."""

    def __init__(
        self,
        what: str,
        total: int,
        unit: str,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what, self._total, self._unit = what, total, unit
        self._stream = stream or sys.stderr
        self._clock = clock
        self._began = self._written = clock()

    def show(self, done: int) -> None:
        """Write a line if the last one is old enough."""
        now = self._clock()
        if now - self._written < _LINE_SECONDS:
            return
        self._written = now
        rate = done / (now - self._began)
        percent = 100 * done // max(self._total, 1)
        line = f"{self._what}: {done:,} of {self._total:,} {self._unit} ({percent} %), {rate:,.0f} a second"
        print(line, file=self._stream, flush=True)


class Workers:
    """Runs tasks in `processes` processes; in this one when it is 1. Use it in a `with` statement.

    Processes are spawned and not forked: Arrow's threads do not survive a fork.
    """

    def __init__(
        self, processes: int, notes: Path | None = None, *, takes_part: Callable[..., Any] | None = None
    ) -> None:
        """In the directory `notes` each process notes the file it reads, so that an abort can be told by its file.
        This process is one of those that stream the function in which it `takes_part`: it does what the others have no
        time for, and those begin at once."""
        self.processes = processes
        self._takes_part = takes_part
        self._others = processes - (takes_part is not None)
        self._notes = notes
        self._pool: ProcessPoolExecutor | None = None
        self._counter: Synchronized[int] | None = None
        self._begun: Future[bool] | None = None

    def __enter__(self) -> Workers:
        if self.processes > 1:
            context = multiprocessing.get_context("spawn")
            self._counter = context.Value("q", 0)
            self._pool = ProcessPoolExecutor(
                self._others, context, initializer=_start, initargs=(self._counter, self._notes)
            )
            if self._takes_part:  # Told of the function, it imports what that needs.
                self._begun = self._pool.submit(callable, self._takes_part)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._pool:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def run(
        self, function: Callable[Concatenate[Advance, P], T], tasks: Sequence[tuple[Any, ...]], progress: Progress
    ) -> list[T]:
        """`function(advance, *task)` of every task, in their order. The first error ends all."""
        if self._pool is None or self._counter is None:
            return _run_here(function, tasks, progress)
        self._counter.value = 0
        futures = [self._pool.submit(_call, function, task) for task in tasks]
        processes = multiprocessing.active_children()
        pending: set[Future[T]] = set(futures)
        try:
            while pending:
                finished, pending = wait(pending, _POLL_SECONDS, FIRST_EXCEPTION)
                progress.show(self._counter.value)
                for future in finished:
                    future.result()
        except BrokenProcessPool as error:
            raise self._killed(processes) from error
        return [future.result() for future in futures]

    def stream(self, function: Callable[Concatenate[Advance, P], T], tasks: Iterable[tuple[Any, ...]]) -> Iterator[T]:
        """The same one by one: so few tasks are made and so few results held as keep the processes busy."""
        if self._pool is None:
            for task in tasks:
                yield _call(function, task)
            return
        pending: deque[Future[T]] = deque()
        processes: set[BaseProcess] = set()
        try:
            for task in tasks:
                waiting = sum(not each.done() for each in pending)
                if self._begun and (not self._begun.done() or waiting >= 2 * self._others):
                    pending.append(Future())
                    pending[-1].set_result(_call(function, task))
                else:
                    pending.append(self._pool.submit(_call, function, task))
                processes.update(multiprocessing.active_children())
                if len(pending) > 2 * self.processes:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        except BrokenProcessPool as error:
            raise self._killed(processes) from error

    def _killed(self, processes: Iterable[BaseProcess]) -> BatchcastError:
        """Why one of them has ended."""
        for process in processes:
            _await_end(process)
            noted = self._noted(process)
            if noted is not None:
                return noted
        remedy = "Most likely the memory did not suffice: use a larger ProcessingInstanceType."
        return ServiceError(Problem("worker_killed", "a worker process was killed.", remedy=remedy))

    def _noted(self, process: BaseProcess) -> BatchcastError | None:
        """The error that a process noted before it aborted; one that was killed from outside is not to blame."""
        if self._notes is None or process.exitcode is None or -process.exitcode not in _ABORTS:
            return None
        path = _note(self._notes, process.pid)
        return parse_error(path.read_text(encoding="utf-8")) if path.is_file() else None


def _await_end(process: BaseProcess) -> None:
    end = time.monotonic() + _END_SECONDS
    process.join(_END_SECONDS)
    # The pool waits for it as well: whoever comes second learns the exit code a moment later.
    while process.exitcode is None and time.monotonic() < end:
        time.sleep(0.01)


def _note(notes: Path, process: int | None) -> Path:
    return notes / f"reading-{process}"


def _run_here(function: Callable[..., T], tasks: Sequence[tuple[Any, ...]], progress: Progress) -> list[T]:
    done = 0

    def advance(more: int) -> None:
        nonlocal done
        done += more
        progress.show(done)

    return [function(advance, *task) for task in tasks]


def _start(counter: Synchronized[int], notes: Path | None) -> None:
    global _done
    _done = counter
    refuse_pandas()
    if notes is not None:
        open_reading_note(_note(notes, os.getpid()))
    pa.set_cpu_count(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # A pool's process would wait for work for ever after the step was killed, or go on writing into its outputs.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call(function: Callable[..., T], task: tuple[Any, ...]) -> T:
    if _done is not None and not gc.get_freeze_count():
        gc.freeze()  # What was imported stays, as in the step's own process.
    return function(_advance, *task)


def _advance(more: int) -> None:
    if _done is not None:
        with _done.get_lock():
            _done.value += more
