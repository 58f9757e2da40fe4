"""Small changes to the source of a module, one at a time, each of which a test should notice."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_SIZES = ("_BYTES", "_ROWS")
"""Ends of names of constants that set how much is done at once and not what comes out."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A changed module: `line` of the change and what it is, and the tree to compile."""

    line: int
    what: str
    tree: ast.Module


def mutants(source: str) -> Iterator[Mutant]:
    """Every mutant of a module in the order of its lines, but of texts, annotations, sizes, types and `strict`."""
    tree = ast.parse(source)
    sites = sum(1 for _ in _sites(tree))
    for number in range(sites):
        changed = copy.deepcopy(tree)
        node, choice = next(site for index, site in enumerate(_sites(changed)) if index == number)
        before = ast.unparse(node)
        _change(node, choice)
        ast.fix_missing_locations(changed)
        line = getattr(node, "lineno", 0)
        yield Mutant(line, f"{before[:70]}  ->  {ast.unparse(node)[:70]}", changed)


def _sites(tree: ast.Module) -> Iterator[tuple[ast.AST, int]]:
    """Nodes that can be changed, and which of their parts."""
    for node in _walk(tree):
        if isinstance(node, ast.Compare):
            yield from ((node, index) for index, op in enumerate(node.ops) if type(op) in _COMPARISONS)
        elif _has_one_change(node):
            yield node, 0


def _has_one_change(node: ast.AST) -> bool:
    if isinstance(node, ast.BinOp | ast.AugAssign):
        return type(node.op) in _OPERATORS
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.Not | ast.USub)
    return isinstance(node, ast.BoolOp) or (isinstance(node, ast.Constant) and isinstance(node.value, int))


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """Depth first, without what only a type checker or a reader sees."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _ignored(child):
                yield from _walk(child)


def _ignored(node: ast.AST) -> bool:
    if isinstance(node, ast.JoinedStr | ast.Import | ast.ImportFrom):
        return True
    if isinstance(node, ast.keyword) and node.arg in ("strict", "slots", "kw_only", "frozen"):
        return True  # What `zip` and a dataclass are held to while they are written, not what comes out.
    names = [target.id for target in getattr(node, "targets", []) if isinstance(target, ast.Name)]
    return isinstance(node, ast.Assign) and any(
        name.endswith(_SIZES) or name == "__all__" or name[0].isupper() for name in names
    )


def _change(node: ast.AST, choice: int) -> None:
    if isinstance(node, ast.Compare):
        node.ops[choice] = _COMPARISONS[type(node.ops[choice])]()
    elif isinstance(node, ast.BinOp | ast.AugAssign):
        node.op = _OPERATORS[type(node.op)]()
    elif isinstance(node, ast.BoolOp):
        node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    elif isinstance(node, ast.UnaryOp):
        # `not x` becomes `x`, and `-x` becomes `+x`.
        node.op = ast.UAdd() if isinstance(node.op, ast.USub) else ast.Not()
        if isinstance(node.op, ast.Not):
            node.operand = ast.UnaryOp(ast.Not(), node.operand)
    elif isinstance(node, ast.Constant):
        node.value = (not node.value) if isinstance(node.value, bool) else node.value + 1
