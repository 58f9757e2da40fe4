"""`doctor` in ten broken environments: each names the cause and the remedy, and nothing is a traceback."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import re
import resource
import subprocess
import sys
import tomllib
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
from botocore import handlers
from botocore.awsrequest import AWSResponse

from batchcast.local import doctor
from batchcast.local.doctor import FLOORS, examine
from batchcast.session.finding import Finding

ROOT = Path(__file__).resolve().parents[2]
CLEAN = {"AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"}


@pytest.fixture(autouse=True)
def no_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_") and name != "AWS_EC2_METADATA_DISABLED"]:
        monkeypatch.delenv(name)
    for name, value in CLEAN.items():
        monkeypatch.setenv(name, value)


def line(name: str, folder: Path, environ: dict[str, str] | None = None) -> Finding:
    found = {one.check: one for one in examine(environ or {}, folder)}
    return found[name]


def versions(monkeypatch: pytest.MonkeyPatch, **changed: str | None) -> None:
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name in changed:
            if changed[name] is None:
                raise importlib.metadata.PackageNotFoundError(name)
            return str(changed[name])
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)


def test_the_floors_are_those_of_the_project() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    floors = {one[1]: one[2] for text in declared if (one := re.match(r"([\w-]+)>=([\d.]+)", text))}
    assert {name: ".".join(map(str, floor)) for name, floor in FLOORS.items()}.items() <= floors.items()


def test_an_old_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    found = line("python", tmp_path)
    assert (found.level, "3.11 or 3.12 is needed" in found.what) == ("error", True)
    assert "PYTHON=python3.11" in found.remedy


def test_a_python_that_nobody_tested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 14, 0))
    assert line("python", tmp_path).level == "warning"


def test_a_library_that_is_missing_and_one_that_is_too_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    versions(monkeypatch, rich=None, pyarrow="14.0.1")
    found = line("libraries", tmp_path)
    assert found.level == "error"
    assert found.what == "pyarrow is 14.0; 17 or later is needed; rich is missing."
    assert ".venv/bin/python" in found.remedy


def test_a_library_that_is_too_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    versions(monkeypatch, pandas="4.0.0")
    assert "before 3.2 is needed" in line("libraries", tmp_path).what


def test_an_old_sdk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    versions(monkeypatch, sagemaker="2.245.0")
    found = line("SageMaker SDK", tmp_path)
    assert (found.level, "get_pipeline() needs 3.12 up to 4" in found.what) == ("warning", True)


def test_no_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "SAMPLE", tmp_path / "nowhere")
    assert "in the checkout" in line("sample", tmp_path).remedy


def test_a_sample_without_what_its_model_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "lightgbm" else real(name))
    found = line("sample", tmp_path)
    assert (found.level, "lightgbm" in found.what, found.remedy) == ("warning", True, "Run `make run`.")


def test_few_open_files(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        found = line("open files", tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (found.level, found.what) == ("warning", "256 files may be open at once; 1024 are wise.")
    assert "ulimit" in found.remedy


def test_a_configuration_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").write_text("region = eu-central-1, without a section\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    for name in ("region", "credentials"):
        found = line(name, tmp_path)
        assert (found.level, str(tmp_path / "config") in found.what) == ("error", True), found
        assert "~/.aws/config" in found.remedy


def test_credentials_that_have_expired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "old")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")

    def expired(**_: Any) -> tuple[AWSResponse, dict[str, Any]]:
        said = {"Code": "ExpiredToken", "Message": "The security token included in the request is expired"}
        return AWSResponse("", 403, {}, None), {"Error": said}

    monkeypatch.setattr(handlers, "BUILTIN_HANDLERS", [*handlers.BUILTIN_HANDLERS, ("before-call", expired)])
    (found,) = [one for one in examine(os.environ, tmp_path, call_aws=True) if one.check == "credentials"]
    assert (found.level, "expired" in found.what) == ("error", True), found
    assert found.remedy


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    found = line("folder", tmp_path / "nowhere")
    assert (found.level, "cannot be written" in found.what) == ("error", True)


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage(10**10, 10**10, 10**8))
    found = line("folder", tmp_path)
    assert (found.level, "0.1 GB are free" in found.what) == ("error", True)
    assert "prune" in found.remedy


def test_no_region_and_each_way_to_set_one(tmp_path: Path) -> None:
    assert "Set AWS_REGION" in line("region", tmp_path).remedy
    assert line("region", tmp_path, {"AWS_REGION": "eu-central-1"}).what == "eu-central-1, from AWS_REGION"
    found = line("region", tmp_path, {"AWS_DEFAULT_REGION": "cn-north-1"}).what
    assert found == "cn-north-1, from AWS_DEFAULT_REGION"


def test_no_browser_and_studio_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    found = line("browser", tmp_path)
    assert (found.level, "no display" in found.what) == ("warning", True)
    assert "Copy report.html" in found.remedy
    assert line("browser", tmp_path, {"DISPLAY": ":0"}).level == "ok"
    monkeypatch.setattr(doctor, "_STUDIO_METADATA", tmp_path)
    assert "trust it" in line("browser", tmp_path).what


def test_no_credentials(tmp_path: Path) -> None:
    found = line("credentials", tmp_path)
    assert (found.level, "no AWS credentials" in found.what) == ("warning", True)


def test_a_profile_that_is_not_there(tmp_path: Path) -> None:
    found = line("credentials", tmp_path, {"AWS_PROFILE": "nobody"})
    assert found.level == "error"
    assert "nobody" in found.what
    assert "AWS_PROFILE" in found.remedy


def test_the_command_ends_with_two_where_something_would_stop_a_run(tmp_path: Path) -> None:
    ended: subprocess.CompletedProcess[str] = subprocess.run(
        [sys.executable, str(ROOT / "run_pipeline.py"), "doctor", "--json", "--workspace", str(tmp_path / "nowhere")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **CLEAN},
    )
    assert ended.returncode == 2
    document: list[dict[str, Any]] = json.loads(ended.stdout)
    assert [one["check"] for one in document if one["level"] == "error"] == ["folder"]
