"""The serving stacks of `conformance/`, and jobs of the bakery's model on them."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchcast.engine.server.model_server import ModelCommand
from batchcast.engine.transform.job import TransformResult, run_transform_job
from batchcast.engine.transform.request import check_transform_request
from batchcast.steps.store.objects import DirectoryStore

__all__ = ["OWN_SERVER", "ROOT", "STACKS", "Job", "Stack"]

ROOT = Path(__file__).resolve().parents[2]
_STACKS = ROOT / "conformance"
_RECORDS_A_FILE = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A way to serve the model. `bad_status` is what a bad record gets; `tries` how often a job then sends it."""

    name: str
    program: Path
    arguments: tuple[str, ...]
    bad_status: int = 400
    tries: int = 1
    says: Mapping[str, Any]

    def command(self) -> str:
        """The command line, with {port}."""
        assert self.program.exists(), f"{self.program}: `make test-conformance` installs it"
        return shlex.join([str(self.program), *self.arguments])

    def model(self, folder: Path) -> ModelCommand:
        """The command, with its scratch files in `folder`."""
        return ModelCommand(command=self.command(), environment={"TMPDIR": str(folder)}, directory=ROOT)

    def living(self) -> list[str]:
        """The processes of the stack that run, by command line."""
        listing = subprocess.run(["ps", "-Aww", "-o", "stat=,args="], capture_output=True, text=True, check=True)
        return [line for line in listing.stdout.splitlines() if str(self.program.parent) in line and line[0] != "Z"]


OWN_SERVER = Stack(
    name="own",
    program=Path(sys.executable),
    arguments=(str(ROOT / "examples" / "bakery" / "serve.py"), "--port", "{port}"),
    says={"MaxConcurrentTransforms": 2, "MaxPayloadInMB": 6, "BatchStrategy": "SINGLE_RECORD"},
)

STACKS = (
    Stack(
        name="multi-model-server",
        program=_STACKS / "multi-model-server" / ".venv" / "bin" / "python",
        arguments=(str(_STACKS / "multi-model-server" / "serve.py"), "{port}"),
        bad_status=500,
        tries=4,
        says={"MaxConcurrentTransforms": 1, "MaxPayloadInMB": 6, "BatchStrategy": "MULTI_RECORD"},
    ),
    Stack(
        name="inference-server",
        program=_STACKS / "inference-server" / ".venv" / "bin" / "gunicorn",
        arguments=(
            *("--config", str(_STACKS / "inference-server" / "gunicorn.conf.py")),
            *("--bind", "127.0.0.1:{port}"),
        ),
        # It spells its strategy SingleRecord, which is not what a container is to answer.
        says={"MaxConcurrentTransforms": 2, "MaxPayloadInMB": 6, "BatchStrategy": "MULTI_RECORD"},
    ),
)


class Job:
    """A transform job as the pipeline requests it, on two instances, of records dealt to files."""

    def __init__(self, folder: Path, records: Sequence[bytes]) -> None:
        self.folder = folder
        self.store = DirectoryStore(folder / "s3")
        for start in range(0, len(records), _RECORDS_A_FILE):
            lines = b"".join(record + b"\n" for record in records[start : start + _RECORDS_A_FILE])
            self.store.write(f"s3://b/in/part-{start // _RECORDS_A_FILE}.jsonl", lines)

    def run(self, stack: Stack, **changes: Any) -> TransformResult:
        """Run it; a change of None leaves the member out."""
        request: dict[str, Any] = {
            "TransformJobName": "job",
            "ModelName": "bakery",
            "MaxConcurrentTransforms": 2,
            "MaxPayloadInMB": 6,
            "BatchStrategy": "SingleRecord",
            "ModelClientConfig": {"InvocationsTimeoutInSeconds": 60, "InvocationsMaxRetries": 3},
            "TransformInput": {
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/in/"}},
                "ContentType": "application/json",
                "SplitType": "Line",
            },
            "TransformOutput": {"S3OutputPath": "s3://b/out/", "Accept": "application/json", "AssembleWith": "Line"},
            "TransformResources": {"InstanceType": "ml.m5.4xlarge", "InstanceCount": 2},
            "DataProcessing": {"JoinSource": "Input", "OutputFilter": "$['item_id','SageMakerOutput']"},
        }
        request = {name: value for name, value in {**request, **changes}.items() if value is not None}
        check_transform_request(request, store=self.store, model={})
        scratch = self.folder / "tmp"
        scratch.mkdir()
        return run_transform_job(request, store=self.store, model=stack.model(scratch), workdir=self.folder / "work")

    def outputs(self) -> dict[str, bytes]:
        """Every output object, by its name."""
        return {entry.uri.rsplit("/", 1)[-1]: self.store.read(entry.uri) for entry in self.store.list("s3://b/out/")}

    def log(self) -> str:
        """What the service would have logged, all instances."""
        logs = sorted((self.folder / "work" / "logs").rglob("data-log"))
        return "".join(path.read_text() for path in logs)
