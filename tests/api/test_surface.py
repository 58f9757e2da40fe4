"""`import batchcast`: few names, typed and documented, that cost nothing until they are used."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

import batchcast as bc
from batchcast.pipelines.settings import bundle

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"boto3", "botocore", "click", "numpy", "pandas", "pyarrow", "pydantic", "rich", "sagemaker"}
SURFACE = {
    "BatchcastError", "BuildSettings", "ConfigError", "PipelineClient", "CoverageError", "DataError", "LocalSageMaker",
    "ModelError", "Parameters", "Problem", "Run", "ServiceError", "__version__", "connect", "define", "get_pipeline",
    "lint", "local_aws", "local_session", "plan", "read_forecasts", "rollback",
}  # fmt: skip
METHODS = {
    "PipelineClient": {"deploy", "pipeline_name", "read_forecasts", "region", "rollback", "run", "runs", "start"},
    "Run": {"forecasts", "logs", "parameters", "report", "rerun", "run_id", "status", "stop", "wait"},
}


def test_the_public_names_are_these() -> None:
    assert set(bc.__all__) == SURFACE == set(dir(bc))
    for name, methods in METHODS.items():
        found = {each for each in dir(getattr(bc, name)) if not each.startswith("_")}
        assert found == methods - {"pipeline_name", "run_id"}


@pytest.mark.parametrize("name", sorted(SURFACE - {"__version__"}))
def test_a_public_name_is_documented_and_typed(name: str) -> None:
    found = getattr(bc, name)
    assert inspect.getdoc(found)
    if inspect.isfunction(found):
        assert "return" in found.__annotations__
    imported = [
        alias.name
        for node in ast.walk(ast.parse(Path(bc.__file__).read_text()))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    assert name in imported  # what a type checker and an editor see
    assert Path(bc.__file__).with_name("py.typed").exists()


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="forecast"):
        bc.forecast  # noqa: B018


def imported_by(code: str, *paths: str) -> tuple[set[str], float]:
    """The packages that are loaded after the code, and the seconds of CPU it took beyond Python's own start."""
    script = f"import sys, time\nsys.path[:0] = {paths!r}\nbegan = time.process_time()\n{code}\n"
    script += "print(time.process_time() - began, *{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)
    seconds, *names = done.stdout.split()
    return set(names), float(seconds)


def test_the_import_loads_nothing_heavy() -> None:
    names, seconds = imported_by("import batchcast", str(ROOT))
    assert not names & HEAVY
    assert seconds < 0.15


def test_the_container_has_the_same_file_beside_the_steps_alone(tmp_path: Path) -> None:
    with zipfile.ZipFile(BytesIO(bundle())) as archive:
        archive.extractall(tmp_path)
    assert {path.name for path in (tmp_path / "batchcast").iterdir()} == {"__init__.py", "steps"}
    names, _ = imported_by("import batchcast.steps.errors; assert batchcast.__version__", str(tmp_path))
    assert not names & HEAVY
