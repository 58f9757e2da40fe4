"""Serving stacks that batchcast has no part in, and the records they are given."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from stacks import OWN_SERVER, STACKS, Job, Stack

from batchcast.local.sample import bakery_records


@pytest.fixture(params=STACKS, ids=lambda stack: stack.name)
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """Each of the stacks; none of its processes may outlive the test, but for what a busy machine takes to end one."""
    yield request.param
    deadline = time.monotonic() + 10
    while request.param.living() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert request.param.living() == []


@pytest.fixture(scope="session")
def records() -> list[bytes]:
    """24 records of the bakery."""
    return bakery_records()[:24]


@pytest.fixture(scope="session")
def own_outputs(tmp_path_factory: pytest.TempPathFactory, records: list[bytes]) -> dict[str, bytes]:
    """What a job on the sample's own server gives for the records."""
    job = Job(tmp_path_factory.mktemp("own"), records)
    assert job.run(OWN_SERVER).status == "Completed"
    return job.outputs()


@pytest.fixture
def job(tmp_path: Path, records: list[bytes]) -> Job:
    """A job of the good records."""
    return Job(tmp_path, records)
