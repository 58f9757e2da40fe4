"""Transform jobs on serving stacks that nobody wrote for batchcast."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from stacks import Job, Stack

from batchcast.engine.server.model_server import free_ports, start_model_server, wait_until_ready

pytestmark = pytest.mark.conformance

BAD = b'{"item_id": "bad"}'


def test_a_job_gives_byte_for_byte_what_the_samples_own_server_gives(
    stack: Stack, job: Job, own_outputs: dict[str, bytes]
) -> None:
    result = job.run(stack)
    assert (result.status, result.failure_reason) == ("Completed", None)
    assert job.outputs() == own_outputs
    assert sum(len(output.splitlines()) for output in own_outputs.values()) == 24


def test_a_bad_record_fails_its_file_alone_whatever_the_stack_answers(
    stack: Stack, tmp_path: Path, records: list[bytes], own_outputs: dict[str, bytes]
) -> None:
    job = Job(tmp_path, [*records[:8], BAD, *records[9:]])
    result = job.run(stack)
    assert result.status == "Failed"
    blame = "ClientError" if stack.bad_status == 400 else "AlgorithmError"
    assert result.failure_reason == f"{blame}: See job logs for more information"
    assert [file.uri for file in result.failed_files] == ["s3://b/in/part-1.jsonl"]
    assert job.outputs() == {name: data for name, data in own_outputs.items() if name != "part-1.jsonl.out"}
    assert job.log().count(f"{stack.bad_status}\n") == stack.tries
    assert "request_type" in job.log()


def test_a_job_that_says_nothing_takes_what_the_stack_says(
    stack: Stack, job: Job, records: list[bytes], own_outputs: dict[str, bytes]
) -> None:
    said = {"MaxConcurrentTransforms": None, "MaxPayloadInMB": None, "BatchStrategy": None, "DataProcessing": None}
    assert job.run(stack, **said).status == "Completed"
    in_force = ", ".join(f"{name}={value}" for name, value in stack.says.items())
    assert job.log().count(in_force) == 2
    for name, output in job.outputs().items():
        own = [json.loads(line)["SageMakerOutput"] for line in own_outputs[name].splitlines()]
        assert [json.loads(line) for line in output.splitlines()] == own


def test_a_stack_listens_on_the_loopback_alone_and_is_gone_when_stopped(stack: Stack, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    log = tmp_path / "log"
    server = start_model_server(stack.model(tmp_path), port=port, environment={}, log=log)
    try:
        wait_until_ready(server, aborted=threading.Event(), log=log)
        addresses = listening_addresses(port)
        assert addresses
        assert addresses <= LOOPBACK
        assert stack.living()
    finally:
        server.stop()


# 127.0.0.1 as Linux writes it in /proc/net: for a socket of version 4, and for one of version 6.
LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F"}


def listening_addresses(port: int) -> set[str]:
    """The addresses on which a socket listens at the port."""
    rows = [row.split() for name in ("tcp", "tcp6") for row in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    listening = [row[1].split(":") for row in rows if row[3] == "0A"]
    return {address for address, hexadecimal in listening if int(hexadecimal, 16) == port}
