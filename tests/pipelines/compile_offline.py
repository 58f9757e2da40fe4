"""Compile definitions in a process of its own: no sockets, and a look at what the SDK leaves behind.

Reads a JSON list of settings on stdin; writes the definitions and the traces left behind as JSON on stdout.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import threading
from typing import Any, NoReturn


def refuse(*args: Any, **kwargs: Any) -> NoReturn:
    """Stands where a connection would be opened."""
    raise AssertionError(f"something wants the network: {args[:1]}")


def state() -> dict[str, Any]:
    """What a library must not change in the process that uses it."""
    root = logging.getLogger()
    return {
        "environment": dict(os.environ),
        "root logger": [root.level, [repr(handler) for handler in root.handlers], logging.root.manager.disable],
        "excepthook": repr(sys.excepthook),
        "threads": [thread.name for thread in threading.enumerate()],
    }


def main() -> None:
    """Block the network, compile, compare."""
    socket.create_connection = refuse
    socket.getaddrinfo = refuse
    socket.socket.connect = refuse  # type: ignore[method-assign]
    before = state()
    from batchcast.pipelines.definition import build, to_json
    from batchcast.pipelines.settings import read_settings

    texts = [to_json(build(read_settings(values))) for values in json.load(sys.stdin)]
    after = state()
    json.dump({"texts": texts, "changed": [key for key in before if before[key] != after[key]]}, sys.stdout)


if __name__ == "__main__":
    main()
