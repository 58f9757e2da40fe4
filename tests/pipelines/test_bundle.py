"""The zip application that carries the steps into the container."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

from batchcast.pipelines.settings import BuildSettings, bundle, content_key
from batchcast.steps.errors import ConfigError, parse_error

MAIN = """\
import sys
from importlib.resources import files


def main() -> int:
    print(sys.argv[1:], files("batchcast.steps").joinpath("data/page.html").read_text())
    return 3
"""


def package_in(folder: Path, *, reverse: bool = False) -> Path:
    files = {"__init__.py": "", "__main__.py": MAIN, "data/page.html": "<p>é</p>", "a.py": "A = 1\n"}
    for name in sorted(files, reverse=reverse):
        path = folder / "steps" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[name])
    return folder / "steps"


def names_of(data: bytes) -> list[str]:
    with zipfile.ZipFile(BytesIO(data)) as archive:
        return archive.namelist()


def test_the_same_files_give_the_same_bytes_whatever_their_dates_modes_and_order(tmp_path: Path) -> None:
    one = package_in(tmp_path / "one")
    other = package_in(tmp_path / "other", reverse=True)
    for path in other.rglob("*.py"):
        os.utime(path, (0, 0))
        path.chmod(0o700)
    assert bundle(one) == bundle(other)


def test_compiled_and_hidden_files_stay_outside(tmp_path: Path) -> None:
    package = package_in(tmp_path)
    clean = bundle(package)
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "a.cpython-311.pyc").write_bytes(b"x")
    (package / "b.pyc").write_bytes(b"x")
    (package / ".hidden").write_text("x")
    assert bundle(package) == clean


def test_another_content_lies_under_another_key(tmp_path: Path) -> None:
    package = package_in(tmp_path)
    first = bundle(package)
    (package / "a.py").write_text("A = 2\n")
    assert content_key(first) == f"{hashlib.sha256(first).hexdigest()}/app.pyz"
    assert content_key(bundle(package)) != content_key(first)


def test_it_runs_with_its_arguments_finds_its_data_files_and_hands_on_the_exit_code(tmp_path: Path) -> None:
    app = tmp_path / "app.pyz"
    app.write_bytes(bundle(package_in(tmp_path)))
    done = subprocess.run(
        [sys.executable, "-I", app, "build_shards", "--run-id", "x"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout == "['build_shards', '--run-id', 'x'] <p>é</p>\n"


def test_the_real_steps_start_from_the_bundle_alone_and_fail_with_their_code(tmp_path: Path) -> None:
    app = tmp_path / "app.pyz"
    app.write_bytes(bundle())
    for arguments, said in [((), "build_shards, validate_and_publish"), (("build_shards",), "--run-date")]:
        done = subprocess.run(
            [sys.executable, "-I", app, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={"OPT_ML": str(tmp_path / "ml")},
        )
        assert done.returncode == ConfigError.exit_code
        assert said in done.stderr


def test_every_file_of_the_steps_that_is_not_compiled_is_inside() -> None:
    steps = Path(__file__).resolve().parents[2] / "steps"
    files = {f"batchcast/steps/{path.relative_to(steps).as_posix()}" for path in steps.rglob("*") if path.is_file()}
    expected = {name for name in files if "__pycache__" not in name}
    assert names_of(bundle()) == ["__main__.py", "batchcast/__init__.py", *sorted(expected)]


def verified(code: Path, digest: str) -> subprocess.CompletedProcess[str]:
    """Start the code as a deployed container does, with /opt/ml moved to where the test may write."""
    settings = BuildSettings(code_uri=f"s3://team/code/{digest}/app.pyz")
    start = settings.entrypoint[2].replace("/opt/ml", str(code.parent))
    (code.parent / "output").mkdir(exist_ok=True)
    command = [sys.executable, *settings.entrypoint[1:2], start, str(code), *settings.entrypoint[4:], "a", "b"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_container_starts_the_code_only_if_it_is_the_deployed_one(tmp_path: Path) -> None:
    code = tmp_path / "app.pyz"
    data = bundle(package_in(tmp_path / "package"))
    code.write_bytes(data)
    started = verified(code, hashlib.sha256(data).hexdigest())
    assert (started.returncode, started.stdout) == (3, "['a', 'b'] <p>é</p>\n")
    refused = verified(code, "0" * 64)
    assert (refused.returncode, refused.stdout) == (1, "")
    error = parse_error((tmp_path / "output" / "message").read_text())
    assert isinstance(error, ConfigError)
    assert error.problems[0].code == "code"


def test_an_entrypoint_keeps_the_services_limit_and_needs_a_digest_to_verify() -> None:
    deployed = BuildSettings(code_uri=f"s3://team/code/{'0a1b' * 16}/app.pyz").entrypoint
    assert max(len(word) for word in deployed) <= 256
    assert deployed[3:] == ["/opt/ml/processing/input/code/app.pyz", "0a1b" * 16]
    assert BuildSettings().entrypoint == ["python3", "/opt/ml/processing/input/code/app.pyz"]
