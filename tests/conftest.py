"""What holds for every test: no AWS account is near, and no instance to ask for one; and Ctrl-C is heard."""

from __future__ import annotations

import os
import signal
import sys

import pytest
from hypothesis import settings

pytest_plugins = ["team_account", "fuzzing", "started_warm"]

# Tests start hundreds of processes, each of which would compile what it imports anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# The machine that runs the tests may be busy: hypothesis measures no deadlines.
settings.register_profile("busy machine", deadline=None)
settings.load_profile("busy machine")


def pytest_configure() -> None:
    """A shell lets what it puts into the background ignore interrupts, and so would every process a test starts."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is long begins each process's share, so that none is left alone with it at the end."""
    long = [item for item in items if item.get_closest_marker("long")]
    rest = [item for item in items if not item.get_closest_marker("long")]
    processes, every = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")), len(items)
    items.clear()
    for number, left in enumerate(range(processes, 0, -1)):
        first = long[number::processes]
        share = max(0, (every - len(items)) // left - len(first))
        items += [*first, *rest[:share]]
        del rest[:share]
    items += rest


@pytest.fixture(autouse=True)
def no_instance_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 looks for credentials on the network where it finds none; tests reach loopback only."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
