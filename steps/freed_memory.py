"""Memory that is freed goes back to the system: the allocators would keep much of it, each for a thread that has ended,
until a step over millions of items has several times what it uses."""

import ctypes
import os
from contextlib import suppress

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_LARGE = 16 << 20
"""So large a piece goes back at once. For smaller ones to do so costs more time than their memory is worth."""


def return_freed_memory() -> None:
    """From now on, in this process: to be called before numpy and pyarrow are imported, which read them then.

    The threads that work at once have a heap each: of one heap each would give back what the other needs next.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    # BLAS would start a thread a processor, which waits for work in a loop: steps multiply small matrices only.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with suppress(AttributeError):  # not glibc
        options = ctypes.CDLL(None).mallopt
        options(_ARENA_MAX, len(os.sched_getaffinity(0)))
        options(_MMAP_THRESHOLD, _LARGE)
        options(_TRIM_THRESHOLD, _LARGE)
