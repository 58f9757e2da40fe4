"""The table of behaviours is whole, true to the tests, and what the documentation shows."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STATUSES = ("documented", "observed", "our pick", "refused", "not emulated")


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    number: str
    status: str
    test_files: tuple[str, ...]

    @property
    def test_prefix(self) -> str:
        """E7 is tested by functions called `test_e07_…`."""
        return f"test_{self.number[0].lower()}{int(self.number[1:]):02}_"


def behaviours() -> list[Behaviour]:
    rows = [
        [cell.strip() for cell in line.split("|")]
        for line in (ROOT / "docs" / "fidelity.txt").read_text().splitlines()[1:]
    ]
    return [
        Behaviour(
            number=number,
            status=status,
            test_files=tuple(f"tests/engine/test_{name.strip()}.py" for name in files.split(",") if name.strip()),
        )
        for number, status, files, _ in rows
    ]


def test_functions(path: Path) -> Iterator[str]:
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node.name


test_functions.__test__ = False  # type: ignore[attr-defined]


def test_every_behaviour_from_e1_to_e79_has_a_row() -> None:
    numbers = [behaviour.number for behaviour in behaviours()]
    assert numbers[:79] == [f"E{number}" for number in range(1, 80)]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("behaviour", behaviours(), ids=lambda behaviour: behaviour.number)
def test_each_row_names_tests_that_exist(behaviour: Behaviour) -> None:
    assert behaviour.status in STATUSES
    assert bool(behaviour.test_files) == (behaviour.status != "not emulated")
    for file in behaviour.test_files:
        assert any(name.startswith(behaviour.test_prefix) for name in test_functions(ROOT / file))


def test_each_change_that_takes_a_behaviour_away_still_has_its_place() -> None:
    changes = tomllib.loads((ROOT / "tests" / "mutation" / "behaviours.toml").read_text())
    engine = "".join(path.read_text() for path in (ROOT / "batchcast" / "engine").rglob("*.py"))
    assert {name: engine.count(change["was"]) for name, change in changes.items()} == dict.fromkeys(changes, 1)


def test_every_numbered_test_has_its_row() -> None:
    known = {(file, behaviour.test_prefix) for behaviour in behaviours() for file in behaviour.test_files}
    numbered = {
        (f"tests/engine/{path.name}", name[:9])
        for path in (ROOT / "tests" / "engine").glob("test_*.py")
        for name in test_functions(path)
        if name[5] in "erp" and name[6:8].isdigit() and name[8] == "_"
    }
    assert numbered == known
