"""Plain technical English: the words that were replaced do not come back, in names, help, messages and documents."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REPLACED = {
    r"\bkeep in mind\b": "warnings",
    r"\bmend(s|ed)?\b": "fix",
    r"\bis fit for\b": "is compatible with",
    r"\bmodel bears\b": "sustains",
    r"\bdearer\b": "more expensive",
    r"\bgone on with\b": "resumed",
    r"\bsleeps? at zero\b": "scales to zero",
    r"\bsleeping endpoint\b": "endpoint at zero instances",
    r"\bplayed through\b": "simulated",
    r"\bpayload\.toml\b": "model.toml",
    r"\bcautions?\b": "warnings",
    r"\bclosed_loop\b": "load generator",
    r"\bfates_of\b": "request tracker",
    r"\bpointer_or_wreck\b": "pointer or corrupt",
    r"\bstep_texts\b": "step configuration",
    r"\battended_run\b": "run_and_wait",
    r"\bwhatever_is_there\b": "allow_partial",
    r"\bSideBySide\b": "load target",
}
FOLDERS = {"batchcast": ".py", "pipelines": ".py", "steps": ".py", "docs": ".md", "infra": ".yaml"}


def texts() -> dict[str, str]:
    """Path -> text of what a reader meets; the changelog keeps the words of its time."""
    paths = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
    for folder, suffix in FOLDERS.items():
        paths += [each for each in (ROOT / folder).rglob(f"*{suffix}") if ".venv" not in each.parts]
    paths += [*(ROOT / "batchcast" / "planner" / "plan" / "explorer").iterdir()]
    found = [path for path in paths if not any(parent.is_symlink() for parent in path.parents)]
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in found}


@pytest.mark.parametrize(("word", "better"), REPLACED.items(), ids=list(REPLACED.values()))
def test_a_replaced_word_stands_nowhere(word: str, better: str) -> None:
    found = {
        path: [text[: match.start()].count("\n") + 1 for match in re.finditer(word, text, flags=re.IGNORECASE)]
        for path, text in texts().items()
    }
    assert {path: lines for path, lines in found.items() if lines} == {}, f"write {better!r}"
