"""The tutorial and the how-to pages, typed as they stand by a new user in a fresh clone."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

from pages import ROOT, fresh_clone, of_a_new_user, type_page, wrong


def test_the_tutorial_works_as_typed(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    clone = fresh_clone(tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    # What `make run` does is tested with the README.
    typed = type_page(page.replace("$ make run\n", "$ make -n run\n"), clone, **{"8080": port})
    assert not wrong(typed, clone)
    (script,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=clone, env=of_a_new_user(clone), capture_output=True, text=True
    )
    assert "sales_p90" in done.stdout, done.stderr
