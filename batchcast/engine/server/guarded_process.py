"""A subprocess, and everything it starts, that cannot outlive the process that asked for it.

This file is also the program of the guard: it starts the command in a process group of its own and holds the reading
end of a pipe from its parent. When the parent dies, however it dies, the pipe ends and the guard kills the group.
Standard library only, because the guard runs isolated from every package.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO


def start_guarded(
    command: Sequence[str], *, env: Mapping[str, str], cwd: Path, output: BinaryIO
) -> subprocess.Popen[bytes]:
    """Start `command`; stdout and stderr go to `output`. The result's exit code is the command's.

    Keep the result until the command has ended: its `stdin` is the pipe whose end means death.
    """
    return subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, *command],
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def stop_group(process: subprocess.Popen[bytes], *, grace_seconds: float) -> None:
    """SIGTERM to the group, SIGKILL to what is left after the grace; returns when the command has ended."""
    _signal_group(process, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(grace_seconds)
    kill_group(process)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to the group and the end of the pipe; no error when everything has ended already."""
    _signal_group(process, signal.SIGKILL)
    if process.stdin:
        process.stdin.close()
    process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _guard(command: Sequence[str]) -> int:
    # A handler, unlike SIG_IGN, is not inherited: the command itself ends on SIGTERM, the guard stays to report how.
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGINT, lambda *_: None)
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        return 127
    threading.Thread(target=_kill_group_at_end_of_pipe, daemon=True).start()
    code = process.wait()
    return code if code >= 0 else 128 - code


def _kill_group_at_end_of_pipe() -> None:
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(_guard(sys.argv[1:]))
