"""The wheel as a stranger gets it: built from a copy of the source, installed alone, used far from the checkout."""

from __future__ import annotations

import json
import os
import resource
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.wheel, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv" / "wheel" / "bin" / "python"
PIP = (sys.executable, "-m", "pip", "--python", PYTHON)
IMPORT_CPU_SECONDS = 0.15


def run(*command: str | Path, cwd: Path, succeeds: bool = True) -> subprocess.CompletedProcess[str]:
    """A command with an environment that knows nothing of the checkout."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "AWS_"))}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert not succeeds or done.returncode == 0, done.stdout + done.stderr
    return done


def site_packages(cwd: Path) -> set[str]:
    """What lies at the top level of the environment's packages."""
    folder = run(PYTHON, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=cwd).stdout.strip()
    return {path.name for path in Path(folder).iterdir()}


@pytest.fixture(scope="module")
def away(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder outside the checkout."""
    return tmp_path_factory.mktemp("away")


@pytest.fixture(scope="module")
def installed(wheel: Path, away: Path) -> Iterator[set[str]]:
    """The names that installing the wheel adds to the top level, beside those of its locked dependencies."""
    uninstall = (*PIP, "uninstall", "--quiet", "--yes", "batchcast")
    run(*uninstall, cwd=away)
    before = site_packages(away)
    run(*PIP, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=away)
    yield site_packages(away) - before
    run(*uninstall, cwd=away)


def source_files() -> set[str]:
    """The modules of the package, as the wheel names them."""
    package = {path.relative_to(ROOT).as_posix() for path in (ROOT / "batchcast").rglob("*.py")}
    for folder in ("pipelines", "steps"):
        package |= {f"batchcast/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / folder).rglob("*.py")}
    return package


def test_the_wheel_holds_every_module_and_what_they_read(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        (licence,) = (name for name in archive.namelist() if name.endswith("/LICENSE"))
        assert archive.read(licence) == (ROOT / "LICENSE").read_bytes()
    assert {name for name in names if name.endswith(".py")} == source_files()
    assert "batchcast/py.typed" in names
    data = [path for folder in ("batchcast", "pipelines", "steps") for path in (ROOT / folder).rglob("*")]
    read_by_code = {
        path.name
        for path in data
        if path.is_file() and path.suffix in {".css", ".html", ".js", ".json", ".sql", ".toml"}
    }
    assert read_by_code == {Path(name).name for name in names if not name.endswith((".py", "py.typed"))}


def test_only_batchcast_is_added_to_the_top_level(installed: set[str]) -> None:
    added = {name for name in installed if not name.endswith(".dist-info")}
    assert added == {"batchcast"}


@pytest.mark.usefixtures("installed")
def test_help_and_version_answer(away: Path) -> None:
    command = PYTHON.with_name("batchcast")
    assert "local" in run(command, "--help", cwd=away).stdout
    assert run(command, "--version", cwd=away).stdout.strip()


@pytest.mark.usefixtures("installed")
def test_importing_it_is_cheap_and_loads_nothing_heavy(away: Path) -> None:
    heavy = "{'pandas', 'pyarrow', 'numpy', 'boto3', 'botocore', 'pydantic', 'sagemaker', 'click', 'rich'}"
    program = f"import sys, batchcast; print(sorted({heavy} & set(sys.modules)), batchcast.__file__)"
    seconds = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        printed = run(PYTHON, "-c", program, cwd=away).stdout
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert printed.startswith("[] ")
        assert str(ROOT / ".venv") in printed
    assert min(seconds) < IMPORT_CPU_SECONDS


@pytest.mark.usefixtures("installed")
def test_local_says_where_the_sample_is(tmp_path: Path) -> None:
    done = run(PYTHON.with_name("batchcast"), "local", cwd=tmp_path, succeeds=False)
    assert done.returncode == 2
    assert "the bakery sample is a part of the source" in done.stderr
    assert not (tmp_path / "workspace").exists()


@pytest.mark.usefixtures("installed")
def test_the_whole_run_works_with_the_steps_of_the_wheel(tmp_path: Path) -> None:
    sample = ROOT / "examples" / "bakery"
    model = ROOT / "tests" / "end_to_end" / "last_week_model.py"
    command = [
        *(PYTHON.with_name("batchcast"), "local", "--json", "-p", "RunDate=2019-03-30"),
        *("--history", sample / "history", "--contract", sample / "model.toml"),
        *("--model-command", shlex.join([str(PYTHON), str(model), "{port}"])),
    ]
    document = json.loads(run(*map(str, command), cwd=tmp_path).stdout)
    assert document["outcome"] == "COMPLETE"
    assert document["counts"]["ok"] == document["counts"]["expected"] > 100
