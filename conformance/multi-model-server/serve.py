"""Start the bakery model in `multi-model-server` as `sagemaker-inference` starts it in its containers: `serve.py PORT`.

A container has a file system, a process table and a network of its own. What of them the toolkit counts on is given to
it here, so that several can run beside each other and none is reachable from outside:

- /opt/ml, /tmp and the logs are a directory that is gone when the server is;
- the server's settings are written there and not into /etc;
- the toolkit looks for its server among all processes of the machine, here among those of its process group;
- the server binds the loopback and not 0.0.0.0.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
BAKERY = HERE.parents[1] / "examples" / "bakery"
WORKERS = 2


def main(port: int) -> None:
    """Serve until SIGTERM."""
    # The sockets between the server and its workers lie there: a short path, because theirs has at most 108 characters.
    with tempfile.TemporaryDirectory(prefix="mms-") as name:
        root = Path(name)
        _lay_out_model(root / "ml" / "model")
        os.environ.update(_environment(root, port))
        os.chdir(root)
        _serve(root)


def _lay_out_model(model: Path) -> None:
    """What SageMaker unpacks from the model's archive: the trained model, and the code beside it."""
    model.mkdir(parents=True)
    (model / "model.txt").symlink_to(BAKERY / "model.txt")
    code = model / "code"
    code.mkdir()
    for source in (HERE / "code" / "inference.py", BAKERY / "forecast.py", BAKERY / "features.py"):
        (code / source.name).symlink_to(source)


def _environment(root: Path, port: int) -> dict[str, str]:
    address = f"http://127.0.0.1:{port}"
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SAGEMAKER_BASE_DIR": str(root / "ml"),
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "SAGEMAKER_MODEL_SERVER_WORKERS": str(WORKERS),
        "MMS_INFERENCE_ADDRESS": address,
        "MMS_MANAGEMENT_ADDRESS": address,
        "TEMP": str(root),
        "TMPDIR": str(root),
        "LOG_LOCATION": str(root / "logs"),
        "METRICS_LOCATION": str(root / "logs"),
    }


def _serve(root: Path) -> None:
    import psutil
    from sagemaker_inference import model_server

    every_process = psutil.process_iter

    def processes_of_the_container() -> Iterator[Any]:
        return (process for process in every_process() if _group_of(process.pid) == os.getpgrp())

    psutil.process_iter = processes_of_the_container
    model_server.MMS_CONFIG_FILE = str(root / "sagemaker-mms.properties")
    model_server.start_model_server()


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


if __name__ == "__main__":
    main(int(sys.argv[1]))
