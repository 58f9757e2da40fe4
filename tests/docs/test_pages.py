"""The tutorial and the how-to pages, typed as they stand by a new user in a fresh clone."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from pages import ROOT, fresh_clone, minutes, of_a_new_user, type_page, wrong


def the_page(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")


def files_of(page: str, clone: Path) -> None:
    """Write each block whose first line names a file."""
    for name, text in re.findall(r"```\w+\n# ([\w.]+)\n(.*?)```", page, flags=re.DOTALL):
        (clone / name).write_text(text)


def said_by_script(page: str, clone: Path) -> str:
    """What the page's last script prints in the clone."""
    script = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)[-1]
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=clone, env=of_a_new_user(clone), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.long
def test_the_tutorial_works_as_typed(tmp_path: Path, warm: Path) -> None:
    page = the_page("tutorial")
    clone = fresh_clone(tmp_path, warm)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    # What `make run` does is tested with the README.
    typed = type_page(page.replace("$ make run\n", "$ make -n run\n"), clone, **{"8080": port})
    assert not wrong(typed, clone)
    assert "sales_p90" in said_by_script(page, clone)


def test_the_tutorial_s_minutes_are_counted() -> None:
    """Its table says what reading and typing take, and that it is less than half an hour."""
    page = the_page("tutorial")
    introduction, *sections = re.split(r"^## ", page, flags=re.MULTILINE)
    table = re.findall(r"^\| (\d\. .*) \| \d+ s \| (\d+) min \|$", page, flags=re.MULTILINE)
    counted = [(section.partition("\n")[0], minutes(section)) for section in sections]
    assert [(name, int(told)) for name, told in table] == [(name, round(taken)) for name, taken in counted]
    total = round(minutes(introduction)) + sum(round(taken) for _, taken in counted)
    assert f"{total} minutes in all" in page
    assert total < 30
    checklist = re.findall(r"^\| .* \| ([\d, ]+) \| (\d+) min \| (\d+) s \|$", page, flags=re.MULTILINE)
    *parts, (_, _, seconds) = checklist
    assert checklist[-1][0] == ", ".join(steps for steps, _, _ in parts)
    assert sum(int(part[2]) for part in parts) == int(seconds)
    for steps, told, _ in checklist:
        assert int(told) == sum(round(counted[int(step) - 1][1]) for step in steps.split(", "))


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "says"),
    [("re-runs", None), ("weekly-and-hourly", None), ("quantiles", "% inside the band"), ("explanation/cost", None)],
)
def test_a_how_to_page_works_as_typed(tmp_path: Path, warm: Path, name: str, says: str | None) -> None:
    page = the_page(name)
    clone = fresh_clone(tmp_path, warm)
    files_of(page, clone)
    typed = type_page(page, clone)
    assert typed
    assert not wrong(typed, clone)
    assert says is None or says in said_by_script(page, clone)
