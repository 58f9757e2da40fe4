"""The page of the Python API: the public names with their signatures and docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

_PAGE = """\
# Python

Written by `make docs` from the docstrings. `import batchcast as bc` costs nothing until a name is used; all are
typed. Notebooks in `examples/` show them at work.
"""


def api_page() -> str:
    """A heading a name; of the clients one a method, too."""
    import batchcast as bc

    parts = [_PAGE]
    for name in sorted(bc.__all__, key=str.lower):
        found = getattr(bc, name)
        if isinstance(found, str):
            continue
        parts += _entry(f"bc.{name}", found, 2)
        if name in ("PipelineClient", "Run"):
            for method, value in sorted(vars(found).items()):
                if not method.startswith("_"):
                    parts += _entry(f"{name}.{method}", value, 3)
    return "\n".join(parts)


def _entry(title: str, found: object, level: int) -> Iterator[str]:
    yield f"\n{'#' * level} {title}\n"
    target = found.fget if isinstance(found, property) else found
    if inspect.isfunction(target) and not isinstance(found, property):
        yield f"```python\n{title.rpartition('.')[2]}{_signature(target)}\n```\n"
    yield f"{_plain(inspect.getdoc(target) or '')}\n"


def _signature(found: object) -> str:
    """A parameter a line where one line would be too long; annotations without their quotes."""
    signature = inspect.signature(found)  # type: ignore[arg-type]
    line = _unquoted(str(signature))
    if len(line) <= 90:
        return line
    inside = []
    for each in signature.parameters.values():
        if each.kind is each.KEYWORD_ONLY and "*" not in inside:
            inside.append("*")
        inside.append(_unquoted(str(each)))
    lines = "".join(f"    {each},\n" for each in inside)
    return f"(\n{lines}) -> {line.rpartition(' -> ')[2]}"


def _unquoted(text: str) -> str:
    return re.sub(r"(: |-> )'([^']*)'", r"\1\2", text)


def _plain(text: str) -> str:
    """What looks like a tag to Markdown is text."""
    return text.replace("<", "&lt;")
