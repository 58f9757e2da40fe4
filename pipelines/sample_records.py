"""Records of the bakery sample, built by the step that builds them in a run."""

from __future__ import annotations

import contextlib
import io
import shutil
import tempfile
from pathlib import Path

from steps.errors import ConfigError, Problem

__all__ = ["sample_records"]

_RUN_ID = "sample000000"


def sample_records(sample: Path, *, run_date: str, forecast_days: int, max_payload_in_mb: int) -> list[bytes]:
    """Every record of the sample in the directory `sample`, without its newline. Raises ConfigError if it is absent."""
    from steps import build_shards
    from steps.container import ContainerPaths

    if not (sample / "history").is_dir():
        what = "the bakery sample, whose records would be sent, is not here."
        raise ConfigError(Problem("sample", what, str(sample), "Give records of your model with --sample FILE."))
    arguments = {
        "run-id": _RUN_ID,
        "run-date": run_date,
        "run-label": "sample",
        "forecast-days": forecast_days,
        "transform-instance-count": 1,
        "max-concurrent-transforms": 1,
        "max-payload-in-mb": max_payload_in_mb,
        "records-per-shard": 0,
        "systemic-failure-percent": 0,
        "items-uri": "all",
        "resume-from": "none",
        "runs-uri": "s3://sample/runs",
    }
    with tempfile.TemporaryDirectory(prefix="sample-records-") as folder:
        root = Path(folder)
        paths = ContainerPaths(root=root)
        paths.input("payload").mkdir(parents=True)
        shutil.copy(sample / "payload.toml", paths.input("payload"))
        paths.input("history").symlink_to(sample / "history")
        flags = [text for name, value in arguments.items() for text in (f"--{name}", str(value))]
        with contextlib.redirect_stdout(io.StringIO()):  # the step's summary is no result here
            build_shards.main(flags, {"OPT_ML": str(root), "BATCHCAST_OBJECT_STORE": str(root / "s3")})
        shards = sorted(paths.output("shards").iterdir())
        return [line for shard in shards for line in shard.read_bytes().splitlines()]
