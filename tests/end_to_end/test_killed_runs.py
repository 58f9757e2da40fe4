"""A run of which something dies at any moment: it goes on, or another one takes its place, and what is published is
what a run that nothing happened to publishes. `make kills N=100` tries more; a failure prints its seed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pyarrow.compute as pc
import pytest
from command import LAST_WEEK_SERVER, ROOT, RUN_DATE, Ended, command_line, small_bakery, write_history
from seaweed import Seaweed, running_seaweed

from batchcast.steps.errors import parse_error

KILLS = int(os.environ.get("BATCHCAST_KILLED_RUNS") or 0)
SEED = os.environ.get("BATCHCAST_KILL_SEED")
FEW = [("parent", "same"), ("child", "same"), ("driver", "same")]
WHATS = ("parent", "group", "child", "driver", "storage")
SEEDS = [int(SEED)] if SEED else range(KILLS) if KILLS else []
CASES = [(what, inputs, 7) for what, inputs in FEW if not SEEDS] + [
    (WHATS[seed % len(WHATS)], ("same", "same", "other")[seed // len(WHATS) % 3], seed) for seed in SEEDS
]
SECONDS_TO_DIE = 2.0
# Raises in the thread that drives the execution, so many seconds after it began, as a bug or a full disk would.
DRIVER = f"""
import ctypes, sys, threading, time
sys.path.insert(0, {str(ROOT)!r})
def strike(seconds):
    while not (found := [one for one in threading.enumerate() if one.name.startswith("execution-")]):
        time.sleep(0.01)
    time.sleep(seconds)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(found[0].ident), ctypes.py_object(MemoryError))
threading.Thread(target=strike, args=(float(sys.argv.pop(1)),), daemon=True).start()
from batchcast.cli.main import main
main()
"""


@dataclass(frozen=True)
class Clean:
    """The two inputs, the digests of what a run on each publishes, and the seconds that such a run takes."""

    histories: dict[str, Path]
    digests: dict[str, dict[str, str]]
    seconds: float


def arguments(history: str, folder: Path) -> list[str]:
    # The model's server is told an item that there is none of, by which its processes are found.
    model = f"{LAST_WEEK_SERVER} {{port}} {folder}"
    where = ("--workspace", str(folder / "workspace"), "--history", history, "--model-command", model)
    return ["local", "--json", *where, "-p", f"RunDate={RUN_DATE}", "-p", "RecordsPerShard=2"]


def digests(folder: Path) -> dict[str, str]:
    """Name to digest of the data files of the run that readers see, the last one that was published."""
    runs = (folder / "workspace" / "s3" / "batchcast" / "published" / "forecasts").glob("run_date=*/run_id=*")
    last = max(runs, key=lambda run: (run / "_MANIFEST.json").stat().st_mtime_ns)
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in last.glob("*.parquet")}


def run(words: list[str], **more: str) -> Ended:
    ended = subprocess.run(
        command_line(*words), capture_output=True, text=True, timeout=240, check=False, env={**os.environ, **more}
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Clean:
    table = small_bakery()
    place = table.column_names.index("sales")
    tables = {"same": table, "other": table.set_column(place, "sales", pc.multiply(table["sales"], 1.1))}
    histories, found, seconds = {}, {}, 0.0
    for name in {"same", *(inputs for _, inputs, _ in CASES)}:
        folder = tmp_path_factory.mktemp(name)
        histories[name] = write_history(folder / "history", tables[name])
        began = time.monotonic()
        ended = run(arguments(str(histories[name]), folder))
        seconds = time.monotonic() - began
        assert ended.exit_code == 0, ended.stderr
        found[name] = digests(folder)
    return Clean(histories, found, seconds)


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory, clean: Clean) -> Callable[[], Seaweed]:
    """Starts a storage server that holds the histories; each kill takes one of its own."""

    @contextmanager
    def start() -> Iterator[Seaweed]:
        with running_seaweed(tmp_path_factory.mktemp("seaweed"), "data") as server:
            client = server.client()
            for name, folder in clean.histories.items():
                for path in folder.iterdir():
                    client.upload_file(str(path), "data", f"{name}/{path.name}")
            yield server

    return start


def processes_of(folder: Path) -> list[int]:
    """The processes that were told of the folder, by their arguments or environment."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            told = (place / "cmdline").read_bytes() + b"\0" + (place / "environ").read_bytes()
            if str(folder).encode() in told and int(place.name) != os.getpid():
                found.append(int(place.name))
    return found


def kill_one(what: str, process: subprocess.Popen[bytes], folder: Path, dice: random.Random) -> None:
    """Kill the command, its group, or one of the processes that work for it; the latter's end is waited for."""
    others = [each for each in processes_of(folder) if each != process.pid]
    with suppress(ProcessLookupError):
        if what == "group":
            os.killpg(process.pid, signal.SIGKILL)
        elif what == "child" and others:
            os.kill(dice.choice(others), signal.SIGKILL)
            return
        else:
            process.kill()


def nothing_left(folder: Path) -> bool:
    deadline = time.monotonic() + SECONDS_TO_DIE
    while (left := processes_of(folder)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not left


def begin(what: str, words: list[str], delay: float, environ: dict[str, str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", DRIVER, str(delay), *words] if what == "driver" else command_line(*words)
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True, env=environ
    )


def struck(what: str, words: list[str], folder: Path, delay: float, dice: random.Random) -> None:
    """A run of which something dies after the delay, to its end."""
    process = begin(what, words, delay, dict(os.environ))
    if what != "driver":
        with suppress(subprocess.TimeoutExpired):
            process.wait(delay)
        kill_one(what, process, folder, dice)
    try:
        _, said = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode in (0, 2, 3, 4, 5, 75, -signal.SIGKILL), said.decode()
    assert nothing_left(folder)


@pytest.mark.parametrize(("what", "inputs", "seed"), CASES)
def test_what_is_published_after_a_death_is_what_a_clean_run_publishes(
    what: str, inputs: str, seed: int, clean: Clean, storage: Callable[[], Seaweed], tmp_path: Path
) -> None:
    print(f"make kills SEED={seed}  # {what}, {inputs} inputs")  # noqa: T201  shown by pytest when it fails
    dice = random.Random(seed)
    delay = dice.uniform(0.05, 1.0) * clean.seconds
    if what == "storage":
        with storage() as server:
            words = arguments("s3://data/same/", tmp_path)
            environ = server.environ
            process = begin(what, words, delay, {**os.environ, **environ})
            with suppress(subprocess.TimeoutExpired):
                process.wait(dice.uniform(0.05, 0.4) * clean.seconds)
        _, said = process.communicate(timeout=240)
        assert process.returncode == 0 or parse_error(said.decode()) is not None, said.decode()
        assert nothing_left(tmp_path)
    else:
        struck(what, arguments(str(clean.histories["same"]), tmp_path), tmp_path, delay, dice)
    ended = run(arguments(str(clean.histories[inputs]), tmp_path))
    if ended.exit_code:
        print(f"refused: {ended.stderr}")  # noqa: T201  shown by pytest -rP
        assert parse_error(ended.stderr.splitlines()[-1]) is not None, ended.stderr
    else:
        assert digests(tmp_path) == clean.digests[inputs]
    assert nothing_left(tmp_path)
