"""Start TorchServe (Java 17) with one model of ours, on loopback: `serve.py PORT`. It answers /ping and /invocations.

Its worker imports PyTorch to pass tensors on, which no request here has: `without_torch/` stands for it.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
MANIFEST = {
    "runtime": "python",
    "model": {"modelName": "lastweek", "handler": "handler.py:handle", "modelVersion": "1.0"},
}


def main(port: int) -> int:
    """Serve until SIGTERM; the exit code."""
    with tempfile.TemporaryDirectory(prefix="ts-") as name:
        root = Path(name)
        with zipfile.ZipFile(root / "lastweek.mar", "w") as archive:
            archive.write(HERE / "handler.py", "handler.py")
            archive.writestr("MAR-INF/MANIFEST.json", json.dumps(MANIFEST))
        ports = {"inference": port, "management": free_port(), "metrics": free_port()}
        lines = [f"{kind}_address=http://127.0.0.1:{number}" for kind, number in ports.items()]
        (root / "config.properties").write_text("\n".join([*lines, "default_workers_per_model=2", ""]))
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(HERE.parent / "without_torch"),
            **dict.fromkeys(("TEMP", "TMPDIR", "LOG_LOCATION", "METRICS_LOCATION"), str(root)),
        }
        options = ["--foreground", "--ncs", "--disable-token-auth", "--ts-config", str(root / "config.properties")]
        models = ["--model-store", str(root), "--models", "lastweek=lastweek.mar"]
        return subprocess.call(["torchserve", *options, *models], env=environment, cwd=root)


def free_port() -> int:
    """One that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
