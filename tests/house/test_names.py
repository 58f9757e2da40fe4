"""One word a concept: no class and no public function has the name of one in another module."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENTRY_POINTS = {"main"}
# One of the steps and one elsewhere, each: to be renamed.
LEFT: set[str] = set()


def test_no_class_and_no_public_function_name_is_defined_in_two_modules() -> None:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for folder in ("batchcast", "pipelines", "steps"):
        for path in (ROOT / folder).rglob("*.py"):
            if any(parent.is_symlink() for parent in path.parents):
                continue
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                    found[node.name].add(path.relative_to(ROOT).as_posix())
    twice = {name: sorted(paths) for name, paths in found.items() if len(paths) > 1}
    assert {name: paths for name, paths in twice.items() if name not in ENTRY_POINTS | LEFT} == {}
