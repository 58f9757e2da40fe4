"""What every client's script works on: an engine, rows of houses as CSV, a pipeline's programs."""

from __future__ import annotations

import sys
from pathlib import Path

from batchcast.engine.client import LocalSageMaker
from batchcast.engine.server.model_server import ModelCommand

ROLE = "arn:aws:iam::000000000000:role/houses"
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/houses:1"
ROWS = b"120,340\n80,251\n64,190\n"
SERVER = Path(__file__).resolve().parents[2] / "fixtures" / "tiny_model.py"

# Their folders are arguments: what names /opt/ml there is moved to the job's own folder on this machine.
PREPARE = """
import json, pathlib, sys
source, target = map(pathlib.Path, sys.argv[1:])
lines = [json.dumps({"area": float(row.split(",")[0])}) for row in (source / "rows.csv").read_text().split()]
print(f"{len(lines)} rows")
(target / "houses.jsonl").write_text("".join(f"{line}\\n" for line in lines))
"""
EVALUATE = """
import json, pathlib, sys
source, target, expected = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
answers = (source / "houses.jsonl.out").read_text().splitlines()
(target / "evaluation.json").write_text(json.dumps({"missing": {"value": expected - len(answers)}}))
"""
INPUT, OUTPUT = "/opt/ml/processing/input/data", "/opt/ml/processing/output"


def engine(workspace: str) -> LocalSageMaker:
    """An engine with one model's image, and the rows and programs in its store."""
    command = ModelCommand(command=f"{sys.executable} {SERVER} {{port}}")
    local = LocalSageMaker(Path(workspace), {IMAGE: command})
    for name, text in {"rows.csv": ROWS, "prepare.py": PREPARE.encode(), "evaluate.py": EVALUATE.encode()}.items():
        local.store.write(f"s3://houses/{name}", text)
    return local
