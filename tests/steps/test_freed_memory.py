"""What a step has freed is memory of the system again, not of the step."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_WRITES = """
import io, os, random
from batchcast.steps.freed_memory import return_freed_memory
{begin}
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from batchcast.steps.answers.item_arrays import at_once

def anonymous():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon")) / 1024

def write(seed):
    values = np.random.default_rng(seed).random(150_000)
    pq.write_table(pa.table([pa.array(values)], ["values"]), io.BytesIO())

os.sched_getaffinity = lambda _: {{0, 1}}
write(0)
for _ in range(2):
    for _ in at_once(write, range(8)):
        pass
print(round(anonymous()), pa.default_memory_pool().backend_name)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_threads_that_have_ended_leave_no_memory_behind() -> None:
    keeps = _WRITES.format(begin="os.environ['ARROW_DEFAULT_MEMORY_POOL'] = 'mimalloc'")
    kept = max(int(_said(keeps)[0]) for _ in range(5))  # It gives back some of it now and then.
    given_back, backend = _said(_WRITES.format(begin="return_freed_memory()"))
    assert backend == "system"
    assert int(given_back) < kept - 10


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_numpy_starts_no_thread_that_nothing_needs() -> None:
    begin = "import os; from batchcast.steps.freed_memory import return_freed_memory; return_freed_memory()"
    assert _said(f"{begin}; import numpy; print(len(os.listdir('/proc/self/task')))") == ["1"]


def test_the_entry_of_the_steps_imports_no_arrow_before_it_chooses_the_allocator() -> None:
    asked = "import sys, batchcast.steps.__main__; print('pyarrow' in sys.modules)"
    assert _said(asked) == ["False"]


def _said(script: str) -> list[str]:
    root = Path(__file__).resolve().parents[2]
    return subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, check=True, text=True
    ).stdout.split()
