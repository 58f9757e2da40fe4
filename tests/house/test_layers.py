"""The import contracts stop what they are there to stop, and see the modules that the type checker sees."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest
from mypy.fscache import FileSystemCache
from mypy.modulefinder import FindModuleCache, SearchPaths
from mypy.options import Options

ROOT = Path(__file__).resolve().parents[2]


def modules_on_disk() -> set[str]:
    """Every module by its name; the folders at the top level are parts of the package."""
    found = set()
    for path in (ROOT / "batchcast").rglob("*.py"):
        found.add(path.relative_to(ROOT))
    for folder in ("pipelines", "steps"):
        found |= {"batchcast" / path.relative_to(ROOT) for path in (ROOT / folder).rglob("*.py")}
    return {".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in found}


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    """Who imports whom when the code runs."""
    return grimp.build_graph("batchcast", cache_dir=None, exclude_type_checking_imports=True)


def test_the_contracts_the_type_checker_and_the_folders_have_the_same_modules(imports: grimp.ImportGraph) -> None:
    paths = SearchPaths((str(ROOT),), (), (), ())
    found = FindModuleCache(paths, FileSystemCache(), Options()).find_modules_recursive("batchcast")
    assert {source.module for source in found if str(source.path).endswith(".py")} == modules_on_disk()
    assert imports.modules == modules_on_disk()


def test_no_modules_import_each_other_in_a_circle(imports: grimp.ImportGraph) -> None:
    order = {module: imports.find_modules_directly_imported_by(module) for module in imports.modules}
    TopologicalSorter(order).prepare()  # raises CycleError, which names the circle


def contracts_with(tmp_path: Path, module: str, text: str) -> str:
    """What `lint-imports` says of a copy of the package with one module more; "" where it is content."""
    for name in ("batchcast", "pipelines", "steps"):
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / module).write_text(text)
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode else ""


@pytest.mark.parametrize(
    ("module", "text", "said"),
    [
        pytest.param("batchcast/nowhere.py", "", "nowhere", id="a module that no layer names"),
        pytest.param(
            "batchcast/serving/upwards.py",
            "from batchcast.cli.main import main\n",
            "batchcast.serving.upwards -> batchcast.cli.main",
            id="serving imports cli",
        ),
        pytest.param(
            "steps/upwards.py",
            "from batchcast.runs import published\n",
            "batchcast.steps.upwards -> batchcast.runs.published",
            id="a step imports what does not run in the container",
        ),
    ],
)
def test_the_contracts_refuse(tmp_path: Path, module: str, text: str, said: str) -> None:
    assert said in contracts_with(tmp_path, module, text)
