"""What a run installs is permissively licensed, and pinned by hashes."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs"))

from licences import licences, refused  # noqa: E402


def test_every_dependency_has_a_licence_that_is_allowed() -> None:
    found = licences()
    assert len(found) > 30
    assert refused(found) == {}


@pytest.mark.parametrize("text", ["unknown", "GPL-3.0-only", "MIT AND AGPL-3.0-only", "BSL-1.1 OR GPL-2.0-only"])
def test_another_licence_is_refused(text: str) -> None:
    assert refused({"package": text, "choice": f"MIT OR {text}" if " " not in text else "MIT"}) == {"package": text}


@pytest.mark.parametrize("lock", sorted((ROOT / "locks").glob("*.lock")), ids=lambda path: path.stem)
def test_every_pin_of_a_lock_has_its_hashes_and_no_lock_names_a_host(lock: Path) -> None:
    pins = re.split(r"^(?=[\w.\[\],-]+==)", lock.read_text(), flags=re.MULTILINE)
    assert pins[0] == ""
    assert all("--hash=sha256:" in pin for pin in pins[1:])
    assert "://" not in lock.read_text()
