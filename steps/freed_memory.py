"""Memory that is freed goes back to the system: the allocators would keep much of it, each for a thread that has ended,
until a step over millions of items has several times what it uses."""

import ctypes
import os
from contextlib import suppress

_M_ARENA_MAX = -8


def return_freed_memory() -> None:
    """From now on, in this process: to be called before pyarrow is imported, which reads the variable then."""
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    with suppress(AttributeError):  # not glibc
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
