"""The step in SageMaker's Spark processing container: handed to its `smspark-submit`, as PySparkProcessor does.

The entrypoint stays the bundle, which is started only if its digest is the deployed one. On every host it calls
`smspark-submit`, which starts YARN, runs the application on the first host and keeps the others until it has ended.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from batchcast.steps.container import ContainerPaths
from batchcast.steps.errors import Problem, ServiceError, parse_error

PROGRAM = "smspark-submit"
# The container's program puts its own words in place of the exit message, so the step's are kept beside.
_APPLICATION = """import shutil, sys
from batchcast.steps.__main__ import main
code = main(sys.argv[2:])
if code:
    shutil.copyfile({message!r}, sys.argv[1])
sys.exit(code)
"""


def run_elsewhere(argv: Sequence[str], paths: ContainerPaths) -> bool:
    """Whether this process has nothing left to do: the step ran in `smspark-submit`, or runs on the first host.

    Raises the error that the step ended with there.
    """
    if is_submitted():
        return False
    if shutil.which(PROGRAM) is None:
        names, current = hosts(paths)
        return current != names[0]
    with tempfile.TemporaryDirectory() as folder:
        application, kept = Path(folder, "build_shards.py"), Path(folder, "message")
        application.write_text(_APPLICATION.format(message=str(paths.message)))
        words = [str(application), str(kept), "build_shards", *argv]
        code = subprocess.run([PROGRAM, "--py-files", code_path(), *words], check=False).returncode
        if code:
            error = parse_error(kept.read_text(encoding="utf-8")) if kept.exists() else None
            what = f"{PROGRAM} ended with exit code {code}."
            raise error or ServiceError(Problem("spark", what, remedy="The log of the job says why."))
    return True


def is_submitted() -> bool:
    """Whether spark-submit started this process, with a session's settings."""
    return "PYSPARK_GATEWAY_PORT" in os.environ


def hosts(paths: ContainerPaths) -> tuple[list[str], str]:
    """The hosts of the processing job, and this one."""
    path = paths.root / "config" / "resourceconfig.json"
    found = json.loads(path.read_text()) if path.exists() else {"hosts": ["algo-1"], "current_host": "algo-1"}
    return sorted(found["hosts"]), str(found["current_host"])


def code_path() -> str:
    """Where this package was imported from: the bundle, which lies on every host, or the sources."""
    return str(Path(__file__).parents[3])
