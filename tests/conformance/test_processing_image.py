"""The bundle with numpy, pandas and pyarrow as the default processing image has them, and without anything else."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from stacks import ROOT
from two_steps import PUBLISH, RUNS, TwoSteps

from batchcast.pipelines.settings import bundle
from batchcast.runs.published import read_forecasts

pytestmark = pytest.mark.conformance

IMAGE = ROOT / "conformance" / "processing-image"
PYTHON = IMAGE / ".venv" / "bin" / "python"


class Container:
    """Starts a step in a process of its own, with nothing of this one's environment; a warning ends it."""

    def __init__(self, folder: Path) -> None:
        assert PYTHON.exists(), f"{PYTHON}: `make test-conformance` installs it"
        self.application = folder / "app.pyz"
        self.application.write_bytes(bundle())

    def __call__(self, argv: Sequence[str], environ: Mapping[str, str]) -> int:
        command = [PYTHON, "-I", "-W", "error", self.application, *argv]
        ended = subprocess.run(command, env=environ, cwd=self.application.parent, capture_output=True, text=True)
        assert "Traceback" not in ended.stderr, ended.stderr
        return ended.returncode


def test_the_libraries_are_those_of_the_image_that_is_deployed() -> None:
    tag = json.loads((ROOT / "pipelines" / "processing_images.json").read_text())["tag"]
    assert tag in (IMAGE / "requirements.in").read_text()


@pytest.mark.parametrize("library", ["boto3", "botocore", "click", "pydantic", "rich"])
def test_no_other_library_is_there(library: str) -> None:
    ended = subprocess.run([PYTHON, "-I", "-c", f"import {library}"], capture_output=True, text=True)
    assert f"No module named {library!r}" in ended.stderr


def test_a_held_run_and_the_one_that_resumes_it_are_those_of_the_newest_libraries(tmp_path: Path) -> None:
    newest, image = TwoSteps(tmp_path / "newest"), TwoSteps(tmp_path / "image", Container(tmp_path))
    for each in (newest, image):
        each.hold_and_resume()
    assert _texts(image) == _texts(newest)
    frames = [read_forecasts(PUBLISH, store=each.store).to_dict("list") for each in (image, newest)]
    assert frames[0] == frames[1]
    assert frames[0]["item_id"]


def _texts(run: TwoSteps) -> dict[str, bytes]:
    """Shards, failed records and reports; what Parquet files hold beside the data names the library that wrote them."""
    stored = [entry.uri for entry in run.store.list(RUNS) if not entry.uri.endswith(".parquet")]
    return {uri: run.store.read(uri) for uri in stored}
