"""A disk that refuses to be written ends what waits for the run, which is resumed once the disk is well."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from local_pipeline import ROLE, definition, ended, local, processing, steps_of, store_of

from batchcast.engine.errors import storage_error
from batchcast.steps.errors import ServiceError

TESTS = Path(__file__).resolve().parents[1]
WAIT = b"""
import pathlib, sys, time
marker = pathlib.Path(sys.argv[1])
marker.touch()
while marker.exists():
    time.sleep(0.01)
"""
# A process whose files may not grow meets EFBIG where a full disk gives ENOSPC; no root and no mount is needed.
DRIVER = """
import json, resource, sys, time
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from local_pipeline import local
from batchcast.steps.errors import BatchcastError
workspace = Path(sys.argv[1])
client = local(workspace)
arn = client.start_pipeline_execution(PipelineName="p")["PipelineExecutionArn"]
while not (workspace / "running").exists():
    time.sleep(0.01)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
(workspace / "running").unlink()
deadline = time.monotonic() + 20
while time.monotonic() < deadline:
    try:
        status = client.describe_pipeline_execution(PipelineExecutionArn=arn)["PipelineExecutionStatus"]
    except BatchcastError as error:
        print(json.dumps([arn, type(error).__name__, error.problems[0].code, error.problems[0].remedy]), flush=True)
        break
    time.sleep(0.05)
else:
    print(json.dumps([arn, "followed for ever", status, ""]), flush=True)
"""


def test_a_disk_that_fills_up_while_a_step_runs_ends_who_follows_and_the_run_is_resumed(tmp_path: Path) -> None:
    store_of(tmp_path).write("s3://b/wait.py", WAIT)
    marker = str(tmp_path / "running")
    client = local(tmp_path)
    client.create_pipeline(
        PipelineName="p",
        PipelineDefinition=definition(
            processing("A", "s3://b/wait.py", marker), processing("B", "pass", DependsOn=["A"])
        ),
        RoleArn=ROLE,
    )
    root, fixtures = TESTS.parent, TESTS / "fixtures"
    command = [sys.executable, "-c", DRIVER, str(tmp_path), str(root), str(fixtures), str(TESTS)]
    told = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert told.returncode == 0, told.stderr.decode()
    arn, kind, code, remedy = json.loads(told.stdout)
    assert (kind, code) == ("ServiceError", "disk_full")
    assert "run the command again" in remedy
    later = local(tmp_path)
    assert later.interrupted() == [arn]
    (tmp_path / "running").unlink(missing_ok=True)
    later.resume_interrupted()
    for _ in range(1000):  # the step that was interrupted is done again, and waits again
        (tmp_path / "running").unlink(missing_ok=True)
        if later.describe_pipeline_execution(PipelineExecutionArn=arn)["PipelineExecutionStatus"] != "Executing":
            break
        time.sleep(0.02)
    assert ended(later, arn)["PipelineExecutionStatus"] == "Succeeded"
    assert set(steps_of(later, arn)) == {"A", "B"}


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "disk_full"),
        (errno.EDQUOT, "disk_full"),
        (errno.EROFS, "disk_read_only"),
        (errno.EACCES, "disk_no_permission"),
        (errno.EIO, "disk_fault"),
    ],
)
def test_what_a_disk_says_is_an_error_of_its_own(number: int, code: str, tmp_path: Path) -> None:
    error = storage_error(OSError(number, "text", "/some/file"), tmp_path)
    assert isinstance(error, ServiceError)
    assert (error.problems[0].code, error.problems[0].where) == (code, "/some/file")


@pytest.mark.parametrize("error", [ValueError("x"), ConnectionResetError(errno.ECONNRESET, "x"), OSError("no number")])
def test_other_errors_are_not_the_disk_s(error: Exception, tmp_path: Path) -> None:
    assert storage_error(error, tmp_path) is None


def test_any_failure_of_the_driver_ends_the_execution(tmp_path: Path) -> None:
    """Its record is damaged under it: nobody waits for ever."""
    client: Any = local(tmp_path)
    wait = "import time; time.sleep(0.5)"
    client.create_pipeline(PipelineName="p", PipelineDefinition=definition(processing("A", wait)), RoleArn=ROLE)
    arn = client.start_pipeline_execution(PipelineName="p")["PipelineExecutionArn"]
    folder = tmp_path / "state" / "executions"
    for attempt in range(100):  # the driver may make the folder anew between the two
        folder.rename(tmp_path / "state" / f"moved-{attempt}")
        with suppress(IsADirectoryError):
            folder.write_bytes(b"")  # no folder any more: no record can be written
            break
    time.sleep(1.5)
    folder.unlink()
    (tmp_path / "state" / "moved-0").rename(folder)
    with pytest.raises((OSError, ServiceError)):
        client.describe_pipeline_execution(PipelineExecutionArn=arn)
