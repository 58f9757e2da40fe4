"""A stranger finds their way: small folders, small modules, small functions."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODULES = [
    path
    for folder in ("batchcast", "pipelines", "steps")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if not any(parent.is_symlink() for parent in path.parents)
]
MOST_MODULES, MOST_LINES, P90_LINES = 15, 300, 25


def function_lengths(path: Path) -> list[int]:
    """Lines of each function from `def` to its end, without decorators."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [(node.end_lineno or node.lineno) - node.lineno + 1 for node in functions]


def test_no_folder_has_more_modules_than_a_screen_shows() -> None:
    counts = Counter(path.parent.relative_to(ROOT).as_posix() for path in MODULES if path.name != "__init__.py")
    assert {folder: count for folder, count in counts.items() if count > MOST_MODULES} == {}


def test_no_module_is_long() -> None:
    lines = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8").count("\n") for path in MODULES}
    assert {path: count for path, count in lines.items() if count > MOST_LINES} == {}


def test_nine_functions_in_ten_fit_half_a_screen() -> None:
    lengths = sorted(length for path in MODULES for length in function_lengths(path))
    assert len(lengths) > 1000
    assert lengths[int(len(lengths) * 0.9)] <= P90_LINES
