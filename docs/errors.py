"""The page of errors: every code that a message has in brackets, what it says and what to do, read from the source."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_FOLDERS = ("batchcast", "pipelines", "steps")
_LONGEST = 140

_PAGE = """\
# Exit codes and errors

Written by `make docs` from the code.

| exit code | kind | when |
|---|---|---|
| 0 | | done; of a run: published |
{kinds}| 130 | | stopped, or interrupted |

A message is `Kind [code] where: what. remedy`. `…` stands for a name, a number or a list.

| code | what it says | what to do |
|---|---|---|
"""


def _kinds() -> str:
    from batchcast.steps import errors

    found = [getattr(errors, f"{name}Error") for name in ("Config", "Data", "Model", "Coverage", "Service")]
    return "".join(
        f"| {each.exit_code} | {each.__name__} | {(each.__doc__ or '').splitlines()[0]} |\n" for each in found
    )


def _problems() -> Iterator[tuple[str, str, str]]:
    """(code, what, remedy) of each Problem that is made with a literal code."""
    for path in sorted(path for folder in _FOLDERS for path in (ROOT / folder).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for scope in ast.walk(tree):
            if isinstance(scope, ast.FunctionDef):
                calls = [node for node in ast.walk(scope) if isinstance(node, ast.Call)]
                for call in calls:
                    if isinstance(call.func, ast.Name) and call.func.id == "Problem":
                        yield from _problem(call, scope)


def _problem(call: ast.Call, scope: ast.FunctionDef) -> Iterator[tuple[str, str, str]]:
    given: dict[str | None, ast.expr] = dict(zip(("code", "what", "where", "remedy"), call.args, strict=False))
    given |= {each.arg: each.value for each in call.keywords}
    if isinstance(code := given.get("code"), ast.Constant):
        what, remedy = (_text(_value(given.get(name), scope)) for name in ("what", "remedy"))
        yield str(code.value), what, remedy


def _value(node: ast.expr | None, scope: ast.FunctionDef) -> ast.expr | None:
    """Of a name what it was set to last before, in the lines of the function."""
    if not isinstance(node, ast.Name):
        return node
    set_before = [
        each
        for each in ast.walk(scope)
        if isinstance(each, ast.Assign) and each.lineno <= node.lineno
        for target in each.targets
        if isinstance(target, ast.Name) and target.id == node.id
    ]
    return max(set_before, key=lambda each: each.lineno).value if set_before else node


def _text(node: ast.expr | None) -> str:
    """The literal parts of an expression, `…` in place of all others."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(each) for each in node.values)
    return "" if node is None else "…"


def _cell(text: str) -> str:
    """On one line of a table, cut where it is long; the code itself may have any character of Markdown."""
    text = re.sub(r"\s+", " ", text).strip()
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST].rsplit(' ', 1)[0]} …"
    text = text if text.count("`") % 2 == 0 else text.replace("`", "'")
    return re.sub(r"([|<\[*_$])", r"\\\1", text) if "`" not in text else text.replace("|", "\\|")


def errors_page() -> str:
    """A row a code: the commonest of what it says, and of what to do."""
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for code, what, remedy in _problems():
        found[code].append((what, remedy))
    rows = []
    for code, said in sorted(found.items()):
        what, remedy = max(said, key=lambda pair: (bool(pair[1].strip("… ")), len(pair[0].replace("…", "")), pair))
        rows.append(f"| `{code}` | {_cell(what)} | {_cell(remedy)} |\n")
    return _PAGE.format(kinds=_kinds()) + "".join(rows)
