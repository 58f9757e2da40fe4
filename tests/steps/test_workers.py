from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pyarrow as pa
import pytest

from batchcast.steps.errors import DataError, Problem, ServiceError, parse_error
from batchcast.steps.history.workers import Advance, Progress, Workers
from batchcast.steps.reading_note import reading


def square(advance: Advance, number: int) -> int:
    advance(1)
    return number * number


def process_id(advance: Advance, _: int) -> int:
    advance(1)
    return os.getpid()


def refuse(advance: Advance, number: int) -> int:
    raise DataError(Problem("wrong", f"number {number}"))


def be_killed(advance: Advance, number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def abort_while_reading(advance: Advance, name: str) -> None:
    with reading(name):
        os.abort()


def loads_pandas(advance: Advance, number: int) -> bool:
    pa.array([number])
    return "pandas" in sys.modules


def silent() -> Progress:
    return Progress("test", 3, "numbers", io.StringIO())


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_the_order_of_the_tasks(processes: int) -> None:
    with Workers(processes) as workers:
        assert workers.run(square, [(3,), (1,), (2,)], silent()) == [9, 1, 4]
        assert workers.run(square, [], silent()) == []
        here = os.getpid() in workers.run(process_id, [(0,), (1,)], silent())
        assert here is (processes == 1)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_stream_makes_few_tasks_ahead_of_its_results(processes: int) -> None:
    made = 0

    def tasks() -> Iterator[tuple[int]]:
        nonlocal made
        for number in range(20):
            made += 1
            yield (number,)

    with Workers(processes) as workers:
        for number, result in enumerate(workers.stream(square, tasks())):
            assert result == number**2
            assert made <= number + 1 + 2 * processes


def test_this_process_takes_part_in_a_stream_and_does_what_there_is_while_the_others_begin() -> None:
    with Workers(2, takes_part=True) as workers:
        found = workers.stream(process_id, ((number,) for number in count()))
        assert next(found) == os.getpid()
        assert next(process for process in found if process != os.getpid())
        assert list(workers.stream(square, ((number,) for number in range(50)))) == [n * n for n in range(50)]


def test_a_process_does_not_load_pandas() -> None:
    with Workers(2) as workers:
        assert workers.run(loads_pandas, [(1,)], silent()) == [False]


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_of_a_task_is_raised_as_it_is(processes: int) -> None:
    with Workers(processes) as workers, pytest.raises(DataError, match="number 7") as caught:
        workers.run(refuse, [(7,)], silent())
    assert caught.value.problems == (Problem("wrong", "number 7"),)


def test_a_killed_process_is_a_service_error_that_speaks_of_memory() -> None:
    with Workers(2) as workers, pytest.raises(ServiceError, match="larger ProcessingInstanceType"):
        workers.run(be_killed, [(1,), (2,)], silent())


def test_a_killed_process_ends_a_stream_of_tasks_by_the_same_error() -> None:
    with Workers(2) as workers, pytest.raises(ServiceError, match="worker_killed"):
        list(workers.stream(be_killed, ((number,) for number in range(50))))


def test_a_process_that_aborts_is_a_data_error_that_names_the_file_it_read(tmp_path: Path) -> None:
    with Workers(2, tmp_path) as workers, pytest.raises(DataError, match=r"bad\.parquet: the process ended while"):
        workers.run(abort_while_reading, [("bad.parquet",)], silent())


def test_the_step_that_aborts_leaves_an_exit_message_that_names_the_file(tmp_path: Path) -> None:
    program = (
        "import os, pathlib\nfrom batchcast.steps.reading_note import keep_reading_note, reading\n"
        f"with keep_reading_note(pathlib.Path({str(tmp_path / 'output/message')!r})):\n"
        "    with reading('good.parquet'): pass\n    with reading('bad.parquet'): os.abort()\n"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == -signal.SIGABRT
    error = parse_error((tmp_path / "output/message").read_text())
    assert isinstance(error, DataError)
    assert "bad.parquet: the process ended" in str(error)


def test_the_exit_message_names_the_file_that_is_still_read_when_another_one_is_done(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, threading\nfrom batchcast.steps.reading_note import keep_reading_note, reading\n"
        "def read(name):\n    with reading(name): pass\n"
        f"with keep_reading_note(pathlib.Path({str(tmp_path / 'output/message')!r})), reading('bad.parquet'):\n"
        "    other = threading.Thread(target=read, args=('good.parquet',))\n"
        "    other.start(); other.join(); os.abort()\n"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == -signal.SIGABRT
    assert "bad.parquet: the process ended" in (tmp_path / "output/message").read_text()


def test_progress_writes_at_most_a_line_in_five_seconds() -> None:
    times = iter([0.0, 1.0, 5.5, 6.0, 11.0])
    stream = io.StringIO()
    progress = Progress("count the items", 4_000_000, "rows", stream, lambda: next(times))
    for done in (100, 1_100_000, 1_200_000, 3_300_000):
        progress.show(done)
    assert stream.getvalue() == (
        "count the items: 1,100,000 of 4,000,000 rows (27 %), 200,000 a second\n"
        "count the items: 3,300,000 of 4,000,000 rows (82 %), 300,000 a second\n"
    )
