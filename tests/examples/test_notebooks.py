"""The notebooks of examples/ run from top to bottom on this machine, and are committed without what they printed."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
# What is printed on the way, in this order.
SAYS = {
    "studio": [
        "Working in",
        "ready to start",
        "this is not SageMaker Studio",
        "MaxConcurrentTransforms: 20 requests x 6 MB = 120 MB in flight",
        "Transform: Succeeded",
        "COMPLETE",
        "Requests:  1",
        "HELD CoverageError [held] The forecasts look wrong",
        "is published at",
        "approved: orders",
        "the model was better than the seasonal naive",
        "WAPE 0.3",
        "03:30 Europe/Berlin",
    ],
    "tune-and-plan": [
        "Measuring the bakery sample",
        "Wrote tuning.json",
        "instances are done within 8 h",
        "-p TransformInstanceCount=",
        "bytes of a page",
    ],
}
PLOTS = {"studio": 1, "tune-and-plan": 2}


def test_every_notebook_is_executed() -> None:
    assert [each.stem for each in NOTEBOOKS] == sorted(SAYS)


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(SAYS))
def test_a_notebook_runs_on_this_machine(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warm: Path
) -> None:
    for variable, folder in (("BATCHCAST_WORKSPACE", "ws"), ("IPYTHONDIR", "ipython"), ("MPLCONFIGDIR", "matplotlib")):
        monkeypatch.setenv(variable, str(tmp_path / folder))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    # The kernel itself is a real python; what it starts is warm.
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "warm.py").write_text(f"import sys\n\nsys.executable = {str(warm)!r}\n")
    # Beside the links, so that what a notebook writes stays here.
    for each in EXAMPLES.parent.iterdir():
        if each.name not in (".git", "examples", "workspace"):
            (tmp_path / each.name).symlink_to(each)
    (tmp_path / "examples").mkdir()
    for each in EXAMPLES.iterdir():
        (tmp_path / "examples" / each.name).symlink_to(each)
    notebook = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
    client = NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(tmp_path / "examples")}})
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    rest = "".join(output.get("text", "") for output in outputs)
    for words in SAYS[name]:
        assert words in rest, f"{words!r} is not in {rest}"
        rest = rest.partition(words)[2]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == PLOTS[name]
    assert not [output for output in outputs if output.output_type == "error"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_imports_batchcast_and_nothing_below_it(path: Path) -> None:
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert "import batchcast as bc" in "\n".join(cells)
    assert "batchcast." not in "\n".join(line for line in "\n".join(cells).splitlines() if "import" in line)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_committed_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)
